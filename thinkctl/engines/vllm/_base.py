"""What both drivers share: checks before a request, the life of a stream, and the arithmetic of its bill."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Final, Self, final
from weakref import WeakSet

from thinkctl.engines.vllm._intake import Intake
from thinkctl.engines.vllm._settings import Facts, Settings, fit, looks_like_cpu
from thinkctl.engines.vllm._tokenizer import FolderTokenizer
from thinkctl.errors import (
    ConfigurationError,
    ContextExceeded,
    EngineUnavailable,
    RequestFailed,
    ThinkctlError,
)
from thinkctl.types import (
    Capabilities,
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    ModelCard,
    StreamUsage,
)

__all__ = ["BaseEngine", "BaseStream", "Settled"]

LONGEST_FORCED: Final = 32
"""Tokens. Each forced token is a decode step; a longer text is cheaper as one prefill of a continuation."""

_BLOCK_ON_CPU: Final = 32
"""Tokens. vLLM's default of 128 hardly ever hits; multiples of 32 are what its CPU kernels take."""

_BLOCK: Final = 16

Settled = tuple[int, int | None]
"""(tokens decoded, prompt tokens cached) of an aborted stream, as the worker counted them."""


class BaseEngine(ABC):
    """An engine around vLLM in this program. Started by its first use, or by ``start``.

    ``model`` is a folder, or a name that vLLM can load. ``context`` bounds prompt and generation together
    (default: the model's own, on the processor as far as 4 GiB of cache hold it). ``streams`` run at once, more
    queue. ``kv_cache_bytes`` and ``block`` (tokens) shape the prefix cache. ``logprobs`` is the most
    alternatives per token. ``extra`` are further arguments of vLLM's engine; they win over what is derived here.
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
    ) -> None:
        folder = Path(model).expanduser()
        self._model = str(folder) if folder.is_dir() else str(model)
        self._card = card or _card(self._model)
        self._cpu = looks_like_cpu()
        if self._cpu:
            context, kv_cache_bytes = fit(self._card, dtype, context, kv_cache_bytes)
            block = block or _BLOCK_ON_CPU
        self._settings = Settings(
            self._model, dtype, context, streams, kv_cache_bytes, seed, block, logprobs, extra or {}
        )
        self._context = context or self._card.context
        shape = self._card.dimensions
        self._vocabulary = None if shape is None else shape.vocabulary
        self._facts: Facts | None = None
        self._vllm: ModuleType | None = None
        self._tokenizer: FolderTokenizer | None = None
        self._name = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self._live: WeakSet[BaseStream] = WeakSet()
        self._dead = ""

    # -------------------------------------------------------------------------------------------- what it is
    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def tokenizer(self) -> FolderTokenizer:
        """The model's tokenizer, loaded when first asked for."""
        if self._tokenizer is None:
            self._tokenizer = FolderTokenizer(self._model, self._card.thinking)
        return self._tokenizer

    @property
    def caps(self) -> Capabilities:
        """What it honours: the truth once it is started, before that what is certain on this machine."""
        facts, settings = self._facts, self._settings
        if facts is None:
            facts = Facts(
                version="",
                cpu=self._cpu,
                steerable=self._cpu,
                asynchronous=not self._cpu,
                context=self._context or 0,
                vocabulary=self._vocabulary or 0,
                block=settings.block or _BLOCK,
                streams=settings.streams,
                logprobs=settings.logprobs,
            )
        return Capabilities(
            overshoot=self._overshoot(facts),
            force=LONGEST_FORCED if facts.steerable else 0,
            logprobs=facts.logprobs,
            seeds=not facts.cpu,
            streams=facts.streams,
            block=facts.block,
            counters=facts.block > 0,
        )

    @abstractmethod
    def _overshoot(self, facts: Facts) -> int:
        """Return how many tokens may be decoded after a close."""

    @abstractmethod
    def _counts(self, facts: Facts) -> bool:
        """Say whether an aborted stream's tokens are known exactly."""

    # ---------------------------------------------------------------------------------------- what it does
    @abstractmethod
    async def start(self) -> None:
        """Load the model. The first stream does it otherwise. May be called again."""

    @abstractmethod
    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        """Return a stream that has not begun."""

    @abstractmethod
    async def counters(self) -> EngineCounters:
        """Return the scheduler's own count of what it computed since it started."""

    @abstractmethod
    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""

    @abstractmethod
    async def _scores(self, stream: BaseStream) -> list[float]:
        """Return what the worker kept for a scored stream."""

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> BaseStream:
        """Start a generation after ``prompt``; nothing is sent before the stream is awaited.

        Raises ``ContextExceeded`` if it does not fit, ``ConfigurationError`` for what vLLM cannot do or would
        die of, ``EngineUnavailable`` after the engine's end.
        """
        self._alive()
        self._admit(prompt, spec)
        return self._make(tuple(prompt), spec, None)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Return the natural-log probability of each of ``token_ids`` as the next token. One decode step.

        The worker reads them off the logits itself. vLLM's own ``logprob_token_ids`` overwrites the
        log-probabilities of every other stream in the same step, so it serves only where there is no worker
        code of ours.
        """
        self._alive()
        wanted = tuple(dict.fromkeys(token_ids))
        spec = GenerationSpec(max_tokens=1, temperature=0.0, ignore_end=True)
        self._admit(prompt, spec)
        self._check_ids(wanted, "token_ids to score")
        if not wanted:
            return {}
        stream = self._make(tuple(prompt), spec, wanted)
        try:
            async for _ in stream:
                pass
            if stream.scored is not None:
                return stream.scored
            return dict(zip(wanted, await self._scores(stream), strict=True))
        finally:
            await stream.close()

    async def __aenter__(self) -> Self:
        """Start it."""
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shut it down."""
        await self.aclose()

    # --------------------------------------------------------------------------------------------- checks
    def _alive(self) -> None:
        if self._dead:
            raise EngineUnavailable(self._dead)

    def _died(self, why: str) -> EngineUnavailable:
        """Note the engine's end, tell every stream, and return the error to raise."""
        self._dead = self._dead or why
        for stream in list(self._live):
            stream.fail(EngineUnavailable(self._dead))
        return EngineUnavailable(self._dead)

    def _admit(self, prompt: Sequence[int], spec: GenerationSpec) -> None:
        """Refuse what vLLM would refuse late, or die of."""
        caps = self.caps
        if not prompt:
            raise ConfigurationError("the prompt is empty; give at least one token id")
        if spec.max_tokens < 1:
            raise ConfigurationError(f"max_tokens={spec.max_tokens}; a generation needs room for one token")
        if spec.seed is not None and not caps.seeds:
            raise ConfigurationError(
                f"seed={spec.seed}: a request's own seed kills vLLM on the processor; seed the engine instead"
            )
        if spec.logprobs is not None and not 0 <= spec.logprobs <= caps.logprobs:
            raise ConfigurationError(
                f"logprobs={spec.logprobs}; this engine gives 0 to {caps.logprobs}, "
                "start it with logprobs=... for more"
            )
        self._check_ids(prompt, "prompt")
        self._check_ids(spec.stop_token_ids, "stop_token_ids")
        if self._context is not None and len(prompt) + spec.max_tokens > self._context:
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit the context "
                f"{self._context}; ask for fewer tokens"
            )

    def _check_ids(self, token_ids: Sequence[int], what: str) -> None:
        if self._vocabulary is not None:
            wrong = next((token for token in token_ids if not 0 <= token < self._vocabulary), None)
            if wrong is not None:
                raise ConfigurationError(
                    f"{what} holds id {wrong}; the model's vocabulary is 0 to {self._vocabulary - 1}"
                )

    def _settle_facts(self, facts: Facts) -> None:
        self._facts, self._context, self._vocabulary = facts, facts.context, facts.vocabulary

    def _key(self) -> str:
        return f"thinkctl-{self._name}-{next(self._numbers)}"


class BaseStream(ABC):
    """One generation. It is its own iterator: iterating may be broken off and gone on with.

    Waiting for the next delta may be cancelled without losing anything; only ``close`` ends the work. A stream
    that is dropped without it is aborted when Python collects it.
    """

    def __init__(
        self, engine: BaseEngine, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> None:
        self.prompt, self.spec, self.score = prompt, spec, score
        self.key = engine._key()
        self.scored: dict[int, float] | None = None
        self.intake = Intake()
        self._engine = engine
        self._opening: asyncio.Task[None] | None = None
        self._open = False
        self._closing: asyncio.Task[None] | None = None
        self._usage: StreamUsage | None = None
        self._steering: asyncio.Task[bool] | None = None

    def __aiter__(self) -> Self:
        """Iterate over what is still to come."""
        return self

    @final
    async def __anext__(self) -> Delta:
        """Wait for the next delta. The first wait sends the request.

        Raises ``RequestFailed`` if this request failed, ``EngineUnavailable`` if the engine is dead.
        """
        while self._usage is None and self._closing is None:
            if self._steering is not None:
                await asyncio.wait({self._steering})  # until then it is not known which tokens are forced
                continue
            if (delta := self.intake.take()) is not None:
                return delta
            if self.intake.error is not None:
                raise self.intake.error
            if self.intake.exhausted:
                break
            if self._opening is None:
                self._opening = asyncio.create_task(self._begin())
            if not self._opening.done():
                await asyncio.shield(self._opening)
            else:
                await self._pull()
        raise StopAsyncIteration

    @final
    async def close(self) -> StreamUsage:
        """Stop now and return what was used, to the token. Cancelling the wait does not undo the stop."""
        if self._usage is None and self._opening is None:
            self._usage = StreamUsage()
        if self._usage is None:
            if self._closing is None:
                self._closing = asyncio.create_task(self._finish())
            await asyncio.shield(self._closing)
        assert self._usage is not None
        return self._usage

    @final
    async def force(self, token_ids: Sequence[int]) -> bool:
        """Make the running stream emit these tokens next. ``False`` if it has not begun, has ended or cannot."""
        wanted = list(token_ids)
        self._engine._check_ids(wanted, "token_ids to force")
        while self._steering is not None:
            await asyncio.wait({self._steering})
        longest = self._engine.caps.force
        if not self._open or self._closing is not None or not wanted or len(wanted) > longest:
            return False
        task = self._steering = asyncio.create_task(self._steer_and_mark(wanted))
        return await asyncio.shield(task)

    @final
    def fail(self, error: Exception) -> None:
        """End with an error, unless it has ended already."""
        if not self.intake.ended:
            self.intake.error = error
        self._wake()

    async def _begin(self) -> None:
        try:
            await self._send()
            self._open = True
            self._engine._live.add(self)
        except ThinkctlError as error:
            self.intake.error = error

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
            return True
        except EngineUnavailable:
            return False
        finally:
            self._steering = None

    async def _finish(self) -> None:
        assert self._opening is not None
        await self._opening
        if self._steering is not None:
            await asyncio.wait({self._steering})
        self._drain()
        self._wake()
        self._usage = await self._bill() if self._open else StreamUsage()
        self._engine._live.discard(self)

    async def _bill(self) -> StreamUsage:
        """Abort if need be, and count. What was decoded but not delivered is wasted."""
        intake, engine = self.intake, self._engine
        facts = engine._facts
        assert facts is not None
        known = StreamUsage(
            len(self.prompt), intake.cached, intake.arrived, intake.arrived - intake.delivered
        )
        by_itself = intake.finish is not None
        if by_itself and not (facts.asynchronous and intake.finish is Finish.STOP):
            return known
        if self._engine._dead:
            return replace(known, estimated=True)
        try:
            settled = await self._abort()
        except EngineUnavailable:
            return replace(known, estimated=True)
        if not engine._counts(facts):
            computed = min(intake.arrived + engine._overshoot(facts), self.spec.max_tokens)
            return StreamUsage(
                len(self.prompt), intake.cached, computed, computed - intake.delivered, estimated=True
            )
        if settled is None:
            return known if by_itself or intake.arrived else StreamUsage()
        computed, cached = settled
        cached = intake.cached if intake.cached is not None else cached
        return StreamUsage(len(self.prompt), cached, computed, computed - intake.delivered)

    def __del__(self) -> None:
        """Abort what nobody can read any more."""
        if getattr(self, "_open", False) and self._usage is None and not self.intake.ended:
            self._abandon()

    # --------------------------------------------------------------------------------- what a driver does
    @abstractmethod
    async def _send(self) -> None:
        """Start the engine if need be and send the request. Raises ``ThinkctlError`` only."""

    @abstractmethod
    async def _pull(self) -> None:
        """Wait until something new is in the intake, or ``_wake`` was called."""

    @abstractmethod
    def _drain(self) -> None:
        """Take into the intake what is here, without waiting."""

    @abstractmethod
    def _wake(self) -> None:
        """Make a waiting ``_pull`` return."""

    @abstractmethod
    async def _abort(self) -> Settled | None:
        """Stop the work; return the worker's count, ``None`` if it never saw the request."""

    @abstractmethod
    async def _steer(self, token_ids: list[int]) -> int | None:
        """Have tokens forced; return the index of the first in the stream, ``None`` if the worker has it not."""

    @abstractmethod
    def _abandon(self) -> None:
        """Have the work stopped. Called by the garbage collector, in any thread."""

    @abstractmethod
    async def _arrival(self, count: int) -> None:
        """Wait until so many tokens arrived or the stream ended."""


def _card(model: str) -> ModelCard:
    if not Path(model).is_dir():
        return ModelCard(name=model)
    from thinkctl.models import card_for

    return card_for(model)


def failed(error: Exception) -> RequestFailed:
    """Return the error of one request that vLLM refused."""
    return RequestFailed(f"vLLM refused the request: {error}")
