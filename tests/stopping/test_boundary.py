"""The exact two-count boundary: published tables, identities, and thresholds that are hit exactly."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import factorial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.boundary import lead_probability, least_leader, votes_to_settle

CONFIDENCES = [0.51, 0.75, 0.8, 0.9, 0.95, 0.99, 0.999]


@pytest.mark.parametrize(
    ("confidence", "least"),
    [
        (0.8, [2, 3, 5, 6, 7, 9, 10, 11, 12]),
        (0.9, [3, 5, 6, 8, 9, 11, 12, 13, 15]),
        (0.95, [4, 6, 8, 9, 11, 12, 14, 15, 17]),
        (0.99, [6, 9, 11, 13, 14, 16, 18, 19, 21]),
    ],
)
def test_the_boundary_is_that_of_the_reference_implementation(confidence, least) -> None:
    assert [least_leader(runner_up, confidence) for runner_up in range(9)] == least


def beta_tail(leader: int, runner_up: int) -> Fraction:
    """Integrate x^a (1 - x)^b from 1/2 to 1, term by term, over the whole integral."""
    a, b = leader, runner_up
    upper = Fraction(0)
    for power in range(b + 1):
        choose = Fraction(factorial(b), factorial(power) * factorial(b - power))
        exponent = a + power + 1
        upper += (-1) ** power * choose * (1 - Fraction(1, 2**exponent)) / exponent
    return upper * Fraction(factorial(a + b + 1), factorial(a) * factorial(b))


def test_the_probability_is_the_upper_half_of_the_beta_integral_exactly() -> None:
    for leader, runner_up in product(range(13), repeat=2):
        assert lead_probability(leader, runner_up) == beta_tail(leader, runner_up)


@given(st.integers(0, 300), st.integers(0, 300))
def test_what_one_side_has_the_other_lacks_and_a_draw_is_one_half(one, other) -> None:
    assert lead_probability(one, other) + lead_probability(other, one) == 1
    assert lead_probability(one, one) == Fraction(1, 2)


@given(st.integers(0, 120), st.sampled_from(CONFIDENCES))
def test_the_boundary_is_the_first_lead_that_is_probable_enough(runner_up, confidence) -> None:
    least, threshold = least_leader(runner_up, confidence), Fraction(str(confidence))
    assert lead_probability(least, runner_up) >= threshold > lead_probability(least - 1, runner_up)


@given(st.integers(0, 200), st.sampled_from(CONFIDENCES))
def test_the_boundary_rises_with_the_runner_up(runner_up, confidence) -> None:
    assert least_leader(runner_up, confidence) < least_leader(runner_up + 1, confidence)


@pytest.mark.parametrize(
    ("confidence", "least"),
    [
        (0.75, 1),  # one vote to none is exactly 3/4
        (0.7500000000000001, 2),
        (0.875, 2),
        (0.9375, 3),
        (0.9999999999999999, 53),
    ],
)
def test_a_threshold_that_is_hit_exactly_is_reached(confidence, least) -> None:
    assert least_leader(0, confidence) == least


@pytest.mark.parametrize(
    ("leader", "runner_up", "short"), [(0, 0, 4), (3, 0, 1), (4, 0, 0), (9, 0, 0), (4, 1, 2), (4, 4, 7)]
)
def test_what_is_short_of_the_boundary_is_counted(leader, runner_up, short) -> None:
    assert votes_to_settle(leader, runner_up, 0.95) == short


@pytest.mark.parametrize("confidence", [0.5, 0.0, -1.0, 1.0, 95, float("nan")])
def test_a_confidence_that_a_draw_has_or_no_lead_reaches_is_refused(confidence) -> None:
    with pytest.raises(ConfigurationError, match=r"above 0\.5 and below 1"):
        least_leader(0, confidence)


def test_a_boundary_at_hundreds_of_votes_takes_microseconds(benchmark) -> None:
    least = benchmark(least_leader.__wrapped__, 500, 0.95)
    assert lead_probability(least, 500) >= Fraction(19, 20) > lead_probability(least - 1, 500)
