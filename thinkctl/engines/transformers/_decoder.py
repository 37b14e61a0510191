"""The thread that owns the model: it decodes one token for every row in each step, and does what it is told between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

import torch
from transformers import AutoModelForCausalLM

from thinkctl.engines.intake import Piece
from thinkctl.engines.owner import Owner
from thinkctl.engines.transformers._batch import Batch, Prefixes, computed
from thinkctl.engines.transformers._grammar import Held, Vocabulary
from thinkctl.engines.transformers._sampling import draw, logprob_of
from thinkctl.errors import EngineUnavailable
from thinkctl.protocols import Tokenizer
from thinkctl.types import EngineCounters, Finish, GenerationSpec

if TYPE_CHECKING:
    from thinkctl.engines.transformers._engine import RowStream

__all__ = ["Decoder", "Row"]

_KEPT_TOKENS: Final = 1 << 14
"""Tokens of caches that are kept to go on from."""
T = TypeVar("T")


@final
@dataclass(slots=True, eq=False)
class Row:
    """One stream in the batch. ``ids`` are the tokens decoded for it, forced ones included."""

    stream: RowStream
    loop: asyncio.AbstractEventLoop
    prompt: tuple[int, ...]
    spec: GenerationSpec
    generator: torch.Generator | None = None
    ids: list[int] = field(default_factory=list[int])
    forced: deque[int] = field(default_factory=deque[int])
    cached: int = 0
    ended: bool = False
    held: Held | None = None


@final
class Decoder(Owner[None]):
    """Loads a model and decodes. Everything that touches the model happens in its thread."""

    def __init__(self, folder: str, *, dtype: str, device: str, streams: int, seed: int) -> None:
        super().__init__("thinkctl-transformers")
        self._folder, self._dtype, self._device = folder, dtype, device
        self._streams = streams
        self._seed = seed
        self._model: Any = None
        self._ends: frozenset[int] = frozenset()
        self._words: Vocabulary | None = None
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []
        self._batch = Batch()
        self._prefixes = Prefixes(_KEPT_TOKENS)
        self._generator = torch.Generator()
        self._prompt_tokens = self._cached_tokens = self._generated_tokens = 0

    # --------------------------------------------------------------------------- what may be submitted
    def add(self, row: Row, tokenizer: Tokenizer) -> None:
        """Queue a stream."""
        if row.spec.seed is not None:
            row.generator = torch.Generator(self._model.device).manual_seed(row.spec.seed)
        if row.spec.constraint is not None:
            if self._words is None:  # the texts of all tokens: a second, for who needs them
                self._words = Vocabulary(tokenizer, self.vocabulary, self._ends)
            row.held = Held(row.spec.constraint, self._words)
        self._waiting.append(row)

    def stop(self, row: Row) -> tuple[int, int, bool]:
        """Stop a stream; return how many tokens were decoded, how many of its prompt cached, whether it began."""
        begun = row.ended or row in self._rows
        if row in self._waiting:
            self._waiting.remove(row)
        elif row in self._rows:
            self._drop([row])
        row.ended = True
        return len(row.ids), row.cached, begun

    def force(self, row: Row, token_ids: list[int]) -> bool:
        """Have tokens come next in a running stream; ``False`` if it does not run any more."""
        if row.ended or row not in self._rows or row.forced:
            return False
        row.forced.extend(token_ids)
        self._tell(row, row.stream.mark, len(row.ids), len(token_ids))
        return True

    def score(self, prompt: tuple[int, ...], token_ids: tuple[int, ...]) -> dict[int, float]:
        """Return the log-probabilities of tokens as the next one."""
        logits, _ = self._prefill(prompt)
        self._generated_tokens += 1
        scores = torch.log_softmax(logits.float(), dim=-1)
        return {token: float(scores[token]) for token in token_ids}

    def counters(self) -> EngineCounters:
        """Return what was computed since the start."""
        running = len(self._rows) + len(self._waiting)
        return EngineCounters(self._prompt_tokens, self._cached_tokens, self._generated_tokens, running)

    @property
    def vocabulary(self) -> int:
        """Rows of the model's output: no token id is as large."""
        return int(self._model.config.get_text_config().vocab_size)

    @property
    def context(self) -> int | None:
        """The longest context of the model, if its configuration says."""
        length = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        return length if isinstance(length, int) else None

    # -------------------------------------------------------------------------------------- the thread
    def _run(self) -> None:
        try:
            with torch.inference_mode():
                self._load()
                self._loaded.set_result(None)
                while not self._dead:
                    self._obey(0 if self._rows or self._waiting else None)
                    if not self._dead:
                        self._step()
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the engine's end
            why = f"transformers could not run {self._folder}: {error}"
            if not self._loaded.done():
                self._loaded.set_exception(EngineUnavailable(why))
            self._end(why)
        else:
            self._end(self._dead)

    def _load(self) -> None:
        device = self._device
        if device == "auto":
            device = (
                "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
            )
        dtype = self._dtype
        if dtype == "auto" and device == "cpu":
            dtype = "float32"
        model: Any = AutoModelForCausalLM.from_pretrained(self._folder, dtype=dtype)
        self._model = model.to(device).eval()
        ends = self._model.generation_config.eos_token_id
        self._ends = frozenset([ends] if isinstance(ends, int) else ends or [])
        self._generator = torch.Generator(device)
        self._generator.manual_seed(self._seed)

    def _step(self) -> None:
        while self._waiting and len(self._rows) < self._streams:
            self._begin(self._waiting.popleft())
        if self._rows:
            logits = self._batch.step(self._model, [row.ids[-1] for row in self._rows])
            rows = list(self._rows)
            for row, one in zip(rows, logits, strict=True):
                self._next(row, one)
            self._drop([row for row in rows if row.ended])

    def _begin(self, row: Row) -> None:
        """Compute a prompt and its first token, and let the row join unless that was all."""
        try:
            logits, layers = self._prefill(row.prompt, row)
        except (RuntimeError, ValueError, IndexError) as error:  # out of memory, a token the model has not
            row.ended = True
            self._tell(row, row.stream.arrive, Piece(error=f"transformers refused the prompt: {error}"))
            return
        self._next(row, logits)
        if not row.ended:
            self._rows.append(row)
            self._batch.join(layers)

    def _prefill(self, prompt: tuple[int, ...], row: Row | None = None) -> tuple[torch.Tensor, Any]:
        prefix = self._prefixes.longest(prompt)
        cached = prefix[0][0].shape[2] if prefix else 0
        logits, layers = computed(self._model, prompt, prefix)
        self._prefixes.keep(prompt, layers)
        self._prompt_tokens += len(prompt) - cached
        self._cached_tokens += cached
        if row is not None:
            row.cached = cached
        return logits, layers

    def _next(self, row: Row, logits: torch.Tensor) -> None:
        spec = row.spec
        forced = bool(row.forced)
        if row.held is not None and not forced:
            logits = row.held.masked(logits)
        token = row.forced.popleft() if forced else draw(logits, spec, row.generator or self._generator)
        row.ids.append(token)
        if row.held is not None:
            row.held.follow(token)
        self._generated_tokens += 1
        finish = None
        ends = token in self._ends and (not spec.ignore_end or row.held is not None)
        if not forced and (token in spec.stop_token_ids or ends):
            finish = Finish.STOP
        elif len(row.ids) >= spec.max_tokens:
            finish = Finish.LENGTH
        logprobs = None if spec.logprobs is None else (logprob_of(logits, token, spec.logprobs),)
        row.ended = finish is not None
        self._tell(row, row.stream.arrive, Piece((token,), logprobs, finish, row.cached))

    def _drop(self, rows: list[Row]) -> None:
        """Let rows leave; what they computed is kept, for whoever goes on from it."""
        if not rows:
            return
        for row in rows:
            place = self._rows.index(row)
            said = [*row.prompt, *row.ids][: self._batch.lengths[place]]
            self._prefixes.keep(said, self._batch.row(place))
        staying = [place for place, row in enumerate(self._rows) if row not in rows]
        self._rows = [self._rows[place] for place in staying]
        self._batch.keep(staying)

    def _tell(self, row: Row, call: Callable[..., None], *arguments: Any) -> None:
        """Call something in the stream's event loop. If that was closed, nobody reads it: it ends."""
        try:
            row.loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            row.ended = True

    def _end(self, why: str) -> None:
        with self._guard:
            self._dead = self._dead or why
        for row in self._all():
            if not row.loop.is_closed():
                row.loop.call_soon_threadsafe(row.stream.fail, EngineUnavailable(self._dead))
        self._rows, self._batch, self._model = [], Batch(), None
        self._waiting.clear()
        for _ in range(self._inbox.qsize()):
            self._inbox.get_nowait()()

    def _all(self) -> Iterator[Row]:
        yield from self._rows
        yield from self._waiting
