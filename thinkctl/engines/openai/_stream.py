"""One generation on a server: opened, read, ended, and counted as exactly as the server lets us."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, final

import openai
import stamina

from thinkctl.engines.intake import Piece
from thinkctl.engines.life import LiveStream
from thinkctl.engines.openai._failures import explained, worth_another_try
from thinkctl.errors import RequestFailed
from thinkctl.types import Finish, GenerationSpec, StreamUsage

if TYPE_CHECKING:
    from thinkctl.engines.openai._engine import OpenAIEngine
    from thinkctl.engines.openai._reading import Reader
    from thinkctl.engines.openai._routes import Route

__all__ = ["ServerStream"]

_PATIENCE: Final = 1.0
"""Seconds to wait for a server's last words after the last token, or after it was told to stop."""
_TELL_AGAIN: Final = 0.1
"""Seconds after which a server that goes on is told to stop once more: the first may have come too early."""


@final
class ServerStream(LiveStream):
    """A task of its own opens and reads the answer to a request."""

    def __init__(self, engine: OpenAIEngine, prompt: tuple[int, ...], spec: GenerationSpec, key: str) -> None:
        super().__init__()
        self._engine = engine
        self._prompt = prompt
        self._spec = spec
        self._key = key
        self._route: Route | None = None
        self._reader: Reader | None = None
        self._requests = 0
        self._accepted = False
        self._told_to_stop = False
        self._ended = False

    async def force(self, token_ids: Sequence[int]) -> bool:
        """Say that a running stream cannot be made to emit anything over HTTP."""
        return False

    # ------------------------------------------------------------------------------------------- reading
    async def _begin(self) -> None:
        self._engine.live.add(self)
        try:
            await self._engine.start()
            self._engine.check(self._prompt, self._spec)
            self._route = self._engine.route
            body, self._reader = self._route.ask(self._prompt, self._spec, self._key)
            await self._read(self._reader, await self._open(self._route.path, body))
        except Exception as error:
            known = explained(error, self._engine.where, self._requests)
            if known is None:
                raise
            self.intake.error = self.intake.error or known
        finally:
            self._news.set()

    async def _open(self, path: str, body: dict[str, Any]) -> openai.AsyncStream[object]:
        attempts = self._spec.attempts or self._engine.attempts
        again = stamina.retry_context(
            on=worth_another_try,
            attempts=attempts,
            timeout=None,
            wait_initial=0.2,
            wait_max=20,
            wait_jitter=0.2,
        )
        async for attempt in again:
            with attempt:
                self._requests += 1
                response = await self._engine.post(path, body)
                self._accepted = True
                return response
        raise AssertionError("stamina ends with a result or an error")

    async def _read(self, reader: Reader, response: openai.AsyncStream[object]) -> None:
        kind = response.response.headers.get("content-type", "")
        finish: Finish | None = None
        try:
            if not kind.startswith("text/event-stream"):
                raise RequestFailed(
                    f"{self._engine.where} answered with {kind or 'no content type'!r} instead of a stream of events"
                )
            async with asyncio.timeout(None) as limit:
                async for chunk in response:
                    piece = reader.read(chunk)
                    if piece is None:
                        continue
                    finish = self._put(piece, reader) or finish
                    if finish is not None and limit.when() is None:
                        limit.reschedule(asyncio.get_running_loop().time() + _PATIENCE)
                    if reader.arrived > self._spec.max_tokens:
                        break  # it goes on beyond what it was asked for
        except TimeoutError:
            pass
        finally:
            await response.close()
        if finish is None and reader.arrived >= self._spec.max_tokens:
            finish = Finish.LENGTH
        self._ended = finish is not None
        if finish is None or (finish is Finish.CUT and not self._told_to_stop):
            raise RequestFailed(
                f"{self._engine.where} broke off after {reader.arrived} tokens without saying why"
            )
        self.intake.put(Piece(finish=finish, cached=reader.usage.cached))

    def _put(self, piece: Piece, reader: Reader) -> Finish | None:
        """Keep what was asked for; the finish is told when the server has said what it used."""
        room = self._spec.max_tokens - self.intake.arrived
        if len(piece.token_ids) > room:
            piece = replace(
                piece,
                token_ids=piece.token_ids[:room],
                logprobs=None if piece.logprobs is None else piece.logprobs[:room],
                finish=Finish.LENGTH,
            )
        self.intake.put(replace(piece, finish=None))
        self._news.set()
        return piece.finish

    # ------------------------------------------------------------------------------------------- ending
    async def _finish(self, work: asyncio.Task[None] | None) -> StreamUsage:
        if work is not None and not work.done():
            if self._accepted and self._route is not None and self._route.abortable:
                await self._stop_by_name(work)
            work.cancel()
            await asyncio.wait({work})
        self._engine.live.discard(self)
        return self._bill()

    async def _stop_by_name(self, task: asyncio.Task[None]) -> None:
        """Have the server stop, and read what it still says: then both counts are the same."""
        self._told_to_stop = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while not task.done() and await self._engine.abort(self._key):
                    await asyncio.wait({task}, timeout=_TELL_AGAIN)

    def _bill(self) -> StreamUsage:
        reader, intake = self._reader, self.intake
        if reader is None or not self._accepted:
            return StreamUsage(requests=self._requests)
        said, arrived, most = reader.usage, reader.arrived, self._spec.max_tokens
        prompt = len(self._prompt) if reader.knows_prompt else said.prompt
        counted = said.generated if self._ended and said.final else None
        plausible = counted is not None and arrived <= counted <= max(most, arrived)
        if counted is not None and plausible:
            generated = counted
        elif self._ended:
            generated = arrived
        else:  # what it computed after the last token that came is not known; a step is likely
            generated = max(arrived, min(max(arrived, said.generated or 0) + 1, most))
        return StreamUsage(
            prompt_tokens=self._engine.guess(self._prompt) if prompt is None else prompt,
            cached_tokens=said.cached,
            generated_tokens=generated,
            wasted_tokens=generated - intake.delivered,
            # ended before its first token: whether its prompt was computed is not told
            estimated=not plausible or prompt is None or not reader.exact or generated == 0,
            requests=max(1, self._requests),
        )
