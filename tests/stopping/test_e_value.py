"""The anytime-valid certificate: its table, its supermartingale, and the errors that it bounds, all exactly."""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.stopping import EValue
from thinkctl.stopping.boundary import lead_probability
from thinkctl.stopping.e_value import e_value


@pytest.mark.parametrize(
    ("delta", "least"),
    [
        (0.2, [4, 7, 9, 11, 13, 15, 17, 18, 20]),
        (0.1, [5, 8, 11, 13, 15, 17, 19, 20, 22]),
        (0.05, [7, 10, 12, 14, 16, 18, 20, 22, 24]),
    ],
)
def test_the_boundary_is_the_published_one(delta, least) -> None:
    assert [EValue(delta).least_leader(runner_up) for runner_up in range(9)] == least


def test_three_rivals_take_a_third_of_the_error_each() -> None:
    split = [EValue(0.15, rivals=3).least_leader(runner_up) for runner_up in range(9)]
    assert split == [EValue(0.05).least_leader(runner_up) for runner_up in range(9)]


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_e_value_is_the_beta_function_times_the_posterior(one, other) -> None:
    leader, runner_up = max(one, other), min(one, other)
    beta = Fraction(1, leader + runner_up + 1)
    for step in range(1, runner_up + 1):
        beta *= Fraction(step, leader + step)
    assert e_value(leader, runner_up) == 2 ** (leader + runner_up + 1) * beta * lead_probability(
        leader, runner_up
    )


def test_a_threshold_that_is_just_missed_is_not_reached() -> None:
    """3 votes to none are exactly 15/4 to 1: 1 / 0.2667 is below, 1 / 0.2666666666666666 hardly above."""
    assert e_value(3, 0) == Fraction(15, 4)
    assert EValue(0.2667).least_leader(0) == 3
    assert EValue(0.2666666666666666).least_leader(0) == 4


@cache
def evidence(right: int, other: int) -> Fraction:
    """The e-value for the first answer, whoever leads: the mixture over shares above one half."""
    if right >= other:
        return e_value(right, other)
    mirrored = e_value(other, right)
    chance = lead_probability(other, right)
    return mirrored / chance * (1 - chance)


@given(st.integers(0, 30), st.integers(0, 30), st.fractions(0, Fraction(1, 2), max_denominator=50))
def test_no_vote_is_expected_to_raise_it_at_a_share_of_one_half_or_less(right, other, share) -> None:
    expected = share * evidence(right + 1, other) + (1 - share) * evidence(right, other + 1)
    assert expected <= evidence(right, other)


def ever_wrong(delta: float, shares: tuple[Fraction, ...], cap: int, rivals: int = 1) -> Fraction:
    """The exact chance that answer 0, the frequent one, is not the one it stops on; shares sum to 1."""
    rule = EValue(delta, rivals)
    reached = {(0,) * len(shares): Fraction(1)}
    wrong = Fraction(0)
    for _ in range(cap):
        going_on: dict[tuple[int, ...], Fraction] = {}
        for counts, chance in reached.items():
            for place, share in enumerate(shares):
                step = (*counts[:place], counts[place] + 1, *counts[place + 1 :])
                leader, runner_up, *_ = sorted(step, reverse=True)
                if leader < rule.least_leader(runner_up):
                    going_on[step] = going_on.get(step, Fraction(0)) + chance * share
                elif step[0] != leader:
                    wrong += chance * share
        reached = going_on
    return wrong


@pytest.mark.parametrize("delta", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("share", [Fraction(1, 2), Fraction(51, 100), Fraction(3, 5)])
def test_it_ever_stops_on_the_rarer_of_two_answers_with_chance_delta_at_most(delta, share) -> None:
    wrong = ever_wrong(delta, (share, 1 - share), cap=120)
    assert wrong <= Fraction(str(delta))
    assert wrong > 0


def test_the_bound_is_not_idle() -> None:
    """Just at one half, where either answer is as good: two thirds of delta within 120 votes."""
    assert ever_wrong(0.2, (Fraction(1, 2), Fraction(1, 2)), cap=120) > Fraction(1, 2) * Fraction(1, 5)


def test_with_three_answers_the_rivals_together_keep_the_bound() -> None:
    third = Fraction(1, 3)
    for rivals, bound in ((1, 2 * Fraction(1, 5)), (2, Fraction(1, 5))):
        assert ever_wrong(0.2, (third, third, third), cap=24, rivals=rivals) <= bound


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan"), 5])
def test_an_error_that_is_no_chance_is_refused(delta) -> None:
    with pytest.raises(ConfigurationError, match=f"delta={delta}"):
        EValue(delta)


def test_without_a_rival_it_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="rivals=0 leaves nothing to beat"):
        EValue(0.1, rivals=0)
