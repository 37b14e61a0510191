"""Write the report of a study: one page, and beside it every figure with its rows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.report.claims import Judged, claim_in_words, judge, zero_shot_large
from thinkctl.evals.report.explorer import MOST_BYTES, explorer_of
from thinkctl.evals.report.health import health_rows, warnings_of
from thinkctl.evals.report.page import render
from thinkctl.evals.report.pictures import draw_all
from thinkctl.evals.report.source import Results, within

__all__ = ["verdicts_of", "write_report"]

_STUDY_FILE: Final = "study.toml"
_IDENTITY: Final = "study.json"
_FIGURES: Final = "figures"
_LONGEST: Final = 200_000


def verdicts_of(results: Results) -> tuple[Judged, ...]:
    """Return the verdicts on a study's claim; none where it states none."""
    claim = results.study.claim
    return () if claim is None else judge(within(results.points), claim)


def write_report(results: Results, path: Path, *, most_bytes: int = MOST_BYTES) -> Path:
    """Write the page to ``path``, and figures as SVG and CSV into the folder ``figures`` beside it; return ``path``.

    ``most_bytes`` bounds what is shown of questions and samples. Raises ``ConfigurationError`` for a study without
    points.
    """
    points = within(results.points)
    if not points:
        raise ConfigurationError(f"{results.folder} has no points yet; run its study first: thinkctl eval")
    claim = results.study.claim
    baseline = zero_shot_large(points, claim)
    identity = _json_of(results.folder / _IDENTITY)
    path.parent.mkdir(parents=True, exist_ok=True)
    small = None if claim is None else claim.small
    page = render(
        title=results.study.title,
        subtitle=_subtitle(results),
        claim=None if claim is None else claim_in_words(claim),
        verdicts=verdicts_of(results),
        points=points,
        baseline=baseline,
        pictures=draw_all(results, points, baseline, small, path.parent / _FIGURES, _chances(identity)),
        warnings=warnings_of(points, results.study, _tasks_of(identity)),
        health=health_rows(points),
        explorer=explorer_of(results, most_bytes),
        commands=_commands(results.folder, path),
        study_file=_text_of(results.folder / _STUDY_FILE),
        identity=identity,
        version=_version(),
    )
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(page, encoding="utf-8", errors="replace")
    draft.replace(path)
    return path


def _subtitle(results: Results) -> str:
    points = results.points
    tasks = list(dict.fromkeys(point.task for point in points))
    counts = [max(len(point.question_ids) for point in points if point.task == task) for task in tasks]
    listed = ", ".join(f"{task} ({count:,} questions)" for task, count in zip(tasks, counts, strict=True))
    models = ", ".join(dict.fromkeys(point.model for point in points))
    return f"{listed}; models: {models}"


def _tasks_of(identity: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found = identity.get("tasks")
    if not isinstance(found, dict):
        return {}
    return {str(name): card for name, card in found.items() if isinstance(card, dict)}


def _chances(identity: Mapping[str, Any]) -> Mapping[str, float]:
    """Return by task what guessing comes to, where its card says so."""
    cards = {name: told.get("card") for name, told in _tasks_of(identity).items()}
    chances = {name: card.get("chance") for name, card in cards.items() if isinstance(card, dict)}
    return {
        name: float(value)
        for name, value in chances.items()
        if isinstance(value, int | float) and 0 <= value < 1
    }


def _commands(folder: Path, path: Path) -> str:
    study, place = folder / _STUDY_FILE, folder
    return "\n".join(
        (
            shlex.join(["thinkctl", "eval", str(study), "--out", str(place)]),
            shlex.join(["thinkctl", "report", str(place), "--out", str(path)]),
        )
    )


def _json_of(path: Path) -> Mapping[str, Any]:
    text = _text_of(path)
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:_LONGEST]
    except OSError:
        return ""


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("thinkctl")
    except PackageNotFoundError:
        return "unknown"
