"""Fronts, selectors and abstention: against brute force, closed forms and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.statistics.abstention import coverage_at, outcomes, risk_coverage
from thinkctl.evals.statistics.bootstrap import blocks
from thinkctl.evals.statistics.pareto import pareto
from thinkctl.evals.statistics.selection import selector_efficiency

places = st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=1, max_size=7)
answers = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=30)


@given(places)
def test_on_the_front_is_what_no_point_beats(points):
    right, cost = (np.array([[point[axis] for point in points]] * 3, dtype=float) for axis in (0, 1))
    expected = [not any(b >= a and d <= c and (b, d) != (a, c) for b, d in points) for a, c in points]
    found = pareto(right / 4, cost, times=3)
    assert [member.on_front for member in found] == expected
    assert [member.probability for member in found] == [float(on) for on in expected]


def test_the_probability_of_membership_is_the_share_of_resamples():
    random = np.random.default_rng(0)
    right = (random.random((30, 3)) < [0.4, 0.5, 0.55]).astype(float)
    cost = random.uniform(1, 2, (30, 3)) * [1, 2, 2]
    found = pareto(right, cost, times=100, seed=3)
    on = np.array(
        [
            [m.on_front for m in pareto(right[row], cost[row], times=1)]
            for row in next(iter(blocks(30, 100, 3)))
        ]
    )
    assert [member.probability for member in found] == pytest.approx(on.mean(axis=0).tolist())
    assert found[0].on_front  # nothing is cheaper


def test_a_perfect_selector_has_efficiency_one_and_a_random_one_zero():
    random, oracle = np.array([0.5, 0.25, 0.0, 1.0] * 10), np.array([1.0, 1.0, 0.0, 1.0] * 10)
    perfect, chance = (
        known(selector_efficiency(oracle, random, oracle)),
        known(selector_efficiency(random, random, oracle)),
    )
    assert (perfect.value, perfect.low, perfect.high) == pytest.approx((1, 1, 1))
    assert (chance.value, chance.low, chance.high) == pytest.approx((0, 0, 0))
    half = known(selector_efficiency((random + oracle) / 2, random, oracle))
    assert half.value == pytest.approx(0.5)


def test_efficiency_is_a_ratio_of_means_and_may_be_below_zero():
    chosen, random, oracle = np.array([1.0, 0.0]), np.array([0.9, 0.5]), np.array([1.0, 1.0])
    found = known(selector_efficiency(np.tile(chosen, 30), np.tile(random, 30), np.tile(oracle, 30)))
    assert found.value == pytest.approx((0.5 - 0.7) / (1.0 - 0.7))
    assert found.low <= found.value <= found.high


def test_where_there_is_nothing_to_select_there_is_no_efficiency():
    same = np.array([1.0, 0.0, 1.0])
    assert selector_efficiency(same, same, same) is None
    rare = np.zeros(60)
    rare[0] = 1.0
    assert (
        known(selector_efficiency(rare, rare / 2, rare)).low is None
    )  # most resamples have nothing to select


def test_outcomes_count_right_wrong_and_abstained():
    found = outcomes(np.array([1.0, 0.0, 0.0, 0.5]), np.array([0.0, 1.0, 0.0, 0.25]))
    assert (found.right, found.wrong, found.abstained) == pytest.approx((1.5, 1.25, 1.25))
    assert (found.hallucination, found.right_of_answered) == pytest.approx((0.5, 1.5 / 2.75))
    assert found.right_share.value + found.wrong_share.value + found.abstained_share.value == pytest.approx(1)
    assert outcomes(np.ones(3), np.zeros(3)).hallucination is None
    assert outcomes(np.zeros(3), np.ones(3)).right_of_answered is None


@given(answers)
def test_the_area_of_wrong_answers_given_is_that_of_its_closed_form(rows):
    confidence, right = (np.array([row[column] for row in rows], dtype=float) for column in (0, 1))
    found, accuracy = risk_coverage(confidence, right), right.mean()
    pairs = [np.sign(a - b) for a in confidence[right == 1] for b in confidence[right == 0]]
    ranked = (1 + np.mean(pairs)) / 2 if pairs else 0.5
    closed = (1 - ranked) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2
    assert found.augrc == pytest.approx(closed, abs=1e-12)


@given(answers, st.randoms(use_true_random=False))
def test_the_area_of_risk_is_its_mean_over_orders_within_ties(rows, random):
    confidence, right = (np.array([row[column] for row in rows], dtype=float) for column in (0, 1))
    one = risk_coverage(confidence, right).aurc
    if len(set(confidence)) == len(confidence):
        wrong = 1 - right[np.argsort(-confidence)]
        assert one == pytest.approx(np.mean(wrong.cumsum() / np.arange(1, len(rows) + 1)))
    order = list(range(len(rows)))
    random.shuffle(order)
    assert risk_coverage(confidence[order], right[order]).aurc == pytest.approx(one)


def test_a_tie_of_all_is_as_risky_as_any_order_of_it():
    orders = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    each = [risk_coverage(np.array([3.0, 2.0, 1.0]), np.array(order, dtype=float)).aurc for order in orders]
    assert risk_coverage(np.zeros(3), np.array([0.0, 1.0, 0.0])).aurc == pytest.approx(np.mean(each))


def test_abstentions_are_never_covered_and_answers_without_confidence_last():
    curve = risk_coverage(
        np.array([0.9, np.nan, 0.5, 0.99]), np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])
    )
    assert curve.thresholds.tolist() == [0.9, 0.5, -math.inf]
    assert curve.coverage.tolist() == [0.25, 0.5, 0.75]
    assert curve.risk.tolist() == pytest.approx([0.0, 0.0, 1 / 3])
    nothing = risk_coverage(np.array([0.5]), np.array([0.0]), np.array([1.0]))
    assert len(nothing.coverage) == 0
    assert math.isnan(nothing.aurc)
    assert coverage_at(0.05, np.array([0.5]), np.array([0.0]), np.array([1.0])).guaranteed == 0.0


def test_coverage_at_a_risk_is_what_was_seen_and_less_what_is_sure():
    confidence = np.linspace(1, 0, 400)
    right = (np.arange(400) < 300).astype(float)
    found = coverage_at(0.05, confidence, right)
    assert found.observed == pytest.approx(315 / 400)  # 15 wrong of 315
    assert found.guaranteed == 0.7
    assert found.threshold == confidence[279]
    exact = stats.binomtest(0, 280, alternative="less").proportion_ci(1 - 0.05 / 10, method="exact").high
    assert found.bound == pytest.approx(exact)
    assert coverage_at(0.01, confidence, right).guaranteed == 0.0  # too few answers to be so sure


def test_answers_of_equal_confidence_are_covered_together():
    found = coverage_at(0.05, np.repeat([0.9, 0.1], 200), np.repeat([1.0, 0.0], 200))
    assert (found.observed, found.guaranteed, found.threshold) == (0.5, 0.5, 0.9)


def test_means_of_repeats_are_bounded_without_coins_and_partial_abstentions_not_at_all():
    confidence = np.linspace(1, 0, 400)
    assert 0 < known(coverage_at(0.05, confidence, np.full(400, 0.99)).guaranteed) <= 1
    partly = coverage_at(0.05, confidence, np.full(400, 0.5), np.full(400, 0.5))
    assert (partly.observed, partly.guaranteed) == (0.5, None)  # half of the answers are given, all right


def test_a_guaranteed_coverage_breaks_its_promise_no_more_often_than_delta():
    random, broken, some = np.random.default_rng(0), 0, 0
    for _ in range(300):
        confidence = random.random(600)
        right = (random.random(600) < 0.6 + 0.4 * confidence).astype(float)
        found = coverage_at(0.15, confidence, right, delta=0.1)
        if found.threshold is not None:
            some += 1
            broken += (
                0.4 * (1 - (1 + found.threshold) / 2) > 0.15
            )  # the mean of 0.4 (1 - c) above the threshold
    assert some > 200
    assert broken <= 0.1 * 300


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pareto(np.zeros((2, 3)), np.zeros((2, 2))),
        lambda: pareto(np.zeros((2, 1)), np.full((2, 1), np.nan)),
        lambda: selector_efficiency(np.zeros(2), np.zeros(3), np.zeros(2)),
        lambda: selector_efficiency(np.ones(2), np.ones(2), np.zeros(2)),
        lambda: outcomes(np.ones(2), np.ones(2)),
        lambda: outcomes(np.ones(2), np.zeros(3)),
        lambda: risk_coverage(np.zeros(3), np.zeros(2)),
        lambda: coverage_at(5, np.zeros(2), np.zeros(2)),
        lambda: coverage_at(0.05, np.zeros(2), np.zeros(2), delta=0.0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
