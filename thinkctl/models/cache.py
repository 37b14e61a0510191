"""Where models lie on this machine, and how to tell a whole one from half of one.

::

    <cache>/models/<name>/            a model that engines load, with its manifest `thinkctl.json`
    <cache>/models/.<name>.new/       the same while it is being made; renamed when it is whole
    <cache>/partial/<name>-<hash>/    what an interrupted pull has fetched so far
    <cache>/locks/<name>.lock         held by the one process that pulls
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.models.catalogue import CatalogueEntry
from thinkctl.models.progress import Progress, Report

__all__ = [
    "MANIFEST",
    "RECIPE",
    "FileRecord",
    "Manifest",
    "cache_folder",
    "exclusive",
    "fault",
    "install",
    "model_folder",
    "partial_folder",
    "read_manifest",
    "sha256_of",
    "staging_folder",
    "write_manifest",
]

MANIFEST = "thinkctl.json"
RECIPE = 1
"""Counts the ways models were converted. Raise it when the conversion changes: older folders are made anew."""


class FileRecord(BaseModel):
    """A file as it was when the model was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """What a converted model was made of, by what, and what it consists of.

    ``source_sha256`` is the hash of the GGUF file, ``converter`` the versions of the libraries that converted it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    recipe: int
    source_sha256: str
    converter: Mapping[str, str]
    files: Mapping[str, FileRecord]


def cache_folder() -> Path:
    """``$THINKCTL_CACHE``, else ``$XDG_CACHE_HOME/thinkctl``, else ``~/.cache/thinkctl``. It need not exist."""
    if own := os.environ.get("THINKCTL_CACHE"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return (Path(shared).expanduser() / "thinkctl").absolute()
    return Path.home() / ".cache" / "thinkctl"


def model_folder(entry: CatalogueEntry) -> Path:
    """Where the model lies once it is whole."""
    return cache_folder() / "models" / entry.name


def staging_folder(entry: CatalogueEntry) -> Path:
    """Where the model is made: on the same disk, so that it moves to its place in one step."""
    return model_folder(entry).with_name(f".{entry.name}.new")


def partial_folder(entry: CatalogueEntry) -> Path:
    """What was fetched so far. The hash is in the name, so another version's pieces never mix in."""
    return cache_folder() / "partial" / f"{entry.name}-{entry.sha256[:12]}"


def sha256_of(file: Path) -> str:
    """The file's SHA-256 in hexadecimal, read in a stream."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(folder: Path, entry: CatalogueEntry, converter: Mapping[str, str]) -> None:
    """Record every file in ``folder``. The manifest is the last file to be written."""
    found = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    manifest = Manifest(
        model=entry.name,
        recipe=RECIPE,
        source_sha256=entry.sha256,
        converter=converter,
        files={
            file.relative_to(folder).as_posix(): FileRecord(bytes=file.stat().st_size, sha256=sha256_of(file))
            for file in found
        },
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> Manifest | None:
    """The folder's manifest, or ``None`` where there is none that can be read."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def fault(entry: CatalogueEntry) -> str | None:
    """What is wrong with the model in the cache, or ``None`` where it is whole.

    Cheap: it compares names and sizes, not hashes.
    """
    folder = model_folder(entry)
    if not folder.is_dir():
        return "not pulled yet"
    manifest = read_manifest(folder)
    if manifest is None:
        return f"{MANIFEST} is missing or unreadable"
    if (manifest.model, manifest.source_sha256) != (entry.name, entry.sha256):
        return f"made from {manifest.model} {manifest.source_sha256}, which is not the pinned file"
    if manifest.recipe != RECIPE:
        return f"converted by recipe {manifest.recipe}, today's is {RECIPE}"
    for name, record in manifest.files.items():
        file = folder / name
        size = file.stat().st_size if file.is_file() else None
        if size != record.bytes:
            return (
                f"{name} is missing" if size is None else f"{name} has {size} bytes instead of {record.bytes}"
            )
    return None


def install(entry: CatalogueEntry) -> Path:
    """Move the staged model to its final name, in one step, replacing a broken one."""
    final = model_folder(entry)
    old = final.with_name(f".{entry.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.is_symlink() or final.is_file():
        final.unlink()
    elif final.exists():
        final.rename(old)
    staging_folder(entry).rename(final)
    shutil.rmtree(old, ignore_errors=True)
    return final


@contextmanager
def exclusive(entry: CatalogueEntry, report: Report) -> Iterator[None]:
    """Hold the model's lock. Waits for another process that has it; a killed process loses it at once."""
    try:
        from filelock import FileLock, Timeout
    except ImportError as missing:
        raise MissingExtra(
            "pulling models needs the library 'filelock'; install thinkctl[transformers], thinkctl[cpu] "
            "or thinkctl[vllm]"
        ) from missing
    path = cache_folder() / "locks" / f"{entry.name}.lock"
    lock = FileLock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        report(Progress("waiting"))
        lock.acquire()
    except OSError as failure:
        raise ConfigurationError(
            f"the cache folder {cache_folder()} cannot be written: {failure.strerror or failure}. "
            "Set THINKCTL_CACHE to a folder that can"
        ) from failure
    try:
        yield
    finally:
        lock.release()
