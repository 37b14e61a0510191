"""Where the data of a task is that does not come with thinkctl, and what to put where if it is not there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.hub import fetched
from thinkctl.evals.tasks.reading import SUFFIXES, checked
from thinkctl.models import cache_folder

__all__ = ["FOLDERS", "file_of", "folder_of", "version_of_file"]

FOLDERS: Final = "THINKCTL_TASKS"
"""Environment variable: a folder with one folder a task."""

_STEMS: Final = ("data", "test", "dev")
_NO_DATA: Final = frozenset({"meta.json", "schemas.json", "tables.json"})


def folder_of(name: str, folder: Path | None, what: str, *, also: Sequence[str] = ()) -> Path:
    """Return the folder with a task's data: the one given, else ``$THINKCTL_TASKS/NAME``, else the cache's.

    ``also`` are other names of that folder. Raises ``ConfigurationError`` where there is none: it says ``what`` to put
    where.
    """
    if folder is not None:
        if folder.is_dir():
            return folder
        raise ConfigurationError(f"folder={str(folder)!r} of the task {name!r} is no folder; {what}")
    asked = os.environ.get(FOLDERS)
    homes = [Path(asked).expanduser()] if asked else []
    homes.append(cache_folder() / "tasks")
    for home in homes:
        for each in (name, *also):
            if (home / each).is_dir():
                return home / each
    raise ConfigurationError(
        f"the data of the task {name!r} does not come with thinkctl. Put {what} into {homes[0] / name}, or give "
        f"folder=FOLDER, or set {FOLDERS} to a folder that holds {name}/"
    )


def file_of(name: str, folder: Path | None, hub: str, what: str, *, stems: Sequence[str] = _STEMS) -> Path:
    """Return the file with a task's problems: of the hub, or ``data.*`` (``test.*``, ``dev.*``) in its folder.

    A folder with a single file of data needs no such name. Raises ``ConfigurationError`` where there is none.
    """
    if hub:
        return fetched(hub)
    place = folder_of(name, folder, f"{what} (as data.jsonl, .json, .csv or .parquet)")
    files = sorted(path for path in place.iterdir() if _is_data(path))
    for stem in stems:
        for path in files:
            if path.name.partition(".")[0] == stem:
                return path
    if len(files) == 1:
        return files[0]
    found = ", ".join(path.name for path in files) or "none"
    raise ConfigurationError(
        f"{place} has no file of the task {name!r}: put {what} there as data.jsonl; files of data there: {found}"
    )


def version_of_file(path: Path, sha256: str = "") -> str:
    """Return which file it is; ``sha256`` is checked if it is given."""
    return f"{path.name} sha256 {checked(path, sha256)[:12]}"


def _is_data(path: Path) -> bool:
    name = path.name.removesuffix(".gz")
    return path.is_file() and path.name not in _NO_DATA and Path(name).suffix in SUFFIXES
