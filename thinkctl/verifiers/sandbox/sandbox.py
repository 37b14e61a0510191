"""A program goes in, what it said comes out; everything it started is gone."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar, final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from thinkctl.verifiers.sandbox.jail import Limits, bubblewrap, bubblewrap_trouble, folders_of
from thinkctl.verifiers.sandbox.process import Cell, Plan, Ran, watch

__all__ = ["Sandbox"]

T = TypeVar("T")

_MIB: Final = 1 << 20


@final
class Sandbox(BaseModel):
    """Runs Python programs that nobody has read, behind bubblewrap and the kernel's limits.

    A program sees Python and its standard library, an empty folder ``/tmp`` of ``disk_mib`` and nothing else: no
    network, no files of this machine, no environment, no other process, no way to start as another user. It is ended
    with all that it has started after ``seconds`` on the clock or ``cpu_seconds`` of the processor (``None``: as many,
    rounded up), when its processes together hold more than ``memory_mib``, when there would be more than
    ``processes`` (threads count), or when it has said more than ``output_bytes``.

    ``packages`` are installed distributions that it may import, by name; what they depend on must be named too.
    ``parallel`` is how many programs run at the same time (``None``: as many as there are cores).

    Where bubblewrap is missing or cannot work, running raises ``ConfigurationError`` that says what to install.
    ``allow_unsandboxed=True`` runs the program all the same, with the limits of a process but without walls: **it can
    then read, write and send all that you can**. A ``UserWarning`` says so.

    What a program can still do is in ``docs/decisions/0009-sandbox.md``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    seconds: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    cpu_seconds: int | None = Field(default=None, gt=0)
    memory_mib: int = Field(default=512, ge=64)
    processes: int = Field(default=16, gt=1)
    output_bytes: int = Field(default=64_000, gt=0)
    disk_mib: int = Field(default=32, gt=0)
    packages: tuple[str, ...] = ()
    parallel: int | None = Field(default=None, gt=0)
    allow_unsandboxed: bool = False

    @field_validator("packages")
    @classmethod
    def _packages_are_installed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        folders_of(value)
        return value

    @property
    def limits(self) -> Limits:
        """The limits as the kernel has them."""
        return Limits(
            memory=self.memory_mib * _MIB,
            cpu_seconds=self.cpu_seconds or int(self.seconds) + 1,
            processes=self.processes,
            file_bytes=self.disk_mib * _MIB,
            disk_bytes=self.disk_mib * _MIB,
        )

    @property
    def folders(self) -> tuple[tuple[str, str], ...]:
        """The folders of ``packages``, outside and inside."""
        return folders_of(self.packages)

    async def run(self, program: str, *, stdin: str = "", args: Sequence[str] = ()) -> Ran:
        """Run a program to its end and return what it said; cancelling kills everything before it returns.

        Raises ``ConfigurationError`` where there is no sandbox.
        """
        return await self.run_plan(Plan({"main.py": program}, stdin, args, folders=self.folders))

    async def run_plan(self, plan: Plan) -> Ran:
        """Run what a plan says; see ``run``."""

        def work(switch: int | None) -> Ran:
            cell = self.start(plan)
            return self.watch([cell], self.seconds, switch)[0]

        return await self.in_thread(work)

    def start(self, plan: Plan) -> Cell:
        """Start a program in this sandbox; it must be watched next."""
        return Cell.start(plan, self.limits, self._walls())

    def watch(self, cells: Sequence[Cell], seconds: float, switch: int | None) -> list[Ran]:
        """Wait for the first of ``cells`` and end them all; see ``thinkctl.verifiers.sandbox.process.watch``."""
        return watch(
            cells, seconds=seconds, output=self.output_bytes, memory=self.memory_mib * _MIB, switch=switch
        )

    async def in_thread(self, work: Callable[[int | None], T]) -> T:
        """Do blocking work in one of ``parallel`` threads; on cancelling, switch it off and wait until it is."""
        self._walls()
        loop = asyncio.get_running_loop()
        job = _Job(work)
        done = loop.run_in_executor(_threads(self.parallel or os.cpu_count() or 1), job)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if job.switch_off():
                while not done.done():
                    try:
                        await asyncio.wait({done})
                    except asyncio.CancelledError:
                        continue
            raise

    def _walls(self) -> str | None:
        """Return bubblewrap, or ``None`` where it was said that it goes without. Raises ``ConfigurationError``."""
        if not self.allow_unsandboxed or bubblewrap_trouble() is None:
            return bubblewrap()
        _warn(bubblewrap_trouble() or "")
        return None

    @property
    def warning(self) -> str:
        """What a verdict must say of this sandbox here: nothing where it is one."""
        if not self.allow_unsandboxed or (trouble := bubblewrap_trouble()) is None:
            return ""
        return f"Not sandboxed: {trouble}."


@functools.cache
def _warn(trouble: str) -> None:
    """Warn once."""
    warnings.warn(
        f"model-written code runs WITHOUT a sandbox ({trouble}): it can read, write and send all that you can",
        stacklevel=5,
    )


@functools.cache
def _threads(number: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=number, thread_name_prefix="thinkctl-sandbox")


class _Job(Generic[T]):
    """Work that can be switched off from another thread, before or while it runs."""

    def __init__(self, work: Callable[[int | None], T]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._begun = self._off = False
        self._reader, self._writer = -1, -1

    def __call__(self) -> T:
        with self._lock:
            if self._off:
                raise asyncio.CancelledError
            self._begun = True
            self._reader, self._writer = os.pipe()
        try:
            return self._work(self._reader)
        finally:
            with self._lock:
                os.close(self._reader)
                os.close(self._writer)
                self._writer = -1

    def switch_off(self) -> bool:
        """Switch it off; ``False`` if it had not begun, and now never will."""
        with self._lock:
            self._off = True
            if self._writer >= 0:
                os.write(self._writer, b"x")
            return self._begun
