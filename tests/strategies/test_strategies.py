"""What the strategies ask for, as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.answers import FORMS, form
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Strategy
from thinkctl.selectors import Latest, Majority, WeightedMajority
from thinkctl.strategies import ChainOfThought, SelfConsistency, ZeroShot
from thinkctl.strategies.prompts import answer_at_once, reason_first
from thinkctl.testing import check_strategy, history_of, sample_of
from thinkctl.types import Finish, History, Message, Problem, Request, Sampling

GREEDY = Sampling(temperature=0)
QUESTION = Problem.model_validate({"messages": "What is 2+2?", "form": "boxed"})


def turns(*pairs: tuple[str, str]) -> Problem:
    return Problem.model_validate({"messages": [{"role": role, "content": text} for role, text in pairs]})


def asked(strategy: Strategy, *answers: object, problem: Problem = QUESTION) -> list[Request]:
    return list(strategy.propose(history_of(*answers, problem=problem)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "strategy",
    [
        ZeroShot(),
        ChainOfThought(),
        ChainOfThought(thinking_tokens=100, waits=3),
        SelfConsistency(1),
        SelfConsistency(40),
        SelfConsistency(3, weight="confidence"),
    ],
    ids=repr,
)
def test_every_strategy_conforms(strategy) -> None:
    check_strategy(strategy)


# -- how a problem is put --------------------------------------------------------------------------------------


def test_the_sentence_is_appended_to_the_last_user_turn_after_a_blank_line_and_nothing_else_changes() -> None:
    problem = turns(("system", "Be brief."), ("user", "One?"), ("assistant", "1"), ("user", "Two?"))
    assert reason_first(problem) == (
        *problem.messages[:3],
        Message(role="user", content=f"Two?\n\n{form('boxed').instruction}"),
    )


def test_a_turn_after_the_last_user_turn_stays_in_its_place() -> None:
    problem = turns(("user", "Look it up."), ("tool", "42"))
    assert [turn.role for turn in answer_at_once(problem)] == ["user", "tool"]
    assert answer_at_once(problem)[0].content == f"Look it up.\n\n{form('boxed').direct}"


def test_a_conversation_without_a_user_turn_gets_one() -> None:
    problem = turns(("system", "Prove something."))
    assert reason_first(problem) == (
        *problem.messages,
        Message(role="user", content=form("boxed").instruction),
    )


@given(st.sampled_from(list(FORMS)), st.text(min_size=1).filter(str.strip))
def test_the_question_itself_is_never_changed(name, text) -> None:
    problem = Problem.model_validate({"messages": text, "form": name})
    for messages in (reason_first(problem), answer_at_once(problem)):
        (turn,) = messages
        assert turn.content.startswith(text)


# -- zero-shot -------------------------------------------------------------------------------------------------


def test_zero_shot_asks_once_without_thinking_and_greedily() -> None:
    assert asked(ZeroShot()) == [Request(answer_at_once(QUESTION), GREEDY, think=False)]
    assert asked(ZeroShot(), "4") == asked(ZeroShot(), ...) == asked(ZeroShot(), None) == []


# -- chain of thought ------------------------------------------------------------------------------------------


def test_chain_of_thought_asks_once_with_thinking() -> None:
    assert asked(ChainOfThought()) == [Request(reason_first(QUESTION), GREEDY)]
    assert asked(ChainOfThought(), "4") == asked(ChainOfThought(), ...) == []
    assert ChainOfThought().selector == Latest()


@pytest.mark.parametrize(
    ("answers", "parent"),
    [
        (["4"], 0),
        (["4", "5"], 1),
        ([None], 0),  # ended by itself without an answer: thinking on may bring one
        (["4", "5", "5"], None),  # two extensions were allowed
        ([...], None),
        (["4", ...], None),
        ([sample_of("4", concluded=True)], None),  # its thought was closed at a cap
        ([sample_of(None, finish=Finish.LENGTH)], None),
        ([sample_of(None, finish=Finish.CUT)], None),
        ([sample_of(None, finish=Finish.ERROR)], None),
    ],
)
def test_a_thought_is_reopened_only_after_the_model_ended_it_itself(answers, parent) -> None:
    requests = asked(ChainOfThought(waits=2), *answers)
    assert [(request.parent, request.reopen, request.extend) for request in requests] == (
        [] if parent is None else [(parent, True, "\nWait,")]
    )


@pytest.mark.parametrize(("bound", "used", "left"), [(100, [], 100), (100, [30], 70), (100, [30, 50], 20)])
def test_the_bound_holds_for_the_whole_thought_over_all_extensions(bound, used, left) -> None:
    history = _thought(*used)
    for strategy in (
        ChainOfThought(thinking_tokens=bound, waits=5),
        ChainOfThought(waits=5, sampling=Sampling(temperature=0, thinking_tokens=bound)),
    ):
        (request,) = strategy.propose(history)
        assert request.sampling == Sampling(temperature=0, thinking_tokens=left)


def test_nothing_is_reopened_when_the_bound_is_used_up() -> None:
    assert ChainOfThought(thinking_tokens=80, waits=5).propose(_thought(30, 50)) == ()


def _thought(*used: int) -> History:
    """Return a chain of finished samples that thought this many tokens each."""
    samples = [
        replace(sample, usage=replace(sample.usage, thinking_tokens=tokens))
        for sample, tokens in ((sample_of("4"), tokens) for tokens in used)
    ]
    return history_of(*samples, problem=QUESTION)


# -- self-consistency ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "count"), [([], 3), (["4"], 2), ([...], 2), (["4", None, ...], 0), (["4"] * 5, 0)]
)
def test_self_consistency_asks_at_once_for_all_samples_that_are_missing(answers, count) -> None:
    assert asked(SelfConsistency(3), *answers) == [Request(reason_first(QUESTION), Sampling())] * count


@pytest.mark.parametrize(
    ("strategy", "logprobs", "selector"),
    [
        (SelfConsistency(1), None, Majority()),
        (SelfConsistency(1, "confidence"), 0, WeightedMajority("confidence")),
        (SelfConsistency(1, "confidence", Sampling(logprobs=5)), 5, WeightedMajority("confidence")),
    ],
)
def test_votes_are_weighed_by_confidence_on_request_and_log_probabilities_asked_for(
    strategy, logprobs, selector
) -> None:
    (request,) = asked(strategy)
    assert request.sampling.logprobs == logprobs
    assert strategy.selector == selector


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SelfConsistency(0), "n=0 samples cannot vote"),
        (lambda: SelfConsistency(weight="score"), "weight='score' is not known"),  # type: ignore[arg-type]
        (lambda: ChainOfThought(waits=-1), "waits=-1"),
        (lambda: ChainOfThought(thinking_tokens=0), "thinking_tokens=0 leaves no thought"),
        (lambda: ChainOfThought(5, sampling=Sampling(thinking_tokens=6)), "bound the same thought"),
    ],
)
def test_what_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
