"""The production driver: vLLM's ``AsyncLLM``, whose engine runs in a process of its own."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, Final, final

from thinkctl.engines.vllm._base import BaseEngine, BaseStream, Settled, failed
from thinkctl.engines.vllm._settings import Facts, bring, quietly
from thinkctl.errors import ConfigurationError, EngineUnavailable, ThinkctlError
from thinkctl.types import EngineCounters, GenerationSpec

__all__ = ["VllmEngine"]

_GRACE: Final = 10.0
"""Seconds that the engine process gets to end by itself before it is killed."""

_LOOK: Final = 0.25
"""Seconds between looks whether the engine died while it owes an answer: vLLM never fails such calls."""


@final
class VllmEngine(BaseEngine):
    """vLLM in a process of its own, streaming at full speed. Bound to the event loop that uses it first.

    A script that uses it needs ``if __name__ == "__main__":`` around its start, since vLLM spawns a process.
    """

    _loop: asyncio.AbstractEventLoop | None = None
    _starting: asyncio.Task[None] | None = None
    _llm: Any = None
    _tally: Any = None
    _owed: dict[str, asyncio.Future[Settled | None]]
    _stopping: set[asyncio.Task[Settled | None]]
    _settler: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the model; takes seconds, without blocking the loop. The first stream does it otherwise."""
        self._alive()
        self._same_loop()
        if self._starting is None:
            self._starting = asyncio.create_task(self._load())
        try:
            await asyncio.shield(self._starting)
        except ThinkctlError:
            self._starting = None
            raise

    def _overshoot(self, facts: Facts) -> int:
        return 2 if facts.asynchronous else 1

    def _counts(self, facts: Facts) -> bool:
        return facts.steerable

    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        return _Stream(self, prompt, spec, score)

    async def counters(self) -> EngineCounters:
        """Return the scheduler's counts, waiting until the reports of all finished steps are in."""
        self._alive()
        if self._llm is None:
            return EngineCounters(0, 0, 0, 0)
        busy = await self._guarded(self._llm.engine_core.call_utility_async("has_work"))
        if busy:  # perhaps only clearing up; a second question comes back after the next step
            busy = await self._guarded(self._llm.engine_core.call_utility_async("has_work"))
        while not self._llm.engine_core.outputs_queue.empty():
            await asyncio.sleep(0)
        return self._tally.counters(self._tally.running if busy else 0)

    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""
        if self._starting is not None and not self._starting.done():
            await asyncio.wait({self._starting})
        self._died("the engine was closed")
        llm, self._llm = self._llm, None
        if llm is None:
            return
        handler, receiver = llm.output_handler, llm.engine_core.resources.output_queue_task
        if handler is not None:
            handler.cancel()  # first, or it logs the end of the process as a failure
        await asyncio.to_thread(llm.shutdown, _GRACE)
        if tasks := {task for task in (handler, receiver) if task is not None}:
            await asyncio.wait(tasks, timeout=_GRACE)
        del llm, handler, receiver, tasks
        gc.collect()  # vLLM's objects form cycles; left to the interpreter's end, their finalizers complain

    async def _scores(self, stream: BaseStream) -> list[float]:
        answers = await self._ask("thinkctl_scores", stream.key)
        return next(scores for scores in answers if scores)

    # ------------------------------------------------------------------------------------------- start-up
    def _same_loop(self) -> None:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        if loop is not self._loop:
            raise ConfigurationError(
                "this engine belongs to another event loop (the one that used it first); make one engine for each "
                "asyncio.run, or use VllmLockstep, which serves any loop"
            )

    async def _load(self) -> None:
        await asyncio.to_thread(self._load_in_thread)
        self._owed, self._stopping = {}, set()
        facts = self._facts
        assert facts is not None
        if facts.steerable and not all(await self._ask("thinkctl_attach")):
            raise ConfigurationError(f"vLLM {facts.version} did not load thinkctl's logits processor")

    def _load_in_thread(self) -> None:
        with quietly():
            self._vllm = adapter = bring()
            config, facts = adapter.configure(self._settings, lockstep=False)
            self._tally = adapter.Tally()
            try:
                self._llm = adapter.open_async(
                    config, self._tally
                )  # kept in no local: frames outlive their calls
            except Exception as error:
                raise EngineUnavailable(
                    f"vLLM {facts.version} could not load {self._model}: {error}"
                ) from error
        self._settle_facts(facts)

    # --------------------------------------------------------------------------------- talking to the engine
    async def _ask(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker. Comes after all that was sent before, and between two steps."""
        answers: list[Any] = await self._guarded(self._llm.collective_rpc(method, args=arguments))
        return answers

    async def _guarded(self, call: Any) -> Any:
        """Await a call to the engine process, unless the process dies. Raises ``EngineUnavailable`` then."""
        task = asyncio.ensure_future(call)
        try:
            while not task.done():
                await asyncio.wait({task}, timeout=_LOOK)
                if not task.done() and (self._dead or self._llm is None or self._llm.errored):
                    raise self._died("the vLLM engine died")
            return task.result()
        except (EngineUnavailable, ConfigurationError):
            raise
        except Exception as error:
            raise self._died(f"the vLLM engine died: {error}") from error
        finally:
            task.cancel()

    async def _stop(self, request_id: str, key: str) -> Settled | None:
        """Abort a request and return its count. The engine works off the abort first, then the question."""
        assert self._facts is not None
        await self._llm.abort(request_id, internal=True)
        if not self._facts.steerable:
            await self._guarded(
                self._llm.engine_core.call_utility_async("has_work")
            )  # so that it is done with it
            return None
        settled = await self._settle(key)
        if settled is not None and settled[0] == 0:
            self._tally.barren += 1
        return settled

    def _stop_later(self, request_id: str, key: str) -> None:
        if self._llm is not None:
            task = asyncio.create_task(self._stop(request_id, key))
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    async def _settle(self, key: str) -> Settled | None:
        """Ask for a stream's count; streams that are closed together share one call."""
        future = self._owed[key] = asyncio.get_running_loop().create_future()
        if self._settler is None or self._settler.done():
            self._settler = asyncio.create_task(self._settle_all())
        return await future

    async def _settle_all(self) -> None:
        while self._owed:
            batch, self._owed = self._owed, {}
            try:
                answers = await self._ask("thinkctl_settle", list(batch))
            except EngineUnavailable as error:
                for future in batch.values():
                    future.set_exception(error)
                continue
            for key, future in batch.items():
                counts = [answer[key] for answer in answers if key in answer]
                future.set_result(max(map(tuple, counts), key=lambda count: count[0]) if counts else None)


@final
class _Stream(BaseStream):
    _collector: Any = None
    _engine: VllmEngine

    async def _send(self) -> None:
        engine = self._engine
        await engine.start()
        engine._admit(self.prompt, self.spec)
        adapter, facts = engine._vllm, engine._facts
        assert adapter is not None and facts is not None
        params = adapter.sampling(self.spec, self.key if facts.steerable else None, self.score)
        try:
            self._collector = await engine._llm.add_request(
                self.key, adapter.prompt(self.prompt), params, priority=self.spec.priority
            )
        except adapter.EngineDeadError as error:
            raise engine._died("the vLLM engine died") from error
        except Exception as error:
            raise failed(error) from error

    async def _pull(self) -> None:
        try:
            self._take(await self._collector.get())
        except Exception as error:
            self._failed(error)

    def _drain(self) -> None:
        if self._collector is not None:
            try:
                if (output := self._collector.get_nowait()) is not None:
                    self._take(output)
            except Exception as error:
                self._failed(error)

    def _take(self, output: Any) -> None:
        adapter = self._engine._vllm
        assert adapter is not None
        piece = adapter.piece(output, self.spec.logprobs)
        if self.score is not None and piece.token_ids and not self._engine._facts.steerable:
            self.scored = adapter.scores_of(output, self.score)
        self.intake.put(piece)
        if piece.error:
            self.intake.error = failed(RuntimeError(piece.error))

    def _failed(self, error: Exception) -> None:
        if isinstance(error, EngineUnavailable):
            self.intake.error = self.intake.error or error
        else:
            self._engine._died(f"the vLLM engine died: {error}")

    def _wake(self) -> None:
        if self._collector is not None and self._collector.output is None:
            self._collector.put(EngineUnavailable(self._engine._dead or "closed"))

    async def _abort(self) -> Settled | None:
        return await self._engine._stop(self._collector.request_id, self.key)

    def _abandon(self) -> None:
        engine, loop = self._engine, self._engine._loop
        if engine._llm is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(engine._stop_later, self._collector.request_id, self.key)

    async def _steer(self, token_ids: list[int]) -> int | None:
        answers = await self._engine._ask("thinkctl_force", self.key, token_ids)
        return next((answer for answer in answers if answer is not None), None)

    async def _arrival(self, count: int) -> None:
        while not self.intake.ended and self.intake.arrived < count:
            self._drain()
            await asyncio.sleep(0)
