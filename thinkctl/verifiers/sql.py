"""Check a query by running it: read-only, for a limited time, with the database's own error as feedback."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from thinkctl.protocols import Engines
from thinkctl.types import History, Sample, Verdict
from thinkctl.verifiers.sql_hints import hint_for
from thinkctl.verifiers.sql_judging import (
    MOST_COMPARED,
    Collected,
    check_settings,
    database_of,
    failed,
    judged,
    not_to_be_run,
)

__all__ = ["SqlExecution", "rows_of"]

_ALLOWED: Final = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
"""What a query may do: read. No writing, attaching, pragmas, temporary tables or transactions."""
_FORBIDDEN_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"})
_LONGEST_VALUE: Final = 1_000_000
"""Bytes of a text, a blob or a row."""
_STEPS: Final = 2_000
"""Steps of SQLite's machine between two looks at the clock."""


@final
@dataclass(frozen=True)
class SqlExecution:
    """Pass a query that runs on a SQLite database; its error, or a preview of its result, is the feedback.

    ``database`` is a file; where it is empty, each problem names its own in ``problem.given["database"]``. It is
    opened read-only, and a query can neither write nor attach another file, set a pragma or load an extension.
    ``seconds`` is how long a query may run, ``rows`` how many of its rows are shown. With ``empty_fails`` (the default)
    a query without rows fails: it is seldom what was asked for. With ``hints`` (the default) an error about a name
    comes with the columns that there are, and one about recursion with what is wrong.

    That a query runs says little of whether it answers the question: the score is 1 where it ran and 0 where not.
    It is a check without a reference answer, made for ``SelfCorrection``. What else can be known without one is
    whether queries that were written independently return the same: the verdict's mark is a fingerprint of the rows,
    their order and that of the columns aside, for the selector ``Agreement``. With ``vote_by_result=True`` votes are
    counted on it in place of the query's text, so that ``Majority`` and any stopping policy see agreement too; a
    query that fails agrees with none. A result of more than 10,000 rows is not compared.

    Raises ``ConfigurationError`` when it judges a problem for which no database is named.

    Source: execution feedback for text-to-SQL, Chen et al. 2023 (arXiv:2304.05128), section 4; agreement of results,
    Shi et al. 2022 (arXiv:2204.11454).
    """

    database: str = ""
    seconds: float = 2.0
    rows: int = 10
    empty_fails: bool = True
    vote_by_result: bool = False
    hints: bool = True

    def __post_init__(self) -> None:
        check_settings(self.database, self.seconds, self.rows, "SQLite")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        database = database_of(self.database, history.problem)
        unread = not_to_be_run(sample)
        return await asyncio.to_thread(self._run, database, sample) if unread is None else unread

    def _run(self, database: str, sample: Sample) -> Verdict:
        try:
            query = "" if sample.answer is None else sample.answer.text
            found = _fetch(database, query, seconds=self.seconds, shown=self.rows)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            said = self._explained(error, sample, database)
            return failed(sample, f"Error: {said}", by_result=self.vote_by_result)
        except MemoryError:
            return failed(sample, "Error: out of memory", by_result=self.vote_by_result)
        return judged(sample, found, empty_fails=self.empty_fails, by_result=self.vote_by_result)

    def _explained(self, error: Exception, sample: Sample, database: str) -> str:
        if "interrupted" in str(error):
            return f"the query took longer than {self.seconds:g} s; does a recursion never end?"
        if "not authorized" in str(error) or "prohibited" in str(error):
            return f"{error}; the query may only read"
        if not self.hints or sample.answer is None:
            return str(error)
        return (
            f"{error}.{hint}" if (hint := hint_for(str(error), sample.answer.text, database)) else str(error)
        )


def rows_of(database: str, query: str, *, seconds: float = 5.0) -> Sequence[Sequence[Any]] | None:
    """Return all rows of a query on a SQLite database, read as carefully as the verifier does; for graders.

    ``None``: it failed, took longer than ``seconds``, or has more than 10,000 rows.
    """
    try:
        found = _fetch(database, query, seconds=seconds, shown=MOST_COMPARED)
    except (sqlite3.Error, sqlite3.Warning, ValueError, MemoryError):
        return None
    return found.first if found.count == len(found.first) else None


def _fetch(database: str, query: str, *, seconds: float, shown: int) -> Collected:
    """Return the result of a query, so many of its rows kept. Raises what SQLite raises."""
    until = time.monotonic() + seconds
    address = f"{Path(database).resolve().as_uri()}?mode=ro"
    connection = sqlite3.connect(address, uri=True, timeout=seconds, isolation_level=None)
    try:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_authorized)
        connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        cursor = connection.execute(query)
        found = Collected([column[0] for column in cursor.description or ()], shown)
        for row in cursor:
            found.add(row)
            if found.full:
                break
            if time.monotonic() > until:  # reading takes time too
                raise sqlite3.OperationalError("interrupted")
        return found
    finally:
        connection.close()


def _authorized(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    forbidden = action == sqlite3.SQLITE_FUNCTION and (second or first or "").lower() in _FORBIDDEN_FUNCTIONS
    return sqlite3.SQLITE_OK if action in _ALLOWED and not forbidden else sqlite3.SQLITE_DENY
