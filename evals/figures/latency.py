"""Latency: seconds from the call to the answer, of measured points only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.rows import finish_rows, row_figure, words_beside
from thinkctl.evals.figures.style import COLOURS, GRID, MUTED, STYLE, asked, number, shortened
from thinkctl.evals.points import Point

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LatencyRow", "draw_latency", "latency_rows"]


@final
@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Seconds of a question at one point: the median over questions, the 90th per cent, and the slowest."""

    task: str
    arm: str
    budget: float
    limit: str
    questions: int
    p50: float
    p90: float
    most: float


def latency_rows(points: Sequence[Point]) -> tuple[LatencyRow, ...]:
    """Return a row for each measured point; replayed ones claim no seconds.

    Seconds of one question that was run more than once are its mean. They were measured with as many questions in
    flight as the study had, so they are those of a loaded engine.
    """
    return tuple(
        LatencyRow(
            point.task,
            point.arm,
            point.budget,
            point.limit,
            len(point.question_ids),
            *(float(np.quantile(point.costs[Axis.SECONDS], share)) for share in (0.5, 0.9, 1.0)),
        )
        for point in points
        if not point.replayed and has_cost(point, Axis.SECONDS)
    )


def draw_latency(rows: Sequence[LatencyRow], *, title: str = "") -> Figure:
    """Draw a row for each point, from the median to the 90th per cent and the slowest question."""
    with mpl.rc_context(STYLE):
        figure, axes = row_figure(len(rows), row=0.27, left=0.36, right=0.78)
        axes.set_xscale("log")
        for place, row in enumerate(rows):
            axes.plot([row.p50, row.most], [place, place], color=GRID, linewidth=2.0, zorder=1)
            axes.plot([row.p50, row.p90], [place, place], color=COLOURS[0], linewidth=2.4, zorder=2)
            axes.plot(row.p50, place, marker="o", markersize=6, color=COLOURS[0], zorder=3)
            axes.plot(row.most, place, marker="|", markersize=9, color=MUTED, zorder=3)
            words_beside(axes, place, f"{number(row.p50)} s, p90 {number(row.p90)} s")
        several = len({row.task for row in rows}) > 1
        names = [
            f"{shortened(f'{row.task}: {row.arm}' if several else row.arm, 32)}, {asked(row.budget, row.limit)}"
            for row in rows
        ]
        known = [value for row in rows for value in (row.p50, row.most)] or [1.0]
        axes.set_xlim(min(known) / 1.3, max(known) * 1.3)
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=14))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        marks = "circle: median of questions; blue to the 90th per cent; grey to the slowest"
        finish_rows(
            figure, axes, names, scale="seconds from the call to the answer", title=title, marks=marks
        )
    return figure
