"""What all databases have in common: where the database is named, what is seen of a result, what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.types import Answer, Problem, Sample, Verdict
from thinkctl.verifiers.sql_rows import Fingerprint

__all__ = [
    "LONGEST_QUERY",
    "MOST_COMPARED",
    "MOST_ROWS",
    "Collected",
    "check_settings",
    "database_of",
    "failed",
    "judged",
    "not_to_be_run",
]

LONGEST_QUERY: Final = 20_000
MOST_ROWS: Final = 100_000
"""Rows after which nothing more is read of a result."""
MOST_COMPARED: Final = 10_000
"""Rows of a result that are compared with others; a longer one agrees with none."""
_MOST_KEPT: Final = 64_000_000
"""Characters of the rows that are kept."""
_SHOWN: Final = 60
"""Characters of a value in a preview."""
_MOST_COLUMNS: Final = 40
_LONGEST_ERROR: Final = 1_000


@final
@dataclass(slots=True)
class Collected:
    """A result set that is read row by row: its first rows, how many there are, and its fingerprint."""

    names: Sequence[str]
    shown: int
    first: list[Sequence[Any]] = field(default_factory=list[Sequence[Any]])
    count: int = 0
    whole: bool = True
    _size: int = 0
    _fingerprint: Fingerprint = field(default_factory=Fingerprint)

    def add(self, row: Sequence[Any]) -> None:
        """Take in one more row."""
        if self.count < self.shown and self._size < _MOST_KEPT:
            self.first.append(row)
            self._size += sum(len(value) if isinstance(value, str | bytes) else 1 for value in row)
        if self.count < MOST_COMPARED:
            self._fingerprint.add(row)
        self.count += 1

    @property
    def full(self) -> bool:
        """Whether nothing more should be read."""
        return self.count >= MOST_ROWS

    @property
    def digest(self) -> str | None:
        """The fingerprint of the whole result, ``None`` where it is too long or was not read to its end."""
        return self._fingerprint.digest() if self.whole and self.count <= MOST_COMPARED else None

    def preview(self) -> str:
        """Return the first rows as text."""
        lines = [_line(self.names), *map(_line, self.first)]
        count = f"{self.count}" if self.count < MOST_ROWS else f"{MOST_ROWS} or more"
        more = f"\n({count} rows)" if self.count > len(self.first) else ""
        return "The query returned:\n" + "\n".join(lines) + more


def check_settings(database: str, seconds: float, rows: int, kind: str) -> None:
    """Raise ``ConfigurationError`` for a database that is no file, and for limits that let no query run."""
    if database and not Path(database).is_file():
        raise ConfigurationError(f"database={database!r} is no file; give the path of a {kind} database")
    for name, value in (("seconds", seconds), ("rows", rows)):
        if not value > 0:
            raise ConfigurationError(f"{name}={value!r} lets no query run; give a number above 0")


def database_of(database: str, problem: Problem) -> str:
    """Return the file to query: the verifier's, else the problem's own.

    Raises ``ConfigurationError`` where neither names one, or names what is no file.
    """
    found = database or problem.given.get("database")
    if isinstance(found, str) and found and Path(found).is_file():
        return found
    raise ConfigurationError(
        f"problem {problem.id!r} is to be queried on {found!r}, which is no file; give the verifier a database=, or "
        'the problem its own: Problem(given={"database": "path/to/file"})'
    )


def not_to_be_run(sample: Sample) -> Verdict | None:
    """Return the verdict on a sample whose query is not run at all."""
    if sample.answer is None:
        return Verdict(0.0, passed=False, feedback="There is no query in the answer.")
    if len(sample.answer.text) > LONGEST_QUERY:
        return failed(sample, f"The query is longer than {LONGEST_QUERY} characters.")
    return None


def failed(sample: Sample, feedback: str, *, by_result: bool = False) -> Verdict:
    """Return the verdict on a query that did not run. With ``by_result`` its vote is like no other's."""
    said = feedback if len(feedback) <= _LONGEST_ERROR else f"{feedback[:_LONGEST_ERROR]}..."
    return Verdict(0.0, passed=False, feedback=said, answer=_vote(sample, None, by_result))


def judged(sample: Sample, found: Collected, *, empty_fails: bool, by_result: bool) -> Verdict:
    """Return the verdict on a query that ran. Its result's fingerprint is its mark, and its vote's key if asked."""
    digest = found.digest
    if found.count == 0 and empty_fails:
        return failed(sample, "The query ran and returned no rows.", by_result=by_result)
    return Verdict(
        1.0,
        passed=True,
        feedback=found.preview(),
        answer=_vote(sample, digest, by_result),
        marks=() if digest is None else (f"rows {digest}",),
    )


def _vote(sample: Sample, digest: str | None, by_result: bool) -> Answer | None:
    if sample.answer is None or not by_result:
        return None
    key = f"no rows to compare, sample {sample.index}" if digest is None else f"rows {digest}"
    return Answer(sample.answer.text, key, sample.index, sample.answer.concluded)


def _line(values: Sequence[object]) -> str:
    more = " | ..." if len(values) > _MOST_COLUMNS else ""
    return " | ".join(map(_shown, values[:_MOST_COLUMNS])) + more


def _shown(value: object) -> str:
    text = "NULL" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
