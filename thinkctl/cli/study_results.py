"""The results of a study in words and tables, on stdout: points, contrasts, verdicts; or as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl.cli.show import waiting
from thinkctl.cli.text import one_line, plural

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.figures.contrasts import Contrast
    from thinkctl.evals.points import Point
    from thinkctl.evals.report.claims import Judged
    from thinkctl.evals.studies import StudyResults

__all__ = ["contrasts_of", "json_of", "print_contrasts", "print_points", "print_verdicts", "write_page"]

_WIDTH: Final = 100


def write_page(results: StudyResults, path: Path, *, quiet: bool) -> Path:
    """Write the report of a study and say so meanwhile; return its path."""
    from thinkctl.evals.report.writing import write_report

    with waiting("drawing figures", quiet=quiet):
        return write_report(results, path)


def print_points(points: Sequence[Point]) -> None:
    """Print a table for each task, one row a point."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    for task in dict.fromkeys(point.task for point in points):
        mine = [point for point in points if point.task == task]
        console.print(f"{one_line(task)}, {plural(len(mine[0].question_ids), 'question')}")
        console.print(_table(mine))
    typer.echo(
        "Intervals (95 %) take the question as the unit. Costs are means of a question, all that was spent."
    )
    if any(point.replayed for point in points):
        typer.echo("r: replayed from a pool of samples that was drawn once; no latency is claimed.")


def contrasts_of(results: StudyResults, baseline: str) -> tuple[Contrast, ...]:
    """Return what every arm came to against the baseline, on each task and axis."""
    from thinkctl.evals.figures.contrasts import contrasts
    from thinkctl.evals.report.source import within

    points = within(results.points)
    tasks = dict.fromkeys(point.task for point in points)
    return tuple(each for task in tasks for each in contrasts(points, task, baseline))


def print_contrasts(against: Sequence[Contrast]) -> None:
    """Print for each arm and axis what the baseline's accuracy costs it, and what it gains at the baseline's cost."""
    from thinkctl.evals.figures.contrasts import in_words
    from thinkctl.evals.figures.style import LABELS

    for arm in dict.fromkeys(each.arm for each in against):
        typer.echo(f"\n{one_line(arm)} against {one_line(against[0].baseline)}")
        for each in against:
            if each.arm == arm:
                typer.echo(f"  {LABELS[each.axis]:<30} {'; '.join(in_words(each))}")


def print_verdicts(verdicts: Iterable[Judged]) -> None:
    """Print each claim and what became of it, by itself and beside the others."""
    for judged in verdicts:
        typer.echo(f"\nClaim: {one_line(judged.claim)}")
        typer.echo(one_line(judged.words))
        if judged.corrected is not None:
            typer.echo(one_line(judged.corrected.words))


def json_of(results: StudyResults) -> dict[str, Any]:
    """Return what a study found as plain data."""
    from thinkctl.evals.report.writing import verdicts_of
    from thinkctl.evals.studies.tables import accuracy_of, means_of

    return {
        "title": results.study.title,
        "folder": str(results.folder),
        "lost": dataclasses.asdict(results.lost),
        "claims": [judged.plain() for judged in verdicts_of(results)],
        "points": [
            {
                "task": point.task,
                "arm": point.arm,
                "model": point.model,
                "budget": point.budget,
                "limit": point.limit,
                "replayed": point.replayed,
                "questions": len(point.question_ids),
                "accuracy": dataclasses.asdict(accuracy_of(point)),
                "abstained": float(point.abstained.mean()),
                "costs": means_of(point),
                "health": dataclasses.asdict(point.health),
            }
            for point in results.points
        ],
    }


def _table(points: Sequence[Point]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from thinkctl.evals.axes import Axis
    from thinkctl.evals.studies.tables import accuracy_of, means_of

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", overflow="fold", min_width=16)
    for name in ("budget", "accuracy %", "none %", "tokens", "TFLOP", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        found, costs = accuracy_of(point), means_of(point)
        low, high = found.low or 0.0, found.high if found.high is not None else 1.0
        table.add_row(
            one_line(point.arm),
            f"{_budget(point)}{' r' if point.replayed else '  '}",
            f"{100 * found.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            f"{100 * float(point.abstained.mean()):.1f}",
            f"{costs[Axis.GENERATED_TOKENS]:,.0f}",
            _number(costs.get(Axis.TERAFLOPS)),
            _number(costs.get(Axis.SECONDS)),
        )
    return table


def _budget(point: Point) -> str:
    return f"1 {point.limit.removesuffix('s')}" if point.budget == 1 else f"{point.budget:,g} {point.limit}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
