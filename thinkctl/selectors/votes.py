"""Votes and scores on whole answers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.types import Answer, History, Sample

__all__ = [
    "BestScore",
    "Latest",
    "Majority",
    "MajorityOfTheBests",
    "WeightedMajority",
    "score_of",
    "tally",
    "top_two",
    "weighted_vote",
]

Weight = Literal["confidence", "score"]


def tally(history: History) -> Mapping[str, int]:
    """Count the votes for each canonical answer, in the order in which the answers were first given."""
    return Counter(answer.key for answer in history.answers)


def top_two(history: History) -> tuple[int, int]:
    """Return the votes of the leading answer and of the runner-up, 0 where there is none."""
    leader, runner_up, *_ = [*sorted(tally(history).values(), reverse=True), 0, 0]
    return leader, runner_up


def score_of(sample: Sample) -> float | None:
    """Return the verifier's score in [0, 1]; a verdict that only passed or failed scores 1 or 0.

    ``None`` where nothing is known: no verdict, an empty one, or a score that is no finite number.
    """
    verdict = sample.verdict
    if verdict is None:
        return None
    if verdict.score is not None:
        return verdict.score if math.isfinite(verdict.score) else None
    return None if verdict.passed is None else float(verdict.passed)


@final
@dataclass(frozen=True)
class Majority:
    """The answer with the most votes; ties go to the answer that was given first.

    Returns the first launched answer of the winning value.
    Source: self-consistency, Wang et al. 2023 (arXiv:2203.11171), section 2, unweighted sum.
    """

    def select(self, history: History) -> Answer | None:
        return _heaviest((answer, 1) for answer in history.answers)


@final
@dataclass(frozen=True)
class WeightedMajority:
    """The answer with the largest sum of weights; ties go to the answer that was given first.

    ``weight`` is the sample's ``confidence`` (needs log-probabilities) or the verifier's ``score``. A vote of
    unknown weight counts as much as the average vote of known weight, so it can neither make nor break an
    answer; where no weight is known at all, this is the plain majority.

    Source: weighted sum, normalised, Wang et al. 2023 (arXiv:2203.11171), table 1; with ``score``, weighted
    best-of-N. Deviation: the papers have a weight for every sample.
    """

    weight: Weight = "confidence"

    def __post_init__(self) -> None:
        if self.weight not in ("confidence", "score"):
            raise ConfigurationError(
                f"weighted majority cannot weigh by {self.weight!r}; use 'confidence' or 'score'"
            )

    def select(self, history: History) -> Answer | None:
        return weighted_vote(
            (sample.answer, sample.confidence if self.weight == "confidence" else score_of(sample))
            for sample in history.settled
            if sample.answer is not None
        )


@final
@dataclass(frozen=True)
class BestScore:
    """The answer of the sample that the verifier scored highest; ties go to the first launched.

    Samples that were not scored cannot win while one was. Where none was scored (no verifier, or the budget
    ended before it ran) the majority wins, so that there is an answer nevertheless.
    """

    def select(self, history: History) -> Answer | None:
        best: Answer | None = None
        highest = -math.inf
        for sample in history.settled:
            score = score_of(sample)
            if sample.answer is not None and score is not None and (best is None or score > highest):
                best, highest = sample.answer, score
        return best or Majority().select(history)


@final
@dataclass(frozen=True)
class MajorityOfTheBests:
    """The answer that wins most often when the best of ``m`` is taken, over all draws of ``m`` scored votes.

    ``m=None`` is the square root of their number, rounded up: at 1 this is the majority, at the number of votes
    nearly the best score. A verifier that errs prefers wrong answers now and then, but seldom the same one. Ties
    go to the answer that was given first; of equal scores each wins its share. Where nothing was scored the
    majority wins.

    Source: Rakhsha et al. 2025 (arXiv:2511.18630), the mode of best-of-m under the bootstrap. Deviations: the
    probabilities of the bootstrap in closed form instead of by draws, ((i + t)^m - i^m) / n^m for t votes of one
    score above i lower ones; a fixed rule for ``m`` in place of their adaptive one.
    """

    m: int | None = None

    def __post_init__(self) -> None:
        if self.m is not None and self.m < 1:
            raise ConfigurationError(
                f"m={self.m!r} draws nothing; give 1 or more, or None for the square root"
            )

    def select(self, history: History) -> Answer | None:
        votes = [
            (sample.answer, score)
            for sample in history.settled
            if sample.answer is not None and (score := score_of(sample)) is not None
        ]
        if not votes:
            return Majority().select(history)
        draws = self.m or math.isqrt(len(votes) - 1) + 1
        scores = [score for _, score in votes]
        return _heaviest((answer, _wins(score, scores, draws)) for answer, score in votes)


def _wins(score: float, scores: list[float], draws: int) -> Fraction:
    """Return how likely one vote of this score is the best of so many draws with replacement, ties shared."""
    lower, equal = sum(other < score for other in scores), scores.count(score)
    return Fraction((lower + equal) ** draws - lower**draws, equal * len(scores) ** draws)


@final
@dataclass(frozen=True)
class Latest:
    """The answer of the last launched sample that has one: where each sample goes on from the one before."""

    def select(self, history: History) -> Answer | None:
        return history.answers[-1] if history.answers else None


def weighted_vote(votes: Iterable[tuple[Answer, float | None]]) -> Answer | None:
    """Return the first answer of the value with the largest sum of weights; an unknown weight counts as the average."""
    votes = list(votes)
    known = [Fraction(weight) for _, weight in votes if weight is not None]
    average = sum(known, Fraction(0)) / len(known) if known else Fraction(1)
    return _heaviest((answer, average if weight is None else Fraction(weight)) for answer, weight in votes)


def _heaviest(votes: Iterable[tuple[Answer, Fraction | int]]) -> Answer | None:
    """Return the first answer of the value with the largest sum of weights; exact, so that a tie is a tie."""
    first: dict[str, Answer] = {}
    weights: dict[str, Fraction | int] = {}
    for answer, weight in votes:
        first.setdefault(answer.key, answer)
        weights[answer.key] = weights.get(answer.key, 0) + weight
    return max(first.values(), key=lambda answer: weights[answer.key], default=None)
