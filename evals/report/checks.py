"""How far the checks of a study can be trusted: their verdicts on recorded samples beside the hidden references."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

from thinkctl.evals.judging import Judging, trust
from thinkctl.evals.report.source import Results
from thinkctl.types import Answer, Run

__all__ = ["Checked", "checks_of"]


@final
@dataclass(frozen=True, slots=True)
class Checked:
    """How the check of an arm judged the samples of its pool on a task."""

    task: str
    arm: str
    judging: Judging

    @property
    def words(self) -> str:
        """What to think of the check, in one line."""
        return f"The check of {self.arm} on {self.task}: {self.judging.verdict}."


def checks_of(results: Results) -> tuple[Checked, ...]:
    """Return a row for each task and arm whose samples were judged by a check and are all graded: those of pools.

    Of arms that were run for each budget only the answers are graded, and what a check let through is no fair part of
    its samples.
    """
    places = dict.fromkeys((point.task, point.arm) for point in results.points if point.replayed)
    return tuple(
        Checked(task, arm, _judging(results, task, arm))
        for task, arm in places
        if _is_checked(next(iter(results.runs(task, arm)), None))
    )


def _is_checked(run: Run | None) -> bool:
    return run is not None and any(sample.verdict is not None for sample in run.samples)


def _judging(results: Results, task: str, arm: str) -> Judging:
    grades = results.grades(task, arm)
    runs = [run for run in results.runs(task, arm) if run.history.problem.id in grades]
    left = {name: iter(rows) for name, rows in grades.items()}
    right: dict[str, dict[str, bool]] = {name: {} for name in grades}
    for run in runs:
        name = run.history.problem.id
        for sample in run.samples:
            told = next(left[name])
            if sample.answer is not None:
                right[name][sample.answer.text] = told
    return trust(runs, {name: _grader(texts) for name, texts in right.items()})


def _grader(texts: Mapping[str, bool]) -> Callable[[Answer], bool]:
    return lambda answer: texts[answer.text]
