"""The driver for tests: vLLM's engine in this process, stepped only when everybody waits for it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar, final

from thinkctl.engines.vllm._barrier import Barrier
from thinkctl.engines.vllm._engine import BaseEngine
from thinkctl.engines.vllm._settings import Facts
from thinkctl.engines.vllm._stream import BaseStream, Settled
from thinkctl.errors import EngineUnavailable
from thinkctl.types import EngineCounters, GenerationSpec, ModelCard

__all__ = ["VllmLockstep"]

T = TypeVar("T")


@final
class VllmLockstep(BaseEngine):
    """vLLM in this process: one thread steps the engine whenever every stream in progress awaits its next token.

    So nothing is decoded that nobody waited for (a close wastes nothing), batches are the same in every run, and
    with float32 so are the tokens. It serves any event loop, also several. Under load it is slower than
    ``VllmEngine``, and torch in this process becomes vLLM's: its random numbers and threads are not yours any more.

    A stream that has begun and is not awaited for ``patience`` seconds no longer holds up the others; what is
    decoded for it meanwhile waits for it. ``rewind`` makes the next run equal to the first.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        card: ModelCard | None = None,
        dtype: str = "auto",
        context: int | None = None,
        streams: int = 64,
        kv_cache_bytes: int | None = None,
        seed: int = 0,
        block: int | None = None,
        logprobs: int = 20,
        extra: Mapping[str, Any] | None = None,
        patience: float = 2.0,
    ) -> None:
        super().__init__(
            model,
            card=card,
            dtype=dtype,
            context=context,
            streams=streams,
            kv_cache_bytes=kv_cache_bytes,
            seed=seed,
            block=block,
            logprobs=logprobs,
            extra=extra,
        )
        self._barrier = Barrier(self._settings, patience)

    async def start(self) -> None:
        """Load the model, without blocking the loop. The first stream does it otherwise. May be called again.

        Raises ``ConfigurationError`` for settings vLLM refuses, ``MissingExtra`` without vLLM,
        ``EngineUnavailable`` if it cannot load the model.
        """
        self._check_alive()
        if self._facts is None:
            self._became(*await _result(self._barrier.started()))

    async def rewind(self, seed: int | None = None) -> None:
        """Begin anew: random numbers from ``seed`` (default: the engine's own), and an empty prefix cache.

        Raises ``ConfigurationError`` if streams run.
        """
        await self.start()
        number = self._settings.seed if seed is None else seed
        await self._between_steps(lambda: self._barrier.rewind(number))

    async def counters(self) -> EngineCounters:
        """Return the scheduler's counts."""
        self._check_alive()
        if self._facts is None:
            return EngineCounters(0, 0, 0, 0)
        return await self._between_steps(self._barrier.counters)

    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""
        self._died("the engine was closed")
        await asyncio.to_thread(self._barrier.finish, self._dead)
        gc.collect()

    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        return _Stream(self, prompt, spec, score)

    async def _scores(self, key: str) -> list[float]:
        return await self._between_steps(lambda: max(self._barrier.ask("thinkctl_scores", key), key=len))

    def _overshoot(self, facts: Facts) -> int:
        return 0

    def _counts(self, facts: Facts) -> bool:
        return True

    async def _between_steps(self, function: Callable[[], T]) -> T:
        """Run a function in the engine's thread. Raises ``EngineUnavailable`` if it has ended."""
        try:
            return await _result(self._barrier.submit(function))
        except EngineUnavailable as error:
            raise self._died(str(error)) from error


async def _result(future: Future[T]) -> T:
    """Await a thread's result; giving up waiting does not take the work back."""
    return await asyncio.shield(asyncio.wrap_future(future))


@final
class _Stream(BaseStream):
    _engine: VllmLockstep
    _signal: asyncio.Future[None] | None = None

    async def _send(self) -> None:
        loop, barrier = asyncio.get_running_loop(), self._engine._barrier
        await self._engine._between_steps(lambda: barrier.add(self, loop))

    async def _pull(self) -> None:
        barrier = self._engine._barrier
        self._signal = asyncio.get_running_loop().create_future()
        barrier.note(self.key, waits=True)
        try:
            await self._signal
        except asyncio.CancelledError:
            barrier.note(self.key, waits=False)
            raise
        finally:
            self._signal = None

    def _drain(self) -> None:
        """All that a step brought has arrived: the barrier hands it over before it answers a later call."""

    def _wake(self) -> None:
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)

    async def _abort(self) -> Settled | None:
        barrier, arrived = self._engine._barrier, self.intake.arrived
        return await self._engine._between_steps(lambda: barrier.abort(self.key, arrived))

    def _abandon(self) -> None:
        self._engine._barrier.drop(self.key)

    async def _steer(self, token_ids: list[int]) -> int | None:
        barrier = self._engine._barrier
        return await self._engine._between_steps(lambda: barrier.force(self.key, token_ids))

    async def _arrival(self, count: int) -> None:
        """All that was decoded before a call has arrived before its answer."""
