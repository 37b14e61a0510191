"""Composed strategies: what a part sees, what it may ask for, and that it behaves as if it were alone."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import Proposes
from tests.strategies.growing import ended, grown, part, step
from tests.verifiers.boxes import ROOMY, needs_bubblewrap
from thinkctl import Controller
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Strategy
from thinkctl.selectors import Latest, Majority
from thinkctl.strategies import (
    UCT,
    AdaptiveBranching,
    BeamSearch,
    BestOfN,
    Mixture,
    ProgramOfThought,
    SelfConsistency,
    SelfCorrection,
    Using,
)
from thinkctl.strategies.parts import ask_as, choose_in, part_of
from thinkctl.strategies.prompts import reason_first
from thinkctl.testing import ScriptedEngine, check_selector, check_strategy, history_of, sample_of
from thinkctl.types import History, Message, Needs, Probe, Request, Sample, Usage, needs_of
from thinkctl.verifiers import ProgramResult


def tagged(*tags: str) -> History:
    """A history whose samples have these tags and answer their index."""
    samples = [sample_of(str(index), index=index) for index in range(len(tags))]
    return history_of(
        *(
            replace(each, request=replace(each.request, tag=tag))
            for each, tag in zip(samples, tags, strict=True)
        )
    )


# -- what a part sees --------------------------------------------------------------------------------------------


def test_a_part_sees_its_own_samples_numbered_from_0_under_the_tags_it_gave_them() -> None:
    history = tagged("0", "1", "0/3", "10", "1/0/2", "1/x")
    own = part_of(history, "1")
    assert [
        (sample.index, sample.request.tag, sample.answer and sample.answer.text) for sample in own.samples
    ] == [
        (0, "", "1"),
        (1, "0/2", "4"),
        (2, "x", "5"),
    ]
    assert [sample.answer and sample.answer.sample for sample in own.samples] == [0, 1, 2]


def test_a_part_s_parents_and_probes_are_its_own() -> None:
    history = tagged("0", "1", "0", "1")
    answer = history.samples[3].answer
    probe = Probe(2, "4}", answer, None, Usage(probe_tokens=1))
    child = replace(
        history.samples[3], request=replace(history.samples[3].request, parent=1), probes=(probe,)
    )
    last = part_of(history.received(child), "1").samples[-1]
    assert (last.request.parent, last.probes[0].answer and last.probes[0].answer.sample) == (0, 1)


def test_a_part_does_not_wait_for_samples_of_others() -> None:
    flying = replace(tagged("0").samples[0], finish=None, answer=None)
    history = tagged("0", "1", "1").received(flying)
    assert (len(history.settled), len(part_of(history, "1").settled)) == (0, 2)


@pytest.mark.parametrize(("counted", "own"), [(None, None), (0, 0), (2, 1), (3, 2), (4, 2)])
def test_what_a_policy_had_counted_is_divided_too(counted, own) -> None:
    assert part_of(replace(tagged("0", "1", "1", "0"), counted=counted), "1").counted == own


def test_requests_of_a_part_name_samples_of_the_whole() -> None:
    history = tagged("0", "1", "0", "1")
    asks = Proposes(
        lambda own: [
            Request(own.problem.messages, parent=own.bought - 1, tag="a"),
            Request(own.problem.messages),
        ]
    )
    assert [(request.parent, request.tag) for request in ask_as("1", asks, history)] == [
        (3, "1/a"),
        (None, "1"),
    ]


def test_what_is_chosen_in_a_part_is_an_answer_of_the_whole() -> None:
    history = tagged("0", "1", "0", "1")
    assert choose_in("1", Latest(), history) == history.samples[3].answer
    assert choose_in("7", Latest(), history) is None


# -- as if it were alone -----------------------------------------------------------------------------------------


def outcome(request: Request, index: int, dice: random.Random) -> Sample:
    """A sample of any kind, whatever was asked."""
    if request.until is not None and dice.random() < 0.7:
        return step(dice.random())
    return ended(dice.choice(["4", "5", None]), dice.random(), tokens=dice.randrange(1, 50))


ARMS: list[Strategy] = [
    SelfConsistency(4),
    BestOfN(3),
    SelfCorrection(3),
    BeamSearch(4, 2, rounds=4),
    UCT(6),
    AdaptiveBranching(6),
    Using(SelfConsistency(2), "b"),
    Mixture((SelfConsistency(2), UCT(3))),
]


@given(chosen=st.lists(st.sampled_from(ARMS), min_size=1, max_size=4), seed=st.integers(0, 999))
def test_a_part_s_history_is_the_one_that_it_would_have_alone(chosen: list[Strategy], seed: int) -> None:
    """Whatever the order in which the parts' requests are launched, each asks for just what it would ask for alone."""
    names = [str(place) for place in range(len(chosen))]
    dice, history = random.Random(seed), history_of(seed=seed)
    alone = {name: history_of(seed=seed) for name in names}
    for _ in range(12):
        name = dice.choice(names)
        strategy = chosen[int(name)]
        asked = ask_as(name, strategy, history)
        by_itself = list(strategy.propose(alone[name]))
        assert len(asked) == len(by_itself)
        assert part_of(history, name) == alone[name]
        for request, other in zip(asked, by_itself, strict=True):
            said = outcome(request, 0, dice)
            history = history.received(part(said, request, history.bought))
            alone[name] = alone[name].received(part(said, other, alone[name].bought))
        history = replace(history, elapsed=0.0)


# -- another model -----------------------------------------------------------------------------------------------


def test_another_model_is_asked_for_the_same() -> None:
    asked = Using(SelfConsistency(2), "large").propose(history_of())
    assert asked == [replace(request, model="large") for request in SelfConsistency(2).propose(history_of())]
    nested = Using(Mixture((Using(SelfConsistency(1), "a"), SelfConsistency(1))), "b")
    assert [request.model for request in nested.propose(history_of())] == ["a", "b"]


def test_it_chooses_and_needs_what_its_strategy_does() -> None:
    for strategy in (BestOfN(2), SelfCorrection()):
        assert (Using(strategy, "b").selector, Using(strategy, "b").needs) == (
            strategy.selector,
            strategy.needs,
        )
    with pytest.raises(ConfigurationError, match="model=''"):
        Using(SelfConsistency(2), "")


# -- several ways of asking --------------------------------------------------------------------------------------

BOTH = Mixture((SelfConsistency(3), ProgramOfThought(2)))


def test_ways_of_asking_take_turns_under_one_vote() -> None:
    asked = BOTH.propose(history_of())
    assert [request.tag for request in asked] == ["0", "1", "0", "1", "0"]
    assert [asked[0].messages, asked[1].messages] == [
        SelfConsistency(3).propose(history_of())[0].messages,
        ProgramOfThought(2).propose(history_of())[0].messages,
    ]
    assert BOTH.selector == Majority()


@given(st.integers(1, 5))
def test_whoever_has_asked_least_is_next_however_many_are_launched(at_most) -> None:
    history = grown(BOTH, lambda request, index: ended("4"), at_most=at_most)
    assert [sample.request.tag for sample in history.samples] == ["0", "1", "0", "1", "0"]


def test_a_way_that_has_nothing_to_ask_now_is_passed_over() -> None:
    mixture = Mixture((SelfCorrection(3), SelfConsistency(3)))
    assert [request.tag for request in mixture.propose(history_of())] == ["0", "1", "1", "1"]


def test_it_needs_what_its_parts_need_and_says_who() -> None:
    assert needs_of(Mixture((SelfConsistency(2),))) == Needs()
    assert needs_of(Mixture((SelfConsistency(2), BestOfN(2)))) == Needs(scores=True, why="mixture: best-of-n")
    with pytest.raises(ConfigurationError, match=r"strategies=\(\)"):
        Mixture(())


# -- programs ----------------------------------------------------------------------------------------------------


def test_a_program_is_asked_for_and_not_an_answer_in_words() -> None:
    (request,) = ProgramOfThought().propose(history_of())
    said = request.messages[-1].content
    assert said.startswith(history_of().problem.text)
    assert "```python" in said
    assert "boxed" not in said
    assert request.messages != reason_first(history_of().problem)


def test_a_conversation_without_a_user_turn_gets_one() -> None:
    problem = history_of().problem.model_copy(update={"messages": (Message(role="system", content="2+2"),)})
    (request,) = ProgramOfThought().propose(history_of(problem=problem))
    assert [turn.role for turn in request.messages] == ["system", "user"]


def test_programs_top_up_to_n_and_need_somebody_to_run_them() -> None:
    assert [len(ProgramOfThought(3).propose(history_of(*["4"] * taken))) for taken in range(4)] == [
        3,
        2,
        1,
        0,
    ]
    assert needs_of(ProgramOfThought()).scores
    with pytest.raises(ConfigurationError, match="n=0"):
        ProgramOfThought(0)


@pytest.mark.parametrize("strategy", [BOTH, ProgramOfThought(2), *ARMS], ids=repr)
def test_it_conforms(strategy) -> None:
    check_strategy(strategy)
    check_selector(strategy.selector)


@needs_bubblewrap
def test_words_and_programs_vote_together() -> None:
    """The verifier that runs programs leaves an answer in words as it is."""
    engine = ScriptedEngine(
        lambda number, prompt: (
            "```python\nprint(2 + 2)\n```" if "Python" in prompt else f"So \\boxed{{{number + 4}}}"
        )
    )
    controller = Controller(
        engine, Mixture((SelfConsistency(2), ProgramOfThought(2))), verifier=ProgramResult(ROOMY)
    )
    found = asyncio.run(controller.solve("2+2?"))
    assert [sample.answer and sample.answer.key for sample in found.samples] == ["4", "4", "6", "4"]
    assert (found.answer and found.answer.key, found.confidence) == ("4", 0.75)
