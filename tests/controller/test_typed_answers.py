"""A thought is free and its answer is held to a type: when it is asked for, from what, and what becomes of it."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.controller.rig import MARKS, Asks, abstains, decides, endless, keys, says, solve
from thinkctl import Budget, ChainOfThought, Problem, Run, Sampling, ZeroShot
from thinkctl.protocols import Strategy
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Decision, Finish, History, ProbeRequest, Role

CUE = "\n\nThe final answer is \\boxed{"


class Person(BaseModel):
    name: str
    age: int


def typed(
    engine: ScriptedEngine, what: Any, budget: Budget, strategy: Strategy | None = None, **more: Any
) -> Run:
    return solve(engine, strategy or Asks(1), budget, problem=Problem.of("Who?", answer_type=what), **more)


def by_role(found: Run, role: Role) -> int:
    """Return the generated tokens of one role."""
    return sum(line.usage.generated_tokens for line in found.receipt.lines if line.role is role)


def held(engine: ScriptedEngine) -> list[str]:
    """Return what each stream was held to."""
    return [log.spec.constraint.regex if log.spec.constraint else "" for log in engine.log]


def test_a_thought_that_ends_is_followed_by_a_stream_that_is_held_to_the_type() -> None:
    engine = ScriptedEngine([Script("<think>hm hm</think> and so on and on", conclusion="42}")], card=MARKS)
    found = typed(engine, int, Budget(tokens=200))
    (sample,) = found.samples
    assert sample.text == "<think>hm hm</think>" + CUE + "42}"
    assert held(engine) == ["", r"-?(0|[1-9][0-9]{0,17})\}"]
    assert engine.log[1].prompt_ids[: len(engine.log[0].prompt_ids)] == engine.log[0].prompt_ids
    assert found.answer is not None
    assert (found.answer.text, found.answer.concluded, sample.finish) == ("42", False, Finish.STOP)
    assert found.receipt.wasted_tokens == 0


def test_a_turn_that_ends_without_an_answer_of_the_type_is_asked_for_one() -> None:
    engine = ScriptedEngine([Script("They may be 41 or 42.", conclusion="42}")])
    found = typed(engine, int, Budget(tokens=200))
    assert found.samples[0].text == "They may be 41 or 42." + CUE + "42}"
    assert keys(found) == ["42"]


@pytest.mark.parametrize(
    ("what", "said"), [(int, "so \\boxed{42}"), (Person, 'so ```json\n{"name": "Ann", "age": 3}\n```')]
)
def test_an_answer_of_the_type_that_was_stated_is_not_asked_for_again(what: Any, said: str) -> None:
    engine = ScriptedEngine([Script(said, conclusion="7}")])
    found = typed(engine, what, Budget(tokens=200))
    assert len(engine.log) == 1
    assert found.answer is not None


def test_an_answer_of_another_type_is_asked_for_again() -> None:
    engine = ScriptedEngine([Script("so \\boxed{about 42}", conclusion="42}")])
    assert keys(typed(engine, int, Budget(tokens=200))) == ["42"]


def test_a_zero_shot_sample_gets_the_cue_at_once() -> None:
    engine = ScriptedEngine([Script("42}")])
    found = typed(engine, int, Budget(tokens=200), ZeroShot())
    assert found.samples[0].text == CUE + "42}"
    assert (len(engine.log), bool(held(engine)[0])) == (1, True)
    assert found.receipt.usage.thinking_tokens == 0


def test_at_the_thinking_wall_the_thought_is_closed_as_ever() -> None:
    engine = ScriptedEngine([endless("42", "<think>hm")], card=MARKS)
    found = typed(engine, int, Budget(tokens=100))
    assert found.samples[0].text.endswith("</think>" + CUE + "42}")
    assert found.answer is not None
    assert found.answer.concluded
    assert found.receipt.generated_tokens <= 100


def test_a_stream_that_runs_is_closed_and_not_forced() -> None:
    """What it says next could not be held to the type."""

    def decide(history: History) -> Decision:
        return Decision(conclude=tuple(one.index for one in history.in_flight if one.thinking_tokens >= 20))

    engine = ScriptedEngine([endless("42")], force=100)
    found = typed(engine, int, Budget(tokens=400), policy=decides(decide), decide_every=1)
    assert [log.forced_tokens for log in engine.log] == [0, 0]
    assert keys(found) == ["42"]


def test_an_answer_that_the_reserve_cuts_is_completed_and_costs_nothing_more() -> None:
    engine = ScriptedEngine([endless(conclusion='{"name": "Ann Lee of many other names and so on')])
    found = typed(engine, Person, Budget(tokens=40, answer_tokens=6))
    assert found.answer is not None
    assert Person.model_validate_json(found.answer.text).name.startswith("Ann Lee")
    assert found.samples[0].finish is Finish.LENGTH
    assert found.receipt.generated_tokens == 40
    assert by_role(found, Role.CONCLUSION) == 6


def test_what_is_no_beginning_of_an_answer_cannot_be_completed() -> None:
    engine = ScriptedEngine(
        [endless(conclusion="I would rather tell you of something else altogether today")]
    )
    found = typed(engine, Person, Budget(tokens=40, answer_tokens=6))
    assert found.answer is None


def test_an_answer_longer_than_the_reserve_may_have_what_is_free_unless_its_length_was_said() -> None:
    conclusion = '{"name": "' + "very " * 80 + '", "age": 3}'
    for budget, whole in (
        (Budget(tokens=600), True),
        (Budget(), True),
        (Budget(tokens=600, answer_tokens=64), False),
    ):
        engine = ScriptedEngine([Script("hm", conclusion=conclusion)])
        found = typed(engine, Person, budget)
        assert (found.samples[0].finish is Finish.STOP) is whole
        assert found.answer is not None, "it is completed where it was cut"
        assert len(engine.log) == 2, (
            "an answer never goes on in another stream: its grammar would begin again"
        )


@pytest.mark.parametrize("constraints", [True, False])
def test_an_engine_that_does_not_keep_to_the_type_is_not_believed(constraints: bool) -> None:
    scripts = [abstains(conclusion="about 5}"), says("4"), says("four", conclusion="quatre}")]
    engine = ScriptedEngine(scripts, constraints=constraints)
    found = typed(engine, int, Budget(tokens=900), Asks(3))
    assert keys(found) == [None, "4", None]
    assert ["not of the type" in sample.error for sample in found.samples] == [True, False, True]
    assert any(held(engine)) is constraints


def test_a_thought_can_be_reopened_after_its_answer_was_asked_for() -> None:
    engine = ScriptedEngine([Script("<think>hm hm</think> 7", conclusion="42}")], card=MARKS)
    found = typed(engine, int, Budget(tokens=400), ChainOfThought(waits=1))
    assert len(found.samples) == 2
    assert found.samples[1].text.startswith("<think>hm hm\nWait,")


def test_probes_are_held_to_the_type() -> None:
    def decide(history: History) -> Decision:
        ready = [one for one in history.in_flight if one.thinking_tokens >= 10 and not one.probes]
        return Decision(probe=tuple(ProbeRequest(one.index, max_tokens=4) for one in ready))

    engine = ScriptedEngine([endless("42")])
    sampling = Sampling(max_tokens=40)
    found = typed(engine, int, Budget(tokens=2000), Asks(1, sampling), policy=decides(decide), decide_every=1)
    (probe, *_) = found.samples[0].probes
    assert probe.answer is not None
    assert probe.answer.text == "42"
    assert sum(map(bool, held(engine))) == 2


def test_votes_are_counted_on_values() -> None:
    engine = ScriptedEngine([says("4"), says("5"), says("5.0"), says("+5")])
    found = typed(engine, int, Budget(tokens=900), Asks(4))
    assert keys(found) == ["4", "5", "5", "5"]


@pytest.mark.parametrize("tokens", [1, 2, 3, 7, 12, 20, 33, 50, 100])
@pytest.mark.parametrize("what", [int, Literal["Paris", "Rome"], Person, re.compile("[a-z]+")], ids=str)
def test_never_a_token_over_and_always_of_the_type(tokens: int, what: Any) -> None:
    scripts = [Script("hm hm hm"), endless("7"), Script("x" * 30, conclusion='{"name": "A')]
    engine = ScriptedEngine(scripts, waste=1)
    sampling = Sampling(max_tokens=9)
    found = typed(engine, what, Budget(tokens=tokens), Asks(3, sampling))
    assert found.receipt.generated_tokens <= tokens
    assert found.receipt.overshoot_tokens == 0
    for sample in found.samples:
        if sample.answer is not None and what is Person:
            Person.model_validate_json(sample.answer.text)
