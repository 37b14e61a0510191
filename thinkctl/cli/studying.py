"""``thinkctl eval`` and ``thinkctl plan``: their options. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thinkctl.cli.common import Json, Quiet

__all__ = ["eval_", "plan"]

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="What to run; see the how-to page.")]
Folder = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the results go.", show_default="results/NAME of the file"),
]


def eval_(
    study: StudyFile,
    *,
    out: Folder = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Run nothing; print the exact first requests of every arm."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Run a study: models, strategies and budgets over tasks.

    Break it off at any moment, even by a kill; the same command goes on where it was. Prints a table of its points;
    thinkctl report FOLDER makes the page.
    """
    from thinkctl.cli.study import dry, run

    if dry_run:
        dry(study, as_json=as_json)
    else:
        run(study, out, as_json=as_json, quiet=quiet)


def plan(
    study: StudyFile,
    *,
    out: Folder = None,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=N", help="Generated tokens a second of a model. May be given more than once."
        ),
    ] = None,
    sample_tokens: Annotated[
        float | None,
        typer.Option(min=1, metavar="N", help="Expected tokens of a sample.", show_default="from its limit"),
    ] = None,
    as_json: Json = False,
) -> None:
    """See what a study takes before it runs.

    Runs, calls, tokens (expected and at worst), time at a measured or given rate, dollars, and the smallest difference
    in accuracy that so many questions can tell from none. What is recorded already is left out.
    """
    from thinkctl.cli.study_forecast import forecast

    forecast(study, out, rates=rate or [], sample_tokens=sample_tokens, as_json=as_json)
