"""How certain the model was of its own tokens, as a verdict: no call and no other model is needed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.types import History, Needs, Origin, Sample, TokenLogprob, Verdict

__all__ = ["SelfCertainty", "self_certainty"]

_LEAST: Final = -100.0
"""Natural-log probability below which a token is as good as impossible; engines say minus infinity for some."""
_HALF: Final = 10.0
"""Nats that score 0.5: about what 20 alternatives of a usual model give."""


@final
@dataclass(frozen=True)
class SelfCertainty:
    """Score a sample by how far its tokens' distributions were from a uniform one: higher is more certain.

    The mean over its sampled tokens of KL(uniform over the ``top`` most likely tokens || the model), in nats, 0 or
    more, is mapped into [0, 1) by x / (x + 10), which keeps the order. It only ranks samples of one problem and one
    model; it is no probability of being right, and a chain that loops looks certain. Take it with ``Borda``, as the
    paper does. Samples without log-probabilities get an empty verdict. Controllers ask engines for ``top``
    alternatives of each token, at most 20 with most engines.

    Source: self-certainty, Kang et al. 2025 (arXiv:2502.18581), eq. 9, -1/(nV) sum log(V p). Deviation: the sum is over
    the ``top`` most likely tokens in place of the whole vocabulary V, which no engine hands out; with ``top`` = V it is
    the same. Up to the constant ln ``top`` it is the token confidence of DeepConf (Fu et al. 2025, arXiv:2508.15260).
    """

    top: int = 20

    def __post_init__(self) -> None:
        if self.top < 2:
            raise ConfigurationError(f"top={self.top!r} leaves nothing to be uncertain about; give 2 or more")

    @property
    def needs(self) -> Needs:
        """Log-probabilities of every token, with its most likely alternatives."""
        return Needs(logprobs=self.top, why="self-certainty")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        nats = self_certainty(sample, self.top)
        if nats is None:
            return Verdict()
        return Verdict(nats / (nats + _HALF), feedback=f"self-certainty {nats:.3f} nats")


def self_certainty(sample: Sample, top: int = 20) -> float | None:
    """Return the self-certainty of a sample in nats, ``None`` where no token has two alternatives or more."""
    known = [
        nats
        for segment in sample.segments
        if segment.origin is Origin.SAMPLED and segment.logprobs is not None
        for logprob in segment.logprobs
        if (nats := _of_token(logprob, top)) is not None
    ]
    return math.fsum(known) / len(known) if known else None


def _of_token(logprob: TokenLogprob, top: int) -> float | None:
    most_likely = [max(value, _LEAST) for value in logprob.top[:top] if not math.isnan(value)]
    count = len(most_likely)
    if count < 2:
        return None
    # 0 or more, since the probabilities add up to at most 1; rounding may say otherwise
    return max(0.0, -math.fsum(most_likely) / count - math.log(count))
