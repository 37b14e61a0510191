"""Adaptive-Consistency as a policy."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.testing import check_policy, history_of
from thinkctl.types import Decision

KEYS = ["1", "2", "3"]


@cache
def decided(confidence: float, *answers: str) -> Decision:
    return AdaptiveConsistency(confidence).decide(history_of(*answers))


@pytest.mark.parametrize("confidence", [0.6, 0.95])
def test_it_conforms(confidence) -> None:
    check_policy(AdaptiveConsistency(confidence))


def test_four_equal_votes_are_enough_for_95_percent_and_three_are_not() -> None:
    policy = AdaptiveConsistency()
    assert not policy.decide(history_of("4", "4", "4")).stop
    decision = policy.decide(history_of("4", "4", "4", "4"))
    assert decision.stop
    assert decision.confidence == 31 / 32
    assert decision.why == "4 votes to 0: the lead is real with 96.9%"


def test_without_a_vote_it_has_no_confidence_and_asks_for_the_fewest_that_could_settle() -> None:
    for history in (history_of(), history_of(None, None)):
        decision = AdaptiveConsistency().decide(history)
        assert (decision.stop, decision.more, decision.confidence) == (False, 4, None)


@pytest.mark.parametrize(
    ("answers", "more"),
    [(["4"], 3), (["4", None, "4"], 2), (["4", "5"], 5), (["4", ..., "4", "4"], 3), (["4", "5", "6"], 5)],
)
def test_only_settled_votes_count(answers, more) -> None:
    assert AdaptiveConsistency().decide(history_of(*answers)).more == more


@given(st.lists(st.sampled_from(KEYS), max_size=9), st.sampled_from([0.8, 0.9, 0.95]))
def test_more_is_exactly_the_fewest_unanimous_votes_that_make_it_stop(answers, confidence) -> None:
    decision = decided(confidence, *answers)
    if decision.stop:
        return
    assert decision.more is not None
    for votes in range(1, decision.more):
        assert not any(decided(confidence, *answers, *[key] * votes).stop for key in (*KEYS, "new"))
    assert any(decided(confidence, *answers, *[key] * decision.more).stop for key in (*KEYS, "new"))


def test_no_course_of_votes_stops_it_sooner_than_more_says() -> None:
    for answers in ([], ["1"], ["1", "2"], ["1", "2", "2"], ["1", "2", "2", "1", "3"]):
        more = decided(0.8, *answers).more
        assert more is not None
        for course in product([*KEYS, None], repeat=more - 1):
            history = history_of(*answers, *course)
            assert not AdaptiveConsistency(0.8).decide(history).stop


@pytest.mark.parametrize("confidence", [0.5, 1.0, 95])
def test_a_confidence_that_cannot_be_is_refused(confidence) -> None:
    with pytest.raises(ConfigurationError, match=f"confidence={confidence}"):
        AdaptiveConsistency(confidence)


@pytest.mark.parametrize(
    ("confidence", "share", "wrong_mode", "mean_votes"),
    [
        (0.90, 0.7, 4.09, 10.0),
        (0.95, 0.6, 12.44, 24.2),
        (0.95, 0.9, 0.01, 5.6),
        (0.99, 0.55, 26.58, 36.8),
    ],
)
def test_its_operating_characteristics_are_the_published_ones(
    confidence, share, wrong_mode, mean_votes
) -> None:
    """Two answers, cap 40, exact: the chance of ending on the rarer answer in percent, and the mean votes."""
    policy, cap = AdaptiveConsistency(confidence), 40
    reached = {(0, 0): 1.0}
    wrong = votes = 0.0
    for bought in range(cap + 1):
        going_on: dict[tuple[int, int], float] = {}
        for (right, other), chance in reached.items():
            if bought == cap or policy.decide(history_of(*["1"] * right, *["2"] * other)).stop:
                votes += chance * bought
                wrong += chance * (0.5 if right == other else right < other)
                continue
            for step, odds in (((right + 1, other), share), ((right, other + 1), 1 - share)):
                going_on[step] = going_on.get(step, 0.0) + chance * odds
        reached = going_on
    assert round(100 * wrong, 2) == wrong_mode
    assert round(votes, 1) == mean_votes


def test_a_decision_on_40_samples_takes_microseconds(benchmark) -> None:
    history = history_of(*["1", "2", "3", None] * 10)
    assert not benchmark(AdaptiveConsistency().decide, history).stop
