"""Means, shares and ratios over questions, each with an interval that takes the question as the unit.

What is repeated for one question (permutations, runs) says nothing new about other questions. The error of a mean
over rows i in groups g, one group a question, is therefore

    SE^2 = (1 / N^2) sum_g (sum_{i in g} (s_i - mean))^2 G / (G - 1)

(Miller 2024, arXiv:2411.00640, section 2.2, with the correction G / (G - 1) for few groups). ``groups`` numbers the
question of each row, every number from 0 on being one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from thinkctl.errors import MissingExtra
from thinkctl.evals.table import Floats, Ints

try:
    from scipy.special import ndtri, stdtrit  # type: ignore[import-untyped, unused-ignore]
except ImportError as error:
    raise MissingExtra("intervals need scipy: pip install 'thinkctl[evals]'") from error

__all__ = ["LEVEL", "Estimate", "mean", "ratio", "share"]

LEVEL: Final = 0.95
"""How often an interval of this module is meant to hold what it estimates."""


@final
@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, its standard error, and its 95 % interval; ``None`` where one question alone tells no error."""

    value: float
    error: float | None
    low: float | None
    high: float | None


def mean(values: Floats, groups: Ints) -> Estimate:
    """Estimate the mean of any values, by the t distribution with one degree of freedom less than questions."""
    value = float(values.mean())
    error, times = _error(values - value, groups, len(values)), _quantile(groups)
    if error is None:
        return Estimate(value, None, None, None)
    return Estimate(value, error, value - times * error, value + times * error)


def share(values: Floats, groups: Ints) -> Estimate:
    """Estimate the mean of values in [0, 1], whose interval is inside of [0, 1].

    Wilson's interval with the effective number of questions, p (1 - p) / SE^2, so that it has a width where all
    or none of few questions are right. Where no question differs from another, that number is the number of
    questions. Source: Wilson's interval for clustered data, Dean and Pagano 2015, J. Survey Stat. Methodol. 3(4).
    """
    value, count = float(values.mean()), int(groups.max()) + 1
    error = _error(values - value, groups, len(values))
    spread = value * (1 - value)
    size = spread / error**2 if error and spread > 0 else float(count)
    square = _quantile(groups) ** 2 / size
    middle, half = value + square / 2, math.sqrt(square * (spread + square / 4))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return Estimate(value, error, max(0.0, min(low, value)), min(1.0, max(high, value)))


def ratio(above: Floats, below: Floats, groups: Ints) -> Estimate | None:
    """Estimate sum(above) / sum(below), such as tokens per correct answer; ``None`` where either sum is 0.

    Never a mean of ratios. The error is that of the linearised ratio; the interval is taken on the logarithm, so
    that it stays above 0.
    """
    total, over = float(above.sum()), float(below.sum())
    if total <= 0 or over <= 0:
        return None
    value = total / over
    error, times = _error(above - value * below, groups, over), _quantile(groups)
    if error is None:
        return Estimate(value, None, None, None)
    factor = math.exp(min(times * error / value, 700.0))
    return Estimate(value, error, value / factor, value * factor)


def _error(residuals: Floats, groups: Ints, over: float) -> float | None:
    sums = np.bincount(groups, weights=residuals)
    count = len(sums)
    return math.sqrt(float((sums**2).sum()) * count / (count - 1)) / over if count > 1 else None


def _quantile(groups: Ints) -> float:
    freedom = int(groups.max())
    return float(stdtrit(freedom, (1 + LEVEL) / 2) if freedom else ndtri((1 + LEVEL) / 2))
