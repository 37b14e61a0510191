"""The rows of the hero figure: accuracy and cost of every point on one axis, with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from thinkctl.evals.axes import Axis
from thinkctl.evals.intervals import ratio, share
from thinkctl.evals.points import Point

__all__ = ["HeroRow", "axes_of", "has_cost", "hero_rows"]

_ORDER: Final = tuple(Axis)


@final
@dataclass(frozen=True, slots=True)
class HeroRow:
    """An arm at one budget on one task and one axis of compute.

    ``cost`` is the mean over questions in the axis's unit, everything spent included; ``accuracy`` and ``oracle``
    (the share of questions of which any sample was right) are in [0, 1]; ``low`` and ``high`` are 95 % intervals
    over questions. ``baseline`` marks the model that the others are compared with.
    """

    task: str
    arm: str
    model: str
    strategy: str
    axis: Axis
    budget: float
    limit: str
    replayed: bool
    baseline: bool
    questions: int
    cost: float
    cost_low: float
    cost_high: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    oracle: float | None


def axes_of(points: Iterable[Point]) -> tuple[Axis, ...]:
    """Return the axes on which at least one point has a cost for every question, in the order of ``Axis``."""
    known = {axis for point in points for axis in point.costs if has_cost(point, axis)}
    return tuple(axis for axis in _ORDER if axis in known)


def has_cost(point: Point, axis: Axis) -> bool:
    """Whether the point has a cost above 0 on this axis, known of every question."""
    costs = point.costs.get(axis)
    return costs is not None and len(costs) > 0 and bool(np.isfinite(costs).all()) and float(costs.sum()) > 0


def hero_rows(
    points: Sequence[Point], task: str, axis: Axis, baseline: str | None = None
) -> tuple[HeroRow, ...]:
    """Return a row for each point of a task that has a cost on this axis: arms in the order given, budgets rising.

    ``baseline`` is the arm that the others are compared with. A replayed point claims no seconds and no joules, so on
    those axes it has no row.
    """
    chosen = [point for point in points if point.task == task and has_cost(point, axis)]
    arms = list(dict.fromkeys(point.arm for point in chosen))
    chosen.sort(key=lambda point: (arms.index(point.arm), point.budget))
    return tuple(_row(point, axis, point.arm == baseline) for point in chosen)


def _row(point: Point, axis: Axis, baseline: bool) -> HeroRow:
    groups = np.arange(len(point.question_ids))
    costs = point.costs[axis]
    right, cost = share(point.right, groups), ratio(costs, np.ones(len(costs)), groups)
    oracle = None if point.oracle is None else float(point.oracle.mean())
    if cost is None:
        raise AssertionError("a point without costs has no row")
    return HeroRow(
        point.task,
        point.arm,
        point.model,
        point.strategy,
        axis,
        point.budget,
        point.limit,
        point.replayed,
        baseline,
        len(point.question_ids),
        cost.value,
        cost.value if cost.low is None else cost.low,
        cost.value if cost.high is None else cost.high,
        right.value,
        right.value if right.low is None else right.low,
        right.value if right.high is None else right.high,
        oracle,
    )
