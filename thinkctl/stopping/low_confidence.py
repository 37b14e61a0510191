"""DeepConf online: cut samples whose confidence falls below what the first ones kept to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.memo import remembered
from thinkctl.stopping.probing import check_at_least
from thinkctl.stopping.repetition_guard import RepetitionGuard
from thinkctl.types import Decision, Finish, History, Needs, Origin, Sample, TokenLogprob, name_of

__all__ = ["LowConfidence", "lowest_group_confidence", "token_confidence"]

_LOOK_BACK: Final = 64
"""Groups that ended so many tokens ago are looked at again: news comes every 32, and up to 31 late."""
_SLACK: Final = 1e-9
"""By which sums of the same numbers may differ."""


@final
@dataclass(frozen=True)
class LowConfidence:
    """Cut a sample once a group of its tokens is less confident than nearly all that the first samples said.

    A token's confidence is the mean of -ln p over its ``top`` most likely tokens (in nats, 0 or more; a flat
    distribution is low), a group's the mean over ``window`` sampled tokens in a row. Once the first ``warm_up``
    samples are settled, the threshold s is the (100 - ``eta``)-th percentile of their lowest group confidences:
    ``eta`` percent of samples such as these would be kept. Later samples are cut when a full group is below s,
    and abstain. Those of the first that failed, were cut or loop set no measure; where fewer than two are left,
    nothing is cut. Never stops a run: put a rule beside it that counts votes.

    Until then no more samples run than the warm-up takes (``Decision.more``), so that later ones can be cut
    early. Missing log-probabilities cut nothing. ``guard`` comes first: a loop looks confident.

    Source: DeepConf, Fu et al. 2025 (arXiv:2508.15260), sections 3.1 and 3.3, with the published 90, 2048, 16
    and 20; ``eta=10`` is the published aggressive setting, which can lock onto confident wrong answers.
    Deviations: a first sample shorter than ``window`` is one group, as in the authors' code; a later one is not
    judged before it has a full group. Only the groups of the last 64 tokens are looked at, which are all since the
    last look: what a sample said before the threshold was known is past. The percentile is interpolated.
    With models whose thoughts are shorter than ``window``, take a smaller one.
    """

    eta: float = 90
    window: int = 2048
    warm_up: int = 16
    top: int = 20
    guard: RepetitionGuard | None = RepetitionGuard()

    def __post_init__(self) -> None:
        if not 0 < self.eta < 100:
            raise ConfigurationError(f"eta={self.eta!r} is no percentage between 0 and 100; 90 is published")
        check_at_least(self, 1, window=self.window, top=self.top)
        check_at_least(self, 2, warm_up=self.warm_up)

    @property
    def needs(self) -> Needs:
        """The most likely alternatives of every token."""
        return Needs(logprobs=self.top, why=name_of(self))

    def decide(self, history: History) -> Decision:
        guarded = self.guard.decide(history) if self.guard is not None else Decision()
        warming_up = self.warm_up - len(history.settled)
        if warming_up > 0:
            return replace(guarded, more=warming_up)
        threshold = self._threshold(history.settled[: self.warm_up])
        if threshold is None:
            return guarded
        low = tuple(
            sample.index
            for sample in history.in_flight
            if sample.index not in guarded.cut
            and not sample.concluded
            and self._falls_below(sample, threshold)
        )
        told = f"confidence of {', '.join(map(str, low))} fell below {threshold:.3f}" if low else ""
        return replace(
            guarded,
            cut=(*guarded.cut, *low),
            conclude=tuple(index for index in guarded.conclude if index not in low),
            why="; ".join(filter(None, (guarded.why, told))),
        )

    def _threshold(self, first: Sequence[Sample]) -> float | None:
        whole = [sample for sample in first if sample.finish in (Finish.STOP, Finish.LENGTH)]
        sound = [sample for sample in whole if self.guard is None or not self.guard.loops(sample)]
        known = [lowest_group_confidence(sample, self.window, self.top) for sample in sound]
        lows = [low for low in known if low is not None]
        return _percentile(lows, 100 - self.eta) if len(lows) > 1 else None

    def _falls_below(self, sample: Sample, threshold: float) -> bool:
        latest = _latest_low(sample, self.window, self.top)
        return latest is not None and latest < threshold - _SLACK


def token_confidence(logprob: TokenLogprob, top: int) -> float | None:
    """Return the mean of -ln p over the ``top`` most likely tokens, as far as they were told.

    ``None`` where none was, or where one is not finite: a token that sampling had ruled out.
    """
    known = logprob.top[:top]
    total = sum(known)
    return -total / len(known) if known and math.isfinite(total) else None


@remembered
def lowest_group_confidence(sample: Sample, window: int = 2048, top: int = 20) -> float | None:
    """Return the lowest mean confidence of ``window`` sampled tokens in a row, in nats.

    A shorter sample is one group. Groups with a token of unknown confidence are left out; ``None`` where no
    group is left, or where some sampled tokens came without log-probabilities.
    """
    tokens = _sampled(sample)
    return None if not tokens else _lowest(tokens, min(window, len(tokens)), top)


@remembered
def _latest_low(sample: Sample, window: int, top: int) -> float | None:
    """Return the lowest confidence of the full groups that ended within the last tokens of a sample."""
    tokens = _sampled(sample, window + _LOOK_BACK - 1)
    return None if tokens is None else _lowest(tokens, window, top)


def _sampled(sample: Sample, most: int | None = None) -> list[TokenLogprob] | None:
    """Return the log-probabilities of the last sampled tokens; ``None`` where some were not told."""
    own = [segment for segment in sample.segments if segment.origin is Origin.SAMPLED and segment.token_ids]
    if any(each.logprobs is None or len(each.logprobs) != len(each.token_ids) for each in own):
        return None
    backwards = (logprob for segment in reversed(own) for logprob in reversed(segment.logprobs or ()))
    return list(islice(backwards, most))[::-1]


def _lowest(tokens: Sequence[TokenLogprob], window: int, top: int) -> float | None:
    known = [token_confidence(logprob, top) for logprob in tokens]
    groups = _means([value or 0.0 for value in known], window)
    holes = _means([float(value is None) for value in known], window)
    return min((mean for mean, hole in zip(groups, holes, strict=True) if not hole), default=None)


def _means(values: Sequence[float], window: int) -> Iterator[float]:
    """Yield the mean of each ``window`` values in a row."""
    sums = list(accumulate(values, initial=0.0))
    return ((last - first) / window for first, last in zip(sums, sums[window:], strict=False))


def _percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, interpolated between the two values around it."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = min(int(place), len(ordered) - 2)
    return ordered[below] + (ordered[below + 1] - ordered[below]) * (place - below)
