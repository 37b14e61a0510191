"""The selector gap: how much of what a pool knows the selector finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import matplotlib as mpl
import numpy as np

from thinkctl.evals.figures.rows import finish_rows, row_figure, words_beside
from thinkctl.evals.figures.style import COLOURS, GRID, MUTED, PAPER, STYLE, asked, shortened
from thinkctl.evals.points import Point
from thinkctl.evals.statistics.selection import selector_efficiency

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Grades", "SelectorRow", "draw_selectors", "selector_rows"]

Grades = Mapping[tuple[str, str], Mapping[str, tuple[bool, ...]]]
"""By task and arm, of each question whether each of its samples was right."""


@final
@dataclass(frozen=True, slots=True)
class SelectorRow:
    """Of an arm at one budget, the shares in [0, 1] of questions right: as chosen, by a random sample, by any sample.

    ``found`` is the share of the way from a random sample to the best that the selector goes:
    (chosen - random) / (oracle - random), with its 95 % interval; ``None`` where there is no way to go.
    """

    task: str
    arm: str
    budget: float
    limit: str
    questions: int
    random: float
    chosen: float
    oracle: float
    found: float | None
    found_low: float | None
    found_high: float | None


def selector_rows(points: Sequence[Point], grades: Grades) -> tuple[SelectorRow, ...]:
    """Return a row for the largest budget of each arm whose samples were graded, if there are several of a question."""
    last: dict[tuple[str, str], Point] = {}
    for point in points:
        key = (point.task, point.arm)
        if point.oracle is not None and (key not in last or point.budget >= last[key].budget):
            last[key] = point
    found: list[SelectorRow] = []
    for key, point in last.items():
        graded = grades.get(key) or {}
        if any(len(samples) > 1 for samples in graded.values()):
            found.append(_row(point, graded))
    return tuple(found)


def _row(point: Point, graded: Mapping[str, tuple[bool, ...]]) -> SelectorRow:
    each = [graded.get(name, ()) for name in point.question_ids]
    random = np.array([np.mean(one) if one else 0.0 for one in each], dtype=np.float64)
    # The oracle of few shuffled orders may miss what the mean over the whole pool has.
    oracle = np.maximum(point.right if point.oracle is None else point.oracle, random)
    found = selector_efficiency(point.right, random, oracle)
    return SelectorRow(
        point.task,
        point.arm,
        point.budget,
        point.limit,
        len(each),
        float(random.mean()),
        float(point.right.mean()),
        float(oracle.mean()),
        None if found is None else found.value,
        None if found is None else found.low,
        None if found is None else found.high,
    )


def draw_selectors(rows: Sequence[SelectorRow], *, title: str = "") -> Figure:
    """Draw one row an arm: a random sample, the choice and the best on one line of accuracy."""
    with mpl.rc_context(STYLE):
        figure, axes = row_figure(len(rows), row=0.42, left=0.36, right=0.8)
        for place, row in enumerate(rows):
            marks = ((row.random, "|", MUTED), (row.oracle, "D", COLOURS[2]), (row.chosen, "o", COLOURS[0]))
            axes.plot([100 * row.random, 100 * row.oracle], [place, place], color=GRID, linewidth=5, zorder=1)
            axes.plot(
                [100 * row.random, 100 * row.chosen], [place, place], color=COLOURS[0], linewidth=2, zorder=2
            )
            for value, marker, colour in marks:
                axes.plot(
                    100 * value,
                    place,
                    marker=marker,
                    markersize=13 if marker == "|" else 8 if marker == "D" else 7,
                    markeredgewidth=2.2 if marker == "|" else 1.3,
                    markerfacecolor=PAPER if marker == "D" else colour,
                    markeredgecolor=colour,
                    zorder=3,
                )
            words_beside(axes, place, _found(row))
        several = len({row.task for row in rows}) > 1
        names = [
            f"{shortened(f'{row.task}: {row.arm}' if several else row.arm, 34)}, {asked(row.budget, row.limit)}"
            for row in rows
        ]
        words = "grey bar: a random sample; circle: what was chosen; diamond: any sample right (oracle)"
        finish_rows(figure, axes, names, scale="questions right, %", title=title, marks=words)
    return figure


def _found(row: SelectorRow) -> str:
    if row.found is None:
        return "nothing to choose from"
    if row.found_low is None or row.found_high is None:
        return f"finds {100 * row.found:.0f} %"
    return f"finds {100 * row.found:.0f} % [{100 * row.found_low:.0f}, {100 * row.found_high:.0f}]".replace(
        "-", "−"
    )
