"""A running event loop for callers that have none: what ``solve_sync`` runs on."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from thinkctl.errors import ConfigurationError

__all__ = ["run_in_background"]

T = TypeVar("T")

_starting = threading.Lock()


@functools.cache
def _start_loop(_process: int) -> asyncio.AbstractEventLoop:
    """Start a loop for this process: a forked child has no thread that would run its parent's."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="thinkctl", daemon=True).start()
    return loop


def _background_loop() -> asyncio.AbstractEventLoop:
    with _starting:
        return _start_loop(os.getpid())


def run_in_background(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on thinkctl's own loop in its own thread and wait for the result.

    One loop serves all calls, so that an engine that lives on a loop stays on it. It works inside a running
    loop and in a notebook too, where it blocks that loop meanwhile. Context variables of the caller count.
    An interrupt cancels the work and waits until it has let go of its engine.

    Raises ``ConfigurationError`` on that very loop, which would wait for itself for ever.
    """
    loop = _background_loop()
    if asyncio._get_running_loop() is loop:
        work.close()
        raise ConfigurationError(
            "solve_sync was called by something that solve_sync runs, a verifier perhaps, and would wait for "
            "itself; await solve(...) there"
        )
    context = contextvars.copy_context()
    done = threading.Event()
    tasks: list[asyncio.Task[T]] = []

    def start() -> None:
        task = context.run(loop.create_task, work)
        tasks.append(task)
        task.add_done_callback(lambda _: done.set())

    def cancel() -> None:  # comes after start, or the interrupt came first and start never will
        if tasks:
            tasks[0].cancel()
        else:
            work.close()
            done.set()

    try:  # from here on: an interrupt may come while the loop is being woken
        loop.call_soon_threadsafe(start)
        done.wait()
    except BaseException:
        loop.call_soon_threadsafe(cancel)
        done.wait()
        raise
    return tasks[0].result()
