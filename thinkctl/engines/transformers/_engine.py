"""transformers as an engine: portable, small, its own decode loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, final
from weakref import WeakSet

from thinkctl.answers.automaton import automaton
from thinkctl.engines.intake import Piece
from thinkctl.engines.life import LiveEngine, LiveStream
from thinkctl.engines.tokenizer import FolderTokenizer
from thinkctl.engines.transformers._decoder import Decoder, Row
from thinkctl.errors import (
    ConfigurationError,
    ContextExceeded,
    EngineUnavailable,
    RequestFailed,
    ThinkctlError,
)
from thinkctl.types import Capabilities, EngineCounters, GenerationSpec, ModelCard, StreamUsage

__all__ = ["RowStream", "TransformersEngine"]

_LONGEST_FORCED: Final = 32
"""Tokens. A longer text is cheaper as the one prefill of a continuation."""
_LOGPROBS: Final = 20


@final
class TransformersEngine(LiveEngine):
    """An engine around a model in this program, on any device that torch knows. Its first stream starts it.

    All streams are decoded together, one token each in a step. A stream joins after its prompt was computed,
    from the longest beginning that some earlier prompt or sample has in common with it, and leaves when it ends.

    Args:
        model: A folder with a model for causal language modelling.
        card: What is known of the model; read from the folder by default.
        dtype: Numbers it computes in: ``auto`` is float32 on the processor and the model's own elsewhere.
        device: ``auto``, ``cpu``, ``cuda``, ``mps``.
        context: Most tokens of prompt and generation together. Default: the model's own.
        streams: How many run at once; more queue.
        seed: Of the random numbers.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        card: ModelCard | None = None,
        dtype: str = "auto",
        device: str = "auto",
        context: int | None = None,
        streams: int = 16,
        seed: int = 0,
    ) -> None:
        folder = Path(model).expanduser()
        if not folder.is_dir():
            raise ConfigurationError(f"model={str(model)!r} is no folder; `thinkctl models pull` fetches one")
        if card is None:
            from thinkctl.models import card_for

            card = card_for(folder)
        self._card = card if context is None else card.model_copy(update={"context": context})
        self._folder = str(folder)
        self._streams = streams
        self._decoder = Decoder(self._folder, dtype=dtype, device=device, streams=streams, seed=seed)
        self._tokenizer: FolderTokenizer | None = None
        self._live: WeakSet[RowStream] = WeakSet()
        self._closed = False
        shape = card.dimensions
        self._vocabulary = None if shape is None else shape.vocabulary

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def tokenizer(self) -> FolderTokenizer:
        """The model's tokenizer, loaded when first asked for."""
        if self._tokenizer is None:
            self._tokenizer = FolderTokenizer(self._folder, self._card.thinking)
        return self._tokenizer

    @property
    def caps(self) -> Capabilities:
        """What it honours. It decodes on while a delta is on its way, so a close may waste a few tokens."""
        return Capabilities(
            overshoot=None,
            force=_LONGEST_FORCED,
            logprobs=_LOGPROBS,
            seeds=True,
            streams=self._streams,
            block=1,
            constraints=True,
        )

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> RowStream:
        """Start a generation after ``prompt``; nothing is computed before the stream is awaited.

        Raises ``ContextExceeded`` if it does not fit, ``EngineUnavailable`` after the engine's end.
        """
        self.check(prompt, spec)
        return RowStream(self, self._decoder, tuple(prompt), spec)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Return the natural-log probability of each of ``token_ids`` as the next token. One prefill."""
        self.check(prompt, GenerationSpec(1))
        self.check_ids(token_ids, "token_ids")
        await self.start()
        wanted = tuple(dict.fromkeys(token_ids))
        scored = self._decoder.submit(lambda: self._decoder.score(tuple(prompt), wanted))
        return await asyncio.wrap_future(scored)

    async def start(self) -> None:
        """Load the model. May be called again."""
        if self._closed:
            raise EngineUnavailable("the engine was closed")
        await asyncio.shield(asyncio.wrap_future(self._decoder.started()))
        if self._card.context is None:
            self._card = self._card.model_copy(update={"context": self._decoder.context})
        self._vocabulary = self._vocabulary or self._decoder.vocabulary

    async def counters(self) -> EngineCounters:
        """Return what was computed since the start."""
        await self.start()
        return await asyncio.wrap_future(self._decoder.submit(self._decoder.counters))

    async def aclose(self) -> None:
        """Unload the model; streams in progress end with ``EngineUnavailable``. May be called again."""
        self._closed = True
        await asyncio.to_thread(self._decoder.finish, "the engine was closed")
        for stream in list(self._live):
            stream.fail(EngineUnavailable("the engine was closed"))

    def check(self, prompt: Sequence[int], spec: GenerationSpec) -> None:
        """Refuse what cannot be computed."""
        if self._closed:
            raise EngineUnavailable("the engine was closed")
        if not prompt:
            raise ConfigurationError("the prompt is empty; give at least one token id")
        if spec.max_tokens < 1:
            raise ConfigurationError(f"max_tokens={spec.max_tokens}; a generation needs room for one token")
        if spec.logprobs is not None and not 0 <= spec.logprobs <= _LOGPROBS:
            raise ConfigurationError(f"logprobs={spec.logprobs}: this engine gives 0 to {_LOGPROBS}")
        if spec.constraint is not None:
            automaton(spec.constraint.regex)  # what is wrong with it is said here
        self.check_ids(prompt, "the prompt")
        context = self._card.context
        if context is not None and len(prompt) + spec.max_tokens > context:
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit the context {context}; "
                "ask for fewer tokens"
            )

    def check_ids(self, token_ids: Sequence[int], where: str) -> None:
        """Refuse ids that the model has not."""
        if self._vocabulary is None:
            return
        wrong = next((token for token in token_ids if not 0 <= token < self._vocabulary), None)
        if wrong is not None:
            last = self._vocabulary - 1
            raise ConfigurationError(f"{where} holds token id {wrong}; this model's are 0 to {last}")

    def lives(self, stream: RowStream, *, still: bool) -> None:
        """Take note of a stream that began or ended."""
        (self._live.add if still else self._live.discard)(stream)


@final
class RowStream(LiveStream):
    """One row of the batch."""

    def __init__(
        self, engine: TransformersEngine, decoder: Decoder, prompt: tuple[int, ...], spec: GenerationSpec
    ) -> None:
        super().__init__()
        self._engine = engine
        self._decoder = decoder
        self._prompt = prompt
        self._spec = spec
        self._row: Row | None = None

    async def force(self, token_ids: Sequence[int]) -> bool:
        """Make the running stream emit these tokens next. ``False`` if it has not begun, has ended or cannot."""
        wanted, row = list(token_ids), self._row
        self._engine.check_ids(wanted, "token_ids")
        if row is None or self.is_closing or not 0 < len(wanted) <= _LONGEST_FORCED:
            return False
        try:
            return await asyncio.wrap_future(self._decoder.submit(lambda: self._decoder.force(row, wanted)))
        except EngineUnavailable:
            return False

    def arrive(self, piece: Piece) -> None:
        """Take what was decoded."""
        self.intake.put(piece)
        if piece.error and self.intake.error is None:
            self.intake.error = RequestFailed(piece.error)
        self._news.set()

    def mark(self, first: int, count: int) -> None:
        """Take note that tokens are forced, before the first of them comes."""
        self.intake.force(first, count)

    async def _begin(self) -> None:
        try:
            await self._engine.start()
            self._engine.check(self._prompt, self._spec)
            row = Row(self, asyncio.get_running_loop(), self._prompt, self._spec)
            self._engine.lives(self, still=True)
            self._row = row
            await asyncio.wrap_future(
                self._decoder.submit(lambda: self._decoder.add(row, self._engine.tokenizer))
            )
        except ThinkctlError as error:
            self.fail(error)

    async def _finish(self, work: asyncio.Task[None] | None) -> StreamUsage:
        prompt = len(self._prompt)
        if work is not None:
            if self._row is None:
                work.cancel()  # the model is still being loaded
            await asyncio.wait({work})
        row = self._row
        if row is None:
            return StreamUsage()
        self._engine.lives(self, still=False)
        try:
            stopped: Any = self._decoder.submit(lambda: self._decoder.stop(row))
            decoded, cached, begun = await asyncio.wrap_future(stopped)
        except EngineUnavailable:
            decoded, cached, begun = len(row.ids), row.cached, bool(row.ids)
        if not begun:
            return StreamUsage()
        return StreamUsage(prompt, cached, decoded, decoded - self.intake.delivered)
