"""Budget compliance: what was asked for against what was used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import matplotlib as mpl
import numpy as np

from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.style import (
    COLOURS,
    GRID,
    INK,
    MUTED,
    PAPER,
    STYLE,
    new_figure,
    number,
    shortened,
)
from thinkctl.evals.points import Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ComplianceRow", "compliance_rows", "draw_compliance"]

_USED_BY: Final = {
    "tokens": Axis.GENERATED_TOKENS,
    "requests": Axis.REQUESTS,
    "samples": Axis.REQUESTS,
    "seconds": Axis.SECONDS,
    "dollars": Axis.DOLLARS,
}
"""What a limit limits. ``thinking_tokens`` are of each sample and are not compared."""
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
    """Return a row for each point whose limit has an axis on which its use was measured."""
    return tuple(
        _row(point, axis)
        for point in points
        if (axis := _USED_BY.get(point.limit)) is not None and has_cost(point, axis) and point.budget > 0
    )


def _row(point: Point, axis: Axis) -> ComplianceRow:
    used = point.costs[axis]
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
        height = 1.75 + 0.27 * max(1, len(rows))
        figure = new_figure(9.2, height)
        axes = figure.add_subplot()
        figure.subplots_adjust(left=0.36, right=0.72, top=1 - 0.85 / height, bottom=0.55 / height)
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
            axes.text(
                1.02,
                place,
                words + over,
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=8,
                color=INK,
            )
        axes.set_ylim(len(rows) - 0.4, -0.6)
        several = len({row.task for row in rows}) > 1
        names = [shortened(f"{row.task}: {row.arm}" if several else row.arm, 40) for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=8)
        axes.set_xlim(left=0)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("used of the limit, %")
        axes.grid(visible=True, axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.text(0.012, 1 - 0.28 / height, shortened(title, 96), fontsize=10.5, fontweight="bold")
        figure.text(
            0.012,
            1 - 0.52 / height,
            "circle: mean of questions (hollow: replayed); bar: the question that used most; line: the limit",
            fontsize=8,
            color=MUTED,
        )
    return figure
