"""Curves and what is read off them: ratios, gains, areas, doublings and crossings, against small sums by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.statistics.curves import Curve
from thinkctl.evals.statistics.iso import iso_accuracy, iso_compute
from thinkctl.evals.statistics.shapes import area, crossover, returns

RANDOM = np.random.default_rng(0)
QUESTIONS = 80


def flat(accuracies, costs, questions=10, name=""):
    """Return a curve on which every question is alike, so that resamples change nothing."""
    ones = np.ones((questions, 1))
    return Curve(ones * np.array(accuracies), ones * np.array(costs, dtype=float), name=name)


def noisy(chances, costs, seed=0, questions=QUESTIONS):
    drawn = np.random.default_rng(seed)
    luck = drawn.random((questions, 1))  # the same question is hard at every budget
    cost = np.array(costs, dtype=float) * drawn.uniform(0.5, 1.5, (questions, 1))
    return Curve((luck < np.array(chances)).astype(float), cost)


def test_the_line_rises_only_and_is_straight_over_the_logarithm_of_cost():
    curve = flat([0.2, 0.6, 0.5, 0.8], [10, 1000, 4000, 16000])
    assert curve.accuracy_at(10) == pytest.approx(0.2)
    assert curve.accuracy_at(100) == pytest.approx(0.4)  # half way between 10 and 1000
    assert curve.accuracy_at(4000) == pytest.approx(0.6)  # a budget need not be used up
    assert curve.accuracy_at(1e9) == pytest.approx(0.8)
    assert curve.accuracy_at(9, floor=0.25) == 0.25
    assert curve.cost_at(0.4) == pytest.approx(100)
    assert curve.cost_at(0.7) == pytest.approx(8000)
    assert curve.cost_at(0.1) == pytest.approx(10)
    assert curve.cost_at(0.81) == math.inf
    assert curve.rising()[1].tolist() == pytest.approx([0.2, 0.6, 0.6, 0.8])


def test_budgets_that_cost_less_than_smaller_ones_are_sorted_by_cost():
    assert flat([0.8, 0.2], [16000, 10]).cost_at(0.8) == pytest.approx(16000)
    assert flat([0.8, 0.2], [16000, 10]).rising()[0].tolist() == pytest.approx([10, 16000])


def test_the_iso_accuracy_ratio_is_cost_at_equal_accuracy_by_cost():
    found = iso_accuracy(flat([0.2, 0.6], [10, 1000]), flat([0.4], [400]), times=50)
    assert (found.ratio, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))
    assert (found.reached_share, found.cheapest_share, found.reached) == (1.0, 0.0, True)
    assert found.words == "0.25x [0.25, 0.25]"


def test_an_accuracy_that_the_curve_never_has_is_not_reached():
    found = iso_accuracy(flat([0.2, 0.6], [10, 1000]), flat([0.7], [400]), times=50)
    assert (found.ratio, found.low, found.high, found.reached_share) == (math.inf, math.inf, math.inf, 0.0)
    assert found.words == "not reached (in all resamples)"


def test_a_curve_that_reaches_in_some_resamples_says_in_which_share_it_does_not():
    arm, base = noisy([0.3, 0.5, 0.6], [100, 200, 400]), noisy([0.62], [300], seed=1)
    found = iso_accuracy(arm, base, times=500)
    assert 0 < found.reached_share < 1
    assert found.high == math.inf
    assert f"not reached in {100 * (1 - found.reached_share):.0f} % of resamples" in found.words or (
        not found.reached and f"in {100 * (1 - found.reached_share):.0f} % of resamples" in found.words
    )


def test_where_the_cheapest_budget_already_reaches_the_ratio_is_an_upper_limit():
    found = iso_accuracy(flat([0.5, 0.6], [100, 1000]), flat([0.4], [400]), times=50)
    assert (found.ratio, found.cheapest_share) == (pytest.approx(0.25), 1.0)
    assert found.words.startswith("at most 0.25x")


def test_a_curve_beside_its_own_point_has_the_ratio_one_and_the_gain_zero():
    arm = noisy([0.3, 0.5, 0.7], [100, 200, 400])
    itself = Curve(arm.right[:, 1], arm.cost[:, 1])
    iso, gain = iso_accuracy(arm, itself, times=200), iso_compute(arm, itself, times=200)
    assert (iso.ratio, iso.high) == pytest.approx((1.0, 1.0))
    assert (gain.points.value, gain.points.low, gain.points.high) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)


@given(st.floats(0.01, 100), st.integers(0, 20))
def test_neither_the_unit_of_cost_nor_the_order_of_questions_changes_a_ratio(unit, seed):
    arm, base = noisy([0.3, 0.5, 0.7], [100, 200, 400], seed), noisy([0.5], [300], seed + 1)
    expected = iso_accuracy(arm, base, times=20)
    scaled = iso_accuracy(Curve(arm.right, arm.cost * unit), Curve(base.right, base.cost * unit), times=20)
    assert (scaled.ratio, scaled.low) == pytest.approx((expected.ratio, expected.low))
    order = np.random.default_rng(seed).permutation(QUESTIONS)
    moved = iso_accuracy(
        Curve(arm.right[order], arm.cost[order]), Curve(base.right[order], base.cost[order]), times=1
    )
    assert moved.ratio == pytest.approx(expected.ratio)


def test_another_budget_never_makes_a_ratio_or_a_gain_worse():
    for seed in range(20):
        arm, base = noisy([0.3, 0.5, 0.7], [100, 200, 400], seed), noisy([0.5], [300], seed + 1)
        fewer = Curve(arm.right[:, :2], arm.cost[:, :2])
        assert iso_accuracy(arm, base, times=1).ratio <= iso_accuracy(fewer, base, times=1).ratio
        assert iso_compute(arm, base, times=1).points.value >= iso_compute(fewer, base, times=1).points.value


def test_the_whole_pipeline_is_resampled_with_arm_and_baseline_on_the_same_questions():
    arm, base = noisy([0.3, 0.5, 0.9], [100, 200, 400]), noisy([0.55], [300], seed=1)
    found = iso_accuracy(arm, base, times=30, seed=7).resampled
    from thinkctl.evals.statistics.bootstrap import blocks

    for row, value in zip(next(iter(blocks(QUESTIONS, 30, 7))), found.values, strict=True):
        once = Curve(arm.right[row], arm.cost[row])
        accuracy, cost = base.right[row].mean(), base.cost[row].mean()
        assert math.exp(value) == pytest.approx(once.cost_at(accuracy) / cost)


def test_the_gain_at_equal_compute_is_in_points():
    found = iso_compute(flat([0.2, 0.6], [10, 1000]), flat([0.3], [100]), times=50)
    assert (found.points.value, found.points.low, found.affordable_share) == (
        pytest.approx(10), pytest.approx(10), 1.0,
    )  # fmt: skip
    assert found.words == "+10.0 points [+10.0, +10.0]"


def test_what_cannot_be_afforded_counts_with_the_floor():
    found = iso_compute(flat([0.5], [10]), flat([0.3], [5]), floor=0.25, times=50)
    assert (found.points.value, found.affordable_share) == (pytest.approx(-5), 0.0)
    assert found.words == "the cheapest budget costs more than the baseline"


def test_the_area_is_the_mean_height_over_the_logarithm():
    curve = flat([0.2, 0.6], [10, 1000])
    assert area(curve, times=5).value == pytest.approx(0.4)
    assert area(curve, low=10, high=100, times=5).value == pytest.approx(0.3)
    assert area(curve, low=1, high=1000, times=5).value == pytest.approx(0.8 / 3)
    assert area(curve, low=1, high=1000, floor=0.3, times=5).value == pytest.approx(1.1 / 3)
    assert area(curve, low=10, high=100_000, times=5).value == pytest.approx(0.5)
    assert area(curve, low=1, high=5, floor=0.1, times=5).value == pytest.approx(0.1)
    assert area(curve, low=2000, high=5000, times=5).value == pytest.approx(0.6)


@given(st.integers(0, 50), st.floats(1, 4000), st.floats(1.1, 100))
def test_the_area_is_that_of_fine_steps(seed, low, factor):
    curve = noisy([0.3, 0.7, 0.5, 0.9], [100, 200, 50, 900], seed)
    edges = np.linspace(math.log(low), math.log(low * factor), 4001)
    costs, heights = curve.rising()
    steps = np.interp((edges[1:] + edges[:-1]) / 2, np.log(costs), heights, left=0.1).mean()
    assert area(curve, low=low, high=low * factor, floor=0.1, times=2).value == pytest.approx(steps, abs=5e-3)


def test_returns_are_points_for_each_doubling_and_show_a_loss():
    first, second = returns(flat([0.2, 0.6, 0.5], [100, 400, 800]), times=20)
    assert (first.from_cost, first.to_cost, first.points.value) == pytest.approx((100, 400, 20))
    assert (second.points.value, second.points.high) == pytest.approx((-10, -10))
    assert returns(flat([0.2, 0.3], [100, 100]), times=20) == ()


def test_a_crossover_is_where_one_line_stays_above_the_other():
    steep, level = flat([0.2, 0.6], [10, 1000]), flat([0.4, 0.45], [10, 1000])
    found = crossover(steep, level, times=20)
    parts = 0.2 / 0.35  # 0.2 + 0.4 x = 0.4 + 0.05 x
    assert (found.cost, found.low, found.found_share) == pytest.approx((10 ** (1 + 2 * parts),) * 2 + (1.0,))
    never = crossover(level, steep, times=20)
    assert (never.cost, never.found_share) == (math.inf, 0.0)
    level_at_the_end = flat([0.5, 0.6], [20, 1000])
    assert crossover(level_at_the_end, steep, times=20).cost == math.inf
    assert crossover(flat([0.5, 0.7], [20, 200]), steep, times=20).cost == pytest.approx(20)
    assert (
        crossover(flat([0.9], [5]), steep, times=20).cost == math.inf
    )  # no cost at which both were measured


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Curve(np.zeros((2, 1)), np.ones((2, 2))),
        lambda: Curve(np.zeros((0, 1)), np.ones((0, 1))),
        lambda: Curve(np.array([50.0]), np.array([1.0])),
        lambda: Curve(np.array([0.5]), np.array([math.nan])),
        lambda: Curve(np.array([0.5]), np.array([0.0])),
        lambda: Curve(np.array([0.5, 0.5]), np.array([4.0, -1.0])),
        lambda: iso_accuracy(flat([0.1, 0.2], [1, 2]), flat([0.1, 0.2], [1, 2])),
        lambda: iso_accuracy(flat([0.1, 0.2], [1, 2]), flat([0.1], [1], questions=9)),
        lambda: iso_accuracy(
            Curve(np.ones(2), np.ones(2), axis=Axis.DOLLARS),
            Curve(np.ones(2), np.ones(2), axis=Axis.SECONDS),
        ),
        lambda: area(flat([0.1], [5])),
        lambda: area(flat([0.1, 0.2], [5, 6]), low=7, high=3),
    ],
)
def test_what_makes_no_curve_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()


def test_a_question_that_costs_nothing_is_no_error():
    arm = Curve(np.array([[1.0], [0.0]]), np.array([[0.0], [4.0]]))
    assert iso_accuracy(arm, Curve(np.array([1.0, 0.0]), np.array([4.0, 0.0])), times=50).ratio == 1.0
