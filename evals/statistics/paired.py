"""Two arms on the same questions: differences, tests, non-inferiority, and what so many questions can tell.

Always paired by question: what is hard for one arm is mostly hard for the other, and the difference of two intervals
that ignore it is too wide. Arrays have one value a question, in the same order; intervals and tests are two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, final

import numpy as np
from scipy.special import bdtr, nctdtr, ndtri, stdtr, stdtrit

from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import LEVEL, Estimate, mean
from thinkctl.evals.statistics.bootstrap import RESAMPLES, resampled_statistic
from thinkctl.evals.table import Floats, Ints

__all__ = [
    "POWER",
    "Difference",
    "McNemar",
    "NonInferiority",
    "detectable_mean",
    "detectable_share",
    "holm",
    "mcnemar",
    "non_inferiority",
    "paired_difference",
    "questions_for_mean",
    "questions_for_share",
    "t_test",
]

POWER: Final = 0.8
"""How often an effect that can just be detected would be."""
_MOST: Final = 10_000_000


@final
@dataclass(frozen=True, slots=True)
class Difference:
    """The mean of one arm less another's, in the unit of the values.

    ``better`` and ``worse`` count the questions on which one is above and below the other; ``p_value`` is that of the
    t test of no difference, ``None`` for a single question.
    """

    estimate: Estimate
    p_value: float | None
    better: int
    worse: int
    questions: int


@final
@dataclass(frozen=True, slots=True)
class McNemar:
    """p-values of "neither arm is right more often", given the questions that only one of both got right.

    ``exact`` never errs too often and is cautious for few questions; ``mid_p`` errs about as often as it says.
    """

    better: int
    worse: int
    exact: float
    mid_p: float


class NonInferiority(StrEnum):
    """Whether one arm is no more than a margin worse than another."""

    NON_INFERIOR = "non-inferior"
    INFERIOR = "inferior"
    INCONCLUSIVE = "inconclusive"


def paired_difference(
    one: Floats,
    other: Floats,
    groups: Ints | None = None,
    *,
    method: Literal["t", "bootstrap"] = "t",
    times: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Return the mean of ``one - other`` over questions with its 95 % interval.

    ``groups`` numbers what belongs together, from 0 on: rows of one question, or questions about one text; a row is a
    group of its own where not given. ``"bootstrap"`` resamples questions in place of the t distribution.

    **Source:** Miller 2024, arXiv:2411.00640, section 2.2, applied to differences.
    """
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ConfigurationError(
            f"differences of {one.shape} and {other.shape} values cannot be paired; give one value a question of each"
        )
    away = np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64)
    numbers = np.arange(len(away)) if groups is None else groups
    sums = np.bincount(numbers, weights=away)
    estimate, count = mean(away, numbers), len(sums)
    if method == "bootstrap" and count > 1:
        values: Floats = np.stack([sums, np.bincount(numbers)], axis=1, dtype=np.float64)
        found = resampled_statistic(values, _quotient, times=times, seed=seed)
        estimate = found.estimate(method="bca")
    better, worse = int((away > 0).sum()), int((away < 0).sum())
    plain = mean(away, numbers)
    return Difference(estimate, t_test(plain.value, plain.error, count), better, worse, count)


def mcnemar(better: int, worse: int) -> McNemar:
    """Test whether two arms are right equally often, from the questions that only the one or the other got right.

    **Source:** McNemar 1947, Psychometrika 12, with the exact binomial distribution; mid-p as in Fagerland, Lydersen
    and Laake 2013, BMC Med. Res. Methodol. 13:91 (here 1 where ``better`` equals ``worse``).
    """
    if better < 0 or worse < 0:
        raise ConfigurationError(f"better={better!r}, worse={worse!r}: numbers of questions are not below 0")
    n, least = better + worse, min(better, worse)
    if n == 0:
        return McNemar(0, 0, 1.0, 1.0)
    tail = float(bdtr(least, n, 0.5))
    observed = tail - (float(bdtr(least - 1, n, 0.5)) if least else 0.0)
    return McNemar(better, worse, min(1.0, 2 * tail), min(1.0, 2 * tail - observed))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted for their number: those below 0.05 are wrong together in 5 % at most.

    **Source:** Holm 1979, Scand. J. Stat. 6.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if np.isnan(p).any() or (p < 0).any() or (p > 1).any():
        raise ConfigurationError(f"p-values lie between 0 and 1; got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return tuple(adjusted.tolist())


def non_inferiority(points: Estimate, margin: float) -> NonInferiority:
    """Say whether a difference in percentage points is above ``-margin``, by its 95 % interval.

    The margin is a number of points, 0 or more, and has to be stated before the runs. One-sided, this is a test at
    2.5 %. Without an interval (one question) nothing is concluded.
    """
    if not margin >= 0:
        raise ConfigurationError(f"margin={margin!r}: give the points that may be lost, 2 for two")
    if points.low is None or points.high is None:
        return NonInferiority.INCONCLUSIVE
    if points.low > -margin:
        return NonInferiority.NON_INFERIOR
    return NonInferiority.INFERIOR if points.high <= -margin else NonInferiority.INCONCLUSIVE


def detectable_share(
    questions: int, discordance: float, *, level: float = LEVEL, power: float = POWER
) -> float | None:
    """Return the smallest difference of two shares that so many paired questions would show with this power.

    ``discordance`` is the share of questions that only one arm gets right; 0.2 to 0.4 is usual of two models. ``None``
    where there is no such difference: none can be larger than the discordance.

    **Source:** Connor 1987, Biometrics 43, solved for the difference.
    """
    _check_plan(questions, discordance, level, power)
    z, more = float(ndtri((1 + level) / 2)), float(ndtri(power))
    inside = questions - z**2 + more**2
    if inside < 0:
        return None
    found = math.sqrt(discordance) * (z * math.sqrt(questions) + more * math.sqrt(inside))
    found /= questions + more**2
    return found if found <= discordance else None


def questions_for_share(
    difference: float, discordance: float, *, level: float = LEVEL, power: float = POWER
) -> int | None:
    """Return how many paired questions show a difference of two shares with this power, ``None`` for no number.

    **Source:** Connor 1987, Biometrics 43: (z_a sqrt(psi) + z_b sqrt(psi - d^2))^2 / d^2.
    """
    _check_plan(1, discordance, level, power)
    if difference == 0 or abs(difference) > discordance:
        return None
    z, more = float(ndtri((1 + level) / 2)), float(ndtri(power))
    root = z * math.sqrt(discordance) + more * math.sqrt(discordance - difference**2)
    return math.ceil((root / difference) ** 2 - 1e-9)


def detectable_mean(
    questions: int, spread: float, *, level: float = LEVEL, power: float = POWER
) -> float | None:
    """Return the smallest mean difference that a paired t test of so many questions would show with this power.

    ``spread`` is the standard deviation of the differences of single questions; the result has its unit. ``None`` for
    fewer than 2 questions.
    """
    _check_plan(questions, min(spread, 1.0), level, power)
    if questions < 2:
        return None
    low, high = 0.0, 1.0
    while _power(high, questions, level) < power:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _power(middle, questions, level) >= power else (middle, high)
    return high * spread


def questions_for_mean(
    difference: float, spread: float, *, level: float = LEVEL, power: float = POWER
) -> int | None:
    """Return how many questions show a mean difference by a paired t test with this power, ``None`` for too many."""
    _check_plan(1, min(spread, 1.0), level, power)
    if difference == 0:
        return None
    size = abs(difference) / spread if spread else math.inf
    return _fewest(lambda n: _power(size, n, level) >= power)


def _power(size: float, questions: int, level: float) -> float:
    """Return the power of the two-sided t test for a mean of ``size`` standard deviations (noncentral t)."""
    freedom, away = questions - 1, size * math.sqrt(questions)
    needed = float(stdtrit(freedom, (1 + level) / 2))
    if away > needed + 30:
        return 1.0
    return 1 - float(nctdtr(freedom, away, needed)) + float(nctdtr(freedom, away, -needed))


def _fewest(does: Callable[[int], bool]) -> int | None:
    high = 2
    while not does(high):
        high *= 2
        if high > _MOST:
            return None
    low = max(high // 2, 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high


def t_test(value: float, error: float | None, questions: int) -> float | None:
    """Return the p-value, in both directions, of a mean of questions being 0; ``None`` where its error is unknown."""
    if error is None:
        return None
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return 2 * float(stdtr(questions - 1, -abs(value) / error))


def _quotient(means: Floats) -> Floats:
    found: Floats = means[:, 0] / means[:, 1]
    return found


def _check_plan(questions: int, share: float, level: float, power: float) -> None:
    if questions < 1:
        raise ConfigurationError(f"questions={questions!r}: there must be at least 1")
    if not 0 <= share <= 1:
        raise ConfigurationError(f"a discordance is between 0 and 1 and a spread not below 0; got {share!r}")
    for name, value in (("level", level), ("power", power)):
        if not 0 < value < 1:
            raise ConfigurationError(f"{name}={value!r} is not between 0 and 1; write 0.95 or 0.8")
