"""The figure of arms: accuracy against the operations that a problem took, everything that was spent included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from thinkctl.errors import MissingExtra
from thinkctl.evals.comparison_figure import SETTINGS, spread

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError as error:
    raise MissingExtra("figures need matplotlib: pip install 'thinkctl[evals]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_arms"]

_COLOURS: Final = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's palette, which the colour-blind can tell apart."""
_MARKERS: Final = ("*", "o", "s", "D", "^", "v", "P")
_LABEL_STEP: Final = 0.075


def draw_arms(rows: Sequence[Mapping[str, object]], path: Path, title: str) -> None:
    """Draw the rows of ``measuring.compare``, one point an arm with its 95 % interval; the baseline is the star.

    The horizontal axis is logarithmic, in TFLOP of a problem (mean). Writes SVG, or what the path's suffix says.
    """
    points = [
        (
            str(row["arm"]),
            _number(row["teraflops"]),
            _number(row["accuracy"]),
            _number(row["accuracy_low"]),
            _number(row["accuracy_high"]),
        )
        for row in rows
    ]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(7.4, 4.2), layout="constrained")
        axes = figure.subplots()
        for place, (_, across, value, low, high) in enumerate(points):
            style = place % len(_COLOURS)
            axes.errorbar(
                across,
                value,
                yerr=[[value - low], [high - value]],
                color=_COLOURS[style],
                marker=_MARKERS[style],
                markersize=13 if place == 0 else 6,
                linewidth=1.1,
                capsize=2.5,
            )
        axes.axhline(points[0][2], color="#888888", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
        axes.set_xscale("log")
        least, most = min(point[1] for point in points), max(point[1] for point in points)
        axes.set_xlim(least / 1.5, most * 1.5)
        axes.set_ylim(
            max(0.0, min(point[3] for point in points) - 4), min(103.0, max(p[4] for p in points) + 4)
        )
        axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("TFLOP of a problem, everything spent (mean)")
        axes.set_ylabel("accuracy, %")
        axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
        axes.set_title(title, loc="left", fontsize=9)
        _name(axes, points)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)


def _name(axes: Axes, points: Sequence[tuple[str, float, float, float, float]]) -> None:
    """Write the arms' names in a column at the right, each joined to its point."""
    low, high = axes.get_ylim()
    order = sorted(range(len(points)), key=lambda place: points[place][2])
    heights = spread([(points[place][2] - low) / (high - low) for place in order], _LABEL_STEP)
    for place, height in zip(order, heights, strict=True):
        name, across, value, *_ = points[place]
        colour = _COLOURS[place % len(_COLOURS)]
        arrow: dict[str, Any] = {
            "arrowstyle": "-",
            "color": colour,
            "linewidth": 0.6,
            "alpha": 0.6,
            "shrinkA": 0,
            "shrinkB": 4,
            "relpos": (0, 0.5),
        }
        axes.annotate(
            name,
            xy=(across, value),
            xytext=(1.03, height),
            textcoords="axes fraction",
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops=arrow,
        )


def _number(value: object) -> float:
    return float(cast("float", value))
