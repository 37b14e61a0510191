"""Countdown and Game of 24: an expression from given numbers. The check is exact, so nothing is hidden."""

from __future__ import annotations

from typing import Any, Final

from thinkctl.evals.tasks.data import rows
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Answer, History, Message, Problem, Request, Sample
from thinkctl.verifiers import Arithmetic

__all__ = ["countdown", "game24"]

_ASKED: Final = (
    "Use the numbers {}, each exactly once, and the operations + - * / with parentheses to write an expression "
    "that equals {}."
)
_SHOWN: Final[dict[int, tuple[tuple[list[int], int, str], ...]]] = {
    2: (([60, 4], 15, "60 / 4"), ([17, 58], 41, "58 - 17"), ([9, 13], 117, "9 * 13")),
    3: (([9, 5, 6], 24, "6 * (9 - 5)"), ([50, 4, 2], 21, "50 / 2 - 4"), ([70, 13, 8], 49, "70 - 13 - 8")),
    4: (
        ([1, 9, 5, 6], 24, "6 * (9 - 5) * 1"),
        ([2, 3, 7, 11], 24, "(11 - 7) * 3 * 2"),
        ([8, 8, 4, 2], 24, "8 + 8 + 4 * 2"),
    ),
}
"""Examples by the number of numbers: without them nearly every answer of a small model used other numbers."""


def countdown(numbers: int = 3) -> Task:
    """Return puzzles with so many numbers, 2 to 4, and a target from 10 to 199."""
    chosen = [row for row in rows("countdown.jsonl.gz") if len(row["numbers"]) == numbers]
    return _puzzles("countdown", chosen, "made for this project", "as the project")


def game24() -> Task:
    """Return the 1,362 solvable puzzles of the Game of 24, easiest first as people found them."""
    source = "princeton-nlp/tree-of-thought-llm @ ab40034 (Yao et al. 2023, arXiv:2305.10601)"
    return _puzzles("game24", rows("game24.jsonl.gz"), source, "MIT")


def _puzzles(name: str, chosen: list[dict[str, Any]], source: str, licence: str) -> Task:
    problems = tuple(
        Problem(
            messages=_put(row["numbers"], row["target"]),
            id=row["id"],
            form="text",
            given={"numbers": row["numbers"], "target": row["target"]},
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


def _put(numbers: list[int], target: int) -> tuple[Message, ...]:
    """Return the puzzle after some that are solved."""
    messages: list[Message] = []
    for shown, reached, expression in _SHOWN[len(numbers)]:
        messages += [
            Message(role="user", content=_ASKED.format(shown, reached)),
            Message(role="assistant", content=f"Final answer: {expression}"),
        ]
    return (*messages, Message(role="user", content=_ASKED.format(numbers, target)))


async def _exact(problem: Problem, text: str) -> bool:
    sample = Sample(0, Request(problem.messages), answer=Answer(text, text, 0))
    verdict = await Arithmetic().judge(History(problem), sample, {})
    return bool(verdict.passed)
