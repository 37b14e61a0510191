"""An anytime-valid certificate for the leading answer."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import comb
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.boundary import as_written, decide_by, tails
from thinkctl.types import Decision, History

__all__ = ["EValue", "e_value"]


@final
@dataclass(frozen=True)
class EValue:
    """Stop once the evidence that the leader beats the runner-up is 1 / ``delta``, at any number of looks.

    ``delta`` is above 0 and below 1: the bound on the chance of ever stopping on an answer that is not the most
    frequent one, however often and whenever one looks, where the votes are independent draws. The e-value is that
    of one pair of answers. The leader is chosen from the votes, so with K possible answers any of K - 1 wrong ones
    may come out ahead: ``rivals`` = K - 1 divides ``delta`` among them. 1 is right for two possible answers; with
    open answers, whose number nobody knows, the bound holds for each wrong answer alone.

    Source: ours; the likelihood ratio of p uniform on (1/2, 1] to p = 1/2, with Ville's inequality: 2^(n + 1)
    B(a + 1, b + 1) P(p > 1/2) >= 1 / delta for a votes to b, n = a + b. Compare CITE (arXiv:2605.05873) and MMC
    (arXiv:2510.17472), which bet on predictions instead.
    """

    delta: float = 0.05
    rivals: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.delta < 1:
            raise ConfigurationError(f"delta={self.delta!r} is not above 0 and below 1; 0.05 is usual")
        if self.rivals < 1:
            raise ConfigurationError(
                f"rivals={self.rivals!r} leaves nothing to beat; give the number of possible answers less one"
            )

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        of = "two possible answers" if self.rivals == 1 else f"{self.rivals + 1} possible answers"
        return f"{of}: ever stops on one that is not the most frequent with chance {self.delta:g} at most, whatever cap"

    def least_leader(self, runner_up: int) -> int:
        return _least_leader(runner_up, self.delta, self.rivals)

    def decide(self, history: History) -> Decision:
        return decide_by(self, history)


def e_value(leader: int, runner_up: int) -> Fraction:
    """Return the evidence that the leader's share is above one half, exactly; 1 without votes.

    Where the share is one half or less, its expectation is 1 at most at every stopping time.
    """
    below, _ = next(pair for votes, pair in enumerate(tails(runner_up), runner_up) if votes == leader)
    return Fraction(below, _against(leader, runner_up))


@cache
def _least_leader(runner_up: int, delta: float, rivals: int) -> int:
    threshold = rivals / as_written(delta)
    return next(
        leader
        for leader, (below, _) in enumerate(tails(runner_up), start=runner_up)
        if below * threshold.denominator >= threshold.numerator * _against(leader, runner_up)
    )


def _against(leader: int, runner_up: int) -> int:
    """Return what the tail is divided by: 2^(n+1) a! b! / (n+1)! times t / 2^(n+1) is t over (n+1) C(n, a)."""
    votes = leader + runner_up
    return (votes + 1) * comb(votes, leader)
