"""Expected improvement: its mathematics against scipy, and when it stops."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import ExpectedImprovement
from thinkctl.stopping.expected_improvement import (
    expected_improvement,
    student_t_density,
    student_t_tail,
)
from thinkctl.testing import history_of

stats: Any = importlib.import_module("scipy.stats")
integrate: Any = importlib.import_module("scipy.integrate")
scores = st.lists(st.floats(0, 1).map(lambda score: round(score, 3)), min_size=3, max_size=12)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 10, 39, 40, 199])
@pytest.mark.parametrize("point", [-50.0, -3.0, -0.1, 0.0, 0.01, 0.7, 2.0, 12.0, 400.0])
def test_student_s_t_is_that_of_scipy(freedom, point) -> None:
    assert student_t_tail(point, freedom) == pytest.approx(stats.t.sf(point, freedom), abs=1e-13)
    assert student_t_density(point, freedom) == pytest.approx(stats.t.pdf(point, freedom), abs=1e-13)


@given(scores)
def test_the_improvement_is_the_integral_over_the_predictive_distribution(drawn) -> None:
    known, best = len(drawn), max(drawn)
    if max(drawn) - min(drawn) < 0.01:
        return
    predictive = stats.t(known - 1, sum(drawn) / known, stats.tstd(drawn) * (1 + 1 / known) ** 0.5)
    within, _ = integrate.quad(lambda score: (score - best) * predictive.pdf(score), best, 1, epsabs=1e-12)
    assert expected_improvement(drawn) == pytest.approx(within + (1 - best) * predictive.sf(1), abs=1e-9)


@given(scores)
def test_it_is_no_less_than_nothing_and_no_more_than_what_is_missing(drawn) -> None:
    assert 0 <= expected_improvement(drawn) <= 1 - max(drawn)


@pytest.mark.parametrize(
    ("drawn", "gain"),
    [([0.0, 0.0, 0.0], 1 / 4), ([0.5] * 4, 0.1), ([1.0, 1.0, 1.0], 0.0), ([0.2, 1.0, 0.4], 0.0)],
)
def test_equal_scores_do_not_tell_their_spread_and_nothing_beats_a_1(drawn, gain) -> None:
    assert expected_improvement(drawn) == pytest.approx(gain)


@pytest.mark.parametrize(
    ("drawn", "stop", "more"),
    [
        ([], False, 3),
        ([0.5], False, 2),
        ([1.0, 1.0], False, 1),  # two scores do not tell their spread
        ([0.1, 0.5, 0.6], False, 1),
        ([0.1, 0.5, 0.6, None], False, 1),
        ([0.1, 0.5, 1.0], True, 1),
        ([0.50, 0.51, 0.52, 0.51, 0.50, 0.51, 0.52, 0.51], True, 1),
    ],
)
def test_it_stops_when_the_gain_is_not_worth_the_price(drawn, stop, more) -> None:
    policy = ExpectedImprovement(worth_tokens=10_000, sample_tokens=100)
    decision = policy.decide(history_of(*["1"] * len(drawn), scores=drawn))
    assert (decision.stop, decision.more) == (stop, more)


@given(scores, st.floats(1, 1e4), st.floats(1, 1e6))
def test_it_stops_exactly_at_pandora_s_reservation_value(drawn, price, worth) -> None:
    """A lower price or a higher worth never stops where a higher price or a lower worth goes on."""
    history = history_of(*["1"] * len(drawn), scores=drawn)
    gain = expected_improvement(drawn)
    assert ExpectedImprovement(worth, price).decide(history).stop == (worth * gain <= price)
    if ExpectedImprovement(worth, price).decide(history).stop:
        assert ExpectedImprovement(worth / 2, price).decide(history).stop
        assert ExpectedImprovement(worth, price * 2).decide(history).stop


def test_the_price_is_what_samples_took_on_average_unless_it_is_given() -> None:
    history = history_of("1", "2", None, "3", scores=[0.1, 0.5, None, 0.6])
    mean = sum(sample.usage.generated_tokens for sample in history.samples) / 4
    gain = expected_improvement([0.1, 0.5, 0.6])
    assert not ExpectedImprovement(mean / gain * 1.001).decide(history).stop
    assert ExpectedImprovement(mean / gain * 0.999).decide(history).stop


def test_a_worth_in_dollars_is_a_worth_in_tokens() -> None:
    assert ExpectedImprovement.priced(0.05, 0.4).worth_tokens == pytest.approx(125_000)
    assert registry.policy("expected-improvement(1000, least=4)") == ExpectedImprovement(1000, least=4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExpectedImprovement(0), "worth_tokens=0 is no worth"),
        (lambda: ExpectedImprovement(float("inf")), "worth_tokens=inf"),
        (lambda: ExpectedImprovement(10, 0), "sample_tokens=0 is no price"),
        (lambda: ExpectedImprovement(10, least=2), "least=2 scores do not tell their spread"),
        (lambda: ExpectedImprovement.priced(1, 0), "dollars_per_million_tokens=0 is no price"),
    ],
)
def test_what_is_no_worth_or_no_price_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
