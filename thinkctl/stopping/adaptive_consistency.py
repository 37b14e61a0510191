"""Adaptive-Consistency: stop once the lead is probably real."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.selectors import top_two
from thinkctl.stopping.boundary import check_confidence, lead_probability, votes_to_settle
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

    def decide(self, history: History) -> Decision:
        leader, runner_up = top_two(history)
        short = votes_to_settle(leader, runner_up, self.confidence)
        certainty = float(lead_probability(leader, runner_up)) if leader else None
        lead = f"{leader} votes to {runner_up}"
        return Decision(
            stop=short == 0,
            more=max(short, 1),
            confidence=certainty,
            why=lead if certainty is None else f"{lead}: the lead is real with {certainty:.1%}",
        )
