"""The value of further votes: exact against brute force, monotone, and against its price."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import comb, factorial

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.stopping import Boundary, ValueOfComputation
from thinkctl.stopping.boundary import lead_probability
from thinkctl.stopping.value_of_computation import gain_per_vote, tokens_worth
from thinkctl.testing import history_of


def beta(one: int, other: int) -> Fraction:
    return Fraction(factorial(one) * factorial(other), factorial(one + other + 1))


def gain(leader: int, runner_up: int, votes: int) -> Fraction:
    """E[max(L, 1 - L)] after so many more votes, less L now; by summing over all their outcomes."""
    after = Fraction(0)
    for others in range(votes + 1):
        end = (leader + votes - others, runner_up + others)
        chance = comb(votes, others) * beta(*end) / beta(leader, runner_up)
        after += chance * max(lead_probability(*end), 1 - lead_probability(*end))
    return after - lead_probability(leader, runner_up)


@pytest.mark.parametrize(
    ("leader", "runner_up"), [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 1), (5, 3), (7, 7), (6, 4)]
)
def test_the_gain_is_the_best_over_all_numbers_of_votes(leader, runner_up) -> None:
    best = max(gain(leader, runner_up, votes) / votes for votes in range(1, 60))
    assert gain_per_vote(leader, runner_up) == pytest.approx(float(best), rel=1e-12)


def test_it_falls_with_the_lead_and_rises_with_the_rival() -> None:
    for leader in range(1, 50):
        gains = [gain_per_vote(leader, runner_up) for runner_up in range(leader + 1)]
        assert gains == sorted(gains)
        assert gain_per_vote(leader + 1, leader - 1) < gain_per_vote(leader, leader - 1)


@pytest.mark.parametrize(("leader", "runner_up", "times"), [(4, 0, 1 / 17), (15, 15, 7.1)])
def test_the_probability_of_a_flip_at_a_known_share_is_another_number(leader, runner_up, times) -> None:
    needed = leader - runner_up + 1
    flip = ((runner_up + 1) / (leader + runner_up + 2)) ** needed / needed
    assert flip / gain_per_vote(leader, runner_up) == pytest.approx(times, rel=0.02)


@pytest.mark.parametrize(
    ("worth", "least"),
    [
        (1e4, [2, 3, 3, 4, 5, 6, 7, 8, 9]),
        (1e5, [3, 4, 5, 6, 8, 9, 10, 11, 12]),
        (1e6, [5, 7, 8, 9, 11, 12, 13, 14, 16]),
    ],
)
def test_at_a_known_price_it_is_a_boundary(worth, least) -> None:
    rule = ValueOfComputation(worth, sample_tokens=300).boundary
    assert isinstance(rule, Boundary)
    assert [rule.least_leader(runner_up) for runner_up in range(9)] == least


def test_it_gives_up_on_a_draw_that_is_not_worth_deciding() -> None:
    rule = ValueOfComputation(1_000, sample_tokens=100)
    assert not rule.decide(history_of(*"12" * 5)).stop
    assert rule.decide(history_of(*"12" * 9)).stop


def test_it_stops_when_no_votes_are_worth_what_samples_took_on_average() -> None:
    history = history_of("1", None, "1")
    mean = sum(sample.usage.generated_tokens for sample in history.samples) / 3
    enough = mean / gain_per_vote(2, 0)
    assert not ValueOfComputation(enough * 1.001).decide(history).stop
    decision = ValueOfComputation(enough * 0.999).decide(history)
    assert (decision.stop, decision.more, decision.confidence) == (True, 1, 0.875)


def test_a_measured_price_bounds_nothing_and_a_given_one_exactly() -> None:
    assert ValueOfComputation(1e6).decide(history_of("1")).more == 1
    assert ValueOfComputation(1e6, 300).decide(history_of("1")).more == 4


def test_a_draw_without_votes_is_never_given_up() -> None:
    assert not ValueOfComputation(1.0, 1e6).decide(history_of(None, None)).stop


def test_at_a_measured_price_it_is_no_rule_on_two_counts() -> None:
    assert ValueOfComputation(1e6).boundary is None
    assert not isinstance(ValueOfComputation(1e6), Boundary)


def test_decisions_at_a_known_price_are_those_of_the_boundary() -> None:
    for policy in (ValueOfComputation(1e5, 300), ValueOfComputation(100, 30), ValueOfComputation(900, 40)):
        rule = policy.boundary
        assert rule is not None
        for runner_up, ahead in product(range(8), range(6)):
            leader = runner_up + ahead
            decision = policy.decide(history_of(*["1"] * leader, *["2"] * runner_up))
            short = rule.least_leader(runner_up) - leader
            assert (decision.stop, decision.more) == (short <= 0, max(1, short))
            assert decision.stop == (
                leader > 0
                and policy.worth_tokens * gain_per_vote(leader, runner_up) <= (policy.sample_tokens or 0)
            )


@pytest.mark.parametrize("price", [0.0, -1.0, float("inf")])
def test_a_price_that_is_none_is_refused(price) -> None:
    with pytest.raises(ConfigurationError, match=f"sample_tokens={price} is no price"):
        ValueOfComputation(1e6, price)


def test_dollars_are_turned_into_tokens() -> None:
    assert tokens_worth(Decimal("0.02"), Decimal("0.4")) == pytest.approx(50_000)
    assert ValueOfComputation.priced(0.02, 0.4, 300) == ValueOfComputation(tokens_worth(0.02, 0.4), 300)
