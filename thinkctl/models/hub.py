"""Fetching from a model hub, where there is one: ``huggingface_hub`` does the work."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from thinkctl.models.catalogue import CatalogueEntry
from thinkctl.models.progress import Report, watching
from thinkctl.models.wheels import SourceFailed

__all__ = ["fetch_from_hub", "hub_is_off", "local_snapshot", "snapshot"]

_ANSWER_SECONDS = 5.0
_NEEDED = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


def hub_is_off() -> str | None:
    """Why the hub is not to be asked, or ``None`` where it may be."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        return "model hub: not asked, HF_HUB_OFFLINE is set"
    if not find_spec("huggingface_hub"):
        return "model hub: not asked, the library huggingface_hub is not installed"
    return None


def fetch_from_hub(entry: CatalogueEntry, partial: Path, report: Report) -> Path:
    """Download the GGUF file into ``partial`` and return it, unchecked.

    An interrupted download goes on where it was. Raises ``SourceFailed`` where the hub is off, does not answer
    within a few seconds, or has another file than the pinned one.
    """
    if entry.hub is None:
        raise SourceFailed("model hub: it does not have this model")
    if off := hub_is_off():
        raise SourceFailed(off)
    import huggingface_hub as hub

    where = f"model hub: {entry.hub.repo}/{entry.hub.file}"
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        url = hub.hf_hub_url(entry.hub.repo, entry.hub.file, revision=entry.hub.revision, endpoint=endpoint)
        there = hub.get_hf_file_metadata(url, timeout=_ANSWER_SECONDS, endpoint=endpoint)
    except Exception as failure:
        raise SourceFailed(f"{where}: {_first_line(failure)}") from failure
    if there.etag != entry.sha256:
        raise SourceFailed(f"{where}: has the hash {there.etag}, not the pinned {entry.sha256}")
    try:
        with watching(partial, entry.bytes, report):
            fetched = hub.hf_hub_download(
                entry.hub.repo,
                entry.hub.file,
                revision=there.commit_hash or entry.hub.revision,
                local_dir=partial / "hub",
                endpoint=endpoint,
            )
    except Exception as failure:
        raise SourceFailed(f"{where}: {_first_line(failure)}") from failure
    whole = partial / "model.gguf"
    Path(fetched).replace(whole)
    shutil.rmtree(partial / "hub", ignore_errors=True)
    return whole


def local_snapshot(repo: str) -> Path | None:
    """The folder of the hub repository ``repo`` in the hub's own cache, whole or not; nothing is downloaded."""
    if not find_spec("huggingface_hub"):
        return None
    import huggingface_hub as hub

    config = hub.try_to_load_from_cache(repo, "config.json")
    return Path(config).parent if isinstance(config, str) else None


def snapshot(repo: str) -> Path:
    """The folder of ``repo`` in the hub's own cache, downloaded where needed: safetensors, config, tokenizer.

    Raises ``SourceFailed`` where the hub is off, does not answer or does not have it.
    """
    if off := hub_is_off():
        raise SourceFailed(off)
    import huggingface_hub as hub

    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        url = hub.hf_hub_url(repo, "config.json", endpoint=endpoint)
        hub.get_hf_file_metadata(url, timeout=_ANSWER_SECONDS, endpoint=endpoint)
        return Path(str(hub.snapshot_download(repo, allow_patterns=_NEEDED, endpoint=endpoint)))
    except Exception as failure:
        raise SourceFailed(f"model hub: {repo}: {_first_line(failure)}") from failure


def _first_line(failure: Exception) -> str:
    lines = str(failure).strip().splitlines()
    return f"{type(failure).__name__}: {lines[0]}" if lines else type(failure).__name__
