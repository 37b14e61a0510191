"""What ``thinkctl eval`` and ``thinkctl plan`` do and print."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import typer

from thinkctl.cli.output import print_json
from thinkctl.cli.show import say
from thinkctl.cli.study_progress import run_watched
from thinkctl.cli.study_results import json_of, print_points, print_verdicts
from thinkctl.cli.text import clean, one_line, plural

__all__ = ["dry", "folder_of", "run"]

_RESULTS: Final = Path("results")


def run(path: Path, out: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Run a study, or go on with it, and print its points."""
    from thinkctl.evals.report.writing import verdicts_of
    from thinkctl.evals.studies import load_study

    study, folder = load_study(path), folder_of(path, out)
    source = path.read_text(encoding="utf-8")
    say(f"{one_line(study.title)}: into {folder}", quiet=quiet)
    results = run_watched(study, folder, source=source, quiet=quiet)
    if as_json:
        print_json(json_of(results))
    else:
        print_points(results.points)
        print_verdicts(verdicts_of(results))
        if said := results.lost.in_words():
            typer.echo(said)
        typer.echo(f"\nResults: {results.folder}")


def dry(path: Path, *, as_json: bool) -> None:
    """Print what each recording would ask first, and run nothing."""
    from thinkctl.evals.studies import load_study, plan_study
    from thinkctl.evals.studies.planning import first_requests

    told = first_requests(plan_study(load_study(path)))
    if as_json:
        print_json(told)
        return
    for each in told:
        wall = ", ".join(f"{name}={value}" for name, value in each["wall"].items()) or "no limit"
        typer.echo(
            f"== {each['recording']}: question {one_line(each['question'])}, seed {each['seed']}, {wall}"
        )
        for request in each["requests"]:
            sampling = ", ".join(f"{k}={v}" for k, v in request["sampling"].items() if v is not None)
            thinks = "thinks" if request["think"] else "answers at once"
            typer.echo(f"-- {request['model']}, {plural(request['times'], 'time')}, {thinks}, {sampling}")
            for turn in request["messages"]:
                typer.echo(f"[{turn['role']}]\n{clean(turn['content'])}")
        typer.echo("")


def folder_of(path: Path, out: Path | None) -> Path:
    """Return where the results of a study file go."""
    return _RESULTS / path.stem if out is None else out
