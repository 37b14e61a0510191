"""Think many times and vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import Majority, WeightedMajority
from thinkctl.strategies.prompts import reason_first
from thinkctl.types import History, Request, Sampling

__all__ = ["SelfConsistency"]


@final
@dataclass(frozen=True)
class SelfConsistency:
    """Ask for ``n`` independent samples and let them vote.

    With ``weight="confidence"`` each vote weighs as much as the model was sure of its tokens, which needs an
    engine that gives log-probabilities.

    Source: Wang et al. 2023 (arXiv:2203.11171), section 2.
    """

    n: int = 8
    weight: Literal["confidence"] | None = None
    sampling: Sampling = Sampling(temperature=0.7)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigurationError(f"n={self.n!r} samples cannot vote; give 1 or more")
        if self.weight not in (None, "confidence"):
            raise ConfigurationError(
                f"weight={self.weight!r} is not known; use 'confidence', or None for equal votes"
            )

    @property
    def selector(self) -> Selector:
        return Majority() if self.weight is None else WeightedMajority(self.weight)

    def propose(self, history: History) -> Sequence[Request]:
        sampling = self.sampling
        if self.weight is not None and sampling.logprobs is None:
            sampling = sampling.model_copy(update={"logprobs": 0})
        return [Request(reason_first(history.problem), sampling)] * (self.n - history.bought)
