"""Steps of a longer chain: where one ends, what it may answer, and that a search by steps keeps every promise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import ASK, MARKS, Chain, Judges, Proposes, finishes, key, keys, solve, words
from thinkctl import Budget, Request, Run, Sampling
from thinkctl.protocols import Engines
from thinkctl.selectors import Latest
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Finish, History, Origin, Role, Sample, StopReason, Verdict

STEP, STOP = Finish.STEP, Finish.STOP
STEPS = "one two. three four. five \\boxed{4}"


def step(parent: int | None = None, until: str = ".", **more: Any) -> Request:
    sampling = Sampling(max_tokens=more.pop("max_tokens", None))
    return Request(ASK, sampling, parent=parent, until=until, **more)


def going_on(history: History) -> list[Request]:
    """Ask for one step after the other, until the chain ends."""
    if not history.samples:
        return [step()]
    last = history.samples[-1]
    return [step(last.index)] if last.finish is STEP and last.answer is None else []


def stepwise(script: Script | str, budget: Budget | None = None, **knobs: Any) -> Run:
    return solve(ScriptedEngine([script]), Proposes(going_on, Latest()), budget, **knobs)


def steps_of(script: Script | str, *steps: Request) -> list[Sample]:
    """Ask for these steps, and then for another answer, so that nothing is forced at the end."""
    found = solve(ScriptedEngine([script, "\\boxed{9}"]), Chain((*steps, Request(ASK))))
    return list(found.samples[:-1])


# -- where a step ends -------------------------------------------------------------------------------------------


def test_a_step_ends_after_the_token_that_completes_its_text_and_the_next_goes_on_exactly_there() -> None:
    found = stepwise(STEPS)
    assert [sample.text for sample in found.samples] == ["one two.", "one two. three four.", STEPS]
    assert finishes(found) == [STEP, STEP, STOP]
    assert (key(found), found.stop) == ("4", StopReason.DONE)


def test_a_child_inherits_all_tokens_of_its_parent_and_is_billed_for_its_own_alone() -> None:
    engine = ScriptedEngine([STEPS])
    found = solve(engine, Proposes(going_on, Latest()))
    for parent, child in zip(found.samples, found.samples[1:], strict=False):
        inherited, said = child.segments
        assert (inherited.origin, inherited.token_ids) == (Origin.INHERITED, parent.token_ids)
        assert said.origin is Origin.SAMPLED
    assert [sample.usage.generated_tokens for sample in found.samples] == [2, 2, 3]
    assert found.receipt.overshoot_tokens == 0
    assert engine.launched == 1, "it was one chain all the time"


@pytest.mark.parametrize(
    ("text", "until", "first"),
    [
        (
            "\n\nLet me see.\n\nThen more",
            "\n\n",
            "\n\nLet me see.\n\nThen",
        ),  # one token has the blanks before it
        ("  . one. two", ".", "  ."),
        ("a STEP b STEP c", "STEP", "a STEP"),
    ],
)
def test_blanks_at_its_beginning_do_not_complete_a_step(text, until, first) -> None:
    (found,) = steps_of(text, step(until=until))
    assert found.text == first


def test_a_step_ends_after_so_many_tokens_of_its_own_at_the_latest() -> None:
    script = Script(f"{words(30)} \\boxed{{4}}")
    found = steps_of(script, step(max_tokens=7), step(0, max_tokens=5))
    assert [len(sample.token_ids) for sample in found] == [7, 12]
    assert [sample.finish for sample in found] == [STEP, STEP]


@pytest.mark.parametrize("until", ["", "never said"])
def test_tokens_alone_may_end_a_step(until) -> None:
    found = solve(
        ScriptedEngine([f"{words(9)} \\boxed{{4}}"]), Chain((step(until=until, max_tokens=4), step(0)))
    )
    assert finishes(found) == [STEP, STOP]
    assert keys(found) == [None, "4"]


def test_what_a_parent_said_does_not_complete_its_child() -> None:
    found = steps_of("a. b c. d", step(), step(0))
    assert [sample.text for sample in found] == ["a.", "a. b c."]


def test_forced_text_does_not_complete_a_step() -> None:
    script = Script("a. b", conclusion=" c. d. \\boxed{4}")
    found = steps_of(script, step(), step(0, extend=" Wait."))
    assert found[1].text == "a. Wait. c."


def test_tokens_that_came_in_the_same_delta_belong_to_the_step() -> None:
    """They are on the bill, and the next step goes on after them."""
    found = stepwise(Script(STEPS, chunk=3))
    assert [sample.text for sample in found.samples] == ["one two. three", STEPS]
    assert (finishes(found), keys(found)) == ([STEP, STEP], [None, "4"])


# -- what it may answer ------------------------------------------------------------------------------------------


def test_a_step_is_not_made_to_conclude() -> None:
    found = solve(ScriptedEngine([STEPS]), Chain((step(), step(0), step(1))), Budget(tokens=200))
    assert not any(sample.concluded for sample in found.samples)
    assert {line.role for line in found.receipt.lines} == {Role.SAMPLE}


def test_a_step_that_has_stated_an_answer_has_one() -> None:
    found = solve(ScriptedEngine(["so \\boxed{4}. And more. "]), Chain((step(),)))
    assert (finishes(found), keys(found)) == ([STEP], ["4"])


def test_a_step_of_a_thought_has_no_answer_before_the_thought_is_closed() -> None:
    engine = ScriptedEngine(["<think>\\boxed{5}. hm.</think> So \\boxed{4}"], card=MARKS)
    found = solve(engine, Proposes(going_on, Latest()))
    assert keys(found) == [None, None, "4"]
    assert found.samples[0].usage.answer_tokens == 0


async def by_length(sample: Sample, engines: Engines) -> Verdict:
    return Verdict(1 / len(sample.token_ids))


def test_every_step_gets_its_verdict() -> None:
    found = stepwise(STEPS, verifier=Judges(by_length))
    assert [sample.verdict and sample.verdict.score for sample in found.samples] == [1 / 2, 1 / 4, 1 / 7]


# -- at a wall ---------------------------------------------------------------------------------------------------

LONG = Script(" ".join(f"{words(6)}." for _ in range(50)), conclusion=lambda forced, at: f"{at}}}")


@pytest.mark.parametrize("tokens", [20, 40, 90])
def test_at_the_token_wall_the_longest_chain_is_made_to_answer(tokens) -> None:
    found = stepwise(LONG, Budget(tokens=tokens), usual_tokens=6)
    assert found.stop is StopReason.TOKENS
    assert found.answer is not None
    assert found.answer.sample == max(found.samples, key=lambda sample: len(sample.token_ids)).index
    assert found.samples[found.answer.sample].concluded


@pytest.mark.parametrize("seconds", [2.0, 5.0, 9.9])
def test_at_the_deadline_there_is_an_answer_of_the_chain_so_far(seconds) -> None:
    script = Script(LONG.text, seconds_per_token=0.1, conclusion=LONG.conclusion)
    found = stepwise(script, Budget(seconds=seconds, answer_tokens=8))
    assert found.stop is StopReason.SECONDS
    assert found.answer is not None
    assert found.answer.sample == found.samples[-1].index
    assert found.seconds <= seconds + 1e-9


def test_a_strategy_that_ends_with_open_chains_gets_an_answer_of_the_longest() -> None:
    found = solve(ScriptedEngine([LONG]), Chain((step(), step(0), step())))
    assert finishes(found)[0] is STEP
    assert found.answer is not None
    assert found.answer.sample == 1


@given(
    length=st.integers(1, 8),
    number=st.integers(1, 12),
    chunk=st.integers(1, 5),
    most=st.none() | st.integers(1, 9),
    tokens=st.integers(1, 200),
    usual=st.integers(1, 30),
    waste=st.integers(0, 2),
    marked=st.booleans(),
)
def test_no_budget_is_passed_and_chains_are_exact_whatever_the_grants(
    length, number, chunk, most, tokens, usual, waste, marked
) -> None:
    text = " ".join(f"{words(length)}." for _ in range(number)) + " \\boxed{4}"
    script = Script(f"<think>{text}</think> \\boxed{{4}}" if marked else text, chunk=chunk, conclusion="5}")

    def ask(history: History) -> list[Request]:
        asked = going_on(history)
        return [step(request.parent, max_tokens=most) for request in asked]

    engine = ScriptedEngine([script], card=MARKS if marked else None, waste=waste)
    found = solve(engine, Proposes(ask, Latest()), Budget(tokens=tokens), usual_tokens=usual)
    for sample in found.samples:
        parent = sample.request.parent
        if parent is not None:
            kept = found.samples[parent].token_ids
            assert sample.token_ids[: len(kept)] == kept
        if not sample.concluded:
            assert script.text.startswith(sample.text)
        if most is not None and sample.finish is STEP:
            assert sample.usage.thinking_tokens + sample.usage.answer_tokens <= most
    assert found.receipt.overshoot_tokens == 0
