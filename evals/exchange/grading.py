"""Who says whether an answer is right: reference answers of a file, a task's grader, or the log it came from."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from thinkctl.answers import FORMS
from thinkctl.evals.gold import is_right, read_gold
from thinkctl.types import Problem

__all__ = ["Reference", "beside", "by_gold", "by_task", "gold_beside", "says"]


@final
@dataclass(frozen=True)
class Reference:
    """A grader with a name; ``grade`` says of an answer's text whether it is right, ``None`` if it does not know."""

    name: str
    grade: Callable[[Problem, str], Coroutine[Any, Any, bool | None]]


def beside(path: Path, kind: str) -> Path:
    """Return the file of this kind (``gold``, ``grades``) that goes with a run file: ``runs.gold.jsonl``."""
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    return path.with_name(f"{name}.{kind}.jsonl")


def gold_beside(paths: Iterable[Path]) -> dict[str, str]:
    """Return the reference answers that lie beside run files, as imported ones have them."""
    found = [beside(path, "gold") for path in paths]
    return {name: answer for path in found if path.exists() for name, answer in read_gold(path).items()}


def says(gold: Mapping[str, str], problem: Problem, answer: str | None) -> bool | None:
    """Say whether an answer is right by reference answers; ``None`` where the problem has none. No answer is wrong."""
    reference = gold.get(problem.id)
    if reference is None:
        return None
    form_name = problem.form if problem.form in FORMS else "text"
    return answer is not None and is_right(answer, reference, form_name)


def by_gold(path: str | Path) -> Reference:
    """Return the grader of a file of reference answers. Raises ``RunFileError``."""
    gold = read_gold(path)

    async def grade(problem: Problem, text: str) -> bool | None:
        return says(gold, problem, text)

    return Reference(f"reference answers of {Path(path).name}", grade)


def by_task(name: str) -> Reference:
    """Return the grader of a task, which may run code in a sandbox. Raises ``ConfigurationError``."""
    from thinkctl.evals.tasks import task

    found = task(name)
    known = {problem.id for problem in found.problems}

    async def grade(problem: Problem, text: str) -> bool | None:
        return await found.grade(problem, text) if problem.id in known else None

    return Reference(f"grader of {name}", grade)
