"""Reading run files. They are untrusted data: whatever is wrong with one is an error that says where."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Final, cast, final

from thinkctl.errors import RunFileError
from thinkctl.runfile.codec import BadValue, load_card, load_run
from thinkctl.types import ModelCard, Run

__all__ = [
    "MARK",
    "OWN_FIELDS",
    "SCHEMA",
    "Header",
    "TornLine",
    "is_run_file",
    "is_whole",
    "may_be_torn_header",
    "opened",
    "read",
    "read_header",
    "read_lines",
    "warn_of_torn",
]

SCHEMA: Final = 1
MARK: Final = b'{"thinkctl": "run-file"'
"""How the header begins, to the byte."""
OWN_FIELDS: Final = frozenset({"thinkctl", "schema", "version", "card"})


class TornLine(UserWarning):
    """The last line of a run file was not written to its end; the run in it is lost."""


@final
@dataclass(frozen=True, slots=True)
class Header:
    """The first line: the schema, the version that wrote it, the model, and further fields.

    Among these is ``created``, when the file was begun, and whatever its writer added.
    """

    schema: int = SCHEMA
    version: str = ""
    card: ModelCard | None = None
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def created(self) -> str | None:
        """When the file was begun, as ISO 8601; ``None`` where nobody wrote that down."""
        value = self.fields.get("created")
        if not isinstance(value, str):
            return None
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return None
        return value


def _parse(line: bytes) -> Any:
    """Return the JSON value of a line. Raises ``ValueError``."""
    try:
        return json.loads(line.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def is_whole(line: bytes) -> bool:
    """Whether a line was written to its end: a part of an object is never JSON."""
    try:
        _parse(line)
    except ValueError:
        return False
    return True


def _parse_header(path: Path, line: bytes) -> Header:
    try:
        value = _parse(line)
    except ValueError:
        value = None
    if not isinstance(value, dict) or value.get("thinkctl") != "run-file":
        raise RunFileError(f"{path}: line 1 is not a run file's header; give a file that thinkctl recorded")
    schema, version, card = value.get("schema"), str(value.get("version", "")), value.get("card")
    if type(schema) is not int or schema < 1:
        raise RunFileError(f"{path}: line 1: schema {schema!r} is not a positive integer; restore the header")
    if schema > SCHEMA:
        raise RunFileError(
            f"{path}: written by thinkctl {version} with schema {schema}; this thinkctl reads up to schema "
            f"{SCHEMA}: upgrade it"
        )
    fields = {name: item for name, item in value.items() if name not in OWN_FIELDS}
    try:
        return Header(schema, version, None if card is None else load_card(card), fields)
    except BadValue as error:
        raise RunFileError(f"{path}: line 1: card: {error}; restore the header") from None


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, unpacked if its name ends in ``.gz``. Raises ``RunFileError``."""
    try:
        with path.open("rb") as raw:
            yield cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise RunFileError(
            f"{path}: not a whole gzip file ({error}); copy it again from its source"
        ) from None
    except OSError as error:
        raise RunFileError(f"{path}: cannot be read ({error.strerror}); check the path") from None


def _lines(path: Path) -> Iterator[tuple[int, bytes, Any]]:
    """Iterate over number, bytes and JSON value of each line after the header, which is checked."""
    with opened(path) as file:
        line, following = file.readline(), file.readline()
        if not following and may_be_torn_header(line):
            warn_of_torn(path, "the header", line, "there is no run yet")
            return
        _parse_header(path, line)
        for number in itertools.count(2):
            line, following = following, file.readline()
            if not line:
                return
            try:
                yield number, line, _parse(line)
            except ValueError as error:
                if following:
                    raise _broken(path, number, str(error)) from None
                warn_of_torn(path, f"line {number}", line, "is skipped; run its problem again")


def may_be_torn_header(line: bytes) -> bool:
    """Whether these bytes are how one of our headers begins (an empty file is one, too)."""
    return not is_whole(line) and (MARK.startswith(line) or line.startswith(MARK))


def _broken(path: Path, number: int, why: str) -> RunFileError:
    return RunFileError(
        f"{path}: line {number} is not a run: {why}; restore the file from a copy, or take it out by hand"
    )


def warn_of_torn(path: Path, where: str, line: bytes, then: str) -> None:
    """Say that a line was torn, and what becomes of it."""
    warnings.warn(
        f"{path}: {where} ({len(line)} bytes) was not written to its end and {then}", TornLine, stacklevel=3
    )


def read_lines(path: Path) -> Iterator[tuple[bytes, Any, Run]]:
    """Iterate over the runs of a file, each with the line and the JSON value that hold it."""
    for number, line, value in _lines(path):
        try:
            run = load_run(value)
        except BadValue as error:
            raise _broken(path, number, str(error)) from None
        yield line, value, run


def read(path: str | Path) -> Iterator[Run]:
    """Iterate over the runs of a file, ``.jsonl`` or ``.jsonl.gz``, in the order written.

    Raises ``RunFileError`` for anything broken but a torn last line, which is skipped with a warning.
    """
    return (run for _, _, run in read_lines(Path(path)))


def read_header(path: str | Path) -> Header:
    """Return the header of a run file. Raises ``RunFileError``."""
    path = Path(path)
    with opened(path) as file:
        return _parse_header(path, file.readline())


def is_run_file(path: str | Path) -> bool:
    """Whether a file begins like a run file, torn or not. Raises ``RunFileError`` if it cannot be read."""
    with opened(Path(path)) as file:
        line = file.readline()
    try:
        value = _parse(line)
    except ValueError:
        return line.startswith(MARK)
    return isinstance(value, dict) and value.get("thinkctl") == "run-file"
