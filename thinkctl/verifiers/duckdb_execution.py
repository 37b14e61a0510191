"""Check a query by running it on a DuckDB database: read-only, in a process that is killed in time."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.protocols import Engines
from thinkctl.types import History, Sample, Verdict
from thinkctl.verifiers.script import ask_script
from thinkctl.verifiers.sql_judging import (
    MOST_COMPARED,
    MOST_ROWS,
    Collected,
    check_settings,
    database_of,
    failed,
    judged,
    not_to_be_run,
)

__all__ = ["DuckdbExecution"]

_WORKER: Final = Path(__file__).with_name("duckdb_worker.py")


@final
@dataclass(frozen=True)
class DuckdbExecution:
    """Pass a query that runs on a DuckDB database; its error, or a preview of its result, is the feedback.

    As ``SqlExecution``, for analytic SQL. ``database`` is a file; where it is empty, each problem names its own in
    ``problem.given["database"]``. It is opened read-only. Only one SELECT statement runs; it can read no other file, no
    environment and no network, install or load no extension, and change no setting. ``seconds`` is how long a query
    may run, ``memory_mib`` and ``threads`` what it may use, ``rows`` how many of its rows are shown. With
    ``empty_fails`` a query without rows fails. With ``vote_by_result`` votes are counted on the result.

    Each query has a process of its own, which costs about a fifth of a second of one core to start, and which is killed
    when its time is over or the run ends; as many run at once as there are cores. A thread would not do: DuckDB
    takes neither interrupt nor memory limit within one long step, such as ``repeat('x', 3000000000)``.

    Raises ``MissingExtra`` without duckdb (``thinkctl[sql]``), and ``ConfigurationError`` when it judges a problem for
    which no database is named.

    Source: as ``SqlExecution``; DuckDB's own guide to running queries that are not trusted.
    """

    database: str = ""
    seconds: float = 2.0
    rows: int = 10
    empty_fails: bool = True
    vote_by_result: bool = False
    memory_mib: int = 256
    threads: int = 1

    def __post_init__(self) -> None:
        if importlib.util.find_spec("duckdb") is None:
            raise MissingExtra("this verifier needs duckdb: pip install 'thinkctl[sql]'")
        check_settings(self.database, self.seconds, self.rows, "DuckDB")
        for name, value, least in (("memory_mib", self.memory_mib, 16), ("threads", self.threads, 1)):
            if value < least:
                raise ConfigurationError(f"{name}={value!r} is too little; give {least} or more")

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        database = database_of(self.database, history.problem)
        unread = not_to_be_run(sample)
        if unread is not None or sample.answer is None:
            return unread or Verdict()
        replies = await ask_script(_WORKER, self._asked(database, sample.answer.text), self.seconds)
        return self._verdict(sample, replies)

    def _asked(self, database: str, query: str) -> dict[str, Any]:
        return {
            "database": str(Path(database).resolve()),
            "query": query,
            "seconds": self.seconds,
            "memory": self.memory_mib,
            "threads": self.threads,
            "rows": max(self.rows, MOST_COMPARED + 1),
            "most": MOST_ROWS,
        }

    def _verdict(self, sample: Sample, replies: Sequence[Mapping[str, Any]]) -> Verdict:
        found = Collected((), self.rows)
        count: int | None = None
        for reply in replies:
            if (broken := reply.get("broken")) is not None:
                raise ConfigurationError(f"DuckDB cannot open the database: {broken}")
            if (error := reply.get("error")) is not None:
                return failed(sample, f"Error: {error}", by_result=self.vote_by_result)
            if "columns" in reply:
                found.names = [str(name) for name in reply["columns"]]
            if "row" in reply:
                found.add([_value(value) for value in reply["row"]])
            count = reply.get("count", count)
        if count is None:
            late = f"Error: the query took longer than {self.seconds:g} s; does a recursion never end?"
            gone = "Error: the query used too much memory"
            is_late = any("late" in reply for reply in replies)
            return failed(sample, late if is_late else gone, by_result=self.vote_by_result)
        found.whole, found.count = found.count == count, count
        return judged(sample, found, empty_fails=self.empty_fails, by_result=self.vote_by_result)


def _value(value: Any) -> Any:
    match value:
        case ["int", str(text)]:
            return int(text)
        case ["float", str(text)]:
            return float(text)
        case ["decimal", str(text)]:
            return Decimal(text)
        case ["bytes", str(text)]:
            return bytes.fromhex(text)
        case ["list", items]:
            return [_value(item) for item in items]
        case _:
            return value
