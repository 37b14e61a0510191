"""What ``thinkctl report`` and ``thinkctl duel`` do and print."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from thinkctl.cli.output import print_json
from thinkctl.cli.show import say
from thinkctl.cli.study_progress import run_watched
from thinkctl.cli.study_results import (
    contrasts_of,
    json_of,
    print_contrasts,
    print_points,
    print_verdicts,
    write_page,
)
from thinkctl.cli.text import one_line
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from thinkctl.evals.axes import Axis
    from thinkctl.evals.studies import Study

__all__ = ["duel", "make_report"]

_PAGE: Final = "report.html"
_RESULTS: Final = Path("results")


def make_report(folder: Path, out: Path | None, *, quiet: bool) -> None:
    """Write the report of a folder of results and print its path."""
    from thinkctl.evals.studies import open_study

    page = folder / _PAGE if out is None else out
    if page.suffix.lower() not in (".html", ".htm"):
        raise ConfigurationError(f"--out {page} is no HTML file; name one that ends in .html")
    typer.echo(str(write_page(open_study(folder), page, quiet=quiet)))


def duel(
    small: str,
    large: str,
    task: str,
    *,
    questions: int,
    samples: int,
    axis: str | None,
    think: bool | None,
    max_tokens: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a duel, or go on with it, and print what it came to."""
    from thinkctl.evals.report.duelling import duel_of
    from thinkctl.evals.studies.spec import slug
    from thinkctl.evals.tasks import task as task_of

    study = duel_of(
        small,
        large,
        task,
        questions=questions,
        samples=samples,
        has_verifier=task_of(task).verifier is not None,
        axis=None if axis is None else _axis(axis),
        think=think,
        max_tokens=max_tokens,
    )
    _fight(study, _RESULTS / f"duel-{slug(task)}" if out is None else out, as_json=as_json, quiet=quiet)


def _fight(study: Study, folder: Path, *, as_json: bool, quiet: bool) -> None:
    from thinkctl.evals.report.duelling import LARGE
    from thinkctl.evals.report.writing import verdicts_of

    say(f"{one_line(study.title)}: into {folder}", quiet=quiet)
    results = run_watched(study, folder, quiet=quiet)
    page = write_page(results, folder / _PAGE, quiet=quiet)
    against = contrasts_of(results, LARGE)
    if as_json:
        rows = [dataclasses.asdict(each) for each in against]
        print_json({**json_of(results), "report": str(page), "contrasts": rows})
        return
    print_points(results.points)
    print_contrasts(against)
    print_verdicts(verdicts_of(results))
    typer.echo(f"\nReport: {page}")


def _axis(name: str) -> Axis:
    from thinkctl.evals.axes import Axis

    try:
        return Axis(name)
    except ValueError:
        raise ConfigurationError(f"there is no axis {name!r}; known: {', '.join(Axis)}") from None
