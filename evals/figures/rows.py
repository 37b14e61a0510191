"""Figures with one row a thing: names at the left, marks on a common scale, words at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from thinkctl.evals.figures.style import GRID, INK, MUTED, new_figure, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["finish_rows", "row_figure", "words_beside"]

_WIDTH: Final = 9.2
_TITLE: Final = 96
_HEAD: Final = 0.85
"""Inches above the rows, for the title and what marks mean."""
_FOOT: Final = 0.55
"""Inches below the rows, for the scale."""


def row_figure(count: int, *, row: float, left: float, right: float) -> tuple[Figure, Axes]:
    """Return an empty figure for ``count`` rows of ``row`` inches each; ``left`` and ``right`` are shares of its width.

    Draw on it inside of ``mpl.rc_context(STYLE)``, the first row at 0 and further ones below.
    """
    height = _HEAD + _FOOT + row * (max(1, count) + 0.4)
    figure = new_figure(_WIDTH, height)
    axes = figure.add_subplot()
    figure.subplots_adjust(left=left, right=right, top=1 - _HEAD / height, bottom=_FOOT / height)
    return figure, axes


def words_beside(axes: Axes, place: float, words: str) -> None:
    """Write words at the right of a row."""
    axes.text(1.02, place, words, transform=axes.get_yaxis_transform(), va="center", fontsize=8, color=INK)


def finish_rows(
    figure: Figure, axes: Axes, names: Sequence[str], *, scale: str, title: str, marks: str = ""
) -> None:
    """Name the rows and the scale, and write the title and below it what the marks mean."""
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(scale)
    axes.grid(visible=True, which="major", axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    height = figure.get_figheight()
    figure.text(0.012, 1 - 0.28 / height, shortened(title, _TITLE), fontsize=10.5, fontweight="bold")
    figure.text(0.012, 1 - 0.52 / height, marks, fontsize=8, color=MUTED)
