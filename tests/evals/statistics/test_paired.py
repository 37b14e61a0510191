"""Two arms on the same questions: scipy is the oracle of tests, enumeration and simulation of power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import Estimate
from thinkctl.evals.statistics.paired import (
    NonInferiority,
    detectable_mean,
    detectable_share,
    holm,
    mcnemar,
    non_inferiority,
    paired_difference,
    questions_for_mean,
    questions_for_share,
)

counts = st.integers(0, 60)
ONE, OTHER = np.random.default_rng(0).random((2, 25))


def test_a_difference_is_the_paired_t_test_of_scipy():
    found, exact = paired_difference(ONE, OTHER), stats.ttest_rel(ONE, OTHER)
    low, high = exact.confidence_interval()
    assert found.p_value == pytest.approx(exact.pvalue)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((low, high))
    assert (found.better, found.worse, found.questions) == ((ONE > OTHER).sum(), (ONE < OTHER).sum(), 25)


def test_turning_arms_round_turns_the_difference_round():
    one, other = paired_difference(ONE, OTHER), paired_difference(OTHER, ONE)
    assert (one.estimate.value, one.estimate.low) == pytest.approx(
        (-other.estimate.value, -known(other.estimate.high))
    )
    assert (one.better, one.worse, one.p_value) == (other.worse, other.better, pytest.approx(other.p_value))


def test_repeating_every_question_changes_no_interval_when_repeats_are_grouped():
    once = paired_difference(ONE, OTHER)
    groups = np.repeat(np.arange(25), 4)
    again = paired_difference(np.repeat(ONE, 4), np.repeat(OTHER, 4), groups)
    assert (again.estimate.low, again.p_value) == pytest.approx((once.estimate.low, once.p_value))
    assert known(paired_difference(np.repeat(ONE, 4), np.repeat(OTHER, 4)).estimate).low > known(
        once.estimate.low
    )


def test_the_bootstrap_of_many_questions_agrees_with_t():
    one, other = np.random.default_rng(5).random((2, 500))
    by_t, by_bootstrap = (paired_difference(one, other, method=method) for method in ("t", "bootstrap"))
    assert by_bootstrap.estimate.low == pytest.approx(by_t.estimate.low, abs=0.004)
    assert by_bootstrap.estimate.high == pytest.approx(by_t.estimate.high, abs=0.004)


def test_arms_that_never_differ_have_no_difference_and_arms_that_always_do_are_told_apart():
    assert paired_difference(ONE, ONE).p_value == 1.0
    assert paired_difference(ONE, ONE + 1).p_value == pytest.approx(0.0, abs=1e-12)
    alone = paired_difference(ONE[:1], OTHER[:1])
    assert (alone.p_value, alone.estimate.low) == (None, None)


@given(counts, counts)
def test_mcnemar_is_the_binomial_test_of_scipy_and_mid_p_half_a_step_below(better, worse):
    found = mcnemar(better, worse)
    if better + worse == 0:
        assert (found.exact, found.mid_p) == (1.0, 1.0)
        return
    exact = stats.binomtest(better, better + worse).pvalue
    assert found.exact == pytest.approx(exact, abs=1e-12)
    if better != worse:
        assert found.mid_p == pytest.approx(exact - stats.binom.pmf(better, better + worse, 0.5), abs=1e-12)
    assert 0 < found.mid_p <= found.exact <= 1
    assert found.exact == mcnemar(worse, better).exact


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_rejects_what_stepping_down_rejects(p_values):
    adjusted = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected, left = set(), sorted(range(len(p_values)), key=lambda place: p_values[place])
        while left and p_values[left[0]] * len(left) <= level:
            rejected.add(left.pop(0))
        assert {place for place, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= one <= 1 for p, one in zip(p_values, adjusted, strict=True))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-1.9, 4.0, NonInferiority.NON_INFERIOR),
        (-2.0, 4.0, NonInferiority.INCONCLUSIVE),
        (-5.0, -1.9, NonInferiority.INCONCLUSIVE),
        (-5.0, -2.0, NonInferiority.INFERIOR),
        (None, None, NonInferiority.INCONCLUSIVE),
    ],
)
def test_non_inferior_is_what_is_above_the_margin_for_sure(low, high, verdict):
    assert non_inferiority(Estimate(0.0, 1.0, low, high), 2.0) is verdict


@pytest.mark.parametrize(("questions", "discordance"), [(60, 0.3), (200, 0.2), (1000, 0.4)])
def test_what_can_be_detected_and_what_it_needs_are_each_other_s_inverse(questions, discordance):
    difference = known(detectable_share(questions, discordance))
    assert questions_for_share(difference, discordance) == questions
    assert detectable_share(4 * questions, discordance) == pytest.approx(difference / 2, rel=0.1)
    mean = known(detectable_mean(questions, 0.5))
    assert questions_for_mean(mean * 1.0001, 0.5) == questions


def test_the_detectable_share_is_found_about_as_often_as_the_power_says():
    questions, discordance = 200, 0.3
    difference = known(detectable_share(questions, discordance))
    better = (discordance + difference) / 2
    drawn = np.random.default_rng(1).multinomial(
        questions, [better, discordance - better, 1 - discordance], 4000
    )
    found = np.mean([mcnemar(int(b), int(c)).mid_p < 0.05 for b, c, _ in drawn])
    assert found == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("questions", [5, 20, 300])
def test_the_detectable_mean_has_the_power_of_scipy_s_noncentral_t(questions):
    away = known(detectable_mean(questions, 2.0, level=0.9, power=0.7)) / 2.0 * math.sqrt(questions)
    needed = stats.t.ppf(0.95, questions - 1)
    power = stats.nct.sf(needed, questions - 1, away) + stats.nct.cdf(-needed, questions - 1, away)
    assert power == pytest.approx(0.7, abs=1e-6)


def test_where_no_number_of_questions_does_there_is_none():
    assert detectable_share(5, 0.1) is None  # the difference would be above the discordance
    assert detectable_share(1, 0.5) is None
    assert questions_for_share(0.0, 0.3) is None
    assert questions_for_share(0.31, 0.3) is None
    assert questions_for_mean(0.0, 1.0) is None
    assert questions_for_mean(1e-9, 1.0) is None
    assert detectable_mean(1, 1.0) is None
    assert questions_for_mean(1.0, 0.0) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: paired_difference(ONE, OTHER[:3]),
        lambda: paired_difference(ONE[:0], OTHER[:0]),
        lambda: mcnemar(-1, 2),
        lambda: holm([0.5, 1.5]),
        lambda: holm([math.nan]),
        lambda: non_inferiority(Estimate(0.0, 1.0, -1.0, 1.0), -2.0),
        lambda: detectable_share(0, 0.3),
        lambda: detectable_share(10, 1.3),
        lambda: questions_for_share(0.1, 0.3, power=80),
        lambda: detectable_mean(10, -1.0),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
