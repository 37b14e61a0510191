"""One HTML file of a study: it loads nothing, and what models wrote in it stays text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import numpy as np

from thinkctl.errors import MissingExtra
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.hero_rows import axes_of, has_cost
from thinkctl.evals.figures.style import LABELS, amount, asked, number, signed
from thinkctl.evals.intervals import Estimate, mean, ratio, share
from thinkctl.evals.points import Point
from thinkctl.evals.report.claims import Judged
from thinkctl.evals.report.explorer import Question, json_for_html
from thinkctl.evals.report.health import HealthRow, Warned
from thinkctl.evals.report.paired import PairedRow
from thinkctl.evals.report.pictures import Pictures, TaskPictures
from thinkctl.evals.report.source import readable
from thinkctl.evals.statistics.verdicts import Verdict

try:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup
except ImportError as error:
    raise MissingExtra("reports need jinja2: pip install 'thinkctl[evals]'") from error

__all__ = ["render"]

_SIGNS: Final = {
    Verdict.REACHED: ("reached", "✓", "Reached"),
    Verdict.NOT_REACHED: ("missed", "✗", "Not reached"),
    Verdict.INCONCLUSIVE: ("inconclusive", "?", "Inconclusive"),
}
_ALMOST: Final = 1e-9
_NAME: Final = 160


def render(
    *,
    title: str,
    subtitle: str,
    verdicts: Sequence[Judged],
    points: Sequence[Point],
    baselines: Mapping[str, str],
    axes_first: Mapping[str, Axis],
    against: Sequence[PairedRow],
    pictures: Pictures,
    warnings: Sequence[Warned],
    health: Sequence[HealthRow],
    checks: Sequence[str],
    explorer: tuple[list[str], list[Question], Mapping[str, Any]],
    commands: str,
    study_file: str,
    identity: Mapping[str, Any],
    version: str,
) -> str:
    """Return the page. All texts are plain; they are made readable and escaped here."""
    arms, questions, data = explorer
    script = _asset("page.js")
    several = len({point.task for point in points}) > 1
    names = {task: readable(task, _NAME) for task in dict.fromkeys(point.task for point in points)}
    axes = axes_of(points)
    environment = Environment(
        loader=FunctionLoader(_asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
        finalize=_finalize,
    )
    return environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        several=several,
        verdicts=[_verdict(each) for each in verdicts],
        tasks=[_task(part, place, axes_first.get(part.task)) for place, part in enumerate(pictures.tasks)],
        insights=[{"svg": Markup(panel.svg), "caption": panel.caption} for panel in pictures.insights],
        axis_names=[LABELS[axis] for axis in axes],
        rows=[_row(point, axes, baselines, names) for point in points],
        against=[_against(row, names) for row in against],
        star=against[0].first if len({row.first for row in against}) == 1 else "",
        warnings=[{"about": each.about, "why": each.why} for each in warnings],
        health=[_health(row) for row in health],
        checks=checks,
        arms=arms,
        questions=[_question(each, several) for each in questions],
        data=Markup(json_for_html(data)),
        commands=commands,
        study_file=study_file,
        identity=json.dumps(identity, indent=2, ensure_ascii=False) if identity else "",
        version=version,
        css=Markup(_asset("page.css")),
        script=Markup(script),
        script_hash=_hash_of(script),
    )


def _finalize(value: Any) -> Any:
    """Make every text readable before it is escaped; what is markup already stays as it is."""
    return value if isinstance(value, Markup) or not isinstance(value, str) else readable(value)


def _asset(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _hash_of(script: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _verdict(judged: Judged) -> dict[str, Any]:
    kind, sign, word = _SIGNS[judged.stands]
    if judged.stands is not judged.verdict:
        word = f"{_SIGNS[judged.verdict][2]} by itself, inconclusive together with the others"
    if judged.stands is Verdict.INCONCLUSIVE and judged.needs is not None:
        word += f": needs about {judged.needs:,} questions"
    together = "" if judged.corrected is None else judged.corrected.words
    return {
        "kind": kind,
        "sign": sign,
        "word": word,
        "words": judged.words,
        "together": together,
        "claim": judged.claim,
    }


def _task(part: TaskPictures, place: int, axis: Axis | None) -> dict[str, Any]:
    """Return a task's panels, of which the one of this axis is shown first."""
    keys = [panel.key for panel in part.panels]
    first = keys.index(str(axis)) if axis is not None and str(axis) in keys else 0
    return {
        "id": f"task{place}",
        "name": part.task,
        "panels": [
            {
                "id": f"task{place}-{panel.key}",
                "label": panel.label,
                "svg": Markup(panel.svg),
                "caption": panel.caption,
                "checked": number == first,
            }
            for number, panel in enumerate(part.panels)
        ],
    }


def _row(
    point: Point, axes: Sequence[Axis], baselines: Mapping[str, str], names: Mapping[str, str]
) -> dict[str, Any]:
    groups = np.arange(len(point.question_ids))
    return {
        "task": names[point.task],
        "arm": point.arm,
        "baseline": point.arm == baselines.get(point.task),
        "budget": asked(point.budget, point.limit),
        "questions": len(point.question_ids),
        "accuracy": _percent(share(point.right, groups)),
        "abstained": f"{100 * float(point.abstained.mean()):.1f}",
        "costs": [_cost(point, axis) for axis in axes],
        "per_right": _per_right(point),
        "how": "replayed" if point.replayed else "measured",
    }


def _against(row: PairedRow, names: Mapping[str, str]) -> dict[str, Any]:
    points = signed(row.points.value)
    if row.points.low is not None and row.points.high is not None:
        points += f" [{signed(row.points.low)}, {signed(row.points.high)}]"
    return {
        "task": names[row.task],
        "arm": row.second,
        "baseline": row.first,
        "questions": row.questions,
        "points": points,
        "changed": f"{row.better} / {row.worse}",
        "test": row.test,
        "p": _p(row.p_value),
        "holm": _p(row.adjusted),
    }


def _p(value: float | None) -> str:
    if value is None:
        return "unknown"
    return "< 0.0001" if value < 1e-4 else f"{value:.2g}"


def _percent(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:.1f}"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _cost(point: Point, axis: Axis) -> str:
    if not has_cost(point, axis):
        return "not measured"
    return amount(mean(point.costs[axis], np.arange(len(point.question_ids))).value, axis)


def _per_right(point: Point) -> str:
    if not has_cost(point, Axis.GENERATED_TOKENS):
        return "unknown"
    found = ratio(point.costs[Axis.GENERATED_TOKENS], point.right, np.arange(len(point.question_ids)))
    if found is None:
        return "none right"
    if found.low is None or found.high is None:
        return number(found.value)
    return f"{number(found.value)} [{number(found.low)}, {number(found.high)}]"


def _health(row: HealthRow) -> dict[str, Any]:
    return {
        "task": row.task,
        "arm": row.arm,
        "budget": asked(row.budget, row.limit),
        "samples": f"{row.samples:,}",
        "truncated": f"{100 * row.truncated:.1f}",
        "unparsed": f"{100 * row.unparsed:.1f}",
        "errors": f"{100 * row.errors:.1f}",
        "overshoot": f"{row.overshoot_tokens:,}",
        "usage": "estimated" if row.estimated else "told by the engine",
        "how": "replayed" if row.replayed else "measured",
    }


def _question(question: Question, several: bool) -> dict[str, Any]:
    """Return a line of the explorer. ``code`` has a sign an arm: 1 right, 0 wrong, - no answer, p partly, a blank."""
    marks = [_mark(right, gone) for right, gone in zip(question.right, question.abstained, strict=True)]
    name = f"{question.task}: {question.name}" if several else question.name
    return {
        "name": readable(name, _NAME),
        "code": "".join(mark["code"] for mark in marks),
        "marks": marks,
    }


def _mark(right: float | None, abstained: float | None) -> dict[str, str]:
    if right is None:
        return {"code": " ", "kind": "gone", "text": "", "title": ""}
    if right >= 1 - _ALMOST:
        return {"code": "1", "kind": "yes", "text": "✓", "title": "right"}
    if right > _ALMOST:
        return {
            "code": "p",
            "kind": "part",
            "text": f"{right:.2f}",
            "title": "share of repeats that are right",
        }
    if abstained is not None and abstained >= 1 - _ALMOST:
        return {"code": "-", "kind": "none", "text": "–", "title": "no answer"}
    return {"code": "0", "kind": "no", "text": "✗", "title": "wrong"}
