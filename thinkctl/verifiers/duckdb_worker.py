"""One query on a DuckDB database, in a process of its own that is killed when it takes too long.

Run as a script, isolated and without an environment: ``python -I duckdb_worker.py``. It reads one JSON line (database,
query, seconds, memory, threads, rows), says ``ready``, and answers with JSON lines: the columns, the rows, the
end. A process of its own, since DuckDB does not look up from a single long step: ``repeat('x', 3000000000)`` takes no
interrupt and no memory limit.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import threading
from decimal import Decimal
from typing import Any

_MIB = 1 << 20
_SPARE_MIB = 1_536
"""Address space beside what queries may use: the interpreter, DuckDB itself and what it maps."""
_BATCH = 500
_LONGEST_VALUE = 100_000
_MOST_SENT = 8 * _MIB
"""Characters of rows that are handed over; what comes after is counted only."""


def main() -> None:
    """Answer the one query that standard input asks."""
    asked = json.loads(sys.stdin.readline())
    _limit(asked)
    import duckdb

    try:
        connection = duckdb.connect(asked["database"], read_only=True, config=_settings(asked))
    except duckdb.Error as error:
        _say({"broken": str(error)})
        return
    _say({"ready": True})
    timer = threading.Timer(asked["seconds"], connection.interrupt)
    timer.daemon = True
    timer.start()
    try:
        _answer(connection, asked)
    except duckdb.InterruptException:
        _say({"late": True})
    except (duckdb.Error, ValueError, RuntimeError) as error:
        _say({"error": str(error)})
    except MemoryError:
        _say({"error": "out of memory"})


def _answer(connection: Any, asked: dict[str, Any]) -> None:
    import duckdb

    asked["query"].encode()  # text that is no Unicode is a ValueError here, and worse in DuckDB
    statements = connection.extract_statements(asked["query"])
    if len(statements) != 1:
        _say({"error": f"write one statement, not {len(statements)}"})
        return
    if statements[0].type != duckdb.StatementType.SELECT:
        _say({"error": "the query may only read: write one SELECT statement"})
        return
    cursor = connection.execute(statements[0])
    _say({"columns": [str(column[0])[:_LONGEST_VALUE] for column in cursor.description or ()]})
    count, sent = 0, 0
    while count < asked["most"] and (rows := cursor.fetchmany(_BATCH)):
        for row in rows:
            count += 1
            if count <= asked["rows"] and sent < _MOST_SENT:
                sent += _say({"row": [_plain(value) for value in row]})
    _say({"count": min(count, asked["most"])})


def _settings(asked: dict[str, Any]) -> dict[str, Any]:
    """Return how DuckDB is started: it reads one file and nothing else, and no query can change that."""
    return {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
        "allow_community_extensions": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "memory_limit": f"{asked['memory']}MiB",
        "threads": str(asked["threads"]),
        "temp_directory": "",
        "lock_configuration": "true",
    }


def _limit(asked: dict[str, Any]) -> None:
    space = (asked["memory"] + _SPARE_MIB) * _MIB
    for what, most in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CPU, int(asked["seconds"] * asked["threads"]) + 30),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # a stricter limit is there already
            resource.setrlimit(what, (most, most))


def _plain(value: Any) -> Any:
    """Return a value as JSON; what JSON does not know is a list with its kind and its text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", repr(value)]
    if isinstance(value, Decimal):
        return ["decimal", str(value)]
    if isinstance(value, bytes):
        return ["bytes", value[:_LONGEST_VALUE].hex()]
    if isinstance(value, list | tuple):
        items: list[Any] = list(value)  # type: ignore[arg-type, unused-ignore]
        return ["list", [_plain(item) for item in items]]
    return str(value)[:_LONGEST_VALUE]


def _say(what: dict[str, Any]) -> int:
    line = json.dumps(what)
    sys.stdout.write(f"{line}\n")
    if "row" not in what:
        sys.stdout.flush()
    return len(line)


if __name__ == "__main__":
    main()
