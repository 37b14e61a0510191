"""A task: problems as a model sees them, a verifier that knows what is public, and a grader that knows the rest."""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.types import Problem

__all__ = ["Grader", "Task"]

Grader = Callable[[Problem, str], Coroutine[Any, Any, bool]]
"""Says whether an answer's text is right. Only a grader knows the references."""

_DRAW: Final = "thinkctl"


@final
@dataclass(frozen=True)
class Task:
    """A named set of problems, how they are put, checked in public, and graded in secret.

    ``verifier`` makes the public check (``None``: the task has none); it sees what stands in a problem and nothing
    else. ``grade`` compares with the references, which no problem holds. ``about``, ``source`` and ``licence`` are
    the task's card.
    """

    name: str
    about: str
    source: str
    licence: str
    problems: tuple[Problem, ...]
    grade: Grader
    verifier: Callable[[], Verifier] | None = None

    def split(self, tune: int, report: int) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """Draw ``tune`` problems to choose prompts and thresholds on, and ``report`` others to report on.

        The draw is the same on every machine and for every size: with more to report, the problems of a smaller
        report stay in. Raises ``ConfigurationError`` where the task has fewer problems.
        """
        if tune < 0 or report < 1 or tune + report > len(self.problems):
            raise ConfigurationError(
                f"{self.name} has {len(self.problems)} problems; {tune} to tune on and {report} to report on "
                "cannot be drawn from them"
            )
        drawn = list(self.problems)
        random.Random(f"{_DRAW}:{self.name}").shuffle(drawn)
        return tuple(drawn[:tune]), tuple(drawn[tune : tune + report])

    async def grades(self, answered: Sequence[tuple[Problem, str | None]]) -> list[bool]:
        """Grade answers one after the other; no answer is wrong."""
        return [text is not None and await self.grade(problem, text) for problem, text in answered]


def by_id(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return references by the id of their problem."""
    return {str(row["id"]): row for row in rows}
