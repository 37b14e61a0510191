"""Adaptive-Consistency: stop once the lead is probably real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.stopping.boundary import check_confidence, decide_by, least_leader
from thinkctl.types import Decision, History

__all__ = ["AdaptiveConsistency"]


@final
@dataclass(frozen=True)
class AdaptiveConsistency:
    """Stop once the leading answer would keep its lead with probability ``confidence``.

    ``confidence`` is above 0.5 and below 1: the posterior probability that the leader is the more frequent of
    the two top answers, not a bound on the error. ``Decision.more`` is the fewest further votes after which
    it could stop.

    Source: Aggarwal et al. 2023 (arXiv:2305.11860), eq. 3: P(p > 1/2) under Beta(leader + 1, runner-up + 1).
    Deviation: samples without an answer abstain; computed exactly.
    """

    confidence: float = 0.95

    def __post_init__(self) -> None:
        check_confidence(self.confidence)

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"none: {self.confidence:g} is a posterior probability under a uniform prior, no bound on the error"

    def least_leader(self, runner_up: int) -> int:
        return least_leader(runner_up, self.confidence)

    def decide(self, history: History) -> Decision:
        return decide_by(self, history)
