"""A small task of sums, and studies of made-up models on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from thinkctl.evals.studies import Study, run_study
from thinkctl.evals.tasks import Task
from thinkctl.types import Problem

SUMS = [(3, 4, 5), (7, 8, 2), (6, 6, 1), (9, 3, 4), (2, 5, 8), (4, 9, 7)]


async def _grade(problem: Problem, text: str) -> bool:
    first, second, third = SUMS[int(problem.id.removeprefix("sum"))]
    return text.strip() == str(first * second + third)


def sums(_: str = "sums") -> Task:
    """Six sums in boxes."""
    problems = tuple(
        Problem.model_validate({"id": f"sum{place}", "messages": f"What is {a}*{b}+{c}?"})
        for place, (a, b, c) in enumerate(SUMS)
    )
    return Task("sums", "sums", "made here", "as the project", problems, _grade)


def study_of(**changes: Any) -> Study:
    """A study of one small and one large made-up model; ``changes`` replace keys."""
    return Study.model_validate(
        {
            "title": "sums",
            "budgets": [1, 2, 4],
            "tasks": [{"name": "sums"}],
            "models": {
                "small": {
                    "engine": "scripted:small",
                    "options": {"right": 0.5},
                    "prices": "prompt=1,generated=2",
                },
                "large": {"engine": "scripted:large", "options": {"right": 0.8}},
            },
            "arms": [
                {"name": "large", "model": "large", "strategy": "zero-shot"},
                {"name": "votes", "model": "small", "strategy": "self-consistency(4)"},
            ],
            "orders": 2,
            **changes,
        }
    )


@pytest.fixture
def go(tmp_path: Path):
    """Return ``go(study, folder=...)``: run it and return its results."""

    def run(study: Study, folder: Path = tmp_path / "results", **options: Any):
        return run_study(study, folder, task_of=sums, **options)

    return run
