"""Countdown and Game of 24: an expression from given numbers. The check is exact, so nothing is hidden."""

from __future__ import annotations

from typing import Final

from thinkctl.evals.tasks.data import rows
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Answer, History, Problem, Request, Sample
from thinkctl.verifiers import Arithmetic

__all__ = ["countdown", "game24"]

_ASKED: Final = (
    "Use the numbers {}, each exactly once, and the operations + - * / with parentheses to write an expression "
    "that equals {}."
)


def countdown(numbers: int = 3) -> Task:
    """Return puzzles with so many numbers, 2 to 4, and a target from 10 to 199."""
    chosen = [row for row in rows("countdown.jsonl.gz") if len(row["numbers"]) == numbers]
    return _puzzles("countdown", chosen, "made for this project", "as the project")


def game24() -> Task:
    """Return the 1,362 solvable puzzles of the Game of 24, easiest first as people found them."""
    source = "princeton-nlp/tree-of-thought-llm @ ab40034 (Yao et al. 2023, arXiv:2305.10601)"
    return _puzzles("game24", rows("game24.jsonl.gz"), source, "MIT")


def _puzzles(name: str, chosen: list[dict[str, object]], source: str, licence: str) -> Task:
    problems = tuple(
        Problem.model_validate(
            {
                "id": row["id"],
                "form": "text",
                "messages": _ASKED.format(row["numbers"], row["target"]),
                "given": {"numbers": row["numbers"], "target": row["target"]},
            }
        )
        for row in chosen
    )
    return Task(
        name,
        "write an expression from given numbers; exact check",
        source,
        licence,
        problems,
        _exact,
        Arithmetic,
    )


async def _exact(problem: Problem, text: str) -> bool:
    sample = Sample(0, Request(problem.messages), answer=Answer(text, text, 0))
    verdict = await Arithmetic().judge(History(problem), sample, {})
    return bool(verdict.passed)
