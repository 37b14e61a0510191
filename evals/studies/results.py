"""The results of a study, read from its folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.points import Point, read_points
from thinkctl.evals.studies.grading import grade_key, read_grades
from thinkctl.evals.studies.records import RUNS, read_cards
from thinkctl.evals.studies.sessions import Lost, lost
from thinkctl.evals.studies.spec import Study, load_study
from thinkctl.evals.studies.summarising import POINTS, SUMMARY
from thinkctl.runfile import TornLine, read
from thinkctl.types import ModelCard, Run

__all__ = ["StudyResults", "open_study"]


@final
@dataclass(frozen=True)
class StudyResults:
    """A finished study. ``summary`` is its ``study.json``; ``cards`` are by the models' names in the study."""

    folder: Path
    study: Study
    points: tuple[Point, ...]
    cards: Mapping[str, ModelCard]
    summary: Mapping[str, Any]

    def runs(self, task: str, arm: str, limit: float | None = None) -> Iterator[Run]:
        """Iterate over the runs of an arm on a task: of the budget ``limit``, or of its largest.

        Where an arm was replayed, they are the runs of its pool, whatever the budget. Raises ``ConfigurationError``
        for an arm, a task or a budget that the study has not.
        """
        name = self._recording(task, arm, limit)
        both = (self.folder / RUNS / f"{name}.jsonl.gz", self.folder / RUNS / f"{name}.jsonl")
        for path in both:
            if path.exists():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", TornLine)
                    yield from read(path)

    def grades(self, task: str, arm: str, limit: float | None = None) -> Mapping[str, tuple[bool, ...]]:
        """Return by question id which samples are right: one value a sample, in launch order, run after run.

        A sample without an answer is not right. Questions with a sample that nobody graded are left out.
        """
        told = self.summary["tasks"][task]
        found: dict[str, list[bool | None]] = {}
        for run in self.runs(task, arm, limit):
            name = run.history.problem.id
            rows = found.setdefault(name, [])
            for sample in run.samples:
                text = None if sample.answer is None else sample.answer.text
                key = "" if text is None else grade_key(told["name"], told["checksum"], name, text)
                rows.append(False if text is None else self._graded.get(key))
        return {name: tuple(bool(each) for each in rows) for name, rows in found.items() if None not in rows}

    @property
    def lost(self) -> Lost:
        """What was generated for it and is in no record, since runs were cut off."""
        return lost(self.folder)

    @cached_property
    def _graded(self) -> Mapping[str, bool]:
        return read_grades(self.folder)

    def is_right(self, task: str, run: Run) -> bool | None:
        """Say whether the answer of a run is right; ``None`` where nobody graded it."""
        if run.answer is None:
            return False
        told = self.summary["tasks"][task]
        key = grade_key(told["name"], told["checksum"], run.history.problem.id, run.answer.text)
        return self._graded.get(key)

    def _recording(self, task: str, arm: str, limit: float | None) -> str:
        rows = [row for row in self.summary["points"] if (row["task"], row["arm"]) == (task, arm)]
        chosen = [row for row in rows if limit is None or row["budget"] == limit]
        if not chosen:
            known = ", ".join(
                sorted({f"{row['arm']!r} on {row['task']!r}" for row in self.summary["points"]})
            )
            budgets = f"; its budgets are {', '.join(str(row['budget']) for row in rows)}" if rows else ""
            raise ConfigurationError(
                f"{self.folder} has no runs of {arm!r} on {task!r}"
                f"{'' if limit is None else f' at {limit:g}'}{budgets}; it has {known}"
            )
        return str(max(chosen, key=lambda row: row["budget"])["recording"])


def open_study(folder: str | Path) -> StudyResults:
    """Read the results of a study.

    Raises ``ConfigurationError`` for a folder that holds none, or a study that is not finished.
    """
    place = Path(folder)
    missing = [name for name in ("study.toml", SUMMARY, POINTS) if not (place / name).exists()]
    if "study.toml" in missing:
        raise ConfigurationError(f"{place} holds no study; give the folder that thinkctl eval wrote")
    if missing:
        raise ConfigurationError(
            f"{place}: the study is not finished ({', '.join(missing)} is missing); run the same thinkctl eval again, "
            "it goes on where it was"
        )
    try:
        summary = json.loads((place / SUMMARY).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"{place / SUMMARY}: {error}; run the same thinkctl eval again") from None
    return StudyResults(
        place, load_study(place / "study.toml"), read_points(place / POINTS), read_cards(place), summary
    )
