"""Do the graders of code pass the reference solutions, and does every public test hold for them?

Run: .venv/bin/python tests/benchmarks/reference_code.py [humaneval] [mbpp]
"""

from __future__ import annotations

import asyncio
import sys
import time

from thinkctl.evals.tasks import task
from thinkctl.evals.tasks.data import rows
from thinkctl.verifiers.code_tests import run_tests
from thinkctl.verifiers.given import text_of, texts_of
from thinkctl.verifiers.sandbox import Sandbox

PATIENT = Sandbox(seconds=30)


async def check(name: str) -> None:
    found = task(name)
    code = {row["id"]: str(row["answer"]) for row in rows(f"{name}_references.jsonl.gz")}
    began = time.monotonic()
    hidden = [problem.id for problem in found.problems if not await found.grade(problem, code[problem.id])]
    seconds = (time.monotonic() - began) / len(found.problems)
    tests, failed, without = 0, list[str](), 0
    for problem in found.problems:
        public = texts_of(problem, "tests")
        tests, without = tests + len(public), without + (not public)
        tested = await run_tests(
            code[problem.id],
            public,
            PATIENT,
            setup=text_of(problem, "setup"),
            entry_point=text_of(problem, "entry_point"),
        )
        failed += [
            f"{problem.id}: {tested.feedback.splitlines()[0]}" for passed in tested.passed if not passed
        ]
    total = len(found.problems)
    print(
        f"{name}: {total - len(hidden)} of {total} reference solutions pass the hidden tests {hidden or ''}"
    )
    print(f"  {seconds:.2f} s for each; {tests} public tests, {without} problems have none")
    print("  public tests that the reference fails:", failed or "none")


if __name__ == "__main__":
    for name in sys.argv[1:] or ["humaneval", "mbpp"]:
        asyncio.run(check(name))
