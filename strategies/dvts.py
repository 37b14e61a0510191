"""Diverse verifier tree search: independent subtrees instead of one beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.strategies.steps import (
    Aggregate,
    WeightedChains,
    chain_score,
    check_aggregate,
    check_knobs,
    is_open,
    next_wave,
    root_of,
)
from thinkctl.types import History, Needs, Request, Sample, Sampling

__all__ = ["DVTS"]


@final
@dataclass(frozen=True)
class DVTS:
    """Grow ``n / width`` independent subtrees step by step: ``width`` steps in each, and on from the best of them.

    Like ``BeamSearch``, but no subtree can crowd out the others, which helps where there are many samples. A subtree
    ends when its best step ends its chain. Every chain that has ended votes with its score.

    Source: DVTS in Beeching, Tunstall and Rush 2024, "Scaling test-time compute with open models"
    (huggingface/search-and-learn). Deviations: no lookahead; a chain that ended without being the best of its subtree
    votes as well.
    """

    n: int = 16
    width: int = 4
    rounds: int = 40
    step_tokens: int = 256
    until: str = "\n\n"
    aggregate: Aggregate = "last"
    sampling: Sampling = Sampling(temperature=0.8)

    def __post_init__(self) -> None:
        check_knobs(n=self.n, width=self.width, rounds=self.rounds, step_tokens=self.step_tokens)
        check_aggregate(self.aggregate)
        if self.n % self.width:
            raise ConfigurationError(
                f"n={self.n!r} is no multiple of width={self.width!r}; there are n / width subtrees"
            )

    @property
    def needs(self) -> Needs:
        """A score of every step."""
        return Needs(scores=True, why="dvts")

    @property
    def selector(self) -> Selector:
        return WeightedChains(self.aggregate)

    def propose(self, history: History) -> Sequence[Request]:
        samples = history.samples

        def rank(step: Sample) -> float:
            score = chain_score(samples, step, self.aggregate)
            return -1.0 if score is None else score

        def subtree(step: Sample) -> int:
            return root_of(samples, step) // self.width

        def expand(wave: Sequence[Sample]) -> list[int]:
            best = [max(steps, key=rank) for _, steps in groupby(sorted(wave, key=subtree), key=subtree)]
            return [step.index for step in best if is_open(step) for _ in range(self.width)]

        return next_wave(
            history,
            self.n,
            expand,
            sampling=self.sampling,
            until=self.until,
            step_tokens=self.step_tokens,
            rounds=self.rounds,
        )
