"""Write the report of a study: one page, and beside it every figure with its rows."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.report.checks import checks_of
from thinkctl.evals.report.claims import Judged, claimed_arms, claimed_axes, compared_with, judge
from thinkctl.evals.report.explorer import MOST_BYTES, explorer_of
from thinkctl.evals.report.health import cut_off, health_rows, warnings_of
from thinkctl.evals.report.page import render
from thinkctl.evals.report.paired import against_baselines
from thinkctl.evals.report.pictures import draw_all
from thinkctl.evals.report.source import Results, within

__all__ = ["verdicts_of", "write_report"]

_STUDY_FILE: Final = "study.toml"
_IDENTITY: Final = "study.json"
_FIGURES: Final = "figures"
_LONGEST: Final = 200_000


def verdicts_of(results: Results) -> tuple[Judged, ...]:
    """Return the verdicts on a study's claims; none where it states none."""
    return judge(within(results.points), results.study.claims)


def write_report(results: Results, path: Path, *, most_bytes: int = MOST_BYTES) -> Path:
    """Write the page to ``path``, and figures as SVG and CSV into the folder ``figures`` beside it; return ``path``.

    ``most_bytes`` bounds what is shown of questions and samples. Raises ``ConfigurationError`` for a study without
    points.
    """
    points = within(results.points)
    if not points:
        raise ConfigurationError(f"{results.folder} has no points yet; run its study first: thinkctl eval")
    claims = results.study.claims
    baselines = compared_with(points, claims)
    identity = _json_of(results.folder / _IDENTITY)
    path.parent.mkdir(parents=True, exist_ok=True)
    arms = claimed_arms(points, claims)
    page = render(
        title=results.study.title,
        subtitle=_subtitle(results),
        verdicts=verdicts_of(results),
        points=points,
        baselines=baselines,
        axes_first=claimed_axes(points, claims),
        against=against_baselines(points, baselines),
        pictures=draw_all(results, points, baselines, arms, path.parent / _FIGURES, _chances(identity)),
        warnings=[*warnings_of(points, results.study, _tasks_of(identity)), *cut_off(results)],
        health=health_rows(points),
        checks=[each.words for each in checks_of(results)],
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
