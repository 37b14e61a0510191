"""A cascade: when the small model is enough, what the large one is asked, and whose answer wins."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controller.rig import says
from tests.strategies.growing import ended, grown
from thinkctl import Budget, Controller, ModelCard, Run
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.selectors import BestScore, Majority
from thinkctl.stopping import AdaptiveConsistency, AnswerConfidence, CannotBeOvertaken, Threshold, Window
from thinkctl.strategies import (
    BestOfN,
    Cascade,
    LastStage,
    Mixture,
    ProgramOfThought,
    SelfConsistency,
    Using,
    mixture_of_thought,
    model_switch,
)
from thinkctl.testing import Script, ScriptedEngine, check_selector, check_strategy, history_of, run
from thinkctl.types import Finish, History, Needs, Request, Sample, needs_of

LARGE = Using(SelfConsistency(3), "large")


def cascade(policy: StoppingPolicy | float, n: int = 10) -> Cascade:
    return Cascade(SelfConsistency(n), LARGE, policy)


def answering(*small: str | None, large: str = "9"):
    """Let the small model answer these in turn, the large one always the same."""

    def says(request: Request, index: int) -> Sample:
        return ended(large if request.model == "large" else small[index % len(small)])

    return says


def models(history: History) -> list[str]:
    return ["large" if sample.request.model == "large" else "small" for sample in history.samples]


def choice(strategy: Cascade, history: History) -> str | None:
    answer = strategy.selector.select(history)
    return None if answer is None else answer.key


KINDS = [
    cascade(AdaptiveConsistency(0.9)),
    cascade(0.8),
    cascade(Threshold(0.9)),
    Cascade(BestOfN(4), Using(BestOfN(2), "large"), 0.5, together=True),
    Cascade(SelfConsistency(4), Cascade(Using(SelfConsistency(3), "middle"), LARGE, Window(3)), 1.0),
    model_switch(["a", "b", "c"]),
    mixture_of_thought("large"),
]


@pytest.mark.parametrize("strategy", KINDS, ids=repr)
def test_it_conforms(strategy) -> None:
    check_strategy(strategy)


@pytest.mark.parametrize("selector", [LastStage(), LastStage(BestScore(), LastStage())])
def test_its_selector_conforms(selector) -> None:
    check_selector(selector)


# -- when the small model is enough ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "small", "taken", "escalated", "answer"),
    [
        (AdaptiveConsistency(0.9), ["4"], 3, False, "4"),
        (AdaptiveConsistency(0.9), ["4", "5"], 10, True, "9"),
        (AdaptiveConsistency(0.9), [None], 10, True, "9"),
        (Window(3), ["4"], 3, False, "4"),
        (Window(3), ["4", "5", "6"], 10, True, "9"),
        (CannotBeOvertaken(10), ["4", "4", "5"], 7, False, "4"),
        (1.0, ["4"], 10, False, "4"),
        (1.0, ["4"] * 9 + ["5"], 10, True, "9"),
        (0.8, ["4"] * 8 + ["5", "6"], 10, False, "4"),
        (0.8, ["4"] * 7 + ["5", "6", "7"], 10, True, "9"),
        (0.8, ["4"] * 7 + [None] * 3, 10, True, "9"),
        (0.01, [None], 10, True, "9"),
    ],
)
def test_the_large_model_is_asked_where_the_small_one_has_no_more_to_ask_and_is_not_sure(
    policy, small, taken, escalated, answer
) -> None:
    strategy = cascade(policy)
    history = grown(strategy, answering(*small))
    assert models(history) == ["small"] * taken + ["large"] * (3 * escalated)
    assert choice(strategy, history) == answer


def test_no_more_small_samples_run_at_once_than_the_policy_needs_before_it_could_stop() -> None:
    strategy = cascade(AdaptiveConsistency(0.95))
    assert len(strategy.propose(history_of())) == 4
    one = grown(strategy, answering("4"), rounds=1)
    assert one.bought == 4
    other = grown(strategy, answering("4", "4", "4", "5"), rounds=1)
    assert len(strategy.propose(other)) == 3, "3 to 1: 6 to 1 would be enough"
    flying = replace(other, samples=(*other.samples[:3], replace(other.samples[3], finish=None, answer=None)))
    assert len(strategy.propose(flying)) == 0


def test_the_policy_is_asked_as_if_answers_had_come_one_after_the_other() -> None:
    """After three of ten that ran at once it was satisfied, whatever the others said."""
    strategy = cascade(Threshold(0.9), 10)
    scores = [0.1, 0.2, 0.95, *[0.0] * 7]
    samples = [replace(ended("4", score), index=index) for index, score in enumerate(scores)]
    tagged = [replace(each, request=replace(each.request, tag="0")) for each in samples]
    assert strategy.propose(history_of(*tagged)) == ()


def test_what_the_large_model_says_does_not_count_for_the_small_one() -> None:
    strategy = cascade(1.0, n=2)
    history = grown(strategy, answering("4", "5", large="5"))
    assert models(history) == ["small"] * 2 + ["large"] * 3
    assert grown(strategy, answering("4", "5", large="5"), at_most=1) == history


def test_while_small_samples_are_in_flight_nobody_else_is_asked() -> None:
    strategy = cascade(1.0, n=2)
    begun = history_of(..., ...)
    flying = [replace(each, request=replace(each.request, tag="0")) for each in begun.samples]
    assert strategy.propose(history_of(*flying)) == []


def test_where_the_large_model_says_nothing_the_small_one_has_answered() -> None:
    strategy = cascade(1.0, n=2)

    def fails(request: Request, index: int) -> Sample:
        return replace(ended(None), finish=Finish.ERROR) if request.model else ended("45"[index])

    assert choice(strategy, grown(strategy, fails)) == "4"


def test_with_together_all_stages_vote() -> None:
    said = answering("4", "4", "5", "5", "5", large="4")
    alone, both = (Cascade(SelfConsistency(5), LARGE, 0.9, together=together) for together in (False, True))
    assert [choice(each, grown(each, said)) for each in (alone, both)] == ["4", "4"]
    rest = answering("4", "4", "4", "4", "5", large="6")
    assert [choice(each, grown(each, rest)) for each in (alone, both)] == ["6", "4"]


def test_each_stage_chooses_in_its_own_way() -> None:
    strategy = Cascade(BestOfN(3), Using(BestOfN(2), "large"), Threshold(0.9))

    def judged(request: Request, index: int) -> Sample:
        return ended(str(index), [0.1, 0.3, 0.2, 0.5, 0.6][index])

    assert choice(strategy, grown(strategy, judged)) == "4"
    assert strategy.selector == LastStage(BestScore(), BestScore())


def test_stages_follow_each_other() -> None:
    strategy = Cascade(SelfConsistency(2), Cascade(Using(SelfConsistency(3), "middle"), LARGE, 1.0), 1.0)

    def split(request: Request, index: int) -> Sample:
        return ended("9" if request.model == "large" else str(index % 2))

    history = grown(strategy, split)
    assert [sample.request.model for sample in history.samples] == [None] * 2 + ["middle"] * 3 + ["large"] * 3
    assert choice(strategy, history) == "9"
    assert [sample.request.tag for sample in history.samples][2::3] == ["1/0", "1/1"]


# -- ready-made --------------------------------------------------------------------------------------------------


def test_models_are_switched_until_one_agrees_with_itself() -> None:
    strategy = model_switch(["a", "b", "c"], n=3)

    def says(request: Request, index: int) -> Sample:
        return ended(str(index) if request.model == "a" else "7")

    history = grown(strategy, says)
    assert [sample.request.model for sample in history.samples] == ["a"] * 3 + ["b"] * 3
    assert strategy.selector == Majority()
    assert model_switch(["a"], 3) == Using(SelfConsistency(3), "a")
    with pytest.raises(ConfigurationError, match=r"models=\[\]"):
        model_switch([])


def test_words_and_programs_of_the_small_model_come_before_the_large_one() -> None:
    strategy = mixture_of_thought("large", "small", n=5, policy=0.8, large_n=2)
    assert strategy.small == Using(Mixture((SelfConsistency(3), ProgramOfThought(2))), "small")
    assert strategy.large == Using(SelfConsistency(2), "large")
    history = grown(strategy, lambda request, index: ended(str(index)))
    assert [sample.request.model for sample in history.samples] == ["small"] * 5 + ["large"] * 2
    assert [sample.request.tag for sample in history.samples] == ["0/0", "0/1", "0/0", "0/1", "0/0", "1", "1"]
    assert mixture_of_thought("large", n=1).small == Mixture((SelfConsistency(1),))


# -- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, -0.5, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share) -> None:
    with pytest.raises(ConfigurationError, match="no share of the samples"):
        cascade(share)


def test_a_policy_that_probes_is_refused_and_what_others_need_is_said() -> None:
    with pytest.raises(ConfigurationError, match="probes samples in flight"):
        cascade(AnswerConfidence())
    assert needs_of(cascade(Threshold(0.5))) == Needs(scores=True, why="cascade: threshold")
    assert needs_of(cascade(0.5)) == Needs()


# -- through the loop --------------------------------------------------------------------------------------------


def solved(
    strategy: Cascade, small: list[Script], large: list[Script], budget: Budget | None = None, **knobs
) -> Run:
    engines = {
        "small": ScriptedEngine(small, card=ModelCard(name="small")),
        "large": ScriptedEngine(large, card=ModelCard(name="large")),
    }
    found = run(Controller(engines, strategy, **knobs).solve("2+2?", budget))
    for name, engine in engines.items():
        billed = sum(line.usage.generated_tokens for line in found.receipt.lines if line.model == name)
        assert billed == (run(engine.counters()).generated_tokens or 0)
    return found


@pytest.mark.parametrize(
    ("small", "asked", "answer"), [(["4"], (3, 0), "4"), (["4", "5"], (10, 3), "9")], ids=["sure", "not sure"]
)
def test_both_models_are_on_the_bill_for_what_each_was_asked(small, asked, answer) -> None:
    found = solved(cascade(AdaptiveConsistency(0.9)), [says(key) for key in small], [says("9", 7)])
    by_model = {line.model: line.usage.requests for line in found.receipt.lines}
    assert (by_model["small"], by_model.get("large", 0)) == asked
    assert (found.answer and found.answer.key) == answer


def test_a_cascade_that_the_budget_ends_has_the_small_model_s_answer() -> None:
    found = solved(cascade(1.0, n=4), [says("4"), says("4"), says("5")], [says("9", 500)], Budget(tokens=30))
    assert found.answer is not None
    assert found.receipt.generated_tokens <= 30


@settings(max_examples=40)
@given(
    tokens=st.integers(1, 150),
    keys=st.lists(st.sampled_from("45"), min_size=1, max_size=4),
    policy=st.sampled_from([AdaptiveConsistency(0.9), 0.8, Window(2)]),
)
def test_no_budget_is_passed_by_two_models_together(tokens, keys, policy) -> None:
    found = solved(cascade(policy), [says(key, 4) for key in keys], [says("9", 9)], Budget(tokens=tokens))
    assert found.receipt.generated_tokens <= tokens
