"""One file of a data set on the Hugging Face hub, of a commit that is written in full."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from thinkctl.errors import ConfigurationError, MissingExtra

__all__ = ["fetched"]

_ADDRESS: Final = re.compile(r"([\w.-]+/[\w.-]+)@([^/]+)/(.+)")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def fetched(address: str) -> Path:
    """Return the path of ``OWNER/REPO@COMMIT/PATH``, fetched unless the hub's cache has it.

    Raises ``ConfigurationError`` for an address that is none, for a branch in place of a commit, and for what cannot be
    fetched; ``MissingExtra`` without ``huggingface_hub``.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ConfigurationError(f"{address!r} is no file of a hub; write OWNER/REPO@COMMIT/PATH.jsonl")
    repo, commit, file = found.groups()
    if not _COMMIT.fullmatch(commit):
        raise ConfigurationError(
            f"{commit!r} is no commit: a branch may be another tomorrow; write the 40 characters of the commit, "
            f"https://huggingface.co/datasets/{repo}/commits lists them"
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise MissingExtra(
            "data sets of the Hugging Face hub need huggingface_hub; pip install 'thinkctl[evals]'"
        ) from None
    try:
        return Path(hf_hub_download(repo, file, repo_type="dataset", revision=commit))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        why = str(error).strip().splitlines()
        raise ConfigurationError(
            f"{address} cannot be fetched: {why[0] if why else type(error).__name__}; fetch it by hand and "
            "write file:PATH"
        ) from None
