"""The studies of the demo: one that was recorded and comes with thinkctl, and a small live one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl.cli.opening import prepare
from thinkctl.cli.show import say
from thinkctl.cli.study_progress import run_watched
from thinkctl.cli.study_results import json_of, print_points, print_verdicts, write_page
from thinkctl.cli.text import one_line, plural
from thinkctl.errors import ThinkctlError

if TYPE_CHECKING:
    from thinkctl.evals.points import Point
    from thinkctl.evals.studies import Study, StudyResults

__all__ = ["LARGE", "RECORDED", "claimed_points", "folder_for", "live_study", "recorded_study", "show_study"]

LARGE: Final = "qwen2.5-coder-1.5b-instruct"
RECORDED: Final = "small-thinks-longer_qwen2.5-coder-0.5b-1.5b_2026-11-22"
_TASK: Final = "countdown"
_TUNE: Final = 12
"""Questions that the examples in the task's prompt were chosen on; none of them is asked."""
_TRIES: Final = 16
"""Samples of the small model at a puzzle, at most."""
_MOST_TOKENS: Final = 48
"""Of a sample; an expression takes about 20."""
_PAGE: Final = "report.html"


def folder_for(out: Path | None) -> Path:
    """Return where the demo's results go: a new folder each time, unless one is named."""
    return Path("results") / time.strftime("demo_%Y-%m-%d_%H%M%S") if out is None else out


def recorded_study() -> StudyResults:
    """Return the study that comes with thinkctl."""
    from thinkctl.evals.studies import open_study

    return open_study(Path(str(files("thinkctl.evals") / "results" / RECORDED)))


def claimed_points(results: StudyResults) -> Sequence[Point]:
    """Return the points of the arms that a study states claims about."""
    arms = {(claim.task, arm) for claim in results.study.claims for arm in (claim.small, claim.large)}
    return [point for point in results.points if (point.task, point.arm) in arms or (None, point.arm) in arms]


def live_study(small: str, large: str | None, *, questions: int, folder: Path, quiet: bool) -> StudyResults:
    """Run a small study on number puzzles, which an exact check tells right from wrong; without ``large``, alone.

    The specs are those of engines. A large model that cannot be had is left out, with a notice.
    """
    study = _study(small, large if large is not None and _is_here(large) else None, questions)
    say(f"{plural(questions, 'puzzle')}, live: into {folder}", quiet=quiet)
    return run_watched(study, folder, quiet=quiet)


def _study(small: str, large: str | None, questions: int) -> Study:
    from thinkctl.evals.report.duelling import duel_of

    study = duel_of(
        small,
        large or small,
        _TASK,
        questions=questions,
        samples=_TRIES,
        has_verifier=True,
        max_tokens=_MOST_TOKENS,
        tune=_TUNE,
    )
    if large is not None:
        return study
    arms = tuple(arm for arm in study.arms if arm.model == "small")
    models = {"small": study.models["small"]}
    title = f"{one_line(small.partition(':')[2])} at once, and thinking longer"
    return study.model_copy(update={"title": title, "arms": arms, "claims": (), "models": models})


def _is_here(spec: str) -> bool:
    """Fetch a model if it is not on this machine; where that fails say why, and that it is left out."""
    try:
        prepare([spec])
    except ThinkctlError as error:
        say(f"the live study goes without {one_line(spec)}: {error}")
        return False
    return True


def show_study(
    heading: str, results: StudyResults, points: Sequence[Point], folder: Path, *, as_json: bool, quiet: bool
) -> dict[str, Any]:
    """Write the report of a study, print points, claims and verdicts unless ``as_json``, and return it all as data."""
    from thinkctl.evals.report.writing import verdicts_of

    page = write_page(results, folder / _PAGE, quiet=quiet)
    if not as_json:
        typer.echo(f"\n{heading}: {one_line(results.study.title)}")
        print_points(points)
        print_verdicts(verdicts_of(results))
        for figure in sorted((page.parent / "figures").glob("hero*teraflops*.svg")):
            typer.echo(f"Accuracy against compute: {figure}")
        typer.echo(f"Report: {page}")
    return {**json_of(results), "report": str(page)}
