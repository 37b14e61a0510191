"""The life of a stream, the same with both drivers, and the arithmetic of its bill."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Self, final

from thinkctl.engines.intake import Intake, Piece
from thinkctl.errors import RequestFailed, ThinkctlError
from thinkctl.types import Delta, Finish, GenerationSpec, StreamUsage

if TYPE_CHECKING:
    from thinkctl.engines.vllm._engine import BaseEngine

__all__ = ["BaseStream", "Settled", "settled_from"]

Settled = tuple[int, int | None]
"""(tokens decoded, prompt tokens cached) of an aborted stream, as the worker counted them."""


def settled_from(answers: Sequence[dict[str, Sequence[int | None]]], key: str) -> Settled | None:
    """Read the workers' answers: ``None`` if none of them ever saw the stream."""
    counts = [answer[key] for answer in answers if key in answer]
    return max(((count[0] or 0, count[1]) for count in counts), key=lambda count: count[0], default=None)


class BaseStream(ABC):
    """One generation. It is its own iterator: iterating may be broken off and gone on with, by one task at a time.

    Waiting for the next delta may be cancelled without losing anything; only ``close`` ends the work. A stream
    that is dropped without it is aborted when Python collects it.
    """

    def __init__(
        self, engine: BaseEngine, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> None:
        self.prompt, self.spec, self.score = prompt, spec, score
        self.key = engine._new_key()
        self.scored: dict[int, float] = {}
        self.intake = Intake()
        self._engine = engine
        self._opening: asyncio.Task[None] | None = None
        self._sending = False
        self._sent = False
        self._reading = False
        self._steering: asyncio.Task[bool] | None = None
        self._closing: asyncio.Task[StreamUsage] | None = None
        self._usage: StreamUsage | None = None

    def __aiter__(self) -> Self:
        """Iterate over what is still to come."""
        return self

    @final
    async def __anext__(self) -> Delta:
        """Wait for the next delta. The first wait sends the request.

        Raises ``RequestFailed`` if this request failed, ``EngineUnavailable`` if the engine is dead.
        """
        if self._reading:
            raise RuntimeError("the stream is being read by another task; one stream has one reader")
        self._reading = True
        try:
            return await self._next()
        finally:
            self._reading = False

    async def _next(self) -> Delta:
        while self._usage is None and self._closing is None:
            if self._steering is not None:
                await asyncio.wait({self._steering})  # until then it is not known which tokens are forced
            elif (delta := self.intake.take()) is not None:
                return delta
            elif self.intake.error is not None:
                raise self.intake.error
            elif self.intake.exhausted:
                break
            elif self._sent:
                await self._pull()
            else:
                self._opening = self._opening or asyncio.create_task(self._open())
                await asyncio.wait({self._opening})
        raise StopAsyncIteration

    @final
    async def close(self) -> StreamUsage:
        """Stop now and return what was used, to the token. Cancelling the wait does not undo the stop."""
        if self._usage is None and self._opening is None:
            self._usage = StreamUsage()
        if self._usage is not None:
            return self._usage
        self._closing = self._closing or asyncio.create_task(self._finish())
        usage = await asyncio.shield(self._closing)
        self._usage = usage
        return usage

    @final
    async def force(self, token_ids: Sequence[int]) -> bool:
        """Make the running stream emit these tokens next. ``False`` if it has not begun, has ended or cannot."""
        wanted = list(token_ids)
        self._engine._check_ids(wanted, "token_ids")
        while self._steering is not None:
            await asyncio.wait({self._steering})
        if not self._sent or self._closing is not None or not 0 < len(wanted) <= self._engine.caps.force:
            return False
        self._steering = asyncio.create_task(self._steer_and_mark(wanted))
        return await asyncio.shield(self._steering)

    @final
    def fail(self, error: Exception) -> None:
        """End with an error, unless it has ended already."""
        if not self.intake.ended:
            self.intake.error = error
        self._wake()

    @final
    def arrive(self, piece: Piece) -> None:
        """Take what the engine sent. That it ended a request which we aborted is no news."""
        self.intake.put(piece)
        if piece.error and self._closing is None and self.intake.error is None:
            self.intake.error = RequestFailed(piece.error)

    async def _open(self) -> None:
        try:
            await self._engine.start()
            self._engine._admit(self.prompt, self.spec)  # now that the engine's own limits are known
            await self.post()
        except ThinkctlError as error:
            self.intake.error = error

    async def post(self) -> None:
        """Send the request to an engine that runs."""
        self._sending = True
        await self._send()
        self._sent = True
        self._engine._live.add(self)

    async def _steer_and_mark(self, token_ids: list[int]) -> bool:
        try:
            self._drain()
            if self.intake.ended:
                return False
            first = await self._steer(token_ids)
            if first is None:
                return False
            await self._arrival(first)
            if self.intake.ended and self.intake.arrived <= first:
                return False  # it had ended when the call came; nothing follows
            self.intake.force(first, len(token_ids))
        except ThinkctlError:
            return False
        else:
            return True
        finally:
            self._steering = None

    async def _finish(self) -> StreamUsage:
        assert self._opening is not None
        if not self._sending:
            self._opening.cancel()  # the engine is still being loaded; nothing was asked of it
        await asyncio.wait({self._opening})
        if self._steering is not None:
            await asyncio.wait({self._steering})
        if not self._sent:
            return StreamUsage()
        self._drain()
        self._wake()
        usage = await self._bill()
        self._engine._live.discard(self)
        return usage

    async def _bill(self) -> StreamUsage:
        """Abort if need be, and count. What was decoded but not delivered is wasted."""
        intake, engine, facts = self.intake, self._engine, self._engine._known
        told = StreamUsage(len(self.prompt), intake.cached, intake.arrived, intake.arrived - intake.delivered)
        if intake.finish is not None and not (facts.asynchronous and intake.finish is Finish.STOP):
            return told  # a step in flight when a stop token came out decodes one more
        try:
            engine._check_alive()
            settled = await self._abort()
        except ThinkctlError:
            return replace(told, estimated=True)
        if not engine._counts(facts):
            computed = min(intake.arrived + engine._overshoot(facts), self.spec.max_tokens)
            wasted = computed - intake.delivered
            return replace(told, generated_tokens=computed, wasted_tokens=wasted, estimated=True)
        if settled is None:  # the worker never saw it, or saw so many since that it has forgotten
            return replace(told, estimated=True) if intake.arrived else StreamUsage()
        computed, cached = settled
        return StreamUsage(
            len(self.prompt),
            cached if intake.cached is None else intake.cached,
            computed,
            computed - intake.delivered,
        )

    def __del__(self) -> None:
        """Abort what nobody can read any more."""
        if getattr(self, "_sent", False) and self._closing is None and not self.intake.ended:
            self._abandon()

    # -------------------------------------------------------------------------------- what a driver does
    @abstractmethod
    async def _send(self) -> None:
        """Send the request. Raises ``ThinkctlError`` only."""

    @abstractmethod
    async def _pull(self) -> None:
        """Wait until something new arrived, or ``_wake`` was called."""

    @abstractmethod
    def _drain(self) -> None:
        """Take what is here, without waiting."""

    @abstractmethod
    def _wake(self) -> None:
        """Make a waiting ``_pull`` return."""

    @abstractmethod
    async def _abort(self) -> Settled | None:
        """Stop the work; return the worker's count, ``None`` if it never saw the request."""

    @abstractmethod
    def _abandon(self) -> None:
        """Have the work stopped. Called by the garbage collector, in any thread."""

    @abstractmethod
    async def _steer(self, token_ids: list[int]) -> int | None:
        """Have tokens forced; return the index of the first in the stream, ``None`` if the worker has it not."""

    @abstractmethod
    async def _arrival(self, count: int) -> None:
        """Wait until so many tokens arrived or the stream ended."""
