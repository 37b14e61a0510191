"""What all figures of a study have in common: colours, marks, words for axes, numbers, files."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thinkctl.errors import MissingExtra
from thinkctl.evals.axes import LABELS, Axis

try:
    import matplotlib as mpl
    from matplotlib.figure import Figure
except ImportError as error:
    raise MissingExtra("figures need matplotlib: pip install 'thinkctl[evals]'") from error

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = [
    "COLOURS",
    "GRID",
    "INK",
    "LABELS",
    "MARKERS",
    "MUTED",
    "PAPER",
    "SETTINGS",
    "STYLE",
    "amount",
    "asked",
    "new_figure",
    "number",
    "plain",
    "shortened",
    "signed",
    "style_of",
    "svg_of",
    "tick",
    "times",
    "write_figure",
    "write_rows",
]

SETTINGS: Final[Any] = {
    "svg.hashsalt": "thinkctl",  # the same figure is the same file
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
"""What all figures have in common."""
INK: Final = "#1d1d1f"
PAPER: Final = "#fefefe"
GRID: Final = "#dddde0"
MUTED: Final = "#76767b"
COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6B00")
"""Okabe and Ito's palette, which the colour-blind can tell apart, without its black and its yellow."""
MARKERS: Final = ("o", "s", "D", "^", "v", "P", "X")
STYLE: Final[Any] = {
    **SETTINGS,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
}
_UNPRINTABLE: Final = "\N{REPLACEMENT CHARACTER}"
_LONGEST: Final = 52


def style_of(place: int) -> tuple[str, str]:
    """Return the colour and the marker of the arm at this place; after seven, other pairs of both."""
    turn, step = divmod(place, len(COLOURS))
    return COLOURS[step], MARKERS[(step + 3 * turn) % len(MARKERS)]


def plain(text: str) -> str:
    """Return a text that any SVG can hold: on one line, what cannot be printed replaced."""
    return "".join(sign if sign.isprintable() else _UNPRINTABLE for sign in " ".join(text.split()))


def shortened(text: str, most: int = _LONGEST) -> str:
    """Return a plain text of at most ``most`` characters; of a longer one its beginning and its end."""
    line = plain(text)
    if len(line) <= most:
        return line
    tail = most // 3
    return f"{line[: most - tail - 1].rstrip()}…{line[-tail:].lstrip()}"


def number(value: float) -> str:
    """Return a number with three figures that mean something: ``0.26``, ``1.04``, ``12.3``, ``1,230``."""
    if not math.isfinite(value):
        return "unknown" if math.isnan(value) else "∞"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    places = max(0, 2 - math.floor(math.log10(abs(value))) - (abs(value) < 10 and abs(value) >= 0.1))
    return f"{value:.{min(places, 12)}f}"


def times(value: float) -> str:
    """Return a ratio: ``0.26``, ``1.04``, ``12.3``."""
    return f"{value:.2f}" if abs(value) < 10 else number(value)


def asked(budget: float, limit: str) -> str:
    """Return a budget in words: ``1 sample``, ``2,000 tokens``."""
    unit = limit.removesuffix("s") if budget == 1 else limit
    return plain(f"{budget:,.6g} {unit}").strip()


def signed(value: float) -> str:
    """Return a difference with its sign and one decimal: ``+11.0``, ``−3.2``."""
    return f"{value:+.1f}".replace("-", "−")


def amount(value: float, axis: Axis) -> str:
    """Return a cost in the words of its axis: ``1,230``, ``$0.0012``, ``3.4 GB``."""
    if not math.isfinite(value):
        return "not measured"
    match axis:
        case Axis.DOLLARS:
            return f"${number(value)}"
        case Axis.KV_BYTES:
            for unit in ("B", "kB", "MB", "GB"):
                if abs(value) < 1000:
                    return f"{value:.3g} {unit}"
                value /= 1000
            return f"{value:.3g} TB"
        case _:
            return number(value)


def tick(value: float, axis: Axis) -> str:
    """Return a round cost for the scale of an axis: ``50``, ``2,000``, ``$0.001``, ``0.2``."""
    if axis is Axis.KV_BYTES:
        return amount(value, axis)
    sign = "$" if axis is Axis.DOLLARS else ""
    return f"{sign}{value:,.0f}" if value >= 1000 else f"{sign}{value:.3g}"


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure (inches). Draw on it inside of ``mpl.rc_context(STYLE)``."""
    return Figure(figsize=(width, height))


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, or as what the path's suffix says. The same figure is the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)


def svg_of(figure: Figure) -> str:
    """Return a figure as the text of an SVG element."""
    into = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(into, format="svg", metadata={"Date": None})
    text = into.getvalue()
    return text[text.index("<svg") :]


def write_rows(path: Path, rows: Iterable[DataclassInstance]) -> None:
    """Write rows as CSV, the fields of their class as columns. NaN and ``None`` are empty; no rows, an empty file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found: Sequence[DataclassInstance] = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if found:
            names = [field.name for field in dataclasses.fields(found[0])]
            writer.writerow(names)
            writer.writerows([[_cell(getattr(row, name)) for name in names] for row in found])


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return "" if value is None else value
