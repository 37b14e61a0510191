"""Which answer wins where a verifier found that samples agree in what they do, however they are written.

A verdict's marks say what a sample was found to fulfil or to give: tests passed, the fingerprint of a result. Samples
with equal marks agree. ``Borda`` has the samples vote by rank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import BestScore, Majority, score_of
from thinkctl.types import Answer, History, Sample

__all__ = ["Agreement", "Borda"]


@final
@dataclass(frozen=True)
class Agreement:
    """The answer of the samples that agree most: the most samples, times how many marks they share.

    Samples with the same set of marks are one group; a sample without marks, or without an answer, is in none. A
    group counts its samples, to the power of ``power``, times its marks; the largest product wins, ties go to the
    group whose first sample was launched first. Its answer is the one with the highest score in the group, the first
    launched of equals. Where no sample has marks, this is ``BestScore``.

    With one mark each (the fingerprint of a result) this is the largest group. With the tests that were passed it is
    dual execution agreement: many solutions that pass the same many tests. ``power`` in (0, 1]: below 1 solutions
    weigh less than tests, which helps where many samples are alike for another reason than being right.

    Source: CodeT, Chen et al. 2022 (arXiv:2207.10397), section 3.2, f(S) = |solutions| |tests|; execution results,
    Shi et al. 2022 (arXiv:2204.11454).
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.power <= 1:
            raise ConfigurationError(
                f"power={self.power!r} does not weigh solutions; give more than 0 and at most 1"
            )

    def select(self, history: History) -> Answer | None:
        groups: dict[frozenset[str], list[Sample]] = {}
        for sample in history.settled:
            marks = frozenset(sample.verdict.marks) if sample.verdict is not None else None
            if marks and sample.answer is not None:
                groups.setdefault(marks, []).append(sample)
        if not groups:
            return BestScore().select(history)
        marks = max(groups, key=lambda marks: len(groups[marks]) ** self.power * len(marks))
        return max(groups[marks], key=_known_score).answer


@final
@dataclass(frozen=True)
class Borda:
    """The answer with the most points, where the sample of rank r of n, by the verifier's score, has (n - r + 1)^p.

    ``p`` is at least 0: 0 is the plain majority, a very large one the best score. Of equal scores the first launched
    ranks higher. Samples without a score vote with no points where another has one; where none has, this is the
    majority. Ties go to the answer that was given first.

    Source: Borda voting by self-certainty, Kang et al. 2025 (arXiv:2502.18581), eq. 11, v(r) = (n - r + 1)^p. They
    tune p by the number of samples; a p that was tuned on the questions of a report flatters it.
    """

    p: float = 1.0

    def __post_init__(self) -> None:
        if not (self.p >= 0 and math.isfinite(self.p)):
            raise ConfigurationError(f"p={self.p!r} gives no points; give 0 or more")

    def select(self, history: History) -> Answer | None:
        ranked = sorted(
            _scored(history.settled), key=lambda vote: -vote[1]
        )  # stable: launch order among equals
        if not ranked:
            return Majority().select(history)
        points: dict[str, float] = {}
        for place, (answer, _) in enumerate(ranked):  # relative to the first rank: no power is too large
            points[answer.key] = points.get(answer.key, 0.0) + (1 - place / len(ranked)) ** self.p
        first: dict[str, Answer] = {}
        for answer in history.answers:
            if answer.key in points:
                first.setdefault(answer.key, answer)
        return max(first.values(), key=lambda answer: points[answer.key], default=None)


def _scored(samples: Sequence[Sample]) -> list[tuple[Answer, float]]:
    return [
        (sample.answer, score)
        for sample in samples
        if sample.answer is not None and (score := score_of(sample)) is not None
    ]


def _known_score(sample: Sample) -> float:
    score = score_of(sample)
    return -math.inf if score is None else score
