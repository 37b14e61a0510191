"""Writing run files so that neither a crash nor a neighbour can harm them.

A run file is one header line, then one run a line. Appending takes an advisory lock (``flock``), writes the
whole line with one call to the end of the file and syncs it to disk, so several processes may append to one
file. What cannot be excluded is a *torn last line*, when the machine or a process died in the middle of that
write: such a line is skipped by readers and cut off by the next writer, both with a ``TornLine`` warning.
Anything else that is broken is an error; nothing is skipped in silence.

The schema number counts changes that old readers would misunderstand, a changed default among them. New
fields do not raise it: readers skip the fields they do not know.
"""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import hashlib
import itertools
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.runfile.codec import dump_card, dump_run
from thinkctl.runfile.reading import (
    MARK,
    OWN_FIELDS,
    SCHEMA,
    Header,
    is_whole,
    may_be_torn_header,
    read,
    read_header,
    read_lines,
    warn_of_torn,
)
from thinkctl.types import ModelCard, Run

__all__ = ["RunFile", "merge", "write"]

_BLOCK: Final = 1 << 16


def _header_line(card: ModelCard | None, fields: Mapping[str, Any]) -> bytes:
    from importlib.metadata import PackageNotFoundError, version

    try:
        ours = version("thinkctl")
    except PackageNotFoundError:
        ours = "unknown"
    known: dict[str, Any] = {"schema": SCHEMA, "version": ours}
    if card is not None:
        known["card"] = dump_card(card)
    if taken := OWN_FIELDS & fields.keys():
        raise ConfigurationError(f"header fields {sorted(taken)} are thinkctl's own; choose other names")
    try:
        rest = json.dumps({**known, **fields}, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the header fields are not plain JSON ({error}); use texts and numbers"
        ) from None
    return MARK + b", " + rest[1:].encode() + b"\n"


def _run_line(run: Run) -> bytes:
    try:
        return json.dumps(dump_run(run), separators=(",", ":"), allow_nan=False).encode() + b"\n"
    except ValueError as error:
        problem = run.history.problem.id
        raise RunFileError(
            f"the run of problem {problem!r} cannot be written: {error}; mend that value"
        ) from None


def write(path: str | Path, runs: Iterable[Run], *, card: ModelCard | None = None, **fields: Any) -> None:
    """Write a whole run file at once; a file that was there is replaced only when all is written.

    ``card`` and ``fields`` go into the header; the same runs and fields are the same bytes, so ``created`` is there
    only if it is given. A name that ends in ``.gz`` is compressed.
    """
    _replace(Path(path), itertools.chain([_header_line(card, fields)], map(_run_line, runs)))


def merge(paths: Iterable[str | Path], out: str | Path) -> int:
    """Put the runs of several files into one, in order, identical ones once; return how many there are.

    Lines are copied as they are, so that fields of later versions live on. Header fields that all files agree
    on are kept, and where headers differ in more than ``created`` all of them are listed under ``merged``.
    ``created`` is the earliest, where all files have one. ``out`` may be one of the files. Raises
    ``ConfigurationError`` for runs of different models, ``RunFileError`` for what is not a run file or of
    another schema.
    """
    files = [Path(path) for path in paths]
    headers = [read_header(path) for path in files]
    if not headers:
        raise ConfigurationError("there is nothing to merge; name at least one run file")
    card = _one_card(files, headers)
    fields = _common(headers)
    seen: set[bytes] = set()
    _replace(Path(out), itertools.chain([_header_line(card, fields)], _new_lines(files, seen)))
    return len(seen)


def _common(headers: list[Header]) -> dict[str, Any]:
    """Return the fields of a merged header."""
    rest = [{name: item for name, item in each.fields.items() if name != "created"} for each in headers]
    fields = {name: item for name, item in rest[0].items() if all(each.get(name) == item for each in rest)}
    alike = [replace(header, fields=each) for header, each in zip(headers, rest, strict=True)]
    if any(each != alike[0] for each in alike):
        fields["merged"] = [{"version": header.version, **header.fields} for header in headers]
    dates = [header.created for header in headers if header.created is not None]
    if len(dates) == len(headers):
        fields["created"] = min(dates, key=_instant)
    return fields


def _instant(created: str) -> float:
    """Return seconds since 1970; a time without a zone is taken for UTC."""
    moment = datetime.fromisoformat(created)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _one_card(paths: list[Path], headers: list[Header]) -> ModelCard | None:
    cards = [
        (path, header.card) for path, header in zip(paths, headers, strict=True) if header.card is not None
    ]
    for path, card in cards:
        if card != cards[0][1]:
            raise ConfigurationError(
                f"{path} was recorded with another model card than {cards[0][0]}; merge each model's apart"
            )
    return cards[0][1] if cards else None


def _new_lines(paths: list[Path], seen: set[bytes]) -> Iterator[bytes]:
    for path in paths:
        for line, value, _ in read_lines(path):
            digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
            if digest not in seen:
                seen.add(digest)
                yield line if line.endswith(b"\n") else line + b"\n"


def _replace(path: Path, lines: Iterable[bytes]) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                    packed.writelines(lines)
            else:
                file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    """Make the name of a new file last."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# -------------------------------------------------------------------------------------------------- appending


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@final
class RunFile:
    """A run file that is open for appending; iterating reads its runs from the first.

    ``with RunFile.open(path) as file: file.append(run)``. Threads may share one; processes open one each (one
    that was inherited by ``fork`` shares its lock). Network file systems must support ``flock``.
    """

    def __init__(self, path: Path, header: Header, descriptor: int) -> None:
        self.path: Final = path
        self.header: Final = header
        self._descriptor: int | None = descriptor
        self._turn: Final = threading.Lock()

    @classmethod
    def open(cls, path: str | Path, *, card: ModelCard | None = None, **fields: Any) -> Self:
        """Open a run file for appending, make it if it is not there, and cut off a torn last line.

        ``card`` and ``fields`` go into the header of a new file, and when it was ``created`` (UTC, to the second),
        unless the fields say so. Raises ``ConfigurationError`` if the file
        there was recorded with another card, ``RunFileError`` if it is not a run file.
        """
        path = Path(path)
        if path.suffix == ".gz":
            raise ConfigurationError(
                f"{path}: a compressed file cannot be appended to; drop .gz and compress later"
            )
        header = _header_line(card, {"created": _now(), **fields})
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            with _locked(descriptor):
                _mend(path, descriptor)
                if os.fstat(descriptor).st_size == 0:
                    _write_all(descriptor, header)
                    _sync_folder(path)
            found = read_header(path)
            if card is not None and found.card != card:
                raise ConfigurationError(
                    f"{path} was recorded with another model card; write to another file"
                )
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, found, descriptor)

    def append(self, run: Run) -> None:
        """Add one run; when this returns it is on disk. On failure the file is as it was."""
        line = _run_line(run)
        with self._turn:
            if self._descriptor is None:
                raise RunFileError(f"{self.path} is closed; open it again to append")
            with _locked(self._descriptor):
                if not _ends_in_newline(self._descriptor):
                    _mend(self.path, self._descriptor)
                _write_all(self._descriptor, line)

    def __iter__(self) -> Iterator[Run]:
        return read(self.path)

    def close(self) -> None:
        """Close the file; may be called again."""
        with self._turn:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()


@contextlib.contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _write_all(descriptor: int, data: bytes) -> None:
    """Append with one call; if the disk is full, take back the part that was written."""
    size = os.fstat(descriptor).st_size
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, data[written:])
        os.fsync(descriptor)
    except BaseException:
        os.ftruncate(descriptor, size)
        raise


def _ends_in_newline(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) == b"\n"


def _mend(path: Path, descriptor: int) -> None:
    """Make the file end in a whole line: give a whole one its newline, cut off a torn one with a warning.

    A file that is not one of ours is an error before anything is cut.
    """
    start, last = _last_line(descriptor)
    if start == 0 and may_be_torn_header(last):
        os.ftruncate(descriptor, 0)
        if last:
            warn_of_torn(path, "the header", last, "is written anew")
        return
    read_header(path)
    if not is_whole(last):
        os.ftruncate(descriptor, start)
        warn_of_torn(path, "the last line", last, "is cut off; run its problem again")
    elif not last.endswith(b"\n"):
        _write_all(descriptor, b"\n")


def _last_line(descriptor: int) -> tuple[int, bytes]:
    """Return where the last line begins, and the line."""
    start, tail = os.fstat(descriptor).st_size, b""
    while start > 0:
        step = min(max(_BLOCK, len(tail)), start)
        start -= step
        tail = os.pread(descriptor, step, start) + tail
        newline = tail.rfind(b"\n", 0, len(tail) - 1)
        if newline >= 0:
            return start + newline + 1, tail[newline + 1 :]
    return 0, tail
