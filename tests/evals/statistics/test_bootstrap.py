"""Resampled questions: the same every time, in bounded memory, with intervals of the right width."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import share
from thinkctl.evals.statistics.bootstrap import (
    Resampled,
    blocks,
    bootstrap,
    clustered_error,
    resampled_means,
    resampled_statistic,
)
from thinkctl.evals.statistics.shares import share_of

VALUES = np.random.default_rng(3).gamma(1.0, size=40)


def test_the_means_of_resamples_are_those_of_the_rows_that_were_drawn():
    values = np.random.default_rng(0).random((7, 3))
    drawn = np.concatenate([values[block].mean(axis=1) for block in blocks(7, 50, seed=4)])
    assert resampled_means(values, times=50, seed=4) == pytest.approx(drawn)
    assert not np.allclose(resampled_means(values, times=50, seed=5), drawn)


def test_many_questions_come_in_blocks_of_bounded_size():
    sizes = [block.shape for block in blocks(300_000, 20)]
    assert sum(rows for rows, _ in sizes) == 20
    assert len(sizes) > 1
    assert max(rows * width for rows, width in sizes) <= 2_000_000


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_a_statistic_of_means_and_a_pipeline_over_rows_have_the_same_interval(method):
    quick = resampled_statistic(VALUES[:, None], lambda means: means[:, 0] ** 2, times=400, seed=1)
    slow = bootstrap(lambda rows: VALUES[rows].mean() ** 2, 40, times=400, seed=1, method=method)
    estimate = quick.estimate(method=method)
    assert (estimate.low, estimate.high) == pytest.approx((slow.low, slow.high))
    assert estimate.value == pytest.approx(slow.value) == pytest.approx(VALUES.mean() ** 2)


def test_bca_is_that_of_scipy_but_for_the_width_for_few_questions():
    values = np.random.default_rng(3).gamma(1.0, size=2000)  # so many that the width is the same
    ours = bootstrap(lambda rows: float(values[rows].mean()), 2000, times=1500, method="bca")
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, batch=500, method="BCa", rng=1
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.008)


def test_the_percentile_interval_of_a_mean_of_few_is_as_wide_as_that_of_t():
    values = np.random.default_rng(8).normal(size=12)
    found = known(resampled_statistic(values[:, None], lambda means: means[:, 0], times=20_000).estimate())
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    assert found.high - found.low == pytest.approx(high - low, rel=0.05)


def test_an_infinite_value_is_an_end_of_an_interval_and_never_averaged():
    values = np.concatenate([np.linspace(0, 1, 90), np.full(10, np.inf)])
    found = Resampled(0.5, values, 100)
    assert found.interval()[1] == math.inf
    assert math.isfinite(found.interval(level=0.7)[1])
    assert found.estimate().error is None
    everywhere = Resampled(math.inf, np.full(100, np.inf), 100, np.full(100, np.inf))
    assert everywhere.interval() == everywhere.interval(method="bca") == (math.inf, math.inf)


def test_one_question_tells_no_interval():
    found = resampled_statistic(np.array([[0.3]]), lambda means: means[:, 0], times=10)
    assert found.interval() == (-math.inf, math.inf)


def test_what_equals_a_bound_is_half_below_it():
    assert Resampled(0.0, np.array([-1.0, 0.0, 0.0, 1.0, 2.0]), 5).share_below(0.0) == pytest.approx(0.4)


def test_the_clustered_error_is_that_of_the_formula_and_repeats_of_a_question_do_not_lower_it():
    values, groups = np.array([1.0, 0.0, 1.0, 1.0, 0.0]), np.array([0, 0, 1, 2, 2])
    away = values - values.mean()
    by_hand = sum(away[groups == g].sum() ** 2 for g in range(3)) / 25 * 3 / 2
    assert clustered_error(values, groups) == pytest.approx(math.sqrt(by_hand))
    once = clustered_error(np.array([1.0, 0.0, 1.0]), np.arange(3))
    assert clustered_error(np.repeat([1.0, 0.0, 1.0], 50), np.repeat(np.arange(3), 50)) == pytest.approx(once)
    assert once == pytest.approx(stats.sem([1.0, 0.0, 1.0]))


@pytest.mark.parametrize("right", [1, 7, 30, 59])
def test_a_share_of_zeros_and_ones_has_the_interval_of_replay(right):
    values = np.repeat([1.0, 0.0], [right, 60 - right])
    one, other = share_of(values), share(values, np.arange(60))
    assert (one.value, one.error) == pytest.approx((other.value, other.error))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-9)


@pytest.mark.parametrize(
    "values", [np.zeros(60), np.ones(60), np.full(60, 0.5), np.ones(1), np.full(60, 0.999)]
)
def test_a_share_has_an_interval_inside_of_zero_to_one_with_a_width(values):
    found = known(share_of(values))
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.01


def test_a_share_of_values_that_differ_less_than_coins_is_narrower():
    coins, means = np.repeat([0.0, 1.0], 50), np.repeat([0.4, 0.6], 50)
    assert known(share_of(means).high) < known(share_of(coins).high)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: list(blocks(0)),
        lambda: list(blocks(3, 0)),
        lambda: share_of(np.array([])),
        lambda: share_of(np.array([1.5])),
        lambda: share_of(np.array([np.nan])),
        lambda: Resampled(0.0, np.zeros(3), 3).interval(level=95),
    ],
)
def test_what_cannot_be_resampled_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
