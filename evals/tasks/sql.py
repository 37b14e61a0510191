"""Recursive SQL: a question about a hierarchy or a graph in a SQLite database; right is the right result."""

from __future__ import annotations

import asyncio
from typing import Final

from thinkctl.evals.tasks.data import path_of, rows
from thinkctl.evals.tasks.task import Task, by_id
from thinkctl.types import Problem
from thinkctl.verifiers import SqlExecution, same_rows
from thinkctl.verifiers.sql import rows_of

__all__ = ["sql_recursive"]

_ASKED: Final = """\
This is the schema of a SQLite database:

```sql
{}
```

Write one SQLite query that answers a question about it. Where the question is about a hierarchy or a graph, use WITH \
RECURSIVE. For example, with a table boxes(id, label, inside_id), all boxes that are in the box "A", at any depth:

```sql
WITH RECURSIVE inner_boxes(id, depth) AS (
    SELECT id, 1 FROM boxes WHERE inside_id = (SELECT id FROM boxes WHERE label = 'A')
    UNION
    SELECT boxes.id, inner_boxes.depth + 1 FROM boxes JOIN inner_boxes ON boxes.inside_id = inner_boxes.id
)
SELECT boxes.label, inner_boxes.depth FROM inner_boxes JOIN boxes ON boxes.id = inner_boxes.id;
```

The question: {}"""
"""The example was added after 0 of 40 answers of the small model were right without one."""


def sql_recursive() -> Task:
    """Return 53 questions on one small database that need recursive queries. Public is what a query returns."""
    schema = path_of("firm.sql").read_text(encoding="utf-8").strip()
    problems = tuple(
        Problem.model_validate(
            {"id": row["id"], "form": "code", "messages": _ASKED.format(schema, row["question"])}
        )
        for row in rows("sql_recursive.jsonl.gz")
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
    )
