"""Engines as a verifier sees them: what it generates is on the bill and inside the wall."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import final

from thinkctl.controller.admission import Admission
from thinkctl.controller.closing import close_and_book, close_together
from thinkctl.controller.ledger import Grant
from thinkctl.errors import RequestFailed
from thinkctl.protocols import Engine, Stream, Tokenizer
from thinkctl.types import (
    Capabilities,
    Delta,
    EngineCounters,
    GenerationSpec,
    ModelCard,
    Role,
    StreamUsage,
    Usage,
)

__all__ = ["MeteredEngine"]


@final
class MeteredEngine:
    """An engine whose streams are admitted by the run's ledger."""

    def __init__(self, engine: Engine, admission: Admission, name: str) -> None:
        self._engine = engine
        self._admission = admission
        self._name = name
        self._streams: list[_MeteredStream] = []

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._engine.card

    @property
    def caps(self) -> Capabilities:
        """What the engine honours."""
        return self._engine.caps

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        return self._engine.tokenizer

    @property
    def memo(self) -> dict[object, object]:
        """What a verifier keeps from one sample of this run for the next; gone with the run."""
        return self._admission.memo

    async def start(self) -> None:
        """Do nothing: the run started the engine."""

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Stream:
        """Start a generation. Raises ``RequestFailed`` if the budget has no room for all its tokens."""
        grant = self._reserve(len(prompt), spec.max_tokens)
        try:
            inner = self._engine.stream(
                prompt, replace(spec, attempts=spec.attempts or self._admission.attempts)
            )
        except BaseException:
            grant.release()
            raise
        stream = _MeteredStream(inner, self, grant, len(prompt))
        self._streams.append(stream)
        return stream

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Score next tokens; billed as one decoded token and an uncached prompt, the most it can be."""
        grant = self._reserve(len(prompt), 1)
        try:
            return await self._engine.score(prompt, token_ids)
        finally:
            self.settle(grant, StreamUsage(len(prompt), None, 1, 0, estimated=True))

    async def counters(self) -> EngineCounters:
        """Return the engine's own counters."""
        return await self._engine.counters()

    async def aclose(self) -> None:
        """Do nothing: a verifier does not own the engine."""

    def _reserve(self, prompt: int, tokens: int) -> Grant:
        grant = self._admission.reserve(prompt, tokens, self._name)
        if grant is None:
            raise RequestFailed(
                f"the budget has no room for {tokens} tokens of {self._name!r} for the verifier; "
                "give a larger budget or a verifier that asks for less"
            )
        return grant

    def settle(self, grant: Grant, used: StreamUsage, *, requests: int = 1) -> None:
        """Write a closed stream on the bill; one that was never read was no request."""
        usage = Usage(
            requests=requests,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            answer_tokens=used.generated_tokens - used.wasted_tokens,
            wasted_tokens=used.wasted_tokens,
            estimated=used.estimated,
        )
        prices = self._admission.prices[self._name]
        self._admission.ledger.settle(grant, Role.VERIFIER, self._name, usage, prices)

    async def close_streams(self) -> None:
        """Close what the verifier left open, and bill everything."""
        await close_together(self._streams)


@final
class _MeteredStream:
    def __init__(self, inner: Stream, engine: MeteredEngine, grant: Grant, prompt: int) -> None:
        self._inner = inner
        self._deltas = aiter(inner)
        self._engine = engine
        self._grant: Grant | None = grant
        self._prompt = prompt
        self._read = False
        self._delivered = 0
        self._used = StreamUsage()

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        self._read = True
        delta = await anext(self._deltas)
        self._delivered += len(delta.token_ids)
        return delta

    async def force(self, token_ids: Sequence[int]) -> bool:
        return await self._inner.force(token_ids)

    async def close(self) -> StreamUsage:
        await close_and_book(self._inner, self._prompt, self._delivered, self._book)
        return self._used

    def _book(self, used: StreamUsage) -> None:
        if self._grant is not None:
            grant, self._grant, self._used = self._grant, None, used
            self._engine.settle(grant, used, requests=used.requests if self._read else 0)
