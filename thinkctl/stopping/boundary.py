"""Rules that look at two vote counts, the leader's and the runner-up's: what they share, and their exact mathematics.

Such a rule is a table: for each number of the runner-up's votes the fewest of a leader at which it stops. All of
them decide in the same way, from a tally and their table, so that a replay can take any of them by its table.

With a uniform prior on the probability p that a vote goes to the leader rather than to the runner-up, a votes
to b leave the posterior Beta(a + 1, b + 1). For whole numbers the incomplete beta function is a binomial
tail, I_x(a + 1, b + 1) = P(Binomial(a + b + 1, x) > a) (DLMF 8.17.5), so with n = a + b

    P(p > 1/2) = 1 - I_1/2(a + 1, b + 1) = P(Binomial(n + 1, 1/2) <= a) = sum_{j <= a} C(n + 1, j) / 2^(n + 1)

in whole numbers and fractions: nothing is rounded near a threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import comb
from typing import Protocol, runtime_checkable

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import top_two
from thinkctl.types import Decision, History

__all__ = [
    "Boundary",
    "as_written",
    "check_confidence",
    "decide_by",
    "lead_chance",
    "lead_probability",
    "least_leader",
    "tails",
    "votes_to_settle",
]


@runtime_checkable
class Boundary(Protocol):
    """A rule on two vote counts: it stops once the leader has ``least_leader(runner_up)`` votes."""

    def least_leader(self, runner_up: int) -> int:
        """Return the fewest votes of a leader at which it stops, never falling as the runner-up rises."""
        ...


def decide_by(rule: Boundary, history: History) -> Decision:
    """Decide by a rule on two vote counts, all of them in the same way.

    ``more`` is what the leader lacks: votes that all go to it. Every other course takes as many or more,
    because the table never falls as the runner-up rises. ``confidence`` is ``lead_chance``, whatever the rule.
    """
    leader, runner_up = top_two(history)
    if not leader:
        return Decision(more=max(rule.least_leader(0), 1), why="no votes yet")
    short = rule.least_leader(runner_up) - leader
    chance = lead_chance(leader, runner_up)
    return Decision(
        stop=short <= 0,
        more=max(short, 1),
        confidence=chance,
        why=f"{leader} votes to {runner_up}: the lead is real with {chance:.1%}",
    )


def as_written(number: float) -> Fraction:
    """Return a number as it is written: 0.95 is 19/20, not the nearest binary fraction."""
    return Fraction(str(float(number)))


def check_confidence(confidence: float) -> None:
    """Raise ``ConfigurationError`` unless it is above 0.5, what a draw has, and below 1."""
    if not 0.5 < confidence < 1:
        raise ConfigurationError(f"confidence={confidence!r} is not above 0.5 and below 1; 0.95 is usual")


@cache
def lead_probability(leader: int, runner_up: int) -> Fraction:
    """Return P(p > 1/2) under Beta(leader + 1, runner_up + 1), exactly."""
    flips = leader + runner_up + 1
    above = sum(comb(flips, heads) for heads in range(runner_up + 1))
    return 1 - Fraction(above, 2**flips)


@cache
def lead_chance(leader: int, runner_up: int) -> float:
    """Return ``lead_probability`` as a number: the nearest one, or the last below 1."""
    return min(float(lead_probability(leader, runner_up)), 1 - 2**-53)


@cache
def least_leader(runner_up: int, confidence: float) -> int:
    """Return the fewest votes of a leader whose lead over ``runner_up`` votes has at least this probability.

    ``confidence`` is taken as it is written: 0.95 is 19/20, not the nearest binary fraction.
    """
    check_confidence(confidence)
    threshold = as_written(confidence)
    return next(
        leader
        for leader, (below, flips) in enumerate(tails(runner_up), start=runner_up)
        if below * threshold.denominator >= threshold.numerator << flips
    )


def votes_to_settle(leader: int, runner_up: int, confidence: float) -> int:
    """Return the fewest further votes after which the lead can have this probability; 0 if it has it now.

    These are votes that all go to the leader: every other course takes as many or more, because the boundary
    never falls as the runner-up rises.
    """
    return max(0, least_leader(runner_up, confidence) - leader)


def tails(runner_up: int) -> Iterator[tuple[int, int]]:
    """Yield (t, m) with P(p > 1/2) = t / 2^m for a leader of ``runner_up`` votes, of one more, and so on.

    A draw is exactly one half. One vote more is one flip more: P(X' <= a + 1) = P(X <= a) + P(X = a + 1) / 2.
    """
    leader, flips = runner_up, 2 * runner_up + 1
    below = 1 << 2 * runner_up
    at_next = comb(flips, leader + 1)
    while True:
        yield below, flips
        below = 2 * below + at_next
        leader, flips = leader + 1, flips + 1
        at_next = at_next * flips // (leader + 1)
