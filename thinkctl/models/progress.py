"""Telling whoever waits how far a download is."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Progress", "Report", "bytes_in", "watching"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a pull is. ``done`` and ``total`` are bytes; ``total`` is ``None`` where it cannot be known.

    ``waiting``: another process pulls the same model. ``converting`` has no measure.
    """

    stage: Literal["waiting", "fetching", "checking", "converting"]
    done: int = 0
    total: int | None = None


Report = Callable[[Progress], None]
"""Called with news, possibly from another thread, never by two threads at once."""


def bytes_in(folder: Path) -> int:
    """The bytes in all files below ``folder`` (0 where there is none); files may come and go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):  # unlike rglob, it does not mind a folder that vanishes
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118 - called often
    return total


@contextmanager
def watching(folder: Path, total: int, report: Report, every_seconds: float = 0.25) -> Iterator[None]:
    """While the block runs, report how much of ``total`` bytes lies in ``folder`` already."""
    over = threading.Event()

    def watch() -> None:
        most = -1
        while not over.wait(every_seconds):
            now = min(bytes_in(folder), total)
            if now > most:
                most = now
                report(Progress("fetching", now, total))

    thread = threading.Thread(target=watch, name="thinkctl-pull-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
