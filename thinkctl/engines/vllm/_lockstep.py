"""The driver for tests: vLLM's engine in this process, stepped only when everybody waits for it."""

from __future__ import annotations

import asyncio
import gc
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar, final
from weakref import ref

from thinkctl.engines.vllm._base import BaseEngine, BaseStream, Settled, failed
from thinkctl.engines.vllm._intake import Piece
from thinkctl.engines.vllm._settings import Facts, Settings, bring, quietly
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.types import EngineCounters, GenerationSpec, ModelCard

__all__ = ["VllmLockstep"]

_TURNS: Final = 16
"""Turns that an event loop gets before a step, so that what the last step set off has been set off."""

T = TypeVar("T")


@final
class VllmLockstep(BaseEngine):
    """vLLM in this process: one thread steps the engine whenever every stream in progress awaits its next token.

    So nothing is decoded that nobody waited for (a close wastes nothing), batches are the same in every run, and
    with float32 so are the tokens. It serves any event loop, also several. Slower than ``VllmEngine`` under load.

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
        self._thread = _Thread(self._settings, patience)

    async def start(self) -> None:
        """Load the model; takes seconds, without blocking the loop. The first stream does it otherwise."""
        self._alive()
        self._thread.ensure()
        facts = await _from(self._thread.started)
        self._vllm = self._thread.adapter
        self._settle_facts(facts)

    async def rewind(self, seed: int | None = None) -> None:
        """Start the random numbers anew and empty the prefix cache. Raises ``ConfigurationError`` if streams run."""
        await self.start()
        await _from(
            self._thread.submit(lambda: self._thread.rewind(self._settings.seed if seed is None else seed))
        )

    def _overshoot(self, facts: Facts) -> int:
        return 0

    def _counts(self, facts: Facts) -> bool:
        return True

    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        return _Stream(self, prompt, spec, score)

    async def counters(self) -> EngineCounters:
        """Return the scheduler's counts."""
        self._alive()
        if self._facts is None:
            return EngineCounters(0, 0, 0, 0)
        return await self._call(self._thread.counters)

    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""
        self._died("the engine was closed")
        await asyncio.to_thread(self._thread.finish)
        gc.collect()

    async def _scores(self, stream: BaseStream) -> list[float]:
        return await self._call(lambda: self._thread.ask("thinkctl_scores", stream.key))

    async def _call(self, function: Callable[[], T]) -> T:
        """Run a function between two steps. Raises ``EngineUnavailable`` if there are none any more."""
        try:
            return await _from(self._thread.submit(function))
        except EngineUnavailable as error:
            raise self._died(str(error)) from error


async def _from(future: Future[T]) -> T:
    """Await a thread's result; giving up waiting does not take the work back."""
    return await asyncio.shield(asyncio.wrap_future(future))


@final
class _Stream(BaseStream):
    _engine: VllmLockstep
    _loop: asyncio.AbstractEventLoop | None = None
    _signal: asyncio.Future[None] | None = None

    async def _send(self) -> None:
        engine = self._engine
        await engine.start()
        engine._admit(self.prompt, self.spec)
        self._loop = asyncio.get_running_loop()
        await engine._call(lambda: engine._thread.add(self))

    async def _pull(self) -> None:
        self._signal = asyncio.get_running_loop().create_future()
        self._engine._thread.post(self.key, waits=True)
        try:
            await self._signal
        except asyncio.CancelledError:
            self._engine._thread.post(self.key, waits=False)
            raise
        finally:
            self._signal = None

    def arrive(self, piece: Piece) -> None:
        """Take what a step brought. Runs in the stream's loop."""
        self.intake.put(piece)
        if piece.error:
            self.intake.error = failed(RuntimeError(piece.error))
        self._wake()

    def _drain(self) -> None:
        """Everything that a step brought has arrived before any answer to a later call."""

    def _wake(self) -> None:
        if self._signal is not None and not self._signal.done():
            self._signal.set_result(None)

    async def _abort(self) -> Settled | None:
        thread = self._engine._thread
        return await self._engine._call(lambda: thread.abort(self.key, self.intake.arrived))

    async def _steer(self, token_ids: list[int]) -> int | None:
        thread = self._engine._thread
        return await self._engine._call(lambda: thread.force(self.key, token_ids))

    async def _arrival(self, count: int) -> None:
        """Whatever was decoded before the call has arrived before its answer."""

    def _abandon(self) -> None:
        thread, key = self._engine._thread, self.key
        thread.drop(key)


@final
class _Member:
    """A stream that has begun, as the barrier sees it. ``since`` is when it stopped waiting (monotonic seconds)."""

    __slots__ = ("loop", "request_id", "score", "since", "spec", "stream", "waits")

    def __init__(self, stream: _Stream, request_id: str) -> None:
        assert stream._loop is not None
        self.stream, self.loop = ref(stream), stream._loop
        self.spec, self.score = stream.spec, stream.score
        self.request_id = request_id
        self.waits = False
        self.since = time.monotonic()


@final
class _Thread(threading.Thread):
    """Owns the engine: everything that touches vLLM runs here, one thing after the other."""

    def __init__(self, settings: Settings, patience: float) -> None:
        super().__init__(name="thinkctl-vllm-lockstep", daemon=True)
        self.started: Future[Facts] = Future()
        self.adapter: ModuleType | None = None
        self._settings = settings
        self._patience = patience
        self._inbox: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._members: dict[str, _Member] = {}
        self._llm: Any = None
        self._tally: Any = None
        self._facts: Facts | None = None
        self._dead = ""
        self._guard = threading.Lock()
        self._begun = False
        self._opened = False

    # ------------------------------------------------------------------------- called from any other thread
    def ensure(self) -> None:
        """Start the thread unless it runs."""
        with self._guard:
            if not self._begun and not self._dead:
                self._begun = True
                self.start()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have a function run between two steps."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                if self._dead:
                    raise EngineUnavailable(self._dead)
                future.set_result(function())
            except BaseException as error:  # it belongs to who asked
                future.set_exception(error)

        with self._guard:  # so that nothing gets into the inbox after it was emptied for the last time
            if self._dead:
                future.set_exception(EngineUnavailable(self._dead))
            else:
                self._inbox.put(run)
        return future

    def post(self, key: str, *, waits: bool) -> None:
        """Say that a stream waits for its next token, or no longer does."""

        def note() -> None:
            if (member := self._members.get(key)) is not None:
                member.waits, member.since = waits, time.monotonic()

        self._inbox.put(note)

    def drop(self, key: str) -> None:
        """Abort a stream that nobody can read any more."""

        def abort() -> None:
            if key in self._members:
                self.abort(key, 0)

        self._inbox.put(abort)

    def finish(self) -> None:
        """End the engine and wait for it."""
        with self._guard:
            begun = self._begun
            if not self._dead:
                self._dead = "the engine was closed"
        if begun:
            self._inbox.put(lambda: None)
            self.join()

    # ------------------------------------------------------------------------------ called in this thread
    def run(self) -> None:
        """Load, then obey and step until the end."""
        try:
            self.started.set_result(self._load())
        except BaseException as error:
            self._dead = self._dead or str(error)
            self.started.set_exception(error)
        try:
            while not self._dead:
                self._obey()
                patience = self._time_to_step()
                if patience is None or patience > 0:
                    self._obey(patience)
                elif self._quiet() and not self._dead:
                    self._step()
        except Exception as error:
            self._dead = self._dead or f"the vLLM engine died: {error}"
        finally:
            self._end()

    def _load(self) -> Facts:
        with quietly():
            self.adapter = adapter = bring()
            config, facts = adapter.configure(self._settings, lockstep=True)
            self._tally = adapter.Tally()
            self._opened = True
            try:
                self._llm = adapter.open_lockstep(
                    config, self._tally
                )  # in no local: frames outlive their calls
            except Exception as error:
                raise EngineUnavailable(
                    f"vLLM {facts.version} could not load {self._settings.model}: {error}"
                ) from error
        if facts.steerable and not all(self._llm.collective_rpc("thinkctl_attach")):
            raise ConfigurationError(f"vLLM {facts.version} did not load thinkctl's logits processor")
        self._facts = facts
        return facts

    def _obey(self, seconds: float | None = 0) -> None:
        """Run what was submitted; wait at most so long for the first (``None``: for ever)."""
        try:
            self._inbox.get(block=seconds != 0, timeout=seconds or None)()
            while True:
                self._inbox.get_nowait()()
        except queue.Empty:
            return

    def _time_to_step(self) -> float | None:
        """Return seconds until a step is due: 0 when all wait, ``None`` while nobody does."""
        if not any(member.waits for member in self._members.values()):
            return None
        now = time.monotonic()
        idle = [member.since for member in self._members.values() if not member.waits]
        return max(
            (since + self._patience - now for since in idle if since + self._patience > now), default=0.0
        )

    def _quiet(self) -> bool:
        """Let each event loop run what is ready; say whether nothing was submitted meanwhile."""
        loops = {member.loop for member in self._members.values() if member.waits}
        pings = 0
        answers = 0
        busy = False

        def pong() -> None:
            nonlocal answers
            answers += 1

        def ping(loop: asyncio.AbstractEventLoop, turns: int) -> None:
            if turns:
                loop.call_soon(ping, loop, turns - 1)
            else:
                self._inbox.put(pong)

        for loop in loops:
            try:
                loop.call_soon_threadsafe(ping, loop, _TURNS)
                pings += 1
            except RuntimeError:  # the loop was closed
                self._forsake(loop)
        end = time.monotonic() + self._patience
        while answers < pings and (left := end - time.monotonic()) > 0:
            try:
                task = self._inbox.get(timeout=left)
            except queue.Empty:
                break  # a loop that is blocked holds up nobody for ever
            task()
            busy = busy or task is not pong
        return not busy and self._time_to_step() == 0

    def _step(self) -> None:
        assert self.adapter is not None and self._facts is not None
        for output in self._llm.step():
            member = self._members.get(output.request_id)
            if member is None:
                continue
            stream, piece = member.stream(), self.adapter.piece(output, member.spec.logprobs)
            member.waits, member.since = False, time.monotonic()
            if stream is not None and member.score is not None and not self._facts.steerable:
                stream.scored = self.adapter.scores_of(output, member.score)
            if piece.finish is not None or piece.error:
                del self._members[output.request_id]
            if stream is not None:
                try:
                    member.loop.call_soon_threadsafe(stream.arrive, piece)
                except RuntimeError:
                    self._forsake(member.loop)

    def _forsake(self, loop: asyncio.AbstractEventLoop) -> None:
        """Abort the streams of a loop that was closed: nobody can wait for them."""
        for key in [key for key, member in self._members.items() if member.loop is loop]:
            self.abort(key, 0)

    def add(self, stream: _Stream) -> None:
        """Send a request."""
        assert self.adapter is not None and self._facts is not None
        key = stream.key if self._facts.steerable else None
        try:
            request_id = self._llm.add_request(
                stream.key,
                self.adapter.prompt(stream.prompt),
                self.adapter.sampling(stream.spec, key, stream.score),
                priority=stream.spec.priority,
            )
        except Exception as error:
            raise failed(error) from error
        self._members[stream.key] = _Member(stream, request_id)

    def abort(self, key: str, arrived: int) -> Settled | None:
        """Stop a stream; return what was decoded, ``None`` if it was never scheduled."""
        member = self._members.pop(key, None)
        if member is not None:
            self._llm.abort_request([member.request_id], internal=True)
        assert self._facts is not None
        if not self._facts.steerable:
            return arrived, None
        answers: list[dict[str, tuple[int, int | None]]] = self._llm.collective_rpc(
            "thinkctl_settle", args=([key],)
        )
        counts = [answer[key] for answer in answers if key in answer]
        if not counts:
            return None
        computed, cached = max(counts, key=lambda count: count[0])
        if computed == 0:
            self._tally.barren += 1
        return computed, cached

    def force(self, key: str, token_ids: list[int]) -> int | None:
        """Have tokens forced; return the index of the first."""
        if key not in self._members:
            return None
        answers: list[int | None] = self._llm.collective_rpc("thinkctl_force", args=(key, token_ids))
        return next((answer for answer in answers if answer is not None), None)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the worker."""
        return next(answer for answer in self._llm.collective_rpc(method, args=arguments) if answer)

    def counters(self) -> EngineCounters:
        """Return the scheduler's counts."""
        assert self.adapter is not None
        counters: EngineCounters = self._tally.counters(self.adapter.unfinished(self._llm))
        return counters

    def rewind(self, seed: int) -> None:
        """Start the random numbers anew and empty the prefix cache."""
        if self._members or not self._llm.reset_prefix_cache():
            raise ConfigurationError("streams are running; close them before rewinding")
        self._llm.collective_rpc("thinkctl_seed", args=(seed,))

    def _end(self) -> None:
        with self._guard:
            self._dead = self._dead or "the vLLM engine ended"
        for member in self._members.values():
            stream = member.stream()
            if stream is not None and not member.loop.is_closed():
                member.loop.call_soon_threadsafe(stream.fail, EngineUnavailable(self._dead))
        self._members.clear()
        self._obey()
        if self._opened and self.adapter is not None:
            llm, self._llm = self._llm, None
            self.adapter.shut_lockstep(llm)
