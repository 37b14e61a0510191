"""The figures of a report: rows to CSV, drawings to SVG files, and the same drawings as parts of a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.compliance import compliance_rows, draw_compliance
from thinkctl.evals.figures.contrasts import Contrast, best_arm, contrasts, in_words
from thinkctl.evals.figures.forest import draw_forest
from thinkctl.evals.figures.hero import draw_hero
from thinkctl.evals.figures.hero_rows import axes_of, hero_rows
from thinkctl.evals.figures.latency import draw_latency, latency_rows
from thinkctl.evals.figures.selection import draw_selectors, selector_rows
from thinkctl.evals.figures.style import COLOURS, GRID, INK, LABELS, MUTED, PAPER, plain, svg_of, write_rows
from thinkctl.evals.figures.token_use import TokenRow, draw_tokens, terciles, token_rows
from thinkctl.evals.points import Point
from thinkctl.evals.report.seen import seen_runs
from thinkctl.evals.report.source import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "Pictures", "TaskPictures", "draw_all"]

_VARIABLES: Final = {
    INK: "var(--ink)",
    PAPER: "var(--paper)",
    GRID: "var(--grid)",
    MUTED: "var(--faint)",
    **{colour.lower(): f"var(--c{place})" for place, colour in enumerate(COLOURS)},
}
_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9.-]+")


@final
@dataclass(frozen=True, slots=True)
class Panel:
    """A figure of a page: ``key`` is part of ids, ``svg`` is an element, ``caption`` and ``label`` are plain text."""

    key: str
    label: str
    svg: str
    caption: str


@final
@dataclass(frozen=True, slots=True)
class TaskPictures:
    """The hero figure of a task on each axis, and what arms came to against the baseline."""

    task: str
    panels: tuple[Panel, ...]
    contrasts: tuple[Contrast, ...]


@final
@dataclass(slots=True)
class Pictures:
    """All figures of a report."""

    tasks: list[TaskPictures] = field(default_factory=list[TaskPictures])
    insights: list[Panel] = field(default_factory=list[Panel])


def draw_all(
    results: Results,
    points: Sequence[Point],
    baselines: Mapping[str, str],
    arms: Mapping[str, str],
    folder: Path | None,
    chances: Mapping[str, float] | None = None,
) -> Pictures:
    """Draw every figure that the results have rows for; into ``folder`` as SVG with a CSV of its rows, if given.

    By task, ``baselines`` are the arms that others are compared with, ``arms`` those whose arrows are drawn, and
    ``chances`` the accuracies of guessing, at which the scale begins.
    """
    found = Pictures()
    tasks = list(dict.fromkeys(point.task for point in points))
    into = _Folder(folder)
    for task in tasks:
        chance = (chances or {}).get(task, 0.0)
        found.tasks.append(_task(points, task, baselines.get(task), arms.get(task), into, chance))
    every = [row for part in found.tasks for row in part.contrasts]
    found.insights = [
        *_forests(every, into),
        *_selectors(results, points, into),
        *_tokens(results, points, into),
        *_compliance(points, into),
        *_latency(points, into),
    ]
    return found


@final
@dataclass(frozen=True, slots=True)
class _Folder:
    """Where figures go, if anywhere."""

    path: Path | None

    def add(self, name: str, rows: Sequence[Any], draw: Callable[[], Figure]) -> str:
        """Write rows and drawing; return the drawing as an element of a page."""
        figure = draw()
        text = svg_of(figure)
        if self.path is not None:
            stem = _NOT_A_NAME.sub("-", name).strip("-")
            write_rows(self.path / f"{stem}.csv", rows)
            header = '<?xml version="1.0" encoding="utf-8"?>\n'
            (self.path / f"{stem}.svg").write_text(header + text, encoding="utf-8")
        return for_page(text, _NOT_A_NAME.sub("-", name))

    def insight(
        self, key: str, rows: Sequence[Any], draw: Callable[..., Figure], title: str, words: str
    ) -> list[Panel]:
        """Draw a figure of the whole study, if there are rows for it."""
        if not rows:
            return []
        svg = self.add(key, rows, partial(draw, rows, title=title))
        return [Panel(key, title, _named(svg, title), words)]


def for_page(svg: str, name: str) -> str:
    """Return an SVG element for a page that holds several: own ids, the page's colours, no metadata."""
    text = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'xlink:href="#', f'xlink:href="#{name}-', text)
    text = re.sub(r"#[0-9a-fA-F]{6}\b", lambda found: _VARIABLES.get(found[0].lower(), found[0]), text)
    return re.sub(r"\n\s*", "\n", text)


def _task(
    points: Sequence[Point], task: str, baseline: str | None, small: str | None, into: _Folder, chance: float
) -> TaskPictures:
    own = [point for point in points if point.task == task]
    against = () if baseline is None else contrasts(own, task, baseline)
    panels: list[Panel] = []
    for axis in axes_of(own):
        rows = hero_rows(own, task, axis, baseline)
        shown = best_arm([each for each in against if each.axis == axis], small)
        title = f"{task}: accuracy against {LABELS[axis]}"
        drawing = partial(draw_hero, rows, shown, title=title, chance=chance)
        svg = into.add(f"hero_{task}_{axis}", rows, drawing)
        panels.append(Panel(str(axis), LABELS[axis], _named(svg, title), _hero_words(shown, axis)))
    return TaskPictures(task, tuple(panels), against)


def _hero_words(shown: Contrast | None, axis: Axis) -> str:
    base = (
        "The line joins budgets of one arm; the number at a point is its budget. Bands and crosses are 95 % intervals "
        "over questions."
    )
    if shown is None:
        return base
    said = "; ".join(in_words(shown))
    return f"{shown.arm} against {shown.baseline}, in {LABELS[axis]}: {said}. {base}"


def _named(svg: str, title: str) -> str:
    """Give an SVG element a name for those who do not see it."""
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(plain(title), quote=True)}" ', 1)


def _forests(every: Sequence[Contrast], into: _Folder) -> list[Panel]:
    words = (
        "Cost of an arm at the baseline's accuracy for each unit of the baseline's cost, with 95 % intervals. Left of "
        "1 the arm is cheaper. Shares that are not reached are of resamples of the questions."
    )
    title = "What the same accuracy costs, in every kind of compute"
    return into.insight("forest", every, draw_forest, title, words)


def _selectors(results: Results, points: Sequence[Point], into: _Folder) -> list[Panel]:
    graded = {
        (point.task, point.arm): results.grades(point.task, point.arm)
        for point in points
        if point.oracle is not None
    }
    words = (
        "A random sample, the answer that was chosen, and the share of questions of which any sample was right, at the "
        "largest budget."
    )
    title = "What the selector finds of what the samples know"
    return into.insight("selectors", selector_rows(points, graded), draw_selectors, title, words)


def _tokens(results: Results, points: Sequence[Point], into: _Folder) -> list[Panel]:
    rows = [
        row
        for task in dict.fromkeys(point.task for point in points)
        for row in _tokens_of(results, points, task)
    ]
    words = (
        "Generated tokens of a question by what became of them, at the largest budget. Difficulty: thirds of the "
        "questions by how often all arms were right."
    )
    return into.insight("tokens", rows, draw_tokens, "Where the tokens go", words)


def _tokens_of(results: Results, points: Sequence[Point], task: str) -> list[TokenRow]:
    own = [point for point in points if point.task == task]
    thirds: Mapping[str, str] = terciles(own)
    arms = dict.fromkeys(point.arm for point in own)
    return [row for arm in arms for row in token_rows(task, arm, seen_runs(results, task, arm), thirds)]


def _compliance(points: Sequence[Point], into: _Folder) -> list[Panel]:
    words = "How much of its limit each point used: mean of questions, and the question that used most."
    return into.insight("compliance", compliance_rows(points), draw_compliance, "Asked and used", words)


def _latency(points: Sequence[Point], into: _Folder) -> list[Panel]:
    words = (
        "Measured points only, under the load of the study: as many questions in flight as it ran at once."
    )
    title = "Seconds from the call to the answer"
    return into.insight("latency", latency_rows(points), draw_latency, title, words)
