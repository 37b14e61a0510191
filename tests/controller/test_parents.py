"""Going on from a sample: token-exactly, with its answer or without, and what counts as whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    ASK,
    MARKS,
    Chain,
    Proposes,
    decides,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget, ChainOfThought, ModelCard, Request, Run, Sampling, ZeroShot
from thinkctl.errors import ConfigurationError
from thinkctl.selectors import Latest
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Decision, Finish, Origin, StopReason

WAIT = "\nWait,"


def going_on(*steps: Request, engine: ScriptedEngine, budget: Budget | None = None, **knobs) -> Run:
    """Ask once, then go on."""
    return solve(engine, Chain((Request(ASK), *steps), selector=Latest()), budget, **knobs)


def corrected(text: str, conclusion: str) -> Script:
    """Say one thing, and after "Wait," another."""
    return Script(text, conclusion=lambda forced, at: conclusion if "Wait" in forced else "}")


def test_a_child_begins_with_its_parent_s_own_tokens_without_the_end_of_turn() -> None:
    engine = ScriptedEngine([corrected(f"{words(4)} \\boxed{{4}}", " no: \\boxed{5}")])
    found = going_on(Request(ASK, parent=0, extend=WAIT), engine=engine)
    parent, child = found.samples
    assert child.prompt_ids == parent.prompt_ids
    inherited, forced, own = child.segments
    assert (inherited.origin, inherited.token_ids) == (Origin.INHERITED, parent.token_ids[:-1])
    assert (forced.origin, engine.tokenizer.decode(forced.token_ids)) == (Origin.FORCED, WAIT)
    assert own.origin is Origin.SAMPLED
    assert engine.log[1].prompt_ids == (*child.prompt_ids, *inherited.token_ids, *forced.token_ids)
    assert child.text == f"{words(4)} \\boxed{{4}}{WAIT} no: \\boxed{{5}}"
    assert keys(found) == ["4", "5"]
    assert engine.launched == 1


@pytest.mark.parametrize("marked", [False, True])
def test_a_reopened_child_begins_with_the_thought_alone(marked: bool) -> None:
    """With thinking marks: without closing mark and answer. Without them nothing is known to be no thought."""
    text = "<think>a b</think>So \\boxed{4}" if marked else "a b \\boxed{4}"
    engine = ScriptedEngine(
        [corrected(text, " c</think>\\boxed{5}" if marked else " c \\boxed{5}")],
        card=MARKS if marked else None,
    )
    found = going_on(Request(ASK, parent=0, reopen=True, extend=WAIT), engine=engine)
    child = found.samples[1]
    kept = "<think>a b" if marked else text
    assert child.text.startswith(kept + WAIT)
    assert child.segments[0].token_ids == tuple(engine.tokenizer.encode(kept))
    assert keys(found) == ["4", "5"]
    assert child.usage.thinking_tokens > 0, "the thought is open again"


@pytest.mark.parametrize("text", ["a \\boxed{4}", "<think>a \\boxed{4}</think>\\boxed{4}"])
def test_an_answer_in_a_reopened_thought_is_not_the_child_s_own(text: str) -> None:
    """It must say one itself: the parent's would otherwise vote twice."""
    engine = ScriptedEngine([corrected(text, " hm")], card=MARKS if "think" in text else None)
    found = going_on(Request(ASK, parent=0, reopen=True, extend=WAIT), engine=engine)
    assert keys(found) == ["4", None]


def test_an_answer_that_is_asked_for_by_the_text_that_goes_on_is_the_child_s_own() -> None:
    engine = ScriptedEngine([Script(words(3), conclusion="5}")])
    found = going_on(Request(ASK, parent=0, reopen=True, extend=" So \\boxed{"), engine=engine)
    assert keys(found) == [None, "5"]


def test_forced_and_inherited_tokens_are_nobody_s_thinking_and_never_billed_as_generated() -> None:
    engine = ScriptedEngine([corrected(f"{words(20)} \\boxed{{4}}", " so \\boxed{5}")])
    found = going_on(Request(ASK, parent=0, extend=WAIT), engine=engine)
    parent, child = found.samples
    assert parent.usage.generated_tokens == 22
    assert child.usage.generated_tokens == 3
    assert child.usage.forced_tokens == 0, "they were put into the prompt, not decoded"
    assert found.receipt.prompt_tokens == len(parent.prompt_ids) + len(engine.log[1].prompt_ids)


def test_a_child_s_confidence_is_of_its_own_tokens_only() -> None:
    script = Script(words(5), logprob=(-5.0, -0.1), conclusion=" so \\boxed{5}")
    engine = ScriptedEngine([script])
    logs = Sampling(logprobs=0)
    steps = (Request(ASK, logs), Request(ASK, logs, parent=0, extend=WAIT))
    parent, child = solve(engine, Chain(steps)).samples
    assert parent.confidence is not None
    assert parent.confidence < 0.5
    assert child.confidence == pytest.approx(2.718281828459045**-0.1)
    assert [segment.logprobs is None for segment in child.segments] == [True, True, False]


def test_the_thinking_cap_of_a_child_counts_its_own_tokens() -> None:
    engine = ScriptedEngine(
        [
            Script(
                f"{words(10)} \\boxed{{4}}",
                conclusion=lambda forced, at: words(50) if "Wait" in forced else "5}",
            )
        ]
    )
    steps = (Request(ASK), Request(ASK, Sampling(thinking_tokens=7), parent=0, reopen=True, extend=WAIT))
    found = solve(engine, Chain(steps, selector=Latest()))
    assert [sample.thinking_tokens for sample in found.samples] == [10, 7]
    assert found.samples[1].concluded


def test_children_of_children_inherit_everything() -> None:
    def deeper(forced: str, at: int) -> str:
        return f" {words(2)} \\boxed{{{forced.count('Wait') + 4}}}"

    engine = ScriptedEngine([Script("a \\boxed{4}", conclusion=deeper)])
    found = going_on(Request(ASK, parent=0, extend=WAIT), Request(ASK, parent=1, extend=WAIT), engine=engine)
    first, second, third = found.samples
    assert second.text.startswith(first.text)
    assert third.text.startswith(second.text)
    assert third.token_ids[: len(second.token_ids) - 1] == second.token_ids[:-1]


def test_several_children_of_one_parent_share_its_tokens() -> None:
    def branch(history):
        if not history.bought:
            return [Request(ASK)]
        return (
            [Request(ASK, parent=0, extend=f" {name}") for name in "xyz"]
            if history.bought == 1 and not history.in_flight
            else ()
        )

    engine = ScriptedEngine(
        [Script(words(4), conclusion=lambda forced, at: f"\\boxed{{{forced.strip()}}}")], block=1
    )
    found = solve(engine, Proposes(branch, Latest()))
    assert keys(found)[1:] == ["x", "y", "z"]
    assert all(
        sample.segments[0].token_ids == found.samples[0].token_ids[:-1] for sample in found.samples[1:]
    )
    assert (found.receipt.cached_tokens or 0) > 0


@pytest.mark.parametrize("how", ["cut", "truncated", "concluded", "failed"])
def test_a_sample_may_be_continued_however_it_ended(how: str) -> None:
    script = {
        "cut": Script(words(90), 0.1, conclusion=" \\boxed{5}"),
        "truncated": endless(conclusion=lambda forced, at: " \\boxed{5}" if "Wait" in forced else words(200)),
        "concluded": endless(conclusion=lambda forced, at: " \\boxed{5}" if "Wait" in forced else "4}"),
        "failed": Script(words(9), fail_after=4, conclusion=" \\boxed{5}"),
    }[how]
    policy = decides(
        lambda history: Decision(
            cut=tuple(
                each.index
                for each in history.in_flight
                if how == "cut" and each.index == 0 and len(each.token_ids) > 4
            )
        )
    )
    engine = ScriptedEngine([script])
    steps = (Request(ASK, Sampling(thinking_tokens=20)), Request(ASK, parent=0, extend=WAIT))
    found = solve(engine, Chain(steps, selector=Latest()), policy=policy, decide_every=1)
    assert key(found) == "5"
    assert found.samples[1].finish is Finish.STOP
    assert found.samples[1].text.startswith(found.samples[0].text)


def test_a_reopened_conclusion_goes_on_before_the_closing_text() -> None:
    script = endless(conclusion=lambda forced, at: " \\boxed{5}" if forced == WAIT else "4}")
    steps = (Request(ASK, Sampling(thinking_tokens=20)), Request(ASK, parent=0, reopen=True, extend=WAIT))
    found = solve(ScriptedEngine([script]), Chain(steps, selector=Latest()))
    assert found.samples[1].text == f"{'hm' * 20}{WAIT} \\boxed{{5}}"
    assert keys(found) == ["4", "5"]


@given(
    thought=st.integers(1, 30),
    tokens=st.integers(60, 400),
    chunk=st.integers(1, 9),
    usual=st.integers(1, 50),
    reopen=st.booleans(),
    marked=st.booleans(),
)
def test_inheritance_is_exact_whatever_the_grants(thought, tokens, chunk, usual, reopen, marked) -> None:
    text = f"<think>{words(thought)}</think> \\boxed{{4}}" if marked else f"{words(thought)} \\boxed{{4}}"
    script = Script(
        text,
        chunk=chunk,
        conclusion=lambda forced, at: f" {words(6)} \\boxed{{5}}" if "Wait" in forced else "6}",
    )
    engine = ScriptedEngine([script], card=MARKS if marked else None, waste=1)
    found = going_on(
        Request(ASK, parent=0, reopen=reopen, extend=WAIT),
        Request(ASK, parent=0, extend=WAIT),
        engine=engine,
        budget=Budget(tokens=tokens),
        usual_tokens=usual,
    )
    parent = found.samples[0]
    for child in found.samples[1:]:
        inherited = child.segments[0].token_ids
        assert parent.token_ids[: len(inherited)] == inherited
        assert child.usage.generated_tokens <= tokens


# -- the strategies that go on ---------------------------------------------------------------------------------


def test_waiting_reopens_the_thought_and_the_last_answer_wins() -> None:
    """Budget forcing: after the third wait the answer is another one."""

    def conclusion(forced: str, at: int) -> str:
        return f" {words(3)} \\boxed{{7}}"

    engine = ScriptedEngine([Script(f"{words(5)} \\boxed{{4}}", conclusion=conclusion)])
    found = solve(engine, ChainOfThought(waits=2))
    assert keys(found) == ["4", "7", "7"]
    assert [sample.text.count("Wait") for sample in found.samples] == [0, 1, 2]
    assert (key(found), found.answer and found.answer.sample, found.stop) == ("7", 2, StopReason.DONE)


def test_waiting_keeps_to_the_bound_of_the_whole_thought() -> None:
    engine = ScriptedEngine(
        [
            Script(
                f"{words(5)} \\boxed{{4}}",
                conclusion=lambda forced, at: f" {words(30)} \\boxed{{7}}" if "Wait" in forced else "9}",
            )
        ]
    )
    found = solve(engine, ChainOfThought(thinking_tokens=12, waits=4))
    assert sum(sample.thinking_tokens for sample in found.samples) == 12
    assert keys(found) == ["4", "9"]


@pytest.mark.parametrize("tokens", [8, 12, 20, 40, 80])
def test_waiting_is_ended_by_the_wall_with_an_answer(tokens: int) -> None:
    engine = ScriptedEngine(
        [
            Script(
                "a \\boxed{4}",
                conclusion=lambda forced, at: f" {words(3)} \\boxed{{7}}" if "Wait" in forced else "7}",
            )
        ]
    )
    found = solve(engine, ChainOfThought(waits=50), Budget(tokens=tokens))
    assert found.answer is not None
    assert found.stop is StopReason.TOKENS


def test_zero_shot_asks_for_the_answer_at_once() -> None:
    found = solve(ScriptedEngine(["\\boxed{4}"]), ZeroShot(), Budget(tokens=40))
    (sample,) = found.samples
    assert (key(found), sample.thinking_tokens, sample.thought) == ("4", 0, "")


def test_zero_shot_that_rambles_is_made_to_answer() -> None:
    found = solve(ScriptedEngine([endless("4")]), ZeroShot(), Budget(tokens=40))
    assert (key(found), finishes(found)) == ("4", [Finish.STOP])
    assert found.samples[0].usage.thinking_tokens == 0
    assert found.samples[0].concluded


# -- parents that cannot be ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parent", [-1, 0, 1, 99])
def test_a_parent_that_does_not_exist_is_refused(parent: int) -> None:
    strategy = Proposes(lambda history: [Request(ASK, parent=parent)] * (not history.bought))
    with pytest.raises(
        ConfigurationError, match=f"continues sample {parent}, which is not a finished sample"
    ):
        solve(ScriptedEngine(["x"]), strategy)


def test_a_parent_that_still_grows_is_refused() -> None:
    strategy = Proposes(lambda history: [Request(ASK), Request(ASK, parent=0)][history.bought :])
    with pytest.raises(ConfigurationError, match="not a finished sample"):
        solve(ScriptedEngine([endless(seconds_per_token=0.1)]), strategy)


def test_a_parent_of_another_model_is_refused() -> None:
    """Its token ids mean something else there."""
    import asyncio

    from tests.controller.rig import QUESTION
    from thinkctl import Controller

    engines = {
        "small": ScriptedEngine([says("4")]),
        "large": ScriptedEngine(["x"], card=ModelCard(name="large")),
    }
    made = Controller(engines, Chain((Request(ASK), Request(ASK, parent=0, model="large"))))
    with pytest.raises(ConfigurationError, match="continues sample 0 of 'small' with 'large'"):
        asyncio.run(made.solve(QUESTION))
