"""Where the tokens go: what carried the answer, what was outvoted, what a verifier took, by difficulty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

import matplotlib as mpl
import numpy as np

from thinkctl.evals.figures.style import COLOURS, GRID, INK, MUTED, STYLE, new_figure, shortened
from thinkctl.evals.points import Point
from thinkctl.types import Run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["KINDS", "Spent", "TokenRow", "draw_tokens", "spent_by", "terciles", "token_rows"]

TERCILES: Final = ("easy", "middling", "hard")
KINDS: Final = {
    "kept": ("kept: samples that gave the answer", COLOURS[0]),
    "discarded": ("discarded: other samples", COLOURS[4]),
    "verifier": ("verifier", COLOURS[3]),
    "undelivered": ("computed but not delivered", MUTED),
}


@final
@dataclass(frozen=True, slots=True)
class Spent:
    """Generated tokens of a run by what became of them; together they are all that were generated."""

    kept: int
    discarded: int
    verifier: int
    undelivered: int


@final
@dataclass(frozen=True, slots=True)
class TokenRow:
    """Generated tokens of a question (means) by what became of them, for a third of the questions of a task."""

    task: str
    arm: str
    difficulty: str
    questions: int
    kept: float
    discarded: float
    verifier: float
    undelivered: float


def spent_by(run: Run) -> Spent:
    """Say what became of the generated tokens of a run.

    *Kept* are tokens of samples whose answer has the key of the run's answer, probes and forced tokens of those
    samples included; *undelivered* were computed but cut off before they arrived.
    """
    undelivered = sum(line.usage.wasted_tokens for line in run.receipt.lines if line.role.value != "verifier")
    kept = 0
    for sample in run.samples:
        agrees = run.answer is not None and sample.answer is not None and sample.answer.key == run.answer.key
        kept += agrees * (sample.usage.generated_tokens - sample.usage.wasted_tokens)
    total, verifier = run.receipt.generated_tokens, run.receipt.verifier_tokens
    return Spent(kept, max(0, total - verifier - undelivered - kept), verifier, undelivered)


def terciles(points: Sequence[Point]) -> Mapping[str, str]:
    """Return by question id whether it is easy, middling or hard: thirds by the mean of ``right`` over all points.

    Ties go by id, so that the thirds are of one size. The points must be of one task.
    """
    scores: dict[str, list[float]] = {}
    for point in points:
        for name, right in zip(point.question_ids, point.right.tolist(), strict=True):
            scores.setdefault(name, []).append(right)
    order = sorted(scores, key=lambda name: (-float(np.mean(scores[name])), name))
    return {name: TERCILES[min(2, 3 * place // len(order))] for place, name in enumerate(order)}


def token_rows(task: str, arm: str, runs: Iterable[Run], thirds: Mapping[str, str]) -> tuple[TokenRow, ...]:
    """Return a row for each third of the questions that has runs."""
    found: dict[str, list[tuple[str, Spent]]] = {name: [] for name in TERCILES}
    for run in runs:
        name = run.history.problem.id
        if name in thirds:
            found[thirds[name]].append((name, spent_by(run)))
    return tuple(
        TokenRow(
            task,
            arm,
            third,
            len({name for name, _ in spent}),
            *(float(np.mean([getattr(each, kind) for _, each in spent])) for kind in KINDS),
        )
        for third, spent in found.items()
        if spent
    )


def draw_tokens(rows: Sequence[TokenRow], *, title: str = "") -> Figure:
    """Draw a bar for each third of the questions of each arm, its parts by what became of the tokens."""
    with mpl.rc_context(STYLE):
        places = _places(rows)
        height = 1.9 + 0.27 * (max(places, default=0.0) + 1)
        figure = new_figure(9.2, height)
        axes = figure.add_subplot()
        figure.subplots_adjust(left=0.36, right=0.93, top=1 - 0.95 / height, bottom=0.55 / height)
        begun = [0.0] * len(rows)
        for kind, (words, colour) in KINDS.items():
            amounts = [float(getattr(row, kind)) for row in rows]
            if any(amounts):
                axes.barh(places, amounts, left=begun, height=0.78, color=colour, label=words)
            begun = [sum(pair) for pair in zip(begun, amounts, strict=True)]
        for place, total in zip(places, begun, strict=True):
            axes.annotate(
                f"{total:,.0f}",
                (total, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
        axes.set_ylim(max(places, default=0.0) + 0.7, -0.7)
        axes.set_xlim(0, 1.02 * max([1.0, *begun]))
        axes.set_yticks(places, [_name(row, rows) for row in rows], fontsize=8)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("generated tokens of a question (mean)")
        axes.grid(visible=True, axis="x", color=GRID, linewidth=0.6)
        axes.set_axisbelow(True)
        figure.text(0.012, 1 - 0.28 / height, shortened(title, 96), fontsize=10.5, fontweight="bold")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.004, 1 - 0.38 / height),
            ncols=len(labels) or 1,
            frameon=False,
            fontsize=8,
            handlelength=1.0,
            columnspacing=1.4,
        )
    return figure


def _places(rows: Sequence[TokenRow]) -> list[float]:
    """Return the height of each bar, with a gap where another arm begins."""
    found: list[float] = []
    at = 0.0
    for place, row in enumerate(rows):
        if place and (row.task, row.arm) != (rows[place - 1].task, rows[place - 1].arm):
            at += 0.5
        found.append(at)
        at += 1.0
    return found


def _name(row: TokenRow, rows: Sequence[TokenRow]) -> str:
    several = len({other.task for other in rows}) > 1
    arm = shortened(f"{row.task}: {row.arm}" if several else row.arm, 34)
    return f"{arm}, {row.difficulty}"
