"""Questions on databases of a folder, one SQLite file each: Spider and Chinook."""

from __future__ import annotations

import asyncio
import functools
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.reading import Row, read_rows
from thinkctl.evals.tasks.sets import file_of, folder_of, version_of_file
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Problem, Sampling
from thinkctl.verifiers import SqlExecution, same_rows
from thinkctl.verifiers.sql import rows_of

__all__ = ["chinook", "spider"]

_ASKED: Final = """\
The schema of a SQLite database:

```sql
{}
```

Write one SQLite query that answers this question: {}"""
_NAME: Final = re.compile(r"[\w-]+")
_WHAT: Final = (
    "data.jsonl (or dev.json: question, db_id, query) and the databases as database/NAME/NAME.sqlite"
)


def spider(folder: Path | None = None) -> Task:
    """Return the questions of Spider's development set whose databases are in the folder.

    Public is what a query returns, hidden the result of the reference query. Left out are questions whose result is
    empty, or all zero or NULL (a wrong query has it too), and those that depend on today.
    """
    return _loaded(
        "spider",
        folder,
        "questions on databases of several tables",
        "taoyds/spider, dev (Yu et al. 2018, arXiv:1809.08887)",
        "CC BY-SA 4.0",
        2018,
        also=("sql_spider_dev",),
    )


def chinook(folder: Path | None = None) -> Task:
    """Return questions on the Chinook database, a shop for music with 11 tables; as ``spider``.

    Several leave open which columns to return: a right row with other columns is wrong.
    """
    return _loaded(
        "chinook",
        folder,
        "questions on one database with 11 tables",
        "JanuaryLabs/deepagents @ c3673c0 (questions); lerocha/chinook-database @ 6e21bb3",
        "MIT",
        2024,
        also=("sql_chinook",),
    )


@final
@dataclass(frozen=True, slots=True)
class _Question:
    id: str
    text: str
    database: Path
    references: tuple[str, ...]
    ordered: bool


def _loaded(
    name: str,
    folder: Path | None,
    about: str,
    source: str,
    licence: str,
    since: int,
    *,
    also: Sequence[str],
) -> Task:
    place = folder_of(name, folder, _WHAT, also=also)
    path = file_of(name, place, "", _WHAT)
    questions = {each.id: each for each in _questions(read_rows(path), place, name)}
    if not questions:
        raise ConfigurationError(f"{path} has no question with a database in {place}; put {_WHAT} there")
    problems = tuple(
        Problem(
            messages=cast("Any", _ASKED.format(_schema(each.database), each.text)),
            id=each.id,
            form="code",
            given={"database": str(each.database)},
        )
        for each in questions.values()
    )
    databases = sorted({each.database for each in questions.values()})

    async def grade(problem: Problem, text: str) -> bool:
        return await asyncio.to_thread(_is_right, questions[problem.id], text)

    return Task(
        name,
        about,
        source,
        licence,
        problems,
        grade,
        SqlExecution,
        version=", ".join(version_of_file(each) for each in (path, *databases)),
        public_since=since,
        metric="share of queries with the result of a reference query",
        public="the database: whether a query runs, and what it returns",
        hidden="the reference queries and their results",
        sampling=Sampling(max_tokens=512),
    )


def _questions(rows: Sequence[Row], place: Path, name: str) -> Iterator[_Question]:
    for row in rows:
        values = row.values
        if values.get("weak") or values.get("time_dependent") or values.get("gold_ok") is False:
            continue
        database = _database(row, place)
        if database is None:
            continue
        question, queries = values.get("question"), _queries(row)
        if not isinstance(question, str) or not queries:
            raise row.error("expected a question, and its reference query in 'answer' or 'query'")
        found = _rows(str(database), queries[0])
        if "weak" not in values and (found is None or _is_weak(found)):
            continue
        ordered = bool(values.get("ordered", re.search(r"\border\s+by\b", queries[0], re.IGNORECASE)))
        name_of_row = str(values.get("id") or f"{name}-{row.line}")
        yield _Question(name_of_row, question.strip(), database, queries, ordered)


def _queries(row: Row) -> tuple[str, ...]:
    """Return the reference queries of a row: of several each is right."""
    several: Any = row.values.get("gold_sqls") or [row.values.get(key) for key in ("answer", "query", "SQL")]
    found = [each.strip() for each in several if isinstance(each, str) and each.strip()]
    return tuple(found if row.values.get("gold_sqls") else found[:1])


def _database(row: Row, place: Path) -> Path | None:
    """Return the database of a row; ``None`` where the folder does not have it."""
    name = row.values.get("db") or row.values.get("db_id")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise row.error(f"expected the name of a database in 'db' or 'db_id', got {str(name)[:60]!r}")
    places = (place / "db" / f"{name}.sqlite", place / "database" / name / f"{name}.sqlite")
    return next((path.resolve() for path in places if path.is_file()), None)


def _is_right(question: _Question, text: str) -> bool:
    found = rows_of(str(question.database), text)
    return found is not None and any(
        reference is not None and same_rows(found, reference, ordered=question.ordered)
        for reference in (_rows(str(question.database), query) for query in question.references)
    )


@functools.lru_cache(maxsize=2_000)
def _rows(database: str, query: str) -> Sequence[Sequence[Any]] | None:
    return rows_of(database, query)


def _is_weak(rows: Sequence[Sequence[Any]]) -> bool:
    return not any(value not in (None, 0, "") for row in rows for value in row)


@functools.cache
def _schema(database: Path) -> str:
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
            found: list[tuple[str]] = connection.execute(
                "SELECT sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid"
            ).fetchall()
    except sqlite3.Error as error:
        raise ConfigurationError(f"{database} is no SQLite database: {error}") from None
    return "\n".join(f"{sql.strip()};" for (sql,) in found if sql)
