"""The figure of a comparison: accuracy against samples and against tokens, one line a kind of policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.figures.placing import spread
from thinkctl.evals.figures.style import SETTINGS
from thinkctl.evals.replaying import Row

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
except ImportError as error:
    raise MissingExtra("figures need matplotlib: pip install 'thinkctl[evals]'") from error

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from thinkctl.evals.comparison import Comparison

__all__ = ["STYLES", "draw"]

STYLES: Final[Mapping[str, tuple[str, str]]] = {
    "fixed": ("#000000", "o"),
    "window": ("#E69F00", "v"),
    "margin": ("#56B4E9", "s"),
    "adaptive consistency": ("#0072B2", "D"),
    "e-value": ("#CC79A7", "P"),
    "cannot be overtaken": ("#D55E00", "*"),
    "flip probability": ("#009E73", "^"),
}
"""Colour (Okabe and Ito's palette, which the colour-blind can tell apart) and marker of each kind."""
_SETTLED: Final = 0.9995
_LEAST_HEIGHT: Final = 5.0
"""Points of accuracy that an axis shows at least."""
_LABEL_STEP: Final = 0.068
"""Least distance of two line names, as a share of the axes' height."""


def draw(found: Comparison, path: Path) -> None:
    """Draw a comparison as SVG, or as whatever the path's suffix says."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(10.2, 4.3), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.3))
        curves = {family: _until_settled(rows) for family, rows in found.curves.items()}
        low, high = _limits(curves)
        left.set_ylim(low, high)
        left.set_ylabel("accuracy, %")
        tokens = "generated tokens of a question (mean" + (", estimated)" if found.estimated else ")")
        for axes, amount, name in (
            (left, "samples", "samples of a question (mean)"),
            (right, "tokens", tokens),
        ):
            _panel(axes, curves, amount, name)
            _mark(axes, found, amount)
        ends = {family: (rows[-1].tokens.value, _accuracy(rows[-1])[0]) for family, rows in curves.items()}
        _name_lines(right, ends)
        shuffles = f"{found.questions[1]} questions, mean of {found.permutations} shuffles"
        left.set_title(f"{found.pool}: replayed, {shuffles}", loc="left", fontsize=9)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)


def _until_settled(rows: Sequence[Row]) -> Sequence[Row]:
    """Leave out what costs more than the first setting that changes no answer: it says nothing new."""
    for place, row in enumerate(rows):
        if row.agreement.value >= _SETTLED and row.policy.partition(" ")[0] != "fixed":
            return rows[: place + 1]
    return rows


def _panel(axes: Axes, curves: Mapping[str, Sequence[Row]], amount: str, name: str) -> None:
    for family, rows in curves.items():
        colour, marker = STYLES[family]
        star = marker == "*"
        across = [getattr(row, amount).value for row in rows]
        points = [_accuracy(row) for row in rows]
        lows, highs = [low for _, low, _ in points], [high for *_, high in points]
        axes.fill_between(across, lows, highs, color=colour, alpha=0.10, linewidth=0)
        middle = [value for value, *_ in points]
        size = 9.0 if star else 3.2
        axes.plot(
            across, middle, color=colour, marker=marker, markersize=size, linewidth=1.3, zorder=3 + star
        )
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(name)
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)


def _mark(axes: Axes, found: Comparison, amount: str) -> None:
    """Circle the chosen settings, and draw the accuracy of all samples."""
    for each in found.chosen:
        place = getattr(each.reported, amount).value, _accuracy(each.reported)[0]
        colour, _ = STYLES[each.family]
        axes.plot(
            *place, marker="o", markersize=11, mfc="none", mec=colour, mew=1.2, linestyle="none", zorder=5
        )
    if found.full.accuracy is not None:
        full = 100 * found.full.accuracy.value
        axes.axhline(full, color="#888888", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)


def _accuracy(row: Row) -> tuple[float, float, float]:
    """Return the accuracy in percent, and around it the paired interval of its distance to that of all samples.

    Where no answer changed that has no width: what might change on other questions is in the tables.
    """
    if row.accuracy is None or row.change is None:
        raise ConfigurationError(f"{row.pool}: nobody knows who is right there; give a graded pool")
    value, change = row.accuracy.value, row.change
    if not change.error or change.low is None or change.high is None:
        return 100 * value, 100 * value, 100 * value
    return 100 * value, 100 * (value + change.low - change.value), 100 * (value + change.high - change.value)


def _limits(curves: Mapping[str, Sequence[Row]]) -> tuple[float, float]:
    """Return the ends of the axis: around all points, and never so near that noise looks like much."""
    values = [_accuracy(row)[0] for rows in curves.values() for row in rows]
    least, most = min(values), max(values)
    space = max(0.22 * (most - least), (_LEAST_HEIGHT - most + least) / 2)
    high = min(100 + 0.03 * (most - least + 2 * space), most + space)
    return max(0.0, min(least - space, high - _LEAST_HEIGHT)), high


def _name_lines(axes: Axes, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write the lines' names in a column at the right, each joined to its line's end."""
    low, high = axes.get_ylim()
    wanted = {family: (end - low) / (high - low) for family, (_, end) in ends.items()}
    families = _ordered(wanted, {family: across for family, (across, _) in ends.items()})
    heights = spread([wanted[family] for family in families], _LABEL_STEP)
    for family, height in zip(families, heights, strict=True):
        colour, _ = STYLES[family]
        axes.annotate(
            family,
            xy=ends[family],
            xytext=(1.06, height),
            textcoords="axes fraction",
            color=colour,
            va="center",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.6,
                "alpha": 0.6,
                "shrinkA": 0,
                "shrinkB": 3,
                "relpos": (0, 0.5),
            },
        )


def _ordered(wanted: Mapping[str, float], across: Mapping[str, float]) -> list[str]:
    """Order names from the bottom up so that their joining lines cross little.

    Of lines that end at about one height, the one that ends the farthest right gets the middle.
    """
    found: list[str] = []
    rising = sorted(wanted, key=lambda family: wanted[family])
    while rising:
        first = wanted[rising[0]]
        level = [family for family in rising if wanted[family] - first < _LABEL_STEP]
        rising = rising[len(level) :]
        around: list[str] = []
        for turn, family in enumerate(sorted(level, key=lambda family: -across[family])):
            around.insert(len(around) if turn % 2 else 0, family)
        found += around
    return found
