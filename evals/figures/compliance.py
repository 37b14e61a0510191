"""Budget compliance: what was asked for against what was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import matplotlib as mpl
import numpy as np

from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.rows import finish_rows, row_figure, words_beside
from thinkctl.evals.figures.style import COLOURS, INK, PAPER, STYLE, number, shortened
from thinkctl.evals.points import Point
from thinkctl.evals.table import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ComplianceRow", "compliance_rows", "draw_compliance"]

_USED_BY: Final = {
    "tokens": Axis.GENERATED_TOKENS,
    "requests": Axis.REQUESTS,
    "seconds": Axis.SECONDS,
    "dollars": Axis.DOLLARS,
}
"""What a limit limits, besides samples. ``thinking_tokens`` are of each sample and are not compared."""
_JUST: Final = 1e-9


@final
@dataclass(frozen=True, slots=True)
class ComplianceRow:
    """What an arm used of one limit, over questions. ``over`` is the share of questions that used more than asked."""

    task: str
    arm: str
    limit: str
    replayed: bool
    questions: int
    asked: float
    used: float
    most: float
    over: float
    overshoot_tokens: int


def compliance_rows(points: Sequence[Point]) -> tuple[ComplianceRow, ...]:
    """Return a row for each point of whose limit it is known how much was used."""
    return tuple(
        _row(point, used) for point in points if point.budget > 0 and (used := _used(point)) is not None
    )


def _used(point: Point) -> Floats | None:
    if point.limit == "samples":
        return point.samples
    axis = _USED_BY.get(point.limit)
    return point.costs[axis] if axis is not None and has_cost(point, axis) else None


def _row(point: Point, used: Floats) -> ComplianceRow:
    return ComplianceRow(
        point.task,
        point.arm,
        point.limit,
        point.replayed,
        len(used),
        point.budget,
        float(used.mean()),
        float(used.max()),
        float(np.mean(used > point.budget * (1 + _JUST))),
        point.health.overshoot_tokens,
    )


def draw_compliance(rows: Sequence[ComplianceRow], *, title: str = "") -> Figure:
    """Draw a row for each point: the share of its limit that was used, mean and most, against the limit."""
    with mpl.rc_context(STYLE):
        figure, axes = row_figure(len(rows), row=0.27, left=0.36, right=0.72)
        axes.axvline(100, color=INK, linewidth=1.1)
        for place, row in enumerate(rows):
            used, most = 100 * row.used / row.asked, 100 * row.most / row.asked
            colour = COLOURS[1] if row.over else COLOURS[0]
            axes.plot([used, most], [place, place], color=colour, linewidth=1.3)
            face = PAPER if row.replayed else colour
            axes.plot(used, place, marker="o", markersize=6, markerfacecolor=face, markeredgecolor=colour)
            axes.plot(most, place, marker="|", markersize=9, markeredgewidth=1.6, color=colour)
            words = f"{number(row.used)} of {row.asked:,.6g} {row.limit}"
            over = f", {100 * row.over:.0f} % over" if row.over else ""
            words_beside(axes, place, words + over)
        several = len({row.task for row in rows}) > 1
        names = [shortened(f"{row.task}: {row.arm}" if several else row.arm, 40) for row in rows]
        axes.set_xlim(left=0)
        marks = (
            "circle: mean of questions (hollow: replayed); bar: the question that used most; line: the limit"
        )
        finish_rows(figure, axes, names, scale="used of the limit, %", title=title, marks=marks)
    return figure
