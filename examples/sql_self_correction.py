"""A small model that runs its own SQL, sees the error and corrects itself, beside a larger one that answers at once.

Run: python examples/sql_self_correction.py [SMALL] [LARGE]
     (default: vllm:qwen2.5-coder-0.5b-instruct and vllm:qwen2.5-coder-1.5b-instruct)

The question needs a recursive query, and with these two models none of the three answers was right on 2026-11-22: the
small one's query ran, and that it runs is all that the check can see. docs/log.md has 41 such questions. The check runs
a query read-only and tells the model what the database said; it does not know what the right rows are. This file does,
since it made the database, and says so beside each answer.
"""

import asyncio
import sqlite3
import sys
import tempfile
from pathlib import Path

from thinkctl import Budget, Controller, Problem, Run, ZeroShot, engine_from
from thinkctl.strategies import SelfCorrection
from thinkctl.verifiers import SqlExecution
from thinkctl.verifiers.sql import rows_of

SCHEMA = (
    "CREATE TABLE staff(id INTEGER PRIMARY KEY, name TEXT NOT NULL, manager_id INTEGER REFERENCES staff(id));"
)
STAFF = [
    (1, "Ada", None),
    (2, "Ben", 1),
    (3, "Cora", 1),
    (4, "Dan", 2),
    (5, "Eve", 2),
    (6, "Finn", 4),
    (7, "Gus", 6),
]
UNDER_BEN = {("Dan",), ("Eve",), ("Finn",), ("Gus",)}
QUESTION = (
    f"The schema of a SQLite database:\n\n```sql\n{SCHEMA}\n```\n\nWrite one SQLite query that lists the names of all "
    "who report to Ben, directly or through others, without Ben. Return one column: name. Use WITH RECURSIVE."
)
BUDGET = Budget(tokens=2_000)


def make_database(folder: str) -> str:
    path = Path(folder) / "staff.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(SCHEMA)
        connection.executemany("INSERT INTO staff VALUES (?, ?, ?)", STAFF)
    connection.close()
    return str(path)


def report(name: str, run: Run, database: str) -> None:
    rows = rows_of(database, run.answer.text) if run.answer else None
    right = rows is not None and len(rows) == len(UNDER_BEN) and set(map(tuple, rows)) == UNDER_BEN
    spent = run.receipt
    print(
        f"{name}: {'right' if right else 'wrong'}, {spent.generated_tokens} tokens, {spent.verifier_calls} queries run"
    )
    for sample in run.samples:
        told = "not run" if sample.verdict is None else sample.verdict.feedback.splitlines()[0]
        print(f"  version {sample.index + 1}: {told}")
    print(f"  {' '.join(run.answer.text.split()) if run.answer else 'no query'}")


async def main(small: str, large: str) -> None:
    problem = Problem.of(QUESTION, form="code")
    with tempfile.TemporaryDirectory() as folder:
        database = make_database(folder)
        checked = SelfCorrection(rounds=5, patience=5, think=False)
        for name, spec, strategy, verifier in (
            ("small, at once", small, ZeroShot(), None),
            ("small, correcting itself", small, checked, SqlExecution(database)),
            ("large, at once", large, ZeroShot(), None),
        ):
            engine = engine_from(spec)
            run = await Controller(engine, strategy, verifier=verifier).solve(problem, BUDGET)
            report(name, run, database)
            await engine.aclose()


if __name__ == "__main__":
    given = sys.argv[1:]
    asyncio.run(
        main(
            given[0] if given else "vllm:qwen2.5-coder-0.5b-instruct",
            given[1] if len(given) > 1 else "vllm:qwen2.5-coder-1.5b-instruct",
        )
    )
