"""Two results on the same questions: differences with intervals, tests, costs, and whether a gate lets them through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, final

import numpy as np
from scipy.special import stdtrit

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.style import asked
from thinkctl.evals.intervals import LEVEL, Estimate, ratio
from thinkctl.evals.points import Point
from thinkctl.evals.statistics.of_points import accuracy_of, aligned, mcnemar_of, only
from thinkctl.evals.statistics.paired import (
    NonInferiority,
    detectable_mean,
    holm,
    non_inferiority,
    paired_difference,
)

__all__ = ["EXIT_CODES", "Gate", "PairedRow", "against_baselines", "gate_of", "pair_points"]


class Gate(StrEnum):
    """What a gate says: the new result is no more than the margin worse, it is, or so few questions cannot tell."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


EXIT_CODES: Final[Mapping[Gate, int]] = {Gate.PASSED: 0, Gate.FAILED: 3, Gate.INCONCLUSIVE: 4}
_GATES: Final = {
    NonInferiority.NON_INFERIOR: Gate.PASSED,
    NonInferiority.INFERIOR: Gate.FAILED,
    NonInferiority.INCONCLUSIVE: Gate.INCONCLUSIVE,
}


@final
@dataclass(frozen=True, slots=True)
class PairedRow:
    """The second of two points less the first, on the questions that both have.

    ``points`` is the difference of accuracies in percentage points with its interval at the level asked for;
    ``better`` and ``worse`` count questions on which the second is right more and less often. ``p_value`` is that of
    McNemar's mid-p test, or of a t test where either is a mean of repeats; ``adjusted`` is it after Holm, for all rows
    together. ``costs`` are ratios second / first with 95 % intervals. ``left_out`` questions had only one of both.
    ``detectable`` is the smallest difference, in points, that so many questions show four times in five.
    """

    task: str
    first: str
    second: str
    questions: int
    left_out: int
    first_accuracy: Estimate
    second_accuracy: Estimate
    points: Estimate
    better: int
    worse: int
    test: str
    p_value: float | None
    adjusted: float | None
    costs: Mapping[Axis, Estimate]
    detectable: float | None
    gate: Gate


def pair_points(
    first: Sequence[Point], second: Sequence[Point], *, margin: float = 0.0, level: float = LEVEL
) -> tuple[PairedRow, ...]:
    """Compare points: those of one task, and where either side has several arms, of one arm and budget.

    Raises ``ConfigurationError`` for a level that is none, and where nothing can be paired.
    """
    if not 0 < level < 1:
        raise ConfigurationError(f"level={level!r} is not between 0 and 1; write 0.95")
    rows = [_row(one, other, margin, level) for one, other in _pairs(first, second)]
    if not rows:
        raise ConfigurationError(
            f"nothing to compare: {_listed(first)} and {_listed(second)} have no task, arm or question in common; "
            "name one arm of each, FOLDER:ARM"
        )
    return _together(rows)


def against_baselines(points: Sequence[Point], baselines: Mapping[str, str]) -> tuple[PairedRow, ...]:
    """Compare each arm of each task with its baseline, both at their largest budgets.

    ``baselines`` are arms by task; a task without one has no rows.
    """
    rows: list[PairedRow] = []
    for task, baseline in baselines.items():
        own = [point for point in points if point.task == task]
        base = _dearest([point for point in own if point.arm == baseline])
        for arm in dict.fromkeys(point.arm for point in own if point.arm != baseline):
            point = _dearest([point for point in own if point.arm == arm])
            rows += [_row(base, point, 0.0, LEVEL)] if _shared(base, point) else []
    return _together(rows)


def _together(rows: Sequence[PairedRow]) -> tuple[PairedRow, ...]:
    told = holm([1.0 if row.p_value is None else row.p_value for row in rows])
    return tuple(
        replace(row, adjusted=None if row.p_value is None else value)
        for row, value in zip(rows, told, strict=True)
    )


def gate_of(rows: Sequence[PairedRow]) -> Gate:
    """Return the gate of all rows: failed if one did, else inconclusive if one is, else passed."""
    found = {row.gate for row in rows}
    return next((gate for gate in (Gate.FAILED, Gate.INCONCLUSIVE) if gate in found), Gate.PASSED)


def _pairs(first: Sequence[Point], second: Sequence[Point]) -> list[tuple[Point, Point]]:
    found: list[tuple[Point, Point]] = []
    for task in dict.fromkeys(point.task for point in first):
        ours, theirs = (
            [point for point in points if point.task == task or not point.task or not task]
            for points in (first, second)
        )
        if len({point.arm for point in ours}) == 1 and len({point.arm for point in theirs}) == 1:
            pair = _dearest(ours), _dearest(theirs)
            found += [pair] if _shared(*pair) else []
            continue
        by_name = {(point.arm, point.budget, point.limit): point for point in theirs}
        found += [
            (point, other)
            for point in ours
            if (other := by_name.get((point.arm, point.budget, point.limit))) and _shared(point, other)
        ]
    return found


def _dearest(points: Sequence[Point]) -> Point:
    return max(points, key=lambda point: point.budget)


def _shared(one: Point, other: Point) -> list[str]:
    known = set(other.question_ids)
    return [name for name in one.question_ids if name in known]


def _row(one: Point, other: Point, margin: float, level: float) -> PairedRow:
    ids = _shared(one, other)
    left_out = len({*one.question_ids, *other.question_ids}) - len(ids)
    one = only(one, ids)
    one, other = aligned([one, _of_task(only(other, ids), one.task)])
    away = 100 * (other.right - one.right)
    found = paired_difference(100 * other.right, 100 * one.right)
    points = _at_level(found.estimate, len(ids), level)
    mcnemar = mcnemar_of(other, one)
    groups = np.arange(len(ids))
    costs = {
        axis: estimate
        for axis in Axis
        if has_cost(one, axis)
        and has_cost(other, axis)
        and (estimate := ratio(other.costs[axis], one.costs[axis], groups)) is not None
    }
    spread = float(away.std(ddof=1)) if len(ids) > 1 else 0.0
    return PairedRow(
        one.task,
        _called(one),
        _called(other),
        len(ids),
        left_out,
        accuracy_of(one),
        accuracy_of(other),
        points,
        found.better,
        found.worse,
        "t" if mcnemar is None else "McNemar mid-p",
        found.p_value if mcnemar is None else mcnemar.mid_p,
        None,
        costs,
        detectable_mean(len(ids), spread) if len(ids) > 1 and spread else None,
        _gate(points, margin),
    )


def _of_task(point: Point, task: str) -> Point:
    return replace(point, task=task)


def _at_level(found: Estimate, questions: int, level: float) -> Estimate:
    """Return the estimate with its t interval at another level."""
    if found.error is None or level == LEVEL:
        return found
    reach = float(stdtrit(questions - 1, (1 + level) / 2)) * found.error
    return Estimate(found.value, found.error, found.value - reach, found.value + reach)


def _gate(points: Estimate, margin: float) -> Gate:
    if points.low is not None and points.low == points.high:
        # No question differs, or all do by the same: the interval has no width and says nothing about others.
        return Gate.PASSED if points.value >= -margin else Gate.FAILED
    return _GATES[non_inferiority(points, margin)]


def _called(point: Point) -> str:
    return f"{point.arm} ({asked(point.budget, point.limit)})" if point.limit else point.arm


def _listed(points: Sequence[Point]) -> str:
    names = list(dict.fromkeys(f"{point.arm!r} on {point.task!r}" for point in points))
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "") or "nothing"
