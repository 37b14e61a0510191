"""The life that streams and engines of ours have in common."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self, final

from thinkctl.engines.intake import Intake
from thinkctl.types import Delta, StreamUsage

__all__ = ["LiveEngine", "LiveStream"]


class LiveStream(ABC):
    """Begins with the first wait, is its own iterator, and is closed once, however often it is asked to.

    Waiting may be cancelled and nothing is lost: a task of its own begins the work. Only ``close`` ends it.
    """

    def __init__(self) -> None:
        self.intake = Intake()
        self._news = asyncio.Event()
        self._work: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[StreamUsage] | None = None
        self._usage: StreamUsage | None = None

    def __aiter__(self) -> Self:
        """Iterate over what is still to come."""
        return self

    @final
    async def __anext__(self) -> Delta:
        """Wait for the next delta. The first wait begins the work."""
        while self._closing is None and self._usage is None:
            if (delta := self.intake.take()) is not None:
                return delta
            if self.intake.error is not None:
                raise self.intake.error
            if self.intake.exhausted:
                break
            if self._work is None:
                self._work = asyncio.create_task(self._begin())
                self._work.add_done_callback(self._worked)
            self._news.clear()
            await self._news.wait()
        raise StopAsyncIteration

    @final
    async def close(self) -> StreamUsage:
        """Stop now and return what was used. Cancelling the wait does not undo the stop."""
        if self._usage is None and self._work is None:
            self._usage = StreamUsage()
        if self._usage is not None:
            return self._usage
        if self._closing is None:
            self._closing = asyncio.create_task(self._finish(self._work))
            self._news.set()
        usage = await asyncio.shield(self._closing)
        self._usage = usage
        return usage

    @final
    def fail(self, error: Exception) -> None:
        """End with an error, unless it has ended already."""
        if not self.intake.ended:
            self.intake.error = error
        self._news.set()

    def _worked(self, work: asyncio.Task[None]) -> None:
        """Raise where the stream is read what nobody expected."""
        error = None if work.cancelled() else work.exception()
        if isinstance(error, Exception):
            self.fail(error)

    @property
    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._closing is not None or self._usage is not None

    @abstractmethod
    async def _begin(self) -> None:
        """Do the work, or begin it; runs in a task. Puts what comes into the intake and sets the news."""

    @abstractmethod
    async def _finish(self, work: asyncio.Task[None] | None) -> StreamUsage:
        """Stop the work and count; runs once, in a task."""


class LiveEngine(ABC):
    """An engine that is started and shut down with a block."""

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut it down."""
        await self.aclose()

    @abstractmethod
    async def start(self) -> None:
        """Start it. May be called again."""

    @abstractmethod
    async def aclose(self) -> None:
        """Shut it down. May be called again."""
