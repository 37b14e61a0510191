"""Consensus of votes that are weighted by how sure each sample is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import exp, fsum, log, log1p
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.boundary import as_written
from thinkctl.types import Decision, History, Needs

__all__ = ["CGES", "ConfidenceConsensus"]

_SUREST: Final = 1 - 1e-6
"""A vote is taken to be no surer than this, nor surer that it is wrong: one vote must never outweigh all others."""
_NOBODY: Final = "no vote has a confidence yet"

Vote = tuple[str, float | None]
"""A canonical answer and its sample's confidence in [0, 1], ``None`` where that is not known."""


@final
@dataclass(frozen=True)
class ConfidenceConsensus:
    """Stop once the leading answer has ``share`` of the votes' confidence, after ``warm_up`` votes.

    ``share`` is above 0.5 and at most 1. A vote weighs ``Sample.confidence``, in (0, 1]; one of unknown confidence
    weighs as much as the average of the known ones, as in ``WeightedMajority``, the selector that goes with it;
    where none is known it never stops. ``confidence`` is the leading share. ``more`` takes the next votes to be as
    sure as can be, so it is small where votes are unsure.

    Source: Fu et al. 2025, DeepConf (arXiv:2508.15260), section 3.3, adaptive sampling: V(leader) / sum V >= 0.95 after
    16 samples. Deviation: weights are geometric mean probabilities, which need no alternatives,
    not the lowest group confidence; and the warm-up counts votes, not samples.
    """

    share: float = 0.95
    warm_up: int = 16

    def __post_init__(self) -> None:
        if not 0.5 < self.share <= 1:
            raise ConfigurationError(f"share={self.share!r} is not above 0.5 and at most 1; 0.95 is usual")
        if self.warm_up < 1:
            raise ConfigurationError(f"warm_up={self.warm_up!r} votes are none; give 1 or more, 16 is usual")

    @property
    def needs(self) -> Needs:
        """The log-probability of each token that is drawn."""
        return Needs(logprobs=0, why="confidence-consensus")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"none: {self.share:g} of the confidence agrees, whatever the confidence is worth"

    def decide(self, history: History) -> Decision:
        missing = self.warm_up - len(history.answers)
        if missing > 0:
            return Decision(more=missing, why=f"{missing} votes of the warm-up are missing")
        weights = _Weights(_votes(history))
        if not weights.total:
            return Decision(more=1, why=_NOBODY)
        leading = max(map(weights.share, weights.known))
        short = weights.short_of(as_written(self.share))
        return Decision(
            stop=short == 0,
            more=None if short is None else max(short, 1),
            confidence=float(leading),
            why=f"{float(leading):.1%} of the votes' confidence is for one answer",
        )


@final
class _Weights:
    """Sums of weights by answer, exact: an unknown weight is the average of the known ones.

    With c known weights whose sum is T, K of it for an answer, and of u unknown votes v for that answer, its
    share is (K + v T / c) / (T + u T / c) = (c K / T + v) / (c + u).
    """

    def __init__(self, votes: Sequence[Vote]) -> None:
        self.known: dict[str, Fraction] = {}
        self.unknown: dict[str, int] = {}
        for key, weight in votes:
            self.known[key] = self.known.get(key, Fraction(0)) + Fraction(weight or 0)
            self.unknown[key] = self.unknown.get(key, 0) + (weight is None)
        self.total = sum(self.known.values(), Fraction(0))
        self.counted = sum(weight is not None for _, weight in votes)
        self.votes = len(votes)

    def share(self, key: str, more: int = 0) -> Fraction:
        """Return an answer's share, after so many more votes of weight 1 for it."""
        known = (self.counted + more) * (self.known.get(key, Fraction(0)) + more) / (self.total + more)
        return (known + self.unknown.get(key, 0)) / (self.votes + more)

    def short_of(self, share: Fraction) -> int | None:
        """Return after how many further votes an answer can have this share; ``None``: not after any number.

        No vote raises a share more than one of weight 1 for it: an unknown weight is at most that, and
        a vote for another answer raises the sum. So the bound holds for every course.
        """
        return min(
            (bound for key in self.known if (bound := self._short(key, share)) is not None), default=None
        )

    def _short(self, key: str, share: Fraction) -> int | None:
        if self.share(key) >= share:
            return 0
        too_few, enough = 0, 1
        while self.share(key, enough) < share:
            too_few, enough = enough, 2 * enough
            if share == 1 or enough > 1 << 20:
                return None
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            too_few, enough = (middle, enough) if self.share(key, middle) < share else (too_few, middle)
        return enough


@final
@dataclass(frozen=True)
class CGES:
    """Stop once one answer is right with probability ``posterior``, if the confidence of each sample is calibrated.

    ``posterior`` is above 0.5 and below 1. A sample of confidence C gave the right answer with probability C,
    and each of the others with (1 - C) / (K - 1): K counts the answers that were given and one for all that were
    not. Needs calibrated confidences: that of a language model (``Sample.confidence``) is far too high, and then
    two votes that agree are enough to stop. A vote of unknown confidence counts with the average of the known
    ones; where none is known it never stops. ``confidence`` is the posterior of the most probable answer; the selector
    that goes with it is ``WeightedMajority``. ``more`` is 1: a single sure vote can settle it.

    Source: CGES (arXiv:2511.02603). Deviation: confidences are kept between 1e-6 and 1 - 1e-6.
    """

    posterior: float = 0.95

    def __post_init__(self) -> None:
        if not 0.5 < self.posterior < 1:
            raise ConfigurationError(
                f"posterior={self.posterior!r} is not above 0.5 and below 1; 0.95 is usual"
            )

    @property
    def needs(self) -> Needs:
        """The log-probability of each token that is drawn."""
        return Needs(logprobs=0, why="cges")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"the answer is right with probability {self.posterior:g} if each sample's confidence is calibrated"

    def decide(self, history: History) -> Decision:
        votes = _votes(history)
        known = [weight for _, weight in votes if weight is not None]
        if not known:
            return Decision(more=1, why=_NOBODY)
        average = fsum(known) / len(known)
        best = _posterior([(key, average if weight is None else weight) for key, weight in votes])
        return Decision(
            stop=best >= self.posterior,
            more=1,
            confidence=best,
            why=f"the most probable answer is right with {best:.1%}",
        )


def _posterior(votes: Sequence[tuple[str, float]]) -> float:
    """Return the probability of the most probable answer that was given."""
    others = len({key for key, _ in votes})
    for_it: dict[str | None, list[float]] = {None: []}
    against: list[float] = []
    for key, confidence in votes:
        sure = min(max(confidence, 1 - _SUREST), _SUREST)
        wrong = log1p(-sure) - log(others)
        against.append(wrong)
        for_it.setdefault(key, []).append(log(sure) - wrong)
    base = fsum(against)
    logs = {key: base + fsum(gains) for key, gains in for_it.items()}
    highest = max(value for key, value in logs.items() if key is not None)
    return 1 / fsum(exp(min(value - highest, 700)) for value in logs.values())


def _votes(history: History) -> list[Vote]:
    return [(sample.answer.key, sample.confidence) for sample in history.settled if sample.answer is not None]
