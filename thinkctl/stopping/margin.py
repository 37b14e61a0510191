"""A lead of so many votes: as a number, or as the sequential probability ratio test that it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, log, log1p
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.boundary import as_written, decide_by
from thinkctl.types import Decision, History

__all__ = ["SPRT", "Margin", "error_of_lead", "lead_for_errors"]

_LARGEST: Final = 10_000
"""No run has so many samples that a longer lead could come."""


@final
@dataclass(frozen=True)
class Margin:
    """Stop once the leading answer is ``votes`` votes ahead of the runner-up.

    ``votes`` is 1 or more; 3 to 5 are usual. With two answers, of which a share p > 1/2 of the samples gives
    the more frequent one, it ends on the other with chance 1 / (1 + (p / (1 - p))^votes), exactly, if no cap
    ends it before. ``SPRT`` finds the votes for an error that may be made.

    Source: Wald 1945, sequential probability ratio test of p against 1 - p, in votes; ConSol
    (arXiv:2503.17587) with the parameters of its code is a margin of 3.
    """

    votes: int = 4

    def __post_init__(self) -> None:
        if self.votes < 1:
            raise ConfigurationError(f"votes={self.votes!r} is no lead; give 1 or more, 3 to 5 are usual")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        errors = ", ".join(
            f"{error_of_lead(self.votes, share):.2%} at {share:g}" for share in (0.6, 0.7, 0.8)
        )
        return f"two answers, no cap: ends on the rarer one with chance {errors} (share of the frequent one)"

    def least_leader(self, runner_up: int) -> int:
        return runner_up + self.votes

    def decide(self, history: History) -> Decision:
        return decide_by(self, history)


@final
@dataclass(frozen=True)
class SPRT:
    """Stop at the lead that keeps the error rates ``alpha`` and ``beta``, if the leader's share is ``p`` or more.

    ``p`` is the share of the more frequent of two answers that the test is made for, above 0.5 and below 1.
    ``alpha`` is the chance of ending on the rarer answer, ``beta`` that of missing the frequent one, both above
    0 and below 0.5. Since either answer may lead, both are the chance of one mistake: at a share of ``p`` or more
    it is made with chance ``error``, at most ``alpha / (alpha + 1 - beta)``, if no cap ends the run before.

    Source: Wald 1945: the lead is ceil(log((1 - beta) / alpha) / log(p / (1 - p))), here without rounding before
    the ceiling. ConSol (arXiv:2503.17587) tests p = 0.5001 against 1/2 with beta = 0.949976, which is
    a margin of 3 and bounds no error; such a beta is refused here.
    """

    p: float = 0.7
    alpha: float = 0.05
    beta: float = 0.05

    def __post_init__(self) -> None:
        lead_for_errors(self.p, self.alpha, self.beta)

    @property
    def votes(self) -> int:
        """The lead at which it stops."""
        return lead_for_errors(self.p, self.alpha, self.beta)

    @property
    def error(self) -> float:
        """The chance of ending on the rarer answer at a share of exactly ``p``, without a cap."""
        return error_of_lead(self.votes, self.p)

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return (
            f"two answers, no cap: ends on the rarer one with chance {self.error:.2%} at most "
            f"where the frequent one has a share of {self.p:g} or more; stops {self.votes} votes ahead"
        )

    def least_leader(self, runner_up: int) -> int:
        return runner_up + self.votes

    def decide(self, history: History) -> Decision:
        return decide_by(self, history)


def error_of_lead(votes: int, share: float) -> float:
    """Return the chance that, of two answers, the rarer one is the first to be so many votes ahead.

    ``share`` is that of the more frequent answer. This is the gambler's ruin: a walk whose steps are up with
    probability ``share`` reaches -votes before +votes.
    """
    against: float = ((1 - share) / share) ** votes
    return against / (1 + against)


@cache
def lead_for_errors(p: float, alpha: float, beta: float) -> int:
    """Return the fewest votes m with (p / (1 - p))^m >= (1 - beta) / alpha, for numbers as they are written."""
    if not 0.5 < p < 1:
        raise ConfigurationError(f"p={p!r} is not above 0.5 and below 1; 0.7 is usual")
    for name, rate in (("alpha", alpha), ("beta", beta)):
        if not 0 < rate < 0.5:
            raise ConfigurationError(f"{name}={rate!r} is no error rate above 0 and below 0.5; 0.05 is usual")
    share, wanted = as_written(p), (1 - as_written(beta)) / as_written(alpha)
    odds = share / (1 - share)
    nearly = log(wanted) / log1p(float(odds - 1))  # keeps the digits where the odds are hardly more than even
    if nearly > _LARGEST:
        raise ConfigurationError(
            f"p={p!r} with alpha={alpha!r} takes a lead of {nearly:,.0f} votes; give a larger p or alpha"
        )
    votes = max(1, ceil(nearly) - 1)
    while odds**votes < wanted:
        votes += 1
    return votes
