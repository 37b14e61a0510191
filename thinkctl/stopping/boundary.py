"""The exact mathematics of rules that look at two vote counts: the leader's and the runner-up's.

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

from thinkctl.errors import ConfigurationError

__all__ = ["check_confidence", "lead_probability", "least_leader", "votes_to_settle"]


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
def least_leader(runner_up: int, confidence: float) -> int:
    """Return the fewest votes of a leader whose lead over ``runner_up`` votes has at least this probability.

    ``confidence`` is taken as it is written: 0.95 is 19/20, not the nearest binary fraction.
    """
    check_confidence(confidence)
    threshold = Fraction(str(float(confidence)))
    return next(
        leader
        for leader, (below, flips) in enumerate(_tails(runner_up), start=runner_up)
        if below * threshold.denominator >= threshold.numerator << flips
    )


def votes_to_settle(leader: int, runner_up: int, confidence: float) -> int:
    """Return the fewest further votes after which the lead can have this probability; 0 if it has it now.

    These are votes that all go to the leader: every other course takes as many or more, because the boundary
    never falls as the runner-up rises.
    """
    return max(0, least_leader(runner_up, confidence) - leader)


def _tails(runner_up: int) -> Iterator[tuple[int, int]]:
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
