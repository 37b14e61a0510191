"""HumanEval and MBPP: write a function; the examples in the question are public, the tests are hidden."""

from __future__ import annotations

from typing import Final

from thinkctl.evals.tasks.data import rows, version_of
from thinkctl.evals.tasks.task import Task, by_id
from thinkctl.types import Problem, Sampling
from thinkctl.verifiers.code_tests import run_tests
from thinkctl.verifiers.docstring_tests import docstring_tests
from thinkctl.verifiers.sandbox import Sandbox
from thinkctl.verifiers.unit_tests import UnitTests

__all__ = ["humaneval", "mbpp"]

_HUMANEVAL: Final = (
    "Complete this Python function. Give the whole function, with what it imports.\n\n```python\n{}\n```"
)
_MBPP: Final = "{}\n\nThe function is called `{}` and should pass this test:\n\n```python\n{}\n```"

_PATIENT: Final = Sandbox(seconds=20)
"""Beside an engine that has all cores, good code is slow too."""


def humaneval() -> Task:
    """Return HumanEval: 164 functions with signature and docstring.

    Public are the examples in the docstring, as far as they can be read; a few problems have none.
    """
    problems = tuple(
        Problem.model_validate(
            {
                "id": row["id"],
                "form": "code",
                "messages": _HUMANEVAL.format(row["question"].strip("\n")),
                "given": {
                    "tests": list(docstring_tests(row["question"], row["entry_point"])),
                    "setup": row["question"].partition(f"def {row['entry_point']}(")[0],
                    "entry_point": row["entry_point"],
                },
            }
        )
        for row in rows("humaneval.jsonl.gz")
    )
    return Task(
        "humaneval",
        "complete a Python function from its signature and docstring; pass@1 by the hidden tests",
        "openai/human-eval @ 6d43fb9 (Chen et al. 2021, arXiv:2107.03374)",
        "MIT",
        problems,
        _Hidden("humaneval"),
        lambda: UnitTests(_PATIENT),
        version=version_of("humaneval.jsonl.gz", "humaneval_references.jsonl.gz"),
        public_since=2021,
        metric="share of functions that pass all hidden tests (pass@1)",
        public="the examples in the docstring, as far as they can be read",
        hidden="all tests",
        sampling=Sampling(max_tokens=512),
    )


def mbpp() -> Task:
    """Return sanitized MBPP: 420 short functions. The first of usually three tests is public."""
    problems = tuple(
        Problem.model_validate(
            {
                "id": row["id"],
                "form": "code",
                "messages": _MBPP.format(row["question"], row["entry_point"], row["tests"][0]),
                "given": {
                    "tests": row["tests"],
                    "setup": "\n".join(row["imports"]),
                    "entry_point": row["entry_point"],
                },
            }
        )
        for row in rows("mbpp.jsonl.gz")
    )
    return Task(
        "mbpp",
        "write a short Python function from a sentence and one test; pass@1 by all tests",
        "google-research/mbpp, sanitized (Austin et al. 2021, arXiv:2108.07732)",
        "CC BY 4.0",
        problems,
        _Hidden("mbpp"),
        lambda: UnitTests(_PATIENT),
        version=version_of("mbpp.jsonl.gz", "mbpp_references.jsonl.gz"),
        public_since=2021,
        metric="share of functions that pass all hidden tests (pass@1)",
        public="the first of the tests",
        hidden="all tests",
        sampling=Sampling(max_tokens=512),
    )


class _Hidden:
    """The hidden tests of a task, run in the sandbox."""

    def __init__(self, name: str) -> None:
        self._references = by_id(rows(f"{name}_references.jsonl.gz"))

    async def __call__(self, problem: Problem, text: str) -> bool:
        test, setup = str(self._references[problem.id]["test_code"]), str(problem.given["setup"])
        entry_point = str(problem.given["entry_point"])
        return (await run_tests(text, [test], _PATIENT, setup=setup, entry_point=entry_point)).all_passed
