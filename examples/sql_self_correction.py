"""A small model that runs its own SQL, sees the error and corrects itself, beside a larger one that answers at once.

Run: python examples/sql_self_correction.py [SMALL] [LARGE] [SEED]
     (default: vllm:qwen2.5-coder-0.5b-instruct, vllm:qwen2.5-coder-1.5b-instruct and 6)

The question needs a recursive query. The check runs a query read-only and tells the model what the database said; it
does not know the right result. A query that fails is corrected; after three rounds in vain it is written anew, and the
first that runs is the answer. This file knows the right result, since it made the database, and says so beside each
answer.

What comes out depends on the seed of the small engine: that a query runs is no proof. docs/log.md has the rates.
"""

import asyncio
import sqlite3
import sys
import tempfile
from pathlib import Path

from thinkctl import Budget, Controller, Problem, Run, ZeroShot, engine_from
from thinkctl.strategies import SelfCorrection
from thinkctl.types import Message, Sampling
from thinkctl.verifiers import SqlExecution
from thinkctl.verifiers.sql import rows_of

ASKED = (
    "The schema of a SQLite database:\n\n```sql\n{}\n```\n\nWrite one SQLite query with WITH RECURSIVE. {}"
)
BOXES = (
    "CREATE TABLE boxes(id INTEGER PRIMARY KEY, label TEXT NOT NULL, inside_id INTEGER REFERENCES boxes(id));"
)
SHOWN = "List the labels of all boxes inside the box 'A', at any depth, without 'A' itself. Return one column: label."
INSIDE = """```sql
WITH RECURSIVE inside(id, label) AS (
    SELECT id, label FROM boxes WHERE inside_id = (SELECT id FROM boxes WHERE label = 'A')
    UNION
    SELECT boxes.id, boxes.label FROM boxes JOIN inside ON boxes.inside_id = inside.id
)
SELECT label FROM inside;
```"""
SCHEMA = (
    "CREATE TABLE comments(id INTEGER PRIMARY KEY, author TEXT NOT NULL, "
    "reply_to INTEGER REFERENCES comments(id));"
)
QUESTION = "How many comments are below comment 1: replies, replies to these, and so on? Return one number."
COMMENTS = [
    (1, "Ann", None),
    (2, "Bo", 1),
    (3, "Cy", 2),
    (4, "Ann", 3),
    (5, "Di", None),
    (6, "Bo", 5),
]
RIGHT = [(3,)]
PROBLEM = Problem(
    messages=(
        Message(role="user", content=ASKED.format(BOXES, SHOWN)),
        Message(role="assistant", content=INSIDE),
        Message(role="user", content=ASKED.format(SCHEMA, QUESTION)),
    ),
    form="code",
)
CORRECTING = SelfCorrection(
    rounds=3, patience=3, drafts=3, think=False, sampling=Sampling(temperature=0.7, max_tokens=250)
)
AT_ONCE = ZeroShot(Sampling(temperature=0, max_tokens=250))
BUDGET = Budget(tokens=3_000)


def make_database(folder: str) -> str:
    path = Path(folder) / "comments.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(SCHEMA)
        connection.executemany("INSERT INTO comments VALUES (?, ?, ?)", COMMENTS)
    connection.close()
    return str(path)


def report(name: str, run: Run, database: str) -> None:
    rows = rows_of(database, run.answer.text) if run.answer else None
    right = rows is not None and [tuple(row) for row in rows] == RIGHT
    spent = run.receipt
    print(
        f"{name}: {'right' if right else 'wrong'}, {spent.generated_tokens} tokens, {spent.verifier_calls} queries run"
    )
    for sample in run.samples:
        said = "not run" if sample.verdict is None else " ".join(sample.verdict.feedback.split())
        print(f"  version {sample.index + 1}: {said}")
    print(f"  {' '.join(run.answer.text.split()) if run.answer else 'no query'}")


async def main(small: str, large: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = make_database(folder)
        for name, spec, strategy, check in (
            ("small, at once", small, AT_ONCE, None),
            ("small, correcting itself", small, CORRECTING, SqlExecution(database)),
            ("large, at once", large, AT_ONCE, None),
        ):
            engine = engine_from(spec, **({"seed": seed} if spec.startswith("vllm") else {}))
            run = await Controller(engine, strategy, verifier=check).solve(PROBLEM, BUDGET)
            report(name, run, database)
            await engine.aclose()


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    asyncio.run(
        main(
            given.get(0, "vllm:qwen2.5-coder-0.5b-instruct"),
            given.get(1, "vllm:qwen2.5-coder-1.5b-instruct"),
            int(given.get(2, 6)),
        )
    )
