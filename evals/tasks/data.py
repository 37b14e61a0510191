"""The files that come with thinkctl: read whole, and only where they are what they were when they were packed."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from thinkctl.errors import ConfigurationError

__all__ = ["FOLDER", "path_of", "rows", "version_of"]

FOLDER: Final = Path(__file__).parent / "data"
_SUMS: Final = "SHA256SUMS"


def path_of(name: str) -> Path:
    """Return the path of a file whose content was checked.

    Raises ``ConfigurationError`` where it is missing or has changed: figures on other data are other figures.
    """
    path = FOLDER / name
    known = _known()
    if name not in known or not path.is_file():
        raise ConfigurationError(f"{name!r} is not among the data files in {FOLDER}; install thinkctl again")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != known[name]:
        raise ConfigurationError(
            f"{path} has changed: its SHA-256 is {found[:12]}..., not {known[name][:12]}...; install thinkctl again"
        )
    return path


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of a gzipped JSONL file."""
    with gzip.open(path_of(name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def version_of(*names: str) -> str:
    """Return which data files these are: the beginning of each one's checksum, in the order of the names."""
    known = _known()
    return "sha256 " + " ".join(known[name][:12] for name in names)


def _known() -> dict[str, str]:
    lines = (FOLDER / _SUMS).read_text(encoding="utf-8").splitlines()
    return {each: total for total, each in map(str.split, lines)}
