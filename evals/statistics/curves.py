"""Accuracy against compute: what the curve of one arm says about another, with the error of the whole pipeline.

A curve is an arm at several budgets on the same questions. Its points are joined by lines over the **logarithm of mean
cost** and made to rise only (running maximum: a budget need not be used up). Nothing is said below the cheapest point;
above the dearest the curve is flat. Every interval resamples the questions, of arm and baseline alike, and computes
everything anew: mean costs, their order, the maximum and where the line is crossed.

Accuracies are shares in [0, 1]; what is called points is percentage points. Cost has the unit of its axis.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.intervals import Estimate, mean
from thinkctl.evals.statistics.shares import share_of
from thinkctl.evals.table import Floats

__all__ = [
    "ALIKE",
    "Curve",
    "accuracy_at_log",
    "check_alike",
    "heights",
    "log_cost_at",
    "log_of",
    "rising_line",
]

ALIKE: Final = 1e-12
"""Means of the same values, summed in another order, differ by less."""


@final
@dataclass(frozen=True)
class Curve:
    """An arm on questions (rows) at budgets (columns).

    ``right`` is in [0, 1], ``cost`` at least 0 with a mean above 0 in every column. A single point has one column, and
    may be given as vectors. ``budgets`` are what the points are called, in the order of the columns.
    """

    right: Floats
    cost: Floats
    budgets: tuple[float, ...] = ()
    name: str = ""
    question_ids: tuple[str, ...] = ()
    axis: Axis | None = None
    replayed: tuple[bool, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for name in ("right", "cost"):
            array = np.asarray(getattr(self, name), dtype=np.float64)
            object.__setattr__(self, name, array[:, None] if array.ndim == 1 else array)
        called = f"the curve of {self.name!r}" if self.name else "a curve"
        if self.right.ndim != 2 or self.right.shape != self.cost.shape or 0 in self.right.shape:
            raise ConfigurationError(
                f"{called}: right {self.right.shape} and cost {self.cost.shape} must both have a row a question and a "
                "column a budget, at least one of each"
            )
        if not np.isfinite(self.right).all() or self.right.min() < 0 or self.right.max() > 1:
            raise ConfigurationError(f"{called}: right must lie between 0 and 1; give shares, not per cent")
        if not np.isfinite(self.cost).all():
            unknown = int((~np.isfinite(self.cost)).any(axis=1).sum())
            raise ConfigurationError(
                f"{called}: the cost{_on(self.axis)} of {unknown} of {len(self.cost)} questions is not known; choose "
                "another axis, or leave the questions out of all arms"
            )
        if self.cost.min() < 0 or (self.cost.mean(axis=0) <= 0).any():
            raise ConfigurationError(
                f"{called}: the mean cost{_on(self.axis)} of a budget is not above 0; a logarithm needs it to be"
            )

    @property
    def questions(self) -> int:
        """The number of questions."""
        return len(self.right)

    @property
    def accuracy(self) -> Floats:
        """The mean of ``right`` at each budget."""
        return _means(self.right)

    @property
    def mean_cost(self) -> Floats:
        """The mean of ``cost`` at each budget."""
        return _means(self.cost)

    def accuracies(self) -> tuple[Estimate, ...]:
        """The accuracy at each budget with its 95 % interval."""
        return tuple(share_of(column) for column in self.right.T)

    def costs(self) -> tuple[Estimate, ...]:
        """The mean cost at each budget with its 95 % interval."""
        groups = np.arange(self.questions)
        return tuple(mean(column, groups) for column in self.cost.T)

    def rising(self) -> tuple[Floats, Floats]:
        """Return mean costs in rising order and the best accuracy up to each: the line that iso-ratios read."""
        logs, top = rising_line(self.accuracy[None], self.mean_cost[None])
        return np.exp(logs[0]), top[0]

    def accuracy_at(self, cost: float, *, floor: float = 0.0) -> float:
        """Return the rising line's accuracy at a cost; ``floor`` below the cheapest point."""
        logs, top = rising_line(self.accuracy[None], self.mean_cost[None])
        return float(accuracy_at_log(logs, top, np.log([cost]), floor)[0])

    def cost_at(self, accuracy: float) -> float:
        """Return the lowest cost at which the rising line has an accuracy; infinite where it never does."""
        logs, top = rising_line(self.accuracy[None], self.mean_cost[None])
        return float(np.exp(log_cost_at(logs, top, np.array([accuracy]))[0]))


def check_alike(arm: Curve, other: Curve) -> None:
    """Raise ``ConfigurationError`` unless two curves are of the same questions, in the same order, on one axis."""
    if arm.questions != other.questions or arm.question_ids != other.question_ids:
        raise ConfigurationError(
            f"{arm.name or 'the arm'!r} has {arm.questions} questions, {other.name or 'the other'!r} "
            f"{other.questions}, in another order or not the same; pair them by id first (of_points.aligned)"
        )
    if arm.axis != other.axis:
        raise ConfigurationError(f"costs on two axes, {arm.axis} and {other.axis}, have no ratio; choose one")


def rising_line(accuracy: Floats, cost: Floats) -> tuple[Floats, Floats]:
    """Return log costs in rising order and the running maximum of accuracy, row by row."""
    order = np.argsort(cost, axis=1, kind="stable")
    logs = log_of(np.take_along_axis(cost, order, axis=1))
    return logs, np.maximum.accumulate(np.take_along_axis(accuracy, order, axis=1), axis=1)


def log_of(cost: Floats) -> Floats:
    """Return logarithms of mean costs. A resample of questions that cost nothing is very cheap, not an error."""
    logs: Floats = np.log(np.maximum(cost, 1e-200))
    return logs


def log_cost_at(logs: Floats, top: Floats, target: Floats) -> Floats:
    """Return the log cost at which each line first has its target; infinite where it never does."""
    has = top >= target[:, None] - ALIKE
    first = has.argmax(axis=1)
    before, rows = np.maximum(first - 1, 0), np.arange(len(top))
    rise = top[rows, first] - top[rows, before]
    part = np.divide(target - top[rows, before], rise, out=np.zeros_like(rise), where=rise > 0)
    found = logs[rows, before] + np.clip(part, 0, 1) * (logs[rows, first] - logs[rows, before])
    return np.where(has.any(axis=1), found, np.inf)


def accuracy_at_log(logs: Floats, top: Floats, at: Floats, floor: float) -> Floats:
    """Return each line's accuracy at its log cost, ``floor`` before the line begins."""
    height = heights(logs, top, at[:, None])[:, 0]
    return np.where(logs[:, 0] <= at + ALIKE, height, floor)


def heights(logs: Floats, top: Floats, at: Floats) -> Floats:
    """Return the height of each row's line at several log costs, flat before its first and after its last point."""
    after = (logs[:, None, :] <= at[:, :, None] + ALIKE).sum(axis=2)
    left, right = np.clip(after - 1, 0, None), np.clip(after, None, logs.shape[1] - 1)
    rows = np.arange(len(logs))[:, None]
    width = logs[rows, right] - logs[rows, left]
    part = np.divide(at - logs[rows, left], width, out=np.zeros_like(at), where=width > 0)
    found: Floats = top[rows, left] + np.clip(part, 0, 1) * (top[rows, right] - top[rows, left])
    return found


def _means(values: Floats) -> Floats:
    found: Floats = values.mean(axis=0)
    return found


def _on(axis: Axis | None) -> str:
    return "" if axis is None else f" in {axis.replace('_', ' ')}"
