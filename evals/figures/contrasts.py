"""An arm against the baseline on one axis: what the same accuracy costs, and what the same compute gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import axes_of, has_cost
from thinkctl.evals.figures.style import signed, times
from thinkctl.evals.points import Point
from thinkctl.evals.statistics.iso import iso_accuracy, iso_compute
from thinkctl.evals.statistics.of_points import aligned, curve_of

__all__ = ["Contrast", "baseline_of", "best_arm", "contrasts", "in_words"]

_HALF: Final = 0.5


@final
@dataclass(frozen=True, slots=True)
class Contrast:
    """What a curve came to against one baseline point, on one task and axis.

    ``ratio`` is the arm's cost at the baseline's accuracy for each unit of the baseline's cost, ``None`` where the
    curve does not reach that accuracy; ``not_reached`` is the share of resamples in which it does not. ``gain`` is the
    arm's accuracy at the baseline's cost less the baseline's, in percentage points, ``None`` where the arm has nothing
    that cheap. ``low`` and ``high`` are 95 % intervals; an end without a number is not reached. ``at_most`` says that
    the arm's cheapest point is already as good in most resamples, so that the ratio is an upper limit.
    """

    task: str
    arm: str
    baseline: str
    axis: Axis
    questions: int
    baseline_cost: float
    baseline_accuracy: float
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    not_reached: float
    gain: float | None
    gain_low: float | None
    gain_high: float | None
    at_most: bool = False


def contrasts(points: Sequence[Point], task: str, baseline: str) -> tuple[Contrast, ...]:
    """Return a row for each arm of a task and each axis that both it and the baseline were measured on.

    The baseline's dearest point is the one to reach. Raises ``ConfigurationError`` where the questions differ, or
    where the baseline has no point on the task.
    """
    own = [point for point in points if point.task == task]
    base = baseline_of(own, baseline)
    arms = dict.fromkeys(point.arm for point in own if point.arm != baseline)
    return tuple(
        _contrast([point for point in own if point.arm == arm and has_cost(point, axis)], base, axis)
        for arm in arms
        for axis in axes_of([base])
        if any(point.arm == arm and has_cost(point, axis) for point in own)
    )


def baseline_of(points: Sequence[Point], baseline: str) -> Point:
    """Return the point of the largest budget of the baseline. Raises ``ConfigurationError`` where it has none."""
    own = [point for point in points if point.arm == baseline]
    if not own:
        arms = ", ".join(sorted({point.arm for point in points})) or "none"
        raise ConfigurationError(f"no point of arm {baseline!r} is there to compare with; arms: {arms}")
    return max(own, key=lambda point: point.budget)


def best_arm(found: Sequence[Contrast], claimed: str | None = None) -> Contrast | None:
    """Return the contrast whose arrows a figure shows: the claim's arm, else the one that needs least compute.

    Of arms that never reach, the one that misses least often; ``None`` where there is nothing to show.
    """
    if claimed is not None and (own := [each for each in found if each.arm == claimed]):
        return own[0]
    return min(
        found,
        key=lambda each: (math.inf if each.ratio is None else each.ratio, each.not_reached),
        default=None,
    )


def _contrast(points: Sequence[Point], base: Point, axis: Axis) -> Contrast:
    _, *others = aligned([base, *points])
    arm, star = curve_of(others, axis), curve_of([base], axis)
    iso, gain = iso_accuracy(arm, star), iso_compute(arm, star)
    affordable = gain.affordable_share >= _HALF
    return Contrast(
        base.task,
        points[0].arm,
        base.arm,
        axis,
        len(base.question_ids),
        float(star.mean_cost[0]),
        float(star.accuracy[0]),
        _finite(iso.ratio),
        _finite(iso.low),
        _finite(iso.high),
        1 - iso.reached_share,
        gain.points.value if affordable else None,
        gain.points.low if affordable else None,
        gain.points.high if affordable else None,
        at_most=iso.reached and iso.cheapest_share > _HALF,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def in_words(contrast: Contrast) -> Sequence[str]:
    """Return what a contrast says: a line on equal accuracy, a line on equal compute."""
    return [_same_accuracy(contrast), _same_compute(contrast)]


def _same_accuracy(found: Contrast) -> str:
    missed = f"not reached in {100 * found.not_reached:.0f} % of resamples"
    if found.ratio is None:
        return f"same accuracy: {missed}"
    words = f"same accuracy at {times(found.ratio)}×"
    if found.ratio_low is not None:
        high = "∞" if found.ratio_high is None else times(found.ratio_high)
        words += f" [{times(found.ratio_low)}, {high}]"
    words += " or less" if found.at_most else ""
    return f"{words}; {missed}" if found.not_reached >= 0.005 else words


def _same_compute(found: Contrast) -> str:
    if found.gain is None:
        return "equal compute: not comparable, every point of the arm costs more"
    words = f"{signed(found.gain)} points at equal compute"
    if found.gain_low is None or found.gain_high is None:
        return words
    return f"{words} [{signed(found.gain_low)}, {signed(found.gain_high)}]"
