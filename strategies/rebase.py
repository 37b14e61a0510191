"""Reward-balanced search: every chain is continued as often as its score deserves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.strategies.steps import (
    Aggregate,
    WeightedChains,
    chain_score,
    check_aggregate,
    check_knobs,
    ended_by,
    is_open,
    next_wave,
)
from thinkctl.types import History, Needs, Request, Sample, Sampling

__all__ = ["REBASE"]


@final
@dataclass(frozen=True)
class REBASE:
    """Grow chains step by step; give each a part of the next wave in proportion to exp(score / ``temperature``).

    The first wave has ``n`` steps, every later one as many as chains have not ended. Nothing is dropped outright, yet
    hopeless chains get no part. The rest is as in ``BeamSearch``.

    Source: Wu et al. 2024 (arXiv:2408.00724), section 3.2: width_i = ceil(W e^(s_i / T) / sum), the best first, each
    from what the better ones left (as in thu-wyz/inference_scaling).
    """

    n: int = 16
    temperature: float = 0.2
    rounds: int = 40
    step_tokens: int = 256
    until: str = "\n\n"
    aggregate: Aggregate = "last"
    sampling: Sampling = Sampling(temperature=1.0)

    def __post_init__(self) -> None:
        check_knobs(n=self.n, rounds=self.rounds, step_tokens=self.step_tokens)
        check_aggregate(self.aggregate)
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ConfigurationError(
                f"temperature={self.temperature!r} divides nothing; give a number above 0, 0.2 is usual"
            )

    @property
    def needs(self) -> Needs:
        """A score of every step."""
        return Needs(scores=True, why="rebase")

    @property
    def selector(self) -> Selector:
        return WeightedChains(self.aggregate)

    def propose(self, history: History) -> Sequence[Request]:
        samples = history.samples

        def expand(wave: Sequence[Sample]) -> list[int]:
            chains = list(filter(is_open, wave))
            scores = [chain_score(samples, step, self.aggregate) or 0.0 for step in chains]
            parts = shares(scores, self.n - ended_by(samples, wave), self.temperature)
            return [step.index for step, part in zip(chains, parts, strict=True) for _ in range(part)]

        return next_wave(
            history,
            self.n,
            expand,
            sampling=self.sampling,
            until=self.until,
            step_tokens=self.step_tokens,
            rounds=self.rounds,
        )


def shares(scores: Sequence[float], width: int, temperature: float) -> list[int]:
    """Divide ``width`` by the softmax of scores at a temperature: rounded up, the best first, from what is left."""
    parts, left = [0] * len(scores), max(0, width)
    order = sorted(range(len(scores)), key=lambda place: -scores[place])
    for at, place in enumerate(order):
        rest = math.fsum(math.exp((scores[other] - scores[place]) / temperature) for other in order[at:])
        parts[place] = min(left, math.ceil(left / rest))
        left -= parts[place]
    return parts
