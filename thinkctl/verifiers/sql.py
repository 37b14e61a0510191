"""Check a query by running it: read-only, for a limited time, with the database's own error as feedback."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.types import History, Sample, Verdict

__all__ = ["SqlExecution"]

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
_LONGEST_QUERY: Final = 20_000
_STEPS: Final = 2_000
"""Steps of SQLite's machine between two looks at the clock."""
_MOST_ROWS: Final = 100_000
_SHOWN: Final = 60
"""Characters of a value in a preview."""


@final
@dataclass(frozen=True)
class SqlExecution:
    """Pass a query that runs on a SQLite database; its error, or a preview of its result, is the feedback.

    ``database`` is a file; it is opened read-only, and a query can neither write nor attach another file, set a
    pragma or load an extension. ``seconds`` is how long a query may run, ``rows`` how many of its rows are shown.
    With ``empty_fails`` (the default) a query without rows fails: it is seldom what was asked for.

    That a query runs says little of whether it answers the question: the score is 1 where it ran and 0 where not.
    It is a check without a reference answer, made for ``SelfCorrection``.

    Source: execution feedback for text-to-SQL, Chen et al. 2023 (arXiv:2304.05128), section 4.
    """

    database: str
    seconds: float = 2.0
    rows: int = 10
    empty_fails: bool = True

    def __post_init__(self) -> None:
        if not Path(self.database).is_file():
            raise ConfigurationError(
                f"database={self.database!r} is no file; give the path of a SQLite database"
            )
        for name, value in (("seconds", self.seconds), ("rows", self.rows)):
            if not value > 0:
                raise ConfigurationError(f"{name}={value!r} lets no query run; give a number above 0")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        if sample.answer is None:
            return Verdict(0.0, passed=False, feedback="There is no query in the answer.")
        return await asyncio.to_thread(self._run, sample.answer.text)

    def _run(self, query: str) -> Verdict:
        if len(query) > _LONGEST_QUERY:
            return Verdict(
                0.0, passed=False, feedback=f"The query is longer than {_LONGEST_QUERY} characters."
            )
        try:
            names, found, count = self._fetch(query)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return Verdict(0.0, passed=False, feedback=f"Error: {self._explained(error)}")
        except MemoryError:
            return Verdict(0.0, passed=False, feedback="Error: out of memory")
        if count == 0 and self.empty_fails:
            return Verdict(0.0, passed=False, feedback="The query ran and returned no rows.")
        return Verdict(1.0, passed=True, feedback=_preview(names, found, count))

    def _fetch(self, query: str) -> tuple[list[str], list[Sequence[Any]], int]:
        """Return the columns, the first rows and the number of rows. Raises what SQLite raises."""
        until = time.monotonic() + self.seconds
        address = f"{Path(self.database).resolve().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=self.seconds, isolation_level=None)
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_VALUE)
            connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
            connection.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200)
            connection.execute("PRAGMA query_only = ON")
            connection.set_authorizer(_authorized)
            connection.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            found: list[Sequence[Any]] = []
            count = 0
            for row in cursor:
                if count < self.rows:
                    found.append(row)
                count += 1
                if count >= _MOST_ROWS:
                    break
            return names, found, count
        finally:
            connection.close()

    def _explained(self, error: Exception) -> str:
        if "interrupted" in str(error):
            return f"the query took longer than {self.seconds:g} s; does a recursion never end?"
        if "not authorized" in str(error) or "prohibited" in str(error):
            return f"{error}; the query may only read"
        return str(error)


def _authorized(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    forbidden = action == sqlite3.SQLITE_FUNCTION and (second or first or "").lower() in _FORBIDDEN_FUNCTIONS
    return sqlite3.SQLITE_OK if action in _ALLOWED and not forbidden else sqlite3.SQLITE_DENY


def _preview(names: Sequence[str], rows: Sequence[Sequence[Any]], count: int) -> str:
    """Return the first rows as text."""
    lines = [" | ".join(names), *(" | ".join(map(_shown, row)) for row in rows)]
    more = f"\n({count if count < _MOST_ROWS else f'{_MOST_ROWS} or more'} rows)" if count > len(rows) else ""
    return "The query returned:\n" + "\n".join(lines) + more


def _shown(value: object) -> str:
    text = "NULL" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
