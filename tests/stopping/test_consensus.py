"""Consensus of votes that are weighted by confidence."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import WeightedMajority
from thinkctl.stopping import CGES, ConfidenceConsensus
from thinkctl.testing import history_of
from thinkctl.types import History

votes = st.lists(
    st.tuples(st.sampled_from("123"), st.none() | st.sampled_from([0.1, 0.5, 1.0])), min_size=1, max_size=6
)


def told(*given: tuple[str | None, float | None]) -> History:
    """A history of answers and confidences."""
    sure = [None if confidence is None else math.log(confidence) for _, confidence in given]
    return history_of(*(answer for answer, _ in given), logprobs=sure)


@pytest.mark.parametrize(
    ("given", "stop", "share"),
    [
        ([("1", 1.0)] * 19 + [("2", 1.0)], True, 0.95),  # exactly
        ([("1", 0.3)] * 19 + [("2", 0.3)], True, 0.95),
        ([("1", 0.5)] * 18 + [("2", 0.5)], False, 18 / 19),
        ([("1", 1.0)] * 15 + [("2", 0.5)], True, 15 / 15.5),
        ([("1", 1.0)] * 15, False, None),  # still warms up
        ([("1", 1.0), (None, 1.0)] * 15, False, None),  # who abstains does not warm up
        ([("1", 1.0), (None, 1.0)] * 16, True, 1.0),
    ],
)
def test_it_stops_at_the_share_after_the_warm_up(given, stop, share) -> None:
    decision = ConfidenceConsensus().decide(told(*given))
    assert decision.stop == stop
    assert decision.confidence == (None if share is None else pytest.approx(share, abs=1e-12))


def test_a_vote_of_unknown_confidence_weighs_as_the_average() -> None:
    decision = ConfidenceConsensus(0.6, 1).decide(told(("1", 0.25), ("2", 0.75), ("1", None)))
    assert decision.confidence == pytest.approx((0.25 + 0.5) / 1.5)


@given(votes)
def test_the_leading_answer_is_that_of_the_weighted_majority(given) -> None:
    history = told(*given)
    decision = ConfidenceConsensus(0.51, 1).decide(history)
    winner = WeightedMajority().select(history)
    if decision.stop:
        assert winner is not None
        known = [confidence for _, confidence in given if confidence is not None]
        average = math.fsum(known) / len(known)
        weights = [(answer, average if confidence is None else confidence) for answer, confidence in given]
        share = math.fsum(weight for answer, weight in weights if answer == winner.key)
        assert decision.confidence == pytest.approx(share / math.fsum(weight for _, weight in weights))


@pytest.mark.parametrize("share", [0.6, 0.75, 0.9])
def test_no_course_of_votes_reaches_the_share_sooner_than_more_says(share) -> None:
    policy = ConfidenceConsensus(share, 1)
    for seen in (
        [("1", 0.5), ("2", 0.5)],
        [("1", None), ("2", 0.4), ("3", 0.6)],
        [("1", 0.9), ("2", None), ("3", None)],
        [("1", 0.1), ("1", None), ("2", None), ("2", 0.1)],
    ):
        more = policy.decide(told(*seen)).more
        assert more is not None
        next_votes = list(product("123", [None, 1e-6, 0.5, 1.0]))
        for course in product(next_votes, repeat=min(more - 1, 2)):
            assert not policy.decide(told(*seen, *course)).stop
        best = [told(*seen, *[(key, 1.0)] * more) for key in "123"]
        assert any(policy.decide(history).stop for history in best)


def test_where_one_answer_can_never_have_all_there_is_no_bound() -> None:
    assert ConfidenceConsensus(1.0, 1).decide(told(("1", 0.5), ("2", 0.5))).more is None


@pytest.mark.parametrize(
    ("given", "posterior"),
    [
        ([("1", 0.8)], 0.8),
        ([("1", 0.8), ("1", 0.8)], 0.64 / (0.64 + 0.04)),
        # two answers and the others, K = 3: a sample is wrong in one of two ways
        ([("1", 0.8), ("2", 0.6)], (0.8 * 0.2) / (0.8 * 0.2 + 0.1 * 0.6 + 0.1 * 0.2)),
        ([("1", 0.8), ("1", None)], 0.64 / (0.64 + 0.04)),
        ([("1", 1.0)], 1 - 1e-6),
        ([("1", 1.0), ("2", 1.0)], 0.5),
        ([("1", 1e-300)], 1e-6),
    ],
)
def test_the_posterior_is_that_of_the_formula(given, posterior) -> None:
    decision = CGES().decide(told(*given))
    assert decision.confidence == pytest.approx(posterior, rel=1e-5)
    assert decision.stop == (posterior >= 0.95)


@given(votes)
def test_the_posterior_is_the_product_of_likelihoods_normalised(given) -> None:
    known = [confidence for _, confidence in given if confidence is not None]
    if not known:
        return
    average = math.fsum(known) / len(known)
    keys = {answer for answer, _ in given}
    likelihood = {}
    for candidate in (*keys, "others"):
        likelihood[candidate] = 1.0
        for answer, confidence in given:
            sure = min(max(average if confidence is None else confidence, 1e-6), 1 - 1e-6)
            likelihood[candidate] *= sure if answer == candidate else (1 - sure) / len(keys)
    best = max(likelihood[key] for key in keys) / math.fsum(likelihood.values())
    assert CGES().decide(told(*given)).confidence == pytest.approx(best, rel=1e-6)


def test_hundreds_of_votes_do_not_overflow() -> None:
    assert CGES().decide(told(*[("1", 1.0)] * 200, *[("2", 1.0)] * 200)).confidence == pytest.approx(0.5)
    assert CGES().decide(told(*[("1", 1e-9)] * 300)).confidence == pytest.approx(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConfidenceConsensus(0.5), r"share=0\.5 is not above 0\.5"),
        (lambda: ConfidenceConsensus(1.1), r"share=1\.1"),
        (lambda: ConfidenceConsensus(0.9, 0), "warm_up=0 votes are none"),
        (lambda: CGES(1.0), r"posterior=1\.0"),
        (lambda: CGES(float("nan")), "posterior=nan"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
