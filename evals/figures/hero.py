"""The hero figure: accuracy against compute per question, one joined line an arm, the large model as a star."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.contrasts import Contrast, in_words
from thinkctl.evals.figures.hero_labels import (
    Line,
    draw_ceilings,
    inside_of,
    label_points,
    name_lines,
    pixels_of,
    share_of,
    size_of,
    wrapped,
)
from thinkctl.evals.figures.hero_rows import HeroRow
from thinkctl.evals.figures.placing import Box, along, emptiest_corner
from thinkctl.evals.figures.style import (
    GRID,
    INK,
    LABELS,
    MUTED,
    PAPER,
    STYLE,
    new_figure,
    shortened,
    style_of,
    tick,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_hero"]

_WIDTH, _HEIGHT, _DOTS = 9.2, 5.2, 100
_LEFT, _BOTTOM, _TOP = 0.075, 0.125, 0.9
_BOX_SIZE: Final = 9.0
_ROOM: Final = 1.06
"""How much higher than its highest point the figure is."""
_LEAST_HIGH: Final = 10.0
"""Points of accuracy that are shown at least."""
_WIDEN: Final = 1.35


def draw_hero(
    rows: Sequence[HeroRow], contrast: Contrast | None = None, *, title: str = "", chance: float = 0.0
) -> Figure:
    """Draw the rows of one task and axis.

    ``contrast`` is the comparison whose arrows and numbers are drawn. The vertical axis begins at ``chance``, the
    accuracy in [0, 1] of guessing. Replayed points are hollow, measured ones filled.
    """
    lines = _lines(rows)
    with mpl.rc_context(STYLE):
        figure = new_figure(_WIDTH, _HEIGHT)
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(_DOTS)
        axes = figure.add_subplot()
        names = {line.arm: wrapped(line.arm) for line in lines}
        widest = max((len(part) for name in names.values() for part in name.split("\n")), default=0)
        figure.subplots_adjust(
            left=_LEFT, bottom=_BOTTOM, top=_TOP, right=max(0.62, 0.965 - widest * 0.0078 - 0.02)
        )
        _scales(axes, rows, chance)
        for line in lines:
            _draw_line(axes, line, 0.10 if len(lines) < 5 else 0.05)
        _title(axes, rows, title)
        taken = label_points(axes, lines, canvas)
        draw_ceilings(axes, lines, taken, canvas)
        name_lines(axes, lines, names)
        if contrast is not None:
            _arrows(axes, contrast)
            _numbers(axes, lines, contrast, taken, canvas)
    return figure


def _lines(rows: Sequence[HeroRow]) -> list[Line]:
    arms = list(dict.fromkeys(row.arm for row in rows))
    found: list[Line] = []
    place = 0
    for arm in arms:
        own = tuple(sorted((row for row in rows if row.arm == arm), key=lambda row: row.budget))
        if own[0].baseline:
            found.append(Line(own, INK, "*"))
        else:
            found.append(Line(own, *style_of(place)))
            place += 1
    return found


def _scales(axes: Axes, rows: Sequence[HeroRow], chance: float) -> None:
    axis = rows[0].axis if rows else Axis.GENERATED_TOKENS
    costs = [cost for row in rows for cost in (row.cost_low, row.cost_high)] or [1.0]
    least, most = min(costs), max(costs)
    room = max((most / least) ** 0.06, _WIDEN if most / least < 2 else 1.12)
    axes.set_xscale("log")
    axes.set_xlim(least / room, most * room)
    spans = ((300, (1,)), (10, (1, 2, 5)), (0, (1, 2, 3, 4, 5, 7)))
    ticks = next(marks for span, marks in spans if most / least >= span)
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=ticks, numticks=14))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick(value, axis)))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    tops = [value for row in rows for value in (row.accuracy_high, row.oracle or 0.0)] or [1.0]
    floor = 100 * chance
    high = max(floor + _LEAST_HIGH, floor + (100 * max(tops) - floor) * _ROOM)
    axes.set_ylim(floor, min(high, 103.0))
    axes.set_xlabel(f"{LABELS[axis]} of a question (mean, everything spent)")
    axes.set_ylabel("accuracy, %")
    axes.grid(visible=True, which="major", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)


def _draw_line(axes: Axes, line: Line, depth: float) -> None:
    across = [row.cost for row in line.rows]
    up = [100 * row.accuracy for row in line.rows]
    lows, highs = (
        [100 * row.accuracy_low for row in line.rows],
        [100 * row.accuracy_high for row in line.rows],
    )
    if len(line.rows) > 1:
        axes.fill_between(across, lows, highs, color=line.colour, alpha=depth, linewidth=0)
        axes.plot(across, up, color=line.colour, linewidth=1.5, zorder=3)
    else:
        row = next(iter(line.rows))
        axes.errorbar(
            across,
            up,
            xerr=[[row.cost - row.cost_low], [row.cost_high - row.cost]],
            yerr=[[up[0] - lows[0]], [highs[0] - up[0]]],
            color=line.colour,
            linewidth=1.0,
            capsize=2.5,
            zorder=3,
        )
    for row in line.rows:
        axes.plot(
            row.cost,
            100 * row.accuracy,
            marker=line.marker,
            markersize=15 if line.baseline else 6.5,
            markerfacecolor=PAPER if row.replayed else line.colour,
            markeredgecolor=line.colour,
            markeredgewidth=1.3,
            linestyle="none",
            zorder=5,
        )


def _title(axes: Axes, rows: Sequence[HeroRow], title: str) -> None:
    kinds = {row.replayed for row in rows}
    marks = {
        frozenset([True]): "hollow: replayed from recorded samples",
        frozenset([True, False]): "filled: measured, hollow: replayed from recorded samples",
    }.get(frozenset(kinds), "all points measured")
    counts = sorted({row.questions for row in rows})
    questions = " to ".join(dict.fromkeys([f"{counts[0]:,}", f"{counts[-1]:,}"])) if counts else "0"
    words = f"{questions} questions, 95 % intervals over questions; {marks}"
    axes.set_title(shortened(title, 92), loc="left", fontsize=10.5, pad=18, fontweight="bold")
    axes.text(0, 1.022, words, transform=axes.transAxes, fontsize=8, color=MUTED)


# -- the comparison ------------------------------------------------------------------------------------------


def _arrows(axes: Axes, contrast: Contrast) -> None:
    """Draw from the star to where the curve is as good, and to where it costs as much."""
    start = (contrast.baseline_cost, 100 * contrast.baseline_accuracy)
    ends: list[tuple[float, float]] = []
    if contrast.ratio is not None:
        ends.append((contrast.baseline_cost * contrast.ratio, start[1]))
    if contrast.gain is not None:
        ends.append((start[0], start[1] + contrast.gain))
    for end in ends:
        there, here = axes.transData.transform(end), axes.transData.transform(start)
        if abs(there - here).max() < 14:
            continue  # an arrow shorter than its own head says nothing
        axes.annotate(
            "",
            xy=end,
            xytext=start,
            arrowprops={
                "arrowstyle": "-|>",
                "color": INK,
                "linewidth": 1.2,
                "shrinkA": 8,
                "shrinkB": 1,
                "linestyle": (0, (4, 2)),
            },
            zorder=4,
        )


def _numbers(
    axes: Axes, lines: Sequence[Line], contrast: Contrast, taken: Iterable[Box], canvas: FigureCanvasAgg
) -> None:
    """Write the comparison's numbers in a box in the corner where it covers least."""
    names = [shortened(contrast.arm, 44), f"against {shortened(contrast.baseline, 36)}"]
    heading = " ".join(names) if len(" ".join(names)) <= 50 else "\n".join(names)
    words = "\n".join([heading, *in_words(contrast)])
    width, height = size_of(words, _BOX_SIZE, canvas)
    width, height = width + 16, height + 14
    drawn = [place for line in lines for place in along(pixels_of(axes, line))]
    drawn += [place for line in lines for edge in _edges(axes, line) for place in along(edge)]
    drawn += [((box.left + box.right) / 2, (box.bottom + box.top) / 2) for box in taken] * 4
    inside = inside_of(axes)
    corner, _ = emptiest_corner(inside, width, height, drawn)
    axes.annotate(
        words,
        xy=share_of(axes, corner.left + 8, (corner.bottom + corner.top) / 2),
        xycoords="axes fraction",
        ha="left",
        va="center",
        fontsize=_BOX_SIZE,
        linespacing=1.35,
        zorder=8,
        bbox={"boxstyle": "round,pad=0.5", "facecolor": PAPER, "edgecolor": MUTED, "alpha": 0.92},
    )


def _edges(axes: Axes, line: Line) -> Iterator[list[tuple[float, float]]]:
    """Yield the lines around a line: the ends of its intervals, and its ceiling."""
    heights = [
        (row.accuracy_low, row.accuracy_high, row.accuracy if row.oracle is None else row.oracle)
        for row in line.rows
    ]
    for which in range(3):
        yield [
            tuple(axes.transData.transform((row.cost, 100 * height[which])))
            for row, height in zip(line.rows, heights, strict=True)
        ]
