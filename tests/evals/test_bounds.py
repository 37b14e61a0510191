"""Upper confidence bounds: textbook values, exact coverage, and how many questions they need."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import clopper_pearson, hoeffding_bentkus, questions_needed

DELTAS = (0.01, 0.05, 0.1, 0.3)


@pytest.mark.parametrize(("losses", "n"), [(0, 1), (0, 45), (1, 99), (7, 50), (49, 50), (50, 50)])
@pytest.mark.parametrize("delta", DELTAS)
def test_clopper_pearson_is_the_exact_interval_of_scipy(losses, n, delta):
    exact = stats.binomtest(losses, n, alternative="less").proportion_ci(1 - delta, method="exact")
    assert clopper_pearson(losses, n, delta) == pytest.approx(exact.high, abs=1e-12)


def test_without_questions_nothing_is_known():
    assert clopper_pearson(0, 0, 0.1) == 1.0
    assert hoeffding_bentkus(0.0, 0, 0.1) == 1.0


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("n", [5, 40, 200])
def test_a_bound_is_below_the_true_rate_no_more_often_than_delta(n, rate, delta):
    chances = stats.binom.pmf(np.arange(n + 1), n, rate)
    for bound in (clopper_pearson, hoeffding_bentkus):
        too_low = [bound(losses, n, delta) < rate for losses in range(n + 1)]
        assert math.fsum(chances[too_low]) <= delta + 1e-12


@given(st.integers(1, 300), st.floats(0.0, 1.0), st.sampled_from(DELTAS))
def test_a_bound_of_any_losses_lies_between_their_mean_and_one(n, share, delta):
    assert share <= hoeffding_bentkus(share * n, n, delta) + 1e-12 <= 1 + 1e-12


@pytest.mark.parametrize("bound", [clopper_pearson, hoeffding_bentkus])
def test_a_bound_falls_with_questions_and_rises_with_losses(bound):
    by_losses = [bound(losses, 60, 0.1) for losses in range(61)]
    by_questions = [bound(0, n, 0.1) for n in (1, 10, 45, 100, 1000)]
    assert all(one <= other for one, other in pairwise(by_losses))
    assert all(one > other for one, other in pairwise(by_questions))


def test_for_zeros_and_ones_the_exact_bound_is_the_tighter_one():
    assert all(
        clopper_pearson(losses, 99, 0.1) <= hoeffding_bentkus(losses, 99, 0.1) + 1e-12
        for losses in range(100)
    )


@pytest.mark.parametrize(
    ("epsilon", "delta", "n"),
    [(0.05, 0.1, 45), (0.02, 0.1, 114), (0.1, 0.1, 22), (0.01, 0.05, 299), (0.5, 0.25, 2), (0.9, 0.5, 1)],
)
def test_the_fewest_questions_are_those_of_the_formula(epsilon, delta, n):
    assert questions_needed(epsilon, delta) == n
    assert n == math.ceil(math.log(delta) / math.log(1 - epsilon) - 1e-9)
    assert questions_needed(epsilon, delta, binary=False) == n


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.04])
def test_at_an_observed_rate_so_many_questions_do_and_fewer_do_not(rate):
    n = questions_needed(0.05, 0.1, rate)
    assert n is not None
    assert clopper_pearson(math.ceil(rate * n - 1e-9), n, 0.1) <= 0.05
    assert clopper_pearson(math.ceil(rate * (n // 2)), n // 2, 0.1) > 0.05


def test_a_rate_that_is_too_high_needs_more_questions_than_there_are():
    assert questions_needed(0.05, 0.1, 0.05) is None
    assert questions_needed(0.05, 0.1, 0.2) is None
    assert questions_needed(0.05, 0.1, 0.0499999) is None


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: clopper_pearson(3, 2, 0.1),
        lambda: hoeffding_bentkus(2.5, 2, 0.1),
        lambda: questions_needed(0, 0.1),
        lambda: questions_needed(0.1, 1.0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
