"""The forest: what the same accuracy costs in every kind of compute, as a ratio to the baseline, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from thinkctl.evals.figures.contrasts import Contrast
from thinkctl.evals.figures.rows import finish_rows, row_figure, words_beside
from thinkctl.evals.figures.style import COLOURS, LABELS, MUTED, STYLE, shortened, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_forest"]

_ROW: Final = 0.34
"""Inches of height of a row."""
_SAID: Final = 0.005
"""Shares of resamples below this round to 0 % and are not said."""
_FAR: Final = 1.6
"""How far the scale goes beyond the outermost number, as a factor."""


def draw_forest(rows: Sequence[Contrast], *, title: str = "") -> Figure:
    """Draw one row a contrast: the ratio with its interval against the line of equal cost.

    A curve that does not reach the baseline's accuracy has words in the place of a mark, once for all axes on which
    it does not.
    """
    rows, names = _drawn(rows)
    with mpl.rc_context(STYLE):
        figure, axes = row_figure(len(rows), row=_ROW, left=0.36, right=0.7)
        low, high = _limits(rows)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.axvline(1.0, color=MUTED, linewidth=1.0)
        for place, row in enumerate(rows):
            _draw_row(axes, row, place, (low, high))
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5), numticks=12))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}×"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        finish_rows(
            figure,
            axes,
            names,
            scale="cost at the baseline's accuracy, relative to the baseline (below 1 is cheaper)",
            title=title,
            marks="circle: the ratio; line: its 95 % interval; triangle: that accuracy is not reached",
        )
    return figure


def _draw_row(axes: Axes, row: Contrast, place: int, limits: tuple[float, float]) -> None:
    missed = f"not reached in {100 * row.not_reached:.0f} %" if row.not_reached >= _SAID else ""
    words = [missed]
    if row.ratio is None:
        axes.plot(limits[1], place, marker=">", color=COLOURS[1], markersize=6, clip_on=False)
    else:
        left = row.ratio if row.ratio_low is None else row.ratio_low
        right = limits[1] if row.ratio_high is None else row.ratio_high
        upper = "∞" if row.ratio_high is None else times(row.ratio_high)
        axes.plot([left, right], [place, place], color=COLOURS[0], linewidth=1.6)
        axes.plot(row.ratio, place, marker="o", color=COLOURS[0], markersize=6)
        less = " or less" if row.at_most else ""
        words.insert(0, f"{times(row.ratio)}× [{times(left)}, {upper}]{less}")
    words_beside(axes, place, ", ".join(filter(None, words)))


def _drawn(rows: Sequence[Contrast]) -> tuple[list[Contrast], list[str]]:
    """Return the rows that are drawn, and their names: of those that do not reach one for each task and arm."""
    missed: dict[tuple[str, str], list[Contrast]] = {}
    for row in rows:
        if row.ratio is None:
            missed.setdefault((row.task, row.arm), []).append(row)
    drawn: list[Contrast] = []
    names: list[str] = []
    for row in rows:
        alike = missed.get((row.task, row.arm), []) if row.ratio is None else [row]
        if row is alike[0]:
            several = len(alike) > 1
            drawn.append(row)
            names.append(_name(row, rows, f"{len(alike)} kinds of compute" if several else LABELS[row.axis]))
    return drawn, names


def _name(row: Contrast, rows: Sequence[Contrast], axis: str) -> str:
    """Return what tells this row from the others: the axis, and the task and the arm where there are several."""
    parts = [axis]
    if len({other.arm for other in rows}) > 1:
        parts.insert(0, shortened(row.arm, 24))
    if len({other.task for other in rows}) > 1:
        parts.insert(0, shortened(row.task, 16))
    return ", ".join(parts)


def _limits(rows: Sequence[Contrast]) -> tuple[float, float]:
    known = [
        value
        for row in rows
        for value in (row.ratio, row.ratio_low, row.ratio_high)
        if value is not None and value > 0
    ]
    return min([0.5, *known]) / _FAR, max([2.0, *known]) * _FAR
