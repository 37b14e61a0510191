"""Beam search over reasoning steps."""

from __future__ import annotations

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

__all__ = ["BeamSearch"]


@final
@dataclass(frozen=True)
class BeamSearch:
    """Grow ``n`` chains step by step; after each step go on from the best ``n / width``, ``width`` times each.

    Needs a verifier that scores unfinished chains (a process reward model). A step ends with ``until`` or after
    ``step_tokens`` tokens. A chain that has ended or stated its answer leaves the beam and votes with its score. The
    search ends when ``n`` chains have, or when none can go on; after ``rounds`` steps the chains run to their end. The
    score of a chain is made of those of its steps by ``aggregate``: ``"last"``, ``"min"`` or ``"prod"``.

    On easy problems it finds the verifier's mistakes: take ``BestOfN`` there (the same source, section 5.3).

    Source: Snell et al. 2024 (arXiv:2408.03314), section 5.1; defaults of huggingface/search-and-learn. Deviation: when
    less than ``n / width`` chains are left they are not repeated more often to fill the beam.
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
                f"n={self.n!r} is no multiple of width={self.width!r}; n / width chains are kept after each step"
            )

    @property
    def needs(self) -> Needs:
        """A score of every step."""
        return Needs(scores=True, why="beam-search")

    @property
    def selector(self) -> Selector:
        return WeightedChains(self.aggregate)

    def propose(self, history: History) -> Sequence[Request]:
        def expand(wave: Sequence[Sample]) -> list[int]:
            if ended_by(history.samples, wave) >= self.n:
                return []
            chains = sorted(filter(is_open, wave), key=lambda step: self._rank(history, step))
            return [step.index for step in chains[: self.n // self.width] for _ in range(self.width)]

        return next_wave(
            history,
            self.n,
            expand,
            sampling=self.sampling,
            until=self.until,
            step_tokens=self.step_tokens,
            rounds=self.rounds,
        )

    def _rank(self, history: History, step: Sample) -> tuple[float, int]:
        """Return what steps are sorted by: the best first, of equals the first launched, unscored ones last."""
        score = chain_score(history.samples, step, self.aggregate)
        return (1.0 if score is None else -score, step.index)
