"""EAT: conclude a thought once more thinking does not move what the model would say next."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.probing import by_probes, check_at_least, grid_request, probes_on_grid
from thinkctl.stopping.repetition_guard import RepetitionGuard
from thinkctl.types import Decision, History, Needs, ProbeRequest, Sample, TokenLogprob, name_of

__all__ = ["EntropyAfterThinking", "entropy", "moving_variance"]

_WARM_UP: Final = 4
"""An average with weight alpha has forgotten its start after so many times 1/alpha values, but for 2 %."""
_ROUNDING: Final = 1e-6


@final
@dataclass(frozen=True)
class EntropyAfterThinking:
    """Conclude a thought once the entropy after it has settled: its moving variance is below ``delta``.

    After each ``every`` tokens the thought is closed in a fork of one token, and the entropy x of that token's
    distribution is taken in nats, from its ``top`` most likely tokens. With m and v starting at the first x and
    at 0, each further one moves m to alpha x + (1 - alpha) m and then v to alpha (x - m)^2 + (1 - alpha) v.
    It concludes at v < ``delta`` (nats squared) after 4 / ``alpha`` probes or more: 640 tokens at the earliest
    with the defaults. A probe without a distribution is left out. Never stops a run.

    The cheapest of the probes: one token, and with a prefix cache the prompt is the closing text alone. A model
    that is steadily unsure is concluded, too: it would not get further. ``text``, ``every`` and ``guard`` are
    as in ``AnswerConfidence``.

    Source: EAT, Wang et al. 2025 (arXiv:2509.26522), and the authors' code for how the averages start. Deviations:
    a grid of tokens in place of paragraph ends, which makes a run repeatable; what the listed tokens leave of
    the probability counts as one more outcome, a lower bound of the entropy.
    """

    delta: float = 1e-4
    alpha: float = 0.2
    every: int = 32
    top: int = 20
    text: str = ""
    guard: RepetitionGuard | None = RepetitionGuard()

    def __post_init__(self) -> None:
        if not self.delta > 0:
            raise ConfigurationError(f"delta={self.delta!r} is no variance above 0; 1e-4 is published")
        if not 0 < self.alpha <= 1:
            raise ConfigurationError(
                f"alpha={self.alpha!r} is no weight above 0 and at most 1; 0.2 is published"
            )
        check_at_least(self, 1, every=self.every, top=self.top)

    @property
    def needs(self) -> Needs:
        """Probes, and the most likely tokens with them."""
        return Needs(probes=True, probe_logprobs=self.top, why=name_of(self))

    @property
    def least_probes(self) -> int:
        """How many probes it takes at least."""
        return math.ceil(_WARM_UP / self.alpha)

    def decide(self, history: History) -> Decision:
        return by_probes(history, self)

    def reason(self, sample: Sample) -> str | None:
        probes = probes_on_grid(sample, self.every, self.text)
        known = [entropy(probe.logprobs[0], self.top) for probe in probes if probe.logprobs]
        values = [value for value in known if value is not None]
        if len(values) < self.least_probes:
            return None
        variance = moving_variance(values, self.alpha)
        if variance >= self.delta:
            return None
        return f"has settled: entropy {values[-1]:.3g} nats, variance {variance:.2g} after {probes[-1].at} tokens"

    def ask(self, sample: Sample) -> ProbeRequest | None:
        request = ProbeRequest(sample.index, self.text, max_tokens=1, logprobs=self.top)
        return grid_request(sample, self.every, request)


@lru_cache(maxsize=4096)
def entropy(logprob: TokenLogprob, top: int) -> float | None:
    """Return the entropy in nats of a token's distribution by its ``top`` most likely tokens.

    The probability that they leave counts as one outcome. ``None`` where they are not known, or no distribution.
    """
    known = logprob.top[:top]
    if not known or any(math.isnan(value) or value > _ROUNDING for value in known):
        return None
    shares = [math.exp(value) for value in known]
    rest = 1 - math.fsum(shares)
    if rest < -_ROUNDING:
        return None
    return -math.fsum(share * math.log(share) for share in (*shares, max(rest, 0.0)) if share > 0)


def moving_variance(values: Iterable[float], alpha: float) -> float:
    """Return the exponentially weighted variance of values after the last one; 0 of a single one."""
    mean, variance = math.nan, 0.0
    for value in values:
        mean = value if math.isnan(mean) else alpha * value + (1 - alpha) * mean
        variance = alpha * (value - mean) ** 2 + (1 - alpha) * variance
    return variance
