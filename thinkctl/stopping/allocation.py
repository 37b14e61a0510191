"""Which problem of a batch the next sample is for: pure functions of how each stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from thinkctl.stopping.adaptive_consistency import AdaptiveConsistency
from thinkctl.stopping.boundary import Boundary, lead_probability
from thinkctl.types import Standing

__all__ = ["Boundary", "Elimination", "FirstCome", "FlipProbability", "LeastConfident", "Uniform"]


@final
@dataclass(frozen=True)
class FlipProbability:
    """The sample that is most likely to change an answer, for its price.

    With a votes to b, the runner-up takes the lead after m = a - b + 1 votes of its own, which has about the
    probability p^m at p = (b + 1) / (a + b + 2); the priority is p^m / m, the probability of a flip for each of
    the samples that it takes. Needs no threshold, and may be stopped at any time.

    Source: ours; compare Blend-ASC (arXiv:2511.12309) and the marginal reward of Damani et al. 2024
    (arXiv:2410.04707).
    """

    def priority(self, standing: Standing) -> float | None:
        leader, runner_up = standing.leader, standing.runner_up
        needed = leader - runner_up + 1
        return float(((runner_up + 1) / (leader + runner_up + 2)) ** needed / needed)


@final
@dataclass(frozen=True)
class LeastConfident:
    """The problem whose leader is the least certain: lowest P(p > 1/2) under Beta(leader + 1, runner-up + 1)."""

    def priority(self, standing: Standing) -> float | None:
        return -float(lead_probability(standing.leader, standing.runner_up))


@final
@dataclass(frozen=True)
class Elimination:
    """Rounds over the problems that are not settled: one sample each, until ``policy`` settles them.

    Source: elimination in a bandit of problems, Zuo and Zhu 2025 (arXiv:2506.12721), with agreement as reward.
    """

    policy: Boundary = field(default_factory=AdaptiveConsistency)

    def priority(self, standing: Standing) -> float | None:
        settled = standing.leader >= self.policy.least_leader(standing.runner_up)
        return None if settled else -float(standing.bought)


@final
@dataclass(frozen=True)
class Uniform:
    """The same number of samples for every problem: one round after the other."""

    def priority(self, standing: Standing) -> float | None:
        return -float(standing.bought)


@final
@dataclass(frozen=True)
class FirstCome:
    """One problem after the other, each until its policy or its strategy is done: the baseline."""

    def priority(self, standing: Standing) -> float | None:
        return -float(standing.place)
