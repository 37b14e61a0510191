"""The production driver: vLLM's ``AsyncLLM``, whose engine runs in a process of its own."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, Final, TypeVar, final

from thinkctl.engines.vllm._engine import BaseEngine
from thinkctl.engines.vllm._settings import Facts, bring, first_draws, quietly
from thinkctl.engines.vllm._stream import BaseStream, Settled, settled_from
from thinkctl.engines.vllm._tally import Tally
from thinkctl.errors import ConfigurationError, EngineUnavailable, RequestFailed, ThinkctlError
from thinkctl.types import EngineCounters, GenerationSpec

__all__ = ["VllmEngine"]

_GRACE: Final = 10.0
"""Seconds that the engine process gets to end by itself before it is killed."""

_ROUNDS: Final = 100
"""Questions whether the engine has work, until it has told of a step in between. Two are nearly always enough."""

_LOOK: Final = 0.25
"""Seconds between looks whether the engine died while it owes an answer: vLLM never fails such calls."""

T = TypeVar("T")


@final
class VllmEngine(BaseEngine):
    """vLLM in a process of its own, streaming at full speed. Bound to the event loop that uses it first.

    A script that uses it needs ``if __name__ == "__main__":`` around its start, since vLLM spawns a process.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _starting: asyncio.Task[None] | None = None
    _settling: asyncio.Task[None] | None = None
    _llm: Any = None
    _tally: Tally
    _owed: dict[str, asyncio.Future[Settled | None]]
    _stopping: set[asyncio.Task[None]]

    async def start(self) -> None:
        """Load the model, without blocking the loop. The first stream does it otherwise. May be called again.

        Raises ``ConfigurationError`` for settings vLLM refuses and for a second event loop, ``MissingExtra``
        without vLLM, ``EngineUnavailable`` if it cannot load the model.
        """
        self._check_alive()
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError(
                "this engine belongs to another event loop (the one that used it first); make one engine for "
                "each asyncio.run, or use VllmLockstep, which serves any loop"
            )
        if self._starting is None or (self._starting.done() and self._llm is None):
            self._starting = asyncio.create_task(self._load())
        await asyncio.shield(self._starting)

    async def counters(self) -> EngineCounters:
        """Return the scheduler's counts, when the reports of all finished steps are in."""
        self._check_alive()
        if self._llm is None:
            return EngineCounters(0, 0, 0, 0)
        running = await self._running()
        again = self._tally.preempted and self._known.steerable and max(await self._ask("thinkctl_again"))
        return self._tally.counters(running, int(again))

    async def _running(self) -> int:
        """Return how many requests the engine works on, when its reports of finished steps are in."""
        core, tally = self._llm.engine_core, self._tally
        seen: int | None = None
        for _ in range(_ROUNDS):
            busy = await self._guarded(core.call_utility_async("has_work"))
            # The reports came before the answer, but vLLM reads them in a task of its own.
            while not (core.outputs_queue.empty() or self._llm.errored):  # noqa: ASYNC110
                await asyncio.sleep(0)
            if not busy:
                return 0
            if seen is None:
                seen = tally.reports
            elif seen < tally.reports:
                break  # a step was made since the first question: what was aborted before it is cleared up
        return tally.unfinished

    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""
        if self._starting is not None:
            await asyncio.wait({self._starting})
        self._died("the engine was closed")
        if self._llm is not None:
            await self._shut()

    async def _shut(self) -> None:
        llm, self._llm = self._llm, None
        handler, receiver = llm.output_handler, llm.engine_core.resources.output_queue_task
        if handler is not None:
            handler.cancel()  # first, or it logs the end of the process as a failure
        await asyncio.to_thread(llm.shutdown, _GRACE)
        if tasks := {task for task in (handler, receiver) if task is not None}:
            await asyncio.wait(tasks, timeout=_GRACE)
        await asyncio.to_thread(llm.engine_core.resources.ctx.destroy, 0)  # or it warns when it is collected
        del llm, handler, receiver, tasks
        gc.collect()  # vLLM's objects form cycles; left to the interpreter's end, their finalizers complain

    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        return _Stream(self, prompt, spec, score)

    async def _scores(self, key: str) -> list[float]:
        return max(await self._ask("thinkctl_scores", key), key=len)

    def _overshoot(self, facts: Facts) -> int:
        return 2 if facts.asynchronous else 1

    def _counts(self, facts: Facts) -> bool:
        return facts.steerable

    # --------------------------------------------------------------------------------------- start-up
    async def _load(self) -> None:
        await asyncio.to_thread(self._load_in_thread)
        self._owed, self._stopping = {}, set()
        if self._known.steerable and not all(await self._ask("thinkctl_attach", os.getpid())):
            raise ConfigurationError(f"vLLM {self._known.version} did not load thinkctl's logits processor")
        draws = [self._make((0,), spec, None) for spec in first_draws(self._known)]
        await asyncio.gather(*map(_draw, draws))
        if draws:
            await self._ask("thinkctl_seed", self._settings.seed)
            await self._running()
            self._tally.reset()

    def _load_in_thread(self) -> None:
        with quietly():
            adapter = bring()
            config, facts = adapter.configure(self._settings, lockstep=False)
            self._tally = Tally()
            try:
                # In no local variable: frames outlive their calls, and would keep the engine.
                self._llm = adapter.open_async(config, self._tally)
            except ThinkctlError:
                raise
            except Exception as error:
                raise EngineUnavailable(
                    f"vLLM {facts.version} could not load {self._settings.model}: {error}"
                ) from error
        self._became(adapter, facts)

    # -------------------------------------------------------------------------- talking to the engine
    async def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker. It runs between two steps, after all that was sent before."""
        return await self._guarded(self._llm.collective_rpc(method, args=arguments))

    async def _guarded(self, call: Awaitable[T]) -> T:
        """Await an answer of the engine process. Raises ``EngineUnavailable`` if it dies first."""
        task = asyncio.ensure_future(call)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK)
                if not task.done():
                    self._check_process()
            return task.result()
        except ThinkctlError:
            raise
        except Exception as error:
            self._check_process()
            raise RequestFailed(f"vLLM's engine refused a call: {error}") from error
        finally:
            task.cancel()

    def _check_process(self) -> None:
        self._check_alive()
        if self._llm is None or self._llm.errored:
            raise self._died("the vLLM engine died; its own messages are on stderr")

    async def _stop(self, request_id: str, key: str) -> Settled | None:
        """Abort a request and return its count. The engine works off the abort first, then the question."""
        self._check_process()
        await self._guarded(self._llm.abort(request_id, internal=True))
        if not self._known.steerable:
            await self._guarded(self._llm.engine_core.call_utility_async("has_work"))
            return None
        future = self._owed[key] = asyncio.get_running_loop().create_future()
        if self._settling is None or self._settling.done():
            self._settling = asyncio.create_task(self._settle())
        settled = await future
        if settled is not None and settled[0] == 0:
            self._tally.barren += 1
        return settled

    async def _settle(self) -> None:
        """Ask for the counts of aborted streams; those that are closed together share one call."""
        while self._owed:
            batch, self._owed = self._owed, {}
            try:
                answers = await self._ask("thinkctl_settle", list(batch))
            except ThinkctlError as error:
                for future in batch.values():
                    future.set_exception(error)
                continue
            for key, future in batch.items():
                future.set_result(settled_from(answers, key))

    def _stop_later(self, request_id: str, key: str) -> None:
        """Abort a stream that was dropped. Its count is asked for only so that the tally stays right."""

        async def stop() -> None:
            with suppress(ThinkctlError):
                await self._stop(request_id, key)

        task = asyncio.create_task(stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)


async def _draw(stream: BaseStream) -> None:
    """Read a stream whose engine runs but is not open for others yet."""
    await stream.post()
    async for _ in stream:
        pass


@final
class _Stream(BaseStream):
    _engine: VllmEngine
    _mail: Any = None
    """vLLM's mailbox of this request: ``output`` with ``ready`` set, merged while nobody fetches it."""

    async def _send(self) -> None:
        engine = self._engine
        adapter, key = engine._adapter, self.key if engine._known.steerable else None
        assert adapter is not None
        try:
            self._mail = await engine._llm.add_request(
                self.key,
                adapter.prompt(self.prompt),
                adapter.sampling(self.spec, key, self.score),
                priority=self.spec.priority,
                reasoning_ended=None if self.spec.constraint is None else True,
            )
        except Exception as error:
            engine._check_process()
            raise RequestFailed(f"vLLM refused the request: {error}") from error

    async def _pull(self) -> None:
        await self._mail.ready.wait()
        self._drain()

    def _drain(self) -> None:
        engine = self._engine
        assert engine._adapter is not None
        try:
            output = self._mail.get_nowait()
        except Exception:  # noqa: BLE001 - vLLM puts its own death there
            engine._died("the vLLM engine died; its own messages are on stderr")
            return
        if output is None:
            self._mail.ready.clear()
            return
        piece = engine._adapter.piece(output, self.spec.logprobs)
        if self.score is not None and piece.token_ids and not engine._known.steerable:
            self.scored = engine._adapter.scores_of(output, self.score)
        self.arrive(piece)

    def _wake(self) -> None:
        self._mail.ready.set()

    async def _abort(self) -> Settled | None:
        return await self._engine._stop(self._mail.request_id, self.key)

    def _abandon(self) -> None:
        engine, loop = self._engine, self._engine._loop
        if engine._llm is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(engine._stop_later, self._mail.request_id, self.key)

    async def _steer(self, token_ids: list[int]) -> int | None:
        answers = await self._engine._ask("thinkctl_force", self.key, token_ids)
        return next((answer for answer in answers if answer is not None), None)

    async def _arrival(self, count: int) -> None:
        self._drain()
        while not self.intake.ended and self.intake.arrived < count:
            await self._mail.ready.wait()
            self._drain()
