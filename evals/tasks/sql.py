"""Recursive SQL: a question about a hierarchy or a graph in a SQLite database; right is the right result."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from thinkctl.evals.tasks.data import path_of, rows, version_of
from thinkctl.evals.tasks.task import Task, by_id
from thinkctl.types import Message, Problem, Sampling
from thinkctl.verifiers import SqlExecution, same_rows
from thinkctl.verifiers.sql import rows_of

__all__ = ["sql_recursive"]

_ASKED: Final = """\
The schema of a SQLite database:

```sql
{}
```

Write one SQLite query that answers this question with WITH RECURSIVE: {}"""
_BOXES: Final = (
    "CREATE TABLE boxes(id INTEGER PRIMARY KEY, label TEXT NOT NULL, inside_id INTEGER REFERENCES boxes(id));"
)
_WEIGHED: Final = (
    "What is the weight in each outermost box (one that is in no other), inner boxes included? "
    "Return label, grams."
)
_SHOWN: Final = (
    (
        _BOXES,
        'Which boxes are in the box "A", at any depth? Return label and depth (1 = directly in A).',
        """\
WITH RECURSIVE inner_boxes(id, depth) AS (
    SELECT id, 1 FROM boxes WHERE inside_id = (SELECT id FROM boxes WHERE label = 'A')
    UNION ALL
    SELECT boxes.id, inner_boxes.depth + 1 FROM boxes JOIN inner_boxes ON boxes.inside_id = inner_boxes.id
)
SELECT boxes.label, inner_boxes.depth FROM inner_boxes JOIN boxes ON boxes.id = inner_boxes.id;""",
    ),
    (
        "CREATE TABLE pipes(a TEXT NOT NULL, b TEXT NOT NULL, metres INTEGER NOT NULL);",
        'Which valves can water reach from valve "V1" through any number of pipes (from a to b)? Return their names.',
        """\
WITH RECURSIVE reached(valve) AS (
    SELECT 'V1'
    UNION
    SELECT pipes.b FROM pipes JOIN reached ON pipes.a = reached.valve
)
SELECT valve FROM reached WHERE valve <> 'V1';""",
    ),
    (
        f"{_BOXES}\nCREATE TABLE things(id INTEGER PRIMARY KEY, box_id INTEGER REFERENCES boxes(id), grams INTEGER);",
        _WEIGHED,
        """\
WITH RECURSIVE holds(outer_id, box_id) AS (
    SELECT id, id FROM boxes WHERE inside_id IS NULL
    UNION ALL
    SELECT holds.outer_id, boxes.id FROM holds JOIN boxes ON boxes.inside_id = holds.box_id
)
SELECT boxes.label, SUM(things.grams)
FROM holds JOIN boxes ON boxes.id = holds.outer_id JOIN things ON things.box_id = holds.box_id
GROUP BY boxes.id;""",
    ),
    (
        "CREATE TABLE visits(day DATE PRIMARY KEY, people INTEGER NOT NULL);",
        "Return every day from 2023-05-01 to 2023-05-31 with the number of people, 0 on a day without a row.",
        """\
WITH RECURSIVE days(day) AS (
    SELECT '2023-05-01'
    UNION ALL
    SELECT date(day, '+1 day') FROM days WHERE day < '2023-05-31'
)
SELECT days.day, COALESCE(visits.people, 0) FROM days LEFT JOIN visits ON visits.day = days.day;""",
    ),
)
"""Examples that are answered: without them a small model hardly ever wrote a recursive query."""
_TABLES: Final = {
    "org": ("employees",),
    "category": ("categories", "products", "sales"),
    "bom": ("parts", "bom"),
    "flights": ("flights",),
    "thread": ("posts",),
    "family": ("people",),
    "packages": ("packages", "deps"),
    "folders": ("folders", "files"),
    "tasks": ("tasks", "task_deps"),
    "series": ("readings",),
    "strings": ("notes",),
    "numbers": ("posts", "tasks"),
}
"""The tables of each topic: a question is put with those of its topic only."""


def sql_recursive() -> Task:
    """Return 53 questions on one small database that need recursive queries. Public is what a query returns."""
    lines = path_of("firm.sql").read_text(encoding="utf-8").splitlines()
    made = {line.removeprefix("CREATE TABLE ").partition("(")[0]: line for line in lines}
    problems = tuple(
        Problem(messages=_put(row, made), id=row["id"], form="code") for row in rows("sql_recursive.jsonl.gz")
    )
    database = str(path_of("firm.sqlite"))
    references = by_id(rows("sql_recursive_references.jsonl.gz"))

    async def grade(problem: Problem, text: str) -> bool:
        row = references[problem.id]
        found = await asyncio.to_thread(rows_of, database, text)
        return found is not None and same_rows(found, row["rows"], ordered=row["ordered"])

    return Task(
        "sql_recursive",
        "recursive SQL over hierarchies and graphs; right is the result set of the reference query",
        "written for this project",
        "as the project",
        problems,
        grade,
        lambda: SqlExecution(database),
        version=version_of("sql_recursive.jsonl.gz", "sql_recursive_references.jsonl.gz", "firm.sqlite"),
        public_since=2026,
        contamination="written for this project in 2026: no model trained before has seen it",
        metric="share of queries with the result of the reference query",
        public="the database: whether a query runs, and what it returns",
        hidden="the results of the reference queries",
        sampling=Sampling(max_tokens=512),
    )


def _put(row: dict[str, Any], made: dict[str, str]) -> tuple[Message, ...]:
    """Return a question after some that are answered, each with the tables that it is about."""
    messages: list[Message] = []
    for schema, question, query in _SHOWN:
        messages += [
            Message(role="user", content=_ASKED.format(schema, question)),
            Message(role="assistant", content=f"```sql\n{query}\n```"),
        ]
    schema = "\n".join(made[table] for table in _TABLES[row["topic"]])
    return (*messages, Message(role="user", content=_ASKED.format(schema, row["question"])))
