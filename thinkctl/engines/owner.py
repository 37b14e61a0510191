"""A thread that owns what must be touched by one thread only: an engine's model."""

from __future__ import annotations

import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar, final

from thinkctl.errors import EngineUnavailable

__all__ = ["Owner"]

L = TypeVar("L")
T = TypeVar("T")


class Owner(ABC, Generic[L]):
    """Works in steps, and runs what is submitted between them. ``_loaded`` is done when it is ready to."""

    def __init__(self, name: str) -> None:
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._loaded: Future[L] = Future()
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._dead = ""

    @final
    def started(self) -> Future[L]:
        """Start the thread unless it was; return what it loads."""
        with self._guard:
            if self._thread.ident is None and not self._dead:
                self._thread.start()
        return self._loaded

    @final
    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have a function run between two steps."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                if self._dead:
                    raise EngineUnavailable(self._dead)
                future.set_result(function())
            except Exception as error:  # noqa: BLE001 - it belongs to who asked
                future.set_exception(error)

        with self._guard:  # nothing may get into the inbox after it was emptied for the last time
            if self._dead:
                future.set_exception(EngineUnavailable(self._dead))
            else:
                self._inbox.put(run)
        return future

    @final
    def finish(self, why: str) -> None:
        """End the thread and wait for that."""
        with self._guard:
            self._dead = self._dead or why
            runs = self._thread.ident is not None
        if runs:
            self._inbox.put(lambda: None)
            self._thread.join()

    @final
    def _obey(self, seconds: float | None = 0) -> None:
        """Run what was submitted; wait at most so long for the first (``None``: for ever).

        What is submitted meanwhile waits for the next time: who always asks again must not hold up the steps.
        """
        try:
            task = self._inbox.get(block=seconds != 0, timeout=seconds or None)
        except queue.Empty:
            return
        others = self._inbox.qsize()
        task()
        for _ in range(others):
            self._inbox.get_nowait()()

    @abstractmethod
    def _run(self) -> None:
        """Load, then step and obey until it is dead."""
