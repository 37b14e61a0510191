"""What ``thinkctl report`` and ``thinkctl duel`` do and print."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl.cli.output import print_json
from thinkctl.cli.show import say, waiting
from thinkctl.cli.study_progress import watching
from thinkctl.cli.text import one_line
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from thinkctl.evals.axes import Axis
    from thinkctl.evals.figures.contrasts import Contrast
    from thinkctl.evals.report.claims import Judged
    from thinkctl.evals.studies import StudyResults

__all__ = ["duel", "make_report"]

_PAGE: Final = "report.html"
_RESULTS: Final = Path("results")


def make_report(folder: Path, out: Path | None, *, quiet: bool) -> None:
    """Write the report of a folder of results and print its path."""
    from thinkctl.evals.report.writing import write_report
    from thinkctl.evals.studies import open_study

    page = folder / _PAGE if out is None else out
    if page.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(f"--out {page} is no HTML file; name one that ends in .html")
    with waiting("drawing figures", quiet=quiet):
        write_report(open_study(folder), page)
    typer.echo(str(page))


def duel(
    small: str,
    large: str,
    task: str,
    *,
    questions: int,
    samples: int,
    axis: str | None,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a duel, or go on with it, and print what it came to."""
    from thinkctl.evals.report.duelling import LARGE, duel_of
    from thinkctl.evals.report.writing import verdicts_of, write_report
    from thinkctl.evals.studies import run_study_async
    from thinkctl.evals.studies.spec import slug
    from thinkctl.evals.tasks import task as task_of

    chosen = task_of(task)
    study = duel_of(
        small,
        large,
        task,
        questions=questions,
        samples=samples,
        has_verifier=chosen.verifier is not None,
        axis=None if axis is None else _axis(axis),
    )
    folder = _RESULTS / f"duel-{slug(task)}" if out is None else out
    say(f"{one_line(study.title)}: into {folder}", quiet=quiet)
    try:
        with watching(quiet=quiet) as tell:
            results = asyncio.run(run_study_async(study, folder, tell=tell))
    except KeyboardInterrupt:
        say("interrupted: what had ended is recorded; the same command goes on")
        raise typer.Exit(130) from None
    with waiting("drawing figures", quiet=quiet):
        page = write_report(results, folder / _PAGE)
    verdicts, against = verdicts_of(results), _contrasts(results, LARGE)
    if as_json:
        print_json(_json_of(results, verdicts, against, page))
    else:
        _print(results, verdicts, against, page)


def _axis(name: str) -> Axis:
    from thinkctl.evals.axes import Axis

    try:
        return Axis(name)
    except ValueError:
        raise ConfigurationError(f"there is no axis {name!r}; known: {', '.join(Axis)}") from None


def _contrasts(results: StudyResults, baseline: str) -> tuple[Contrast, ...]:
    from thinkctl.evals.figures.contrasts import contrasts
    from thinkctl.evals.report.source import within

    points = within(results.points)
    tasks = dict.fromkeys(point.task for point in points)
    return tuple(each for task in tasks for each in contrasts(points, task, baseline))


def _json_of(
    results: StudyResults, verdicts: tuple[Judged, ...], against: tuple[Contrast, ...], page: Path
) -> dict[str, Any]:
    from thinkctl.evals.report.claims import claim_in_words

    claim = results.study.claim
    return {
        "title": results.study.title,
        "folder": str(results.folder),
        "report": str(page),
        "claim": None if claim is None else claim_in_words(claim),
        "verdicts": [
            {
                "task": each.task,
                "verdict": each.verdict.value,
                "words": each.words,
                "questions": each.questions,
                "needs_questions": each.needs,
            }
            for each in verdicts
        ],
        "contrasts": [dataclasses.asdict(each) for each in against],
    }


def _print(
    results: StudyResults, verdicts: tuple[Judged, ...], against: tuple[Contrast, ...], page: Path
) -> None:
    from thinkctl.evals.figures.contrasts import in_words
    from thinkctl.evals.figures.style import LABELS, asked
    from thinkctl.evals.report.claims import claim_in_words
    from thinkctl.evals.report.source import within
    from thinkctl.evals.statistics.of_points import accuracy_of

    for point in within(results.points):
        found = accuracy_of(point)
        low, high = found.low or 0.0, 1.0 if found.high is None else found.high
        typer.echo(
            f"{one_line(point.arm):<18} {asked(point.budget, point.limit):>12} "
            f"{100 * found.value:5.1f} % right [{100 * low:.1f}, {100 * high:.1f}]"
            f"{', replayed' if point.replayed else ''}"
        )
    for arm in dict.fromkeys(each.arm for each in against):
        typer.echo(f"\n{one_line(arm)} against {one_line(against[0].baseline)}")
        for each in against:
            if each.arm == arm:
                typer.echo(f"  {LABELS[each.axis]:<30} {'; '.join(in_words(each))}")
    if results.study.claim is not None:
        typer.echo(f"\nClaim: {one_line(claim_in_words(results.study.claim))}")
    for judged in verdicts:
        typer.echo(one_line(judged.words))
    typer.echo(f"\nReport: {page}")
