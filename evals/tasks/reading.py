"""Rows of a file that somebody else made: JSON lines, JSON, CSV or Parquet; each with the line where it stands."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast, final

from thinkctl.errors import ConfigurationError, MissingExtra

__all__ = ["SUFFIXES", "Row", "checked", "kind_of", "read_rows"]

SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
"""What files are read, all but Parquet also with ``.gz``."""

_MOST_BYTES: Final = 1 << 30
_FEWEST_SIGNS: Final = 8


@final
@dataclass(frozen=True, slots=True)
class Row:
    """A row: ``line`` is the line of the file, counted from 1 (of JSON and Parquet the number of the row)."""

    file: Path
    line: int
    values: dict[str, Any]

    def error(self, what: str) -> ConfigurationError:
        """Return an error that says where it is."""
        return ConfigurationError(f"{self.file}, line {self.line}: {what}")


def kind_of(path: Path) -> str:
    """Return the suffix that says how to read a file. Raises ``ConfigurationError`` for any other."""
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in SUFFIXES or (suffix == ".parquet" and path.suffix == ".gz"):
        raise ConfigurationError(f"{path} cannot be read as problems; give one of {', '.join(SUFFIXES)}")
    return suffix.lower()


def checked(path: Path, sha256: str = "") -> str:
    """Return the SHA-256 of a file.

    Raises ``ConfigurationError`` where there is no file, and if its checksum does not begin with the one asked for,
    8 characters or more.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    if sha256 and (len(sha256) < _FEWEST_SIGNS or not found.startswith(sha256.lower())):
        raise ConfigurationError(
            f"{path} has the SHA-256 {found}, not sha256={sha256!r}; is it the file that was meant?"
        )
    return found


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; empty lines are left out.

    Raises ``ConfigurationError`` with the line for what cannot be read, and where there is no row at all.
    """
    kind = kind_of(path)
    try:
        if kind == ".parquet":
            found = list(_parquet(path))
        else:
            text = _text(path)
            found = list(
                _json_lines(path, text)
                if kind in (".jsonl", ".ndjson")
                else _json(path, text)
                if kind == ".json"
                else _separated(path, text, "\t" if kind == ".tsv" else ",")
            )
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror or error}") from None
    if not found:
        raise ConfigurationError(f"{path} holds no row; give a file with a question and an answer a row")
    return found


def _text(path: Path) -> str:
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as file:
            content = file.read(_MOST_BYTES + 1)  # a few bytes can unpack to very many
    else:
        with path.open("rb") as plain:
            content = plain.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ConfigurationError(f"{path} is larger than {_MOST_BYTES >> 20} MiB; give a smaller file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}: this is no UTF-8; save the file as UTF-8") from None


def _json_lines(path: Path, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):  # splitlines would also split within a JSON text
        if line.strip():
            yield _row(path, number, _loaded(path, number, line))


def _json(path: Path, text: str) -> Iterator[Row]:
    found = _loaded(path, 1, text)
    if isinstance(found, dict):  # as Big-Bench Hard has it
        found = cast("dict[str, Any]", found).get("examples")
    if not isinstance(found, list):
        raise ConfigurationError(f"{path} holds no list of problems; write [{{...}}, {{...}}]")
    for number, value in enumerate(found, 1):
        yield _row(path, number, value)


def _loaded(path: Path, line: int, text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = line + error.lineno - 1
        raise ConfigurationError(
            f"{path}, line {where}: this is no JSON ({error.msg}, column {error.colno})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}, line {line}: this is no JSON that can be read ({error})") from None


def _row(path: Path, line: int, value: Any) -> Row:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{path}, line {line}: expected an object, got {type(value).__name__}")
    return Row(path, line, cast("dict[str, Any]", value))


def _separated(path: Path, text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: Sequence[str] | None = None
    line = 1
    try:
        for cells in reader:
            if header is None:
                header = [name.strip() for name in cells]
                if len(set(header)) < len(header):
                    raise ConfigurationError(f"{path}, line {line}: a column is named twice: {header}")
            elif cells and len(cells) != len(header):
                raise ConfigurationError(
                    f"{path}, line {line}: {len(cells)} cells, but the first line names {len(header)} columns"
                )
            elif cells:
                yield Row(path, line, dict(zip(header, cells, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {line}: {error}") from None


def _parquet(path: Path) -> Iterator[Row]:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
        trouble: Any = importlib.import_module("pyarrow").ArrowException
    except ImportError:
        raise MissingExtra(
            f"{path} is a Parquet file; pip install 'thinkctl[evals]' brings what reads it"
        ) from None
    try:
        table = parquet.read_table(path)
    except trouble as error:
        raise ConfigurationError(f"{path} is no Parquet file: {str(error)[:200]}") from None
    for number, values in enumerate(table.to_pylist(), 1):
        yield Row(path, number, values)
