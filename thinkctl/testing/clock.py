"""A fake clock: an event loop whose time is virtual, so that a test of an hour takes a millisecond.

The clock of thinkctl is ``asyncio.get_running_loop().time()`` everywhere. Here it stands still while anything
runs and jumps to the next timer when nothing can. Work in threads takes no virtual time: the loop waits for
jobs it has given to an executor. Sockets and processes are served, but the clock does not wait for them.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, Final, TypeVar, TypeVarTuple

__all__ = ["Deadlock", "LeftOver", "VirtualLoop", "run"]

T = TypeVar("T")
Args = TypeVarTuple("Args")
Ready = list[tuple[selectors.SelectorKey, int]]

_PATIENCE: Final = 1.0
"""Real seconds to wait for a thread that may wake the loop, before the clock goes on without it."""
_LONG_PATIENCE: Final = 60.0
"""The same for a job that the loop has given to an executor, where there is no timer to go on to."""


class Deadlock(AssertionError):
    """Every task waits, no timer is set: nothing could ever happen again."""


class LeftOver(AssertionError):
    """The coroutine returned while tasks that it had started were still alive."""


class _Selector(selectors.DefaultSelector):
    """Never blocks for a timer: when nothing is ready it makes time jump instead."""

    def __init__(self, patience: Callable[[], float], jump: Callable[[], None]) -> None:
        super().__init__()
        self._patience = patience
        self._jump = jump

    def select(self, timeout: float | None = None) -> Ready:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        patience = self._patience()
        ready = super().select(patience) if patience else []
        if not ready:
            self._jump()
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with virtual time in seconds from ``start``.

    Raises ``Deadlock`` out of the loop where an ordinary one would wait for ever.
    """

    _scheduled: list[asyncio.TimerHandle]

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._jobs = 0
        super().__init__(_Selector(self._real_seconds, self._jump))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Args], T], *args: *Args
    ) -> asyncio.Future[T]:
        """Run ``func`` in a thread; the clock stands still until it is done."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Join the threads of the default executor, in no virtual time."""
        self._jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jobs -= 1

    def _job_done(self, future: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    def _next(self) -> float:
        """Return when the next timer is due."""
        return self._scheduled[0].when() if self._scheduled else math.inf

    def _real_seconds(self) -> float:
        """Return how long a thread should be waited for."""
        no_timer = self._next() == math.inf
        if self._jobs > 0 and no_timer:
            return _LONG_PATIENCE
        return _PATIENCE if self._jobs > 0 or (no_timer and threading.active_count() > 1) else 0.0

    def _jump(self) -> None:
        """Set the clock to the next timer."""
        if self._next() == math.inf:
            tasks = sorted(_where(task) for task in asyncio.all_tasks(self))
            what = f"nothing is ready and no timer is set at {self._now:g} s; {len(tasks)} tasks wait:"
            raise Deadlock("\n".join([what, *tasks]))
        self._now = max(self._now, self._next())


def run(coroutine: Coroutine[Any, Any, T], *, start: float = 0.0) -> T:
    """Run a coroutine to its end on a loop with virtual time, and return its result.

    Raises ``LeftOver`` if it returned while tasks were still alive (they are cancelled), ``Deadlock`` if
    nothing could go on, else whatever it raises.
    """
    left: list[str] = []

    async def main() -> T:
        try:
            return await coroutine
        finally:
            own = asyncio.current_task()
            left.extend(sorted(_where(task) for task in asyncio.all_tasks() if task is not own))

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        try:
            result = runner.run(main())
        except Deadlock:
            raise
        except BaseException as error:
            if left:
                error.add_note("\n".join([f"{len(left)} tasks were left over as well:", *left]))
            raise
    if left:
        raise LeftOver("\n".join([f"{len(left)} tasks were left over and have been cancelled:", *left]))
    return result


def _where(task: asyncio.Task[Any]) -> str:
    """Return a task's name and the line at which it waits."""
    frames = task.get_stack(limit=1)
    place = f"{frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else "not started"
    return f"  {task.get_name()}: {getattr(task.get_coro(), '__qualname__', task.get_coro())} at {place}"
