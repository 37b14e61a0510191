"""What both drivers are: their settings, what they honour, and what they refuse before vLLM dies of it."""

from __future__ import annotations

import itertools
import uuid
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from weakref import WeakSet

from thinkctl.engines.life import LiveEngine
from thinkctl.engines.tokenizer import FolderTokenizer
from thinkctl.engines.vllm._settings import Facts, Settings, fit, looks_like_cpu
from thinkctl.engines.vllm._stream import BaseStream
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.types import Capabilities, EngineCounters, GenerationSpec, ModelCard

__all__ = ["BaseEngine"]

_LONGEST_FORCED: Final = 32
"""Tokens. Each forced token is a decode step; a longer text is cheaper as the one prefill of a continuation."""

_BLOCK_ON_CPU: Final = 32
"""Tokens. vLLM's default of 128 hardly ever hits; its kernels for the processor take multiples of 32."""

_STEP_ON_CPU: Final = 256
"""Tokens computed in one step at most, unless more streams run. Nothing can be stopped within a step: vLLM's default
of 2048 is many seconds of prompts, this is one or two, for 5-20 % of their throughput."""

_BLOCK: Final = 16
"""Tokens. vLLM's default elsewhere."""


class BaseEngine(LiveEngine):
    """An engine around vLLM in this program. Its first stream starts it, or ``start``.

    Args:
        model: A folder, or a name that vLLM can load.
        card: What is known of the model; read from the folder by default.
        dtype: Numbers it computes in; only float32 repeats exactly when batches differ.
        context: Most tokens of prompt and generation together. Default: the model's own; on the processor as
            much of it as 4 GiB of cache hold.
        streams: How many run at once; more queue.
        kv_cache_bytes: Memory for the cache. Default: on the processor 512 MiB or one whole context, elsewhere
            what vLLM takes.
        seed: Of the engine's random numbers.
        block: Tokens in one block of the prefix cache. Default: 32 on the processor, elsewhere vLLM's.
        logprobs: Most alternatives per token that a stream may ask for.
        extra: Further arguments of vLLM's engine; they win over what is derived here.
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
        name = str(folder) if folder.is_dir() else str(model)
        self._card = card or _card(name)
        self._cpu = looks_like_cpu()
        if self._cpu:
            context, kv_cache_bytes = fit(self._card, dtype, context, kv_cache_bytes)
            block = block or _BLOCK_ON_CPU
            extra = {"max_num_batched_tokens": max(_STEP_ON_CPU, streams)} | dict(extra or {})
        self._settings = Settings(
            name, dtype, context, streams, kv_cache_bytes, seed, block, logprobs, dict(extra or {})
        )
        self._context = context or self._card.context
        shape = self._card.dimensions
        self._vocabulary = None if shape is None else shape.vocabulary
        self._facts: Facts | None = None
        self._adapter: ModuleType | None = None
        self._tokenizer: FolderTokenizer | None = None
        self._name = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()
        self._live: WeakSet[BaseStream] = WeakSet()
        self._dead = ""

    # ---------------------------------------------------------------------------------------- what it is
    @property
    def card(self) -> ModelCard:
        """What is known of the model; its ``context`` is what this engine was given, at most the model's own."""
        if self._card.context != self._context:
            self._card = self._card.model_copy(update={"context": self._context})
        return self._card

    @property
    def tokenizer(self) -> FolderTokenizer:
        """The model's tokenizer, loaded when first asked for."""
        if self._tokenizer is None:
            self._tokenizer = FolderTokenizer(self._settings.model, self._card.thinking)
        return self._tokenizer

    @property
    def caps(self) -> Capabilities:
        """What it honours: once it is started the truth, before that what is certain on this machine."""
        facts = self._facts or self._expected()
        return Capabilities(
            overshoot=self._overshoot(facts),
            force=_LONGEST_FORCED if facts.steerable else 0,
            logprobs=facts.logprobs,
            seeds=not facts.cpu,
            streams=facts.streams,
            block=facts.block,
            counters=facts.block > 0,
            constraints=True,
        )

    def _expected(self) -> Facts:
        return Facts(
            version="",
            cpu=self._cpu,
            steerable=self._cpu,
            asynchronous=not self._cpu,
            context=self._context or 0,
            vocabulary=self._vocabulary or 0,
            block=self._settings.block or _BLOCK,
            streams=self._settings.streams,
            logprobs=self._settings.logprobs,
        )

    def _became(self, adapter: ModuleType, facts: Facts) -> None:
        """Take note of what the engine turned out to be."""
        self._adapter, self._facts = adapter, facts
        self._context, self._vocabulary = facts.context, facts.vocabulary

    @property
    def _known(self) -> Facts:
        """What a started engine is."""
        assert self._facts is not None
        return self._facts

    # ---------------------------------------------------------------------------------- what it does
    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> BaseStream:
        """Start a generation after ``prompt``; nothing is sent before the stream is awaited.

        Raises ``ContextExceeded`` if it does not fit, ``ConfigurationError`` for what vLLM cannot do or would
        die of, ``EngineUnavailable`` after the engine's end.
        """
        self._check_alive()
        self._admit(prompt, spec)
        return self._make(tuple(prompt), spec, None)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Return the natural-log probability of each of ``token_ids`` as the next token. One decode step.

        The worker reads them off the logits itself: vLLM's own ``logprob_token_ids`` overwrites the
        log-probabilities of every other stream in the same step, so it serves only where nothing of ours
        runs in the worker.
        """
        self._check_alive()
        wanted = tuple(dict.fromkeys(token_ids))
        spec = GenerationSpec(max_tokens=1, temperature=0.0, ignore_end=True)
        self._admit(prompt, spec)
        self._check_ids(wanted, "token_ids")
        if not wanted:
            return {}
        stream = self._make(tuple(prompt), spec, wanted)
        try:
            async for _ in stream:
                pass
            if not self._known.steerable:
                return stream.scored
            scores = await self._scores(stream.key)
            if len(scores) != len(wanted):
                raise RequestFailed("vLLM's worker kept no scores for this request")
            return dict(zip(wanted, scores, strict=True))
        finally:
            await stream.close()

    # ------------------------------------------------------------------------------------ what it refuses
    def _check_alive(self) -> None:
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
                f"logprobs={spec.logprobs}: this engine gives 0 to {caps.logprobs}; start it with logprobs=..."
            )
        self._check_ids(prompt, "the prompt")
        self._check_ids(spec.stop_token_ids, "stop_token_ids")
        if self._context is not None and len(prompt) + spec.max_tokens > self._context:
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit the context "
                f"{self._context}; ask for fewer tokens"
            )

    def _check_ids(self, token_ids: Sequence[int], where: str) -> None:
        last = (self._vocabulary or 0) - 1
        wrong = next((token for token in token_ids if not 0 <= token <= last), None)
        if self._vocabulary is not None and wrong is not None:
            raise ConfigurationError(f"{where} holds token id {wrong}; this model's are 0 to {last}")

    def _new_key(self) -> str:
        """Return a name for a request that no other in any engine has."""
        return f"thinkctl-{self._name}-{next(self._numbers)}"

    # ------------------------------------------------------------------------------ what a driver does
    @abstractmethod
    async def start(self) -> None:
        """Load the model. May be called again."""

    @abstractmethod
    async def counters(self) -> EngineCounters:
        """Return the scheduler's own count of what it computed since it started."""

    @abstractmethod
    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""

    @abstractmethod
    def _make(
        self, prompt: tuple[int, ...], spec: GenerationSpec, score: tuple[int, ...] | None
    ) -> BaseStream:
        """Return a stream that has not begun."""

    @abstractmethod
    async def _scores(self, key: str) -> list[float]:
        """Return what the worker kept for a scored stream."""

    @abstractmethod
    def _overshoot(self, facts: Facts) -> int:
        """Return how many tokens may be decoded after a close."""

    @abstractmethod
    def _counts(self, facts: Facts) -> bool:
        """Say whether an aborted stream's tokens are known exactly."""


def _card(model: str) -> ModelCard:
    if not Path(model).is_dir():
        return ModelCard(name=model)
    from thinkctl.models import card_for

    return card_for(model)
