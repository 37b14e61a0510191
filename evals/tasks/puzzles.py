"""Countdown and Game of 24: an expression from given numbers. The check is exact, so nothing is hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.data import rows, version_of
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Answer, History, Message, Problem, Request, Sample, Sampling
from thinkctl.verifiers import Arithmetic

__all__ = ["countdown", "game24", "puzzles"]

_ASKED: Final = (
    "Use the numbers {}, each exactly once, and the operations + - * / with parentheses to write an expression "
    "that equals {}."
)
_SHOWN: Final[dict[int, tuple[tuple[list[int], int, str], ...]]] = {
    2: (([60, 4], 15, "60 / 4"), ([17, 58], 41, "58 - 17"), ([9, 13], 117, "9 * 13")),
    3: (([9, 5, 6], 24, "6 * (9 - 5)"), ([50, 4, 2], 21, "50 / 2 - 4"), ([70, 13, 8], 49, "70 - 13 - 8")),
    4: (
        ([1, 9, 5, 6], 23, "6 * (9 - 5) - 1"),
        ([2, 3, 7, 11], 26, "11 * 2 + 7 - 3"),
        ([8, 8, 4, 2], 22, "8 * 4 - 8 - 2"),
    ),
}
"""Examples by the number of numbers: without them nearly every answer of a small model used other numbers.

None of them is a puzzle of a set.
"""


def countdown(numbers: int = 3) -> Task:
    """Return puzzles with so many numbers, 2 to 4, and a target from 10 to 199."""
    if numbers not in _SHOWN:
        raise ConfigurationError(f"numbers={numbers!r}: countdown has puzzles with 2, 3 and 4 numbers")
    file = "countdown.jsonl.gz"
    return puzzles(
        "countdown" if numbers == 3 else f"countdown{numbers}",
        [row for row in rows(file) if len(row["numbers"]) == numbers],
        "made for this project",
        "as the project",
        version=version_of(file),
        contamination="made for this project in 2026: no model trained before has seen it",
        public_since=2026,
    )


def game24() -> Task:
    """Return the 1,362 solvable puzzles of the Game of 24, easiest first as people found them."""
    source = "princeton-nlp/tree-of-thought-llm @ ab40034 (Yao et al. 2023, arXiv:2305.10601)"
    file = "game24.jsonl.gz"
    return puzzles("game24", rows(file), source, "MIT", version=version_of(file), public_since=2023)


def puzzles(
    name: str,
    chosen: Sequence[Mapping[str, Any]],
    source: str,
    licence: str,
    *,
    version: str,
    public_since: int | None = None,
    contamination: str = "",
) -> Task:
    """Return puzzles out of rows with ``id``, ``numbers`` and ``target``."""
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
        version=version,
        public_since=public_since,
        contamination=contamination,
        metric="share of puzzles with an expression that checks",
        public="everything: the check is exact and needs no reference",
        hidden="nothing",
        sampling=Sampling(max_tokens=512),
    )


def _put(numbers: list[int], target: int) -> tuple[Message, ...]:
    """Return the puzzle after some that are solved."""
    messages: list[Message] = []
    for shown, reached, expression in _SHOWN[min(len(numbers), max(_SHOWN))]:
        messages += [
            Message(role="user", content=_ASKED.format(shown, reached)),
            Message(role="assistant", content=f"Final answer: {expression}"),
        ]
    return (*messages, Message(role="user", content=_ASKED.format(numbers, target)))


async def _exact(problem: Problem, text: str) -> bool:
    sample = Sample(0, Request(problem.messages), answer=Answer(text, text, 0))
    verdict = await Arithmetic().judge(History(problem), sample, {})
    return bool(verdict.passed)
