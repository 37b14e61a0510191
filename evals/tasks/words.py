"""Word problems with a number as their answer: SVAMP and GSM8K."""

from __future__ import annotations

from thinkctl.evals.gold import is_right
from thinkctl.evals.tasks.data import rows, version_of
from thinkctl.evals.tasks.task import Task, by_id
from thinkctl.types import Problem, Sampling

__all__ = ["gsm8k", "svamp"]


def svamp() -> Task:
    """Return SVAMP: 999 one-step problems with a sentence that misleads."""
    return _words("svamp", "one-step word problems", "arkilpatel/SVAMP @ 689d7cc (arXiv:2103.07191)", 256)


def gsm8k() -> Task:
    """Return the test problems of GSM8K: 2 to 8 steps each."""
    return _words("gsm8k", "grade-school word problems", "openai/grade-school-math (arXiv:2110.14168)", 512)


def _words(name: str, about: str, source: str, longest: int) -> Task:
    references = by_id(rows(f"{name}_references.jsonl.gz"))

    async def grade(problem: Problem, text: str) -> bool:
        return is_right(text, str(references[problem.id]["answer"]), "number")

    problems = tuple(
        Problem.model_validate({"id": row["id"], "form": "number", "messages": row["question"]})
        for row in rows(f"{name}.jsonl.gz")
    )
    return Task(
        name,
        about,
        source,
        "MIT",
        problems,
        grade,
        version=version_of(f"{name}.jsonl.gz", f"{name}_references.jsonl.gz"),
        public_since=2021,
        sampling=Sampling(max_tokens=longest),
    )
