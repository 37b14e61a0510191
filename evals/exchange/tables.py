"""Rows as files: CSV that no spreadsheet runs, JSON lines, Parquet."""

from __future__ import annotations

import csv
import itertools
import json
import math
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from thinkctl.errors import ConfigurationError, MissingExtra, RunFileError

__all__ = ["TABLES", "replacing", "write_csv", "write_jsonl", "write_parquet"]

Rows = Iterable[Mapping[str, Any]]

_STARTS_A_FORMULA: Final = re.compile(r"\s*[=+\-@\uff0b\uff0d\uff1d\uff20]|[\t\r\n]")
_NUMBER: Final = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*")
_AT_ONCE: Final = 1_000


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a draft beside ``path`` that takes its place when the block ends well, and is gone when it does not."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent}; make it first")
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def write_csv(path: Path, rows: Rows, columns: Mapping[str, type]) -> int:
    """Write rows as CSV (RFC 4180, UTF-8) and return how many.

    A text that a spreadsheet would run as a formula (it begins with ``=``, ``+``, ``-``, ``@`` or a control
    character, and is no number) gets an apostrophe in front, which spreadsheets hide. Empty is what is not known.

    Source: OWASP, "CSV Injection".
    """
    count = 0
    with replacing(path) as draft, draft.open("w", encoding="utf-8", errors="replace", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(row.get(name)) for name in columns})
            count += 1
    return count


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"'{text}" if _STARTS_A_FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def write_jsonl(path: Path, rows: Rows, columns: Mapping[str, type]) -> int:
    """Write rows as JSON objects, one a line, and return how many. ``null`` is what is not known."""
    count = 0
    with replacing(path) as draft, draft.open("w", encoding="ascii") as file:
        for row in rows:
            file.write(json.dumps({name: _finite(row.get(name)) for name in columns}, allow_nan=False) + "\n")
            count += 1
    return count


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_parquet(path: Path, rows: Rows, columns: Mapping[str, type]) -> int:
    """Write rows as Parquet, with the types of the columns, and return how many. Null is what is not known.

    Raises ``MissingExtra`` where pyarrow is not installed.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped, unused-ignore]
        import pyarrow.parquet as pq  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow: pip install 'thinkctl[evals]'; or export csv") from None
    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    count, left = 0, iter(rows)
    with replacing(path) as draft, pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        while part := [_sound(row) for row in itertools.islice(left, _AT_ONCE)]:
            try:
                table = pa.Table.from_pylist(part, schema=schema)
            except (pa.ArrowInvalid, OverflowError) as error:
                raise RunFileError(f"{path}: a number does not fit Parquet ({error}); export csv") from None
            writer.write_table(table)
            count += len(part)
    return count


def _sound(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without half characters, which UTF-8 cannot hold and a model's JSON may."""
    return {
        name: item.encode("utf-8", "replace").decode() if isinstance(item, str) else item
        for name, item in row.items()
    }


TABLES: Final[Mapping[str, Callable[[Path, Rows, Mapping[str, type]], int]]] = {
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
"""Every kind of table, and what writes it."""
