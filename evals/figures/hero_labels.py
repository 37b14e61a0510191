"""The words of the hero figure: budgets at points, names at the ends of lines, and where there is room for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from matplotlib.backends.backend_agg import FigureCanvasAgg

from thinkctl.evals.figures.hero_rows import HeroRow
from thinkctl.evals.figures.placing import Box, along, first_free, spread
from thinkctl.evals.figures.style import asked, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Line",
    "draw_ceilings",
    "inside_of",
    "label_points",
    "name_lines",
    "pixels_of",
    "share_of",
    "size_of",
    "wrapped",
]

_LABEL_SIZE, _NAME_SIZE = 7.5, 8.5
_NAME_STEP: Final = 17.0
"""Least distance of two line names, in pixels."""
_NAME_LINE: Final = 27
"""Characters of a name on one line."""
_CEILING: Final = "any sample right"
_NEAR: Final = 0.01
"""A ceiling that is never farther above its line than this says nothing."""


@final
@dataclass(frozen=True, slots=True)
class Line:
    """The rows of one arm, with how they are drawn."""

    rows: tuple[HeroRow, ...]
    colour: str
    marker: str

    @property
    def arm(self) -> str:
        return self.rows[0].arm

    @property
    def baseline(self) -> bool:
        return self.rows[0].baseline


def label_points(axes: Axes, lines: Sequence[Line], canvas: FigureCanvasAgg) -> list[Box]:
    """Write each point's budget beside it where that covers nothing; return what is taken then."""
    inside = inside_of(axes)
    taken = [
        _around(place, 7.0 if line.baseline else 5.0) for line in lines for place in pixels_of(axes, line)
    ]
    paths = [_around(place, 1.0) for line in lines for place in along(pixels_of(axes, line))]
    for line in lines:
        if len(line.rows) < 2:
            continue
        for row, (across, up) in zip(line.rows, pixels_of(axes, line), strict=True):
            words = _budget(row, last=row is line.rows[-1])
            width, height = size_of(words, _LABEL_SIZE, canvas)
            tried = [
                Box(
                    across + x - width / 2,
                    up + y - height / 2,
                    across + x + width / 2,
                    up + y + height / 2,
                )
                for x, y in _offsets(width, height)
            ]
            found = first_free(tried, [*taken, *paths], inside) or first_free(tried[:4], taken, inside)
            if found is None:
                continue
            taken.append(found)
            _write(axes, words, found, line.colour)
    return taken


def _offsets(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Where a label may stand from its point: above, below, at the sides, then farther off."""
    for gap in (7.0, 13.0):
        up, aside = gap + height / 2, gap + width / 2
        yield from ((0, up), (0, -up), (aside, -up * 0.6), (-aside, up * 0.6), (aside, 0), (-aside, 0))


def _budget(row: HeroRow, *, last: bool) -> str:
    return asked(row.budget, row.limit if last else "")


def _write(axes: Axes, words: str, box: Box, colour: str) -> None:
    axes.annotate(
        words,
        xy=share_of(axes, (box.left + box.right) / 2, (box.bottom + box.top) / 2),
        xycoords="axes fraction",
        ha="center",
        va="center",
        fontsize=_LABEL_SIZE,
        color=colour,
        zorder=6,
    )


def draw_ceilings(axes: Axes, lines: Sequence[Line], taken: list[Box], canvas: FigureCanvasAgg) -> None:
    """Draw the ceiling of each pool as a dotted line; arms of one pool share it, and one says what it is."""
    seen: set[tuple[tuple[float, float], ...]] = set()
    paths = [_around(place, 1.0) for line in lines for place in along(pixels_of(axes, line))]
    width, height = size_of(_CEILING, _LABEL_SIZE, canvas)
    for line in sorted(lines, key=lambda each: -max(_above(row) for row in each.rows)):
        places = tuple((row.cost, 100 * row.oracle) for row in line.rows if row.oracle is not None)
        if len(places) < 2 or places in seen or max(map(_above, line.rows)) < _NEAR:
            continue
        axes.plot(*zip(*places, strict=True), color=line.colour, linewidth=1.1, linestyle=":", zorder=2)
        right, high = axes.transData.transform(places[-1])
        tried = [
            Box(right - width + x, high + y, right + x, high + y + height)
            for x, y in (
                (-3, 5),
                (-14, 8),
                (-14, -20),
                (-40, 10),
                (-90, 6),
                (-60, 14),
                (width + 5, -height / 2),
            )
        ]
        found = None if seen else first_free(tried, [*taken, *paths], inside_of(axes))
        seen.add(places)
        if found is not None:
            taken.append(found)
            _write(axes, _CEILING, found, line.colour)


def _above(row: HeroRow) -> float:
    """Return how far the ceiling is above a point, in [0, 1]."""
    return 0.0 if row.oracle is None else row.oracle - row.accuracy


def name_lines(axes: Axes, lines: Sequence[Line], names: Mapping[str, str]) -> None:
    """Write the arms' names in a column at the right, each joined to the end of its line."""
    inside = inside_of(axes)
    height = inside.top - inside.bottom
    ends = {line.arm: pixels_of(axes, line)[-1] for line in lines}
    order = sorted(lines, key=lambda line: (ends[line.arm][1], -ends[line.arm][0]))
    tall = any("\n" in name for name in names.values())
    step = min(_NAME_STEP * (1.8 if tall else 1.0) / height, 1 / max(1, len(order) - 1))
    wanted = [(ends[line.arm][1] - inside.bottom) / height for line in order]
    for line, up in zip(order, spread(wanted, step), strict=True):
        last = line.rows[-1]
        axes.annotate(
            names[line.arm],
            xy=(last.cost, 100 * last.accuracy),
            xytext=(1.03, up),
            textcoords="axes fraction",
            color=line.colour,
            fontsize=_NAME_SIZE,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": line.colour,
                "linewidth": 0.6,
                "alpha": 0.6,
                "shrinkA": 0,
                "shrinkB": 5,
                "relpos": (0, 0.5),
            },
        )


def wrapped(name: str) -> str:
    """Break a long name into two lines, at a word's end if there is one near the middle."""
    line = shortened(name, 2 * _NAME_LINE - 2)
    if len(line) <= _NAME_LINE:
        return line
    places = [at for at, sign in enumerate(line) if sign in " -_/,(" and len(line) - _NAME_LINE <= at]
    at = min(places, key=lambda place: abs(place - len(line) / 2), default=len(line) // 2)
    at = at if abs(at - len(line) / 2) <= _NAME_LINE / 2 else len(line) // 2
    cut = at + (line[at] != "(")
    return f"{line[:cut].rstrip()}\n{line[cut:].lstrip()}"


def pixels_of(axes: Axes, line: Line) -> list[tuple[float, float]]:
    """Return where the points of a line are."""
    return [tuple(axes.transData.transform((row.cost, 100 * row.accuracy))) for row in line.rows]


def inside_of(axes: Axes) -> Box:
    """Return where the axes are."""
    box = axes.get_window_extent()
    return Box(box.x0, box.y0, box.x1, box.y1)


def share_of(axes: Axes, across: float, up: float) -> tuple[float, float]:
    """Return a place in pixels as a share of the axes: files are written at other resolutions."""
    right, high = axes.transAxes.inverted().transform((across, up))
    return float(right), float(high)


def _around(place: tuple[float, float], reach: float) -> Box:
    across, up = place
    return Box(across - reach, up - reach, across + reach, up + reach)


def size_of(words: str, points: float, canvas: FigureCanvasAgg) -> tuple[float, float]:
    """Return the width and height of words in pixels."""
    figure = canvas.figure
    text = figure.text(0, 0, words, fontsize=points, linespacing=1.35)
    box = text.get_window_extent(canvas.get_renderer())  # type: ignore[no-untyped-call]
    text.remove()
    return box.width, box.height
