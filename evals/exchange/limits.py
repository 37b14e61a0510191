"""Reading other people's files: how much of one is read at most, and what of an archive is read at all.

A log is data from outside. Nothing of it is unpacked to disk or evaluated; what is too big is refused before it fills
the memory, and what an archive says of its own sizes is believed only as far as it is checked.
"""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, final

from thinkctl.errors import MissingExtra, RunFileError
from thinkctl.runfile.reading import opened

__all__ = ["Archive", "Limits", "json_of_file", "json_of_text", "lines_of_json", "points_outside"]

_ZSTANDARD: Final = 93
_ENCRYPTED: Final = 0x1
_LOCAL_HEADER: Final = struct.Struct("<4s5H3L2H")
_KNOWN: Final = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, _ZSTANDARD}
)


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What is read at most, in bytes after unpacking: of a JSON file, a line, a member of an archive, all members."""

    file_bytes: int = 512 << 20
    line_bytes: int = 64 << 20
    member_bytes: int = 128 << 20
    total_bytes: int = 8 << 30
    members: int = 200_000


def _mebibytes(number: int) -> str:
    return f"{number / (1 << 20):,.0f} MiB" if number >= 1 << 20 else f"{number:,} bytes"


def json_of_text(data: bytes, where: str) -> Any:
    """Return the JSON value of some bytes. Raises ``RunFileError`` that says where it broke."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise RunFileError(f"{where}: the JSON is nested too deeply to be a log; give another file") from None
    except ValueError as error:
        raise RunFileError(f"{where}: not JSON ({error}); was it copied to its end?") from None


def json_of_file(path: Path, limits: Limits) -> Any:
    """Return the JSON value of a file, plain or ``.gz``. Raises ``RunFileError``."""
    with opened(path) as file:
        data = file.read(limits.file_bytes + 1)
    if len(data) > limits.file_bytes:
        raise RunFileError(
            f"{path}: more than {_mebibytes(limits.file_bytes)} of JSON; convert it to .eval, which is read in parts"
        )
    return json_of_text(data, str(path))


def lines_of_json(path: Path, limits: Limits) -> Iterator[tuple[int, Any]]:
    """Iterate over number and JSON value of the lines of a file, plain or ``.gz``. Raises ``RunFileError``."""
    with opened(path) as file:
        number = 0
        while line := file.readline(limits.line_bytes + 1):
            number += 1
            if len(line) > limits.line_bytes:
                raise RunFileError(
                    f"{path}: line {number} is longer than {_mebibytes(limits.line_bytes)}; split the log"
                )
            if line.strip():
                yield number, json_of_text(line, f"{path}: line {number}")


def points_outside(name: str) -> bool:
    """Whether the name of a member would leave the folder it is unpacked to, on any system."""
    parts = name.replace("\\", "/").split("/")
    return parts[0] == "" or ".." in parts or re.fullmatch("[A-Za-z]:", parts[0]) is not None


@final
class Archive:
    """A zip file whose members are read as JSON, one at a time.

    Raises ``RunFileError`` for what is not to be trusted.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path, self._limits = path, limits
        try:
            self._zip = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
            raise RunFileError(f"{path}: not a whole zip archive ({error}); copy it again") from None
        try:
            self._members = self._checked()
        except BaseException:
            self._zip.close()
            raise

    @property
    def names(self) -> list[str]:
        """Names of the members; of several with one name the last one counts."""
        return list(self._members)

    def json(self, name: str) -> Any:
        """Return the JSON value of a member."""
        where = f"{self._path}: {name}"
        info = self._members.get(name)
        if info is None:
            raise RunFileError(f"{where} is missing in the archive; give the log of a run that has begun")
        try:
            data = self._zstandard(info) if info.compress_type == _ZSTANDARD else self._plain(info)
        except (
            OSError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            struct.error,
            NotImplementedError,
        ) as error:
            raise RunFileError(f"{where}: cannot be unpacked ({error}); copy the file again") from None
        return json_of_text(data, where)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._zip.close()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        infos, limits = self._zip.infolist(), self._limits
        if len(infos) > limits.members:
            raise self._refused(f"it has {len(infos):,} members, more than {limits.members:,}")
        for info in infos:
            if points_outside(info.filename):
                raise self._refused(f"the member {info.filename!r} points outside the archive")
            if info.flag_bits & _ENCRYPTED:
                raise self._refused(f"the member {info.filename!r} is encrypted")
            if info.compress_type not in _KNOWN:
                raise self._refused(f"the member {info.filename!r} is packed by method {info.compress_type}")
            if info.file_size > limits.member_bytes:
                raise self._refused(
                    f"{info.filename!r} unpacks to {_mebibytes(info.file_size)}, "
                    f"more than {_mebibytes(limits.member_bytes)}"
                )
        total = sum(info.file_size for info in infos)
        if total > limits.total_bytes:
            raise self._refused(
                f"it unpacks to {_mebibytes(total)}, more than {_mebibytes(limits.total_bytes)}"
            )
        return {info.filename: info for info in infos}

    def _refused(self, why: str) -> RunFileError:
        return RunFileError(f"{self._path}: not read, {why}; give a log that Inspect wrote")

    def _plain(self, info: zipfile.ZipInfo) -> bytes:
        with self._zip.open(info) as member:  # zipfile itself reads no more than file_size, which was checked
            return member.read()

    def _zstandard(self, info: zipfile.ZipInfo) -> bytes:
        """Unpack a member that Python's zipfile knows no method for before 3.14."""
        try:
            import zstandard
        except ImportError:
            raise MissingExtra(
                "this log is packed with Zstandard, as Inspect does: pip install 'thinkctl[evals]' (zstandard)"
            ) from None
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
            file.seek(header[-2] + header[-1], 1)
            packed = file.read(info.compress_size)
        try:
            with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
                data = reader.read(info.file_size + 1)
        except (zstandard.ZstdError, MemoryError) as error:
            raise zipfile.BadZipFile(str(error)) from None
        if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
            raise zipfile.BadZipFile("its checksum is wrong")
        return bytes(data)
