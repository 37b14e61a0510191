"""Resampling questions: intervals of whatever is computed from question means, or from resampled question numbers.

The question is the unit. What was measured several times for one question has to be averaged for it first: resampling
samples as if they were questions gave 54 % coverage for a "95 %" interval.

Every function with the same number of questions, times and seed uses the same resamples, so that what two calls
return may be compared resample by resample.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, final

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import LEVEL, Estimate, mean
from thinkctl.evals.table import Floats, Ints

__all__ = [
    "RESAMPLES",
    "Method",
    "Resampled",
    "blocks",
    "bootstrap",
    "clustered_error",
    "resampled_means",
    "resampled_statistic",
]

RESAMPLES: Final = 2000
Method: TypeAlias = Literal["percentile", "bca"]
_CELLS: Final = 2_000_000
"""So many numbers of a block of resamples are held at once."""


def clustered_error(values: Floats, groups: Ints) -> float | None:
    """Return the standard error of the mean of rows that belong to groups; ``None`` for a single group.

    ``groups`` numbers the group of each row from 0 on: a question asked several times, or questions that share a
    text. **Source:** Miller 2024, arXiv:2411.00640, section 2.2, with G / (G - 1) for few groups.
    """
    return mean(np.asarray(values, dtype=np.float64), np.asarray(groups, dtype=np.int64)).error


@final
@dataclass(frozen=True)
class Resampled:
    """A statistic, what it came to on each resample of the questions, and with each question left out.

    Values may be infinite ("never reached") and are then only ordered, not averaged.
    """

    value: float
    values: Floats
    questions: int
    jackknife: Floats | None = field(default=None, repr=False)

    def interval(self, *, level: float = LEVEL, method: Method = "percentile") -> tuple[float, float]:
        """Return the ends of the interval that should hold the truth with probability ``level``.

        ``percentile`` takes quantiles of the resamples, at probabilities widened for few questions as the t
        distribution is beside the normal one. ``bca`` corrects for bias and for an error that depends on the value as
        well; where a value is infinite the acceleration is taken as 0.

        **Source:** Hesterberg 2015, arXiv:1411.5279 (expanded percentile interval); Efron 1987, J. Am. Stat.
        Assoc. 82 (BCa).
        """
        if not 0 < level < 1:
            raise ConfigurationError(f"level={level!r} is not between 0 and 1; write 0.95")
        if self.questions < 2:
            return -math.inf, math.inf
        freedom = self.questions - 1
        wide = float(stdtrit(freedom, (1 + level) / 2)) * math.sqrt(self.questions / freedom)
        shift, bend = (self._shift(), self._bend()) if method == "bca" else (0.0, 0.0)
        ordered = np.sort(self.values)
        low, high = (
            self._quantile(ordered, shift + (shift + z) / (1 - bend * (shift + z))) for z in (-wide, wide)
        )
        return low, high

    def estimate(self, *, level: float = LEVEL, method: Method = "percentile") -> Estimate:
        """Return the statistic with its interval; the error is the resamples' standard deviation."""
        low, high = self.interval(level=level, method=method)
        told = len(self.values) > 1 and bool(np.isfinite(self.values).all())
        return Estimate(self.value, float(self.values.std(ddof=1)) if told else None, low, high)

    def p_value(self, beyond: float) -> float:
        """Return the p-value, in both directions, of a bound that a share ``beyond`` of the resamples lies past.

        It is below 0.05 exactly where the 95 % percentile interval leaves the bound out, and never below what so many
        resamples can tell. 1 for a single question.
        """
        if self.questions < 2:
            return 1.0
        share = max(min(beyond, 1 - beyond), 1 / (len(self.values) + 1))
        freedom = self.questions - 1
        return min(1.0, 2 * float(stdtr(freedom, float(ndtri(share)) * math.sqrt(freedom / self.questions))))

    def share_below(self, bound: float) -> float:
        """Return the share of resamples below a bound; those that equal it count half."""
        return float((self.values < bound).mean() + (self.values == bound).mean() / 2)

    def _shift(self) -> float:
        least = 0.5 / len(self.values)
        return float(ndtri(min(max(self.share_below(self.value), least), 1 - least)))

    def _bend(self) -> float:
        if self.jackknife is None or not np.isfinite(self.jackknife).all():
            return 0.0
        away = self.jackknife.mean() - self.jackknife
        square = float((away**2).sum())
        return float((away**3).sum()) / (6 * square**1.5) if square > 0 else 0.0

    @staticmethod
    def _quantile(ordered: Floats, z: float) -> float:
        # One of the values, never a mean of two: a mean with infinity says nothing.
        place = math.ceil(float(ndtr(z)) * len(ordered)) - 1
        return float(ordered[min(max(place, 0), len(ordered) - 1)])


def blocks(questions: int, times: int = RESAMPLES, seed: int = 0) -> Iterator[Ints]:
    """Yield resamples, rows of question numbers from 0 on, in matrices of bounded size."""
    if questions < 1 or times < 1:
        raise ConfigurationError(
            f"questions={questions!r}, times={times!r}: there is nothing to resample; give at least 1"
        )
    random = np.random.default_rng([seed, questions])
    rows = max(1, _CELLS // questions)
    for begin in range(0, times, rows):
        yield random.integers(0, questions, size=(min(rows, times - begin), questions), dtype=np.int64)


def resampled_means(values: Floats, *, times: int = RESAMPLES, seed: int = 0) -> Floats:
    """Return the column means of ``values[questions, columns]`` over each resample: ``[times, columns]``."""
    questions = len(values)
    found: list[Floats] = []
    for indices in blocks(questions, times, seed):
        flat = indices + questions * np.arange(len(indices))[:, None]
        counts = np.bincount(flat.ravel(), minlength=indices.size).reshape(indices.shape)
        found.append(counts.astype(np.float64) @ values / questions)
    return np.concatenate(found)


def resampled_statistic(
    values: Floats,
    statistic: Callable[[Floats], Floats],
    *,
    times: int = RESAMPLES,
    seed: int = 0,
    drawn: Floats | None = None,
) -> Resampled:
    """Bootstrap a statistic of column means.

    ``values`` has a row a question. ``statistic`` gets means ``[rows, columns]`` and returns a number for each row: it
    is asked for the means of all questions, of every resample (``drawn``, where they were computed before), and of all
    but one question.
    """
    questions = len(values)
    whole = statistic(values.mean(axis=0, keepdims=True))
    if drawn is None:
        drawn = resampled_means(values, times=times, seed=seed)
    left = statistic((values.sum(axis=0) - values) / (questions - 1)) if questions > 1 else None
    return Resampled(float(whole[0]), statistic(drawn), questions, left)


def bootstrap(
    statistic: Callable[[Ints], float],
    questions: int,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    method: Method = "percentile",
) -> Estimate:
    """Bootstrap any pipeline: ``statistic`` gets the numbers of resampled questions and returns a number.

    The pipeline is run anew for each resample, so that what it fits or chooses is part of the error.
    """
    everyone = np.arange(questions, dtype=np.int64)
    drawn = [float(statistic(row)) for block in blocks(questions, times, seed) for row in block]
    left: Floats | None = None
    if method == "bca" and questions > 1:
        left = np.array([float(statistic(np.delete(everyone, one))) for one in range(questions)])
    found = Resampled(float(statistic(everyone)), np.array(drawn), questions, left)
    return found.estimate(level=level, method=method)
