"""What a server sent, read as data that nobody vouches for: every field may be missing, wrong or absurd."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.engines.intake import Piece
from thinkctl.engines.openai._overlap import Overlap
from thinkctl.engines.openai._pieces import PieceTokenizer
from thinkctl.errors import RequestFailed
from thinkctl.types import Finish, GenerationSpec, ThinkingMarks, TokenLogprob

__all__ = ["ChatReader", "Reader", "ServerUsage", "TokenReader"]

_FINISHES: Final = {"length": Finish.LENGTH, "abort": Finish.CUT}
"""All other reasons mean that the model, or the server in its place, ended the turn."""
_LEAST_LOGPROB: Final = -9999.0


@final
@dataclass(slots=True)
class ServerUsage:
    """What the server says it used; ``None`` is what it did not say, or what cannot be true."""

    prompt: int | None = None
    cached: int | None = None
    generated: int | None = None
    final: bool = False
    """Whether it was said after the last token."""

    def read(self, said: object) -> None:
        """Take what a chunk says of usage."""
        usage = mapping(said)
        self.prompt = _count(usage.get("prompt_tokens"), self.prompt)
        self.generated = _count(usage.get("completion_tokens"), self.generated)
        details = mapping(usage.get("prompt_tokens_details"))
        self.cached = _count(details.get("cached_tokens"), self.cached)


class Reader(ABC):
    """Turns the chunks of one stream into pieces. Only the first choice counts: no more were asked for."""

    knows_prompt: bool
    """Whether the prompt's tokens are ours, not the server's to count."""

    def __init__(self, spec: GenerationSpec) -> None:
        self._alternatives = spec.logprobs or 0
        self._most = spec.max_tokens
        self.usage = ServerUsage()
        self.arrived = 0
        self.exact = True
        """Whether every token that came was counted, not guessed."""

    @final
    def read(self, chunk: object) -> Piece | None:
        """Read one chunk; ``None`` if it says nothing of the text. Raises ``RequestFailed`` for an error in it."""
        said = mapping(chunk)
        if error := said.get("error"):
            raise RequestFailed(f"the server broke off: {_shown(mapping(error).get('message') or error)}")
        before = self.usage.generated or 0
        if said.get("usage") is not None:
            self.usage.read(said["usage"])
        choice = next(
            (mapping(one) for one in items(said.get("choices")) if not mapping(one).get("index")), None
        )
        if choice is None:
            self.usage.final = self.usage.final or said.get("usage") is not None
            return self.finish_counting() if said.get("usage") is not None else None
        reason = choice.get("finish_reason")
        finish = None if reason is None else _FINISHES.get(str(reason), Finish.STOP)
        new = None if said.get("usage") is None else max(0, (self.usage.generated or 0) - before)
        piece = self.take(choice, finish, new)
        self.arrived += len(piece.token_ids)
        return piece

    @final
    def _entry(self, said: Mapping[str, Any]) -> TokenLogprob:
        tops = (mapping(one).get("logprob") for one in items(said.get("top_logprobs")))
        return TokenLogprob(_logprob(said.get("logprob")), self._best(tops))

    @final
    def _best(self, values: Iterable[object]) -> tuple[float, ...]:
        """Return as many as were asked for: the sampled token comes besides where it is none of them."""
        return tuple(sorted(map(_logprob, values), reverse=True))[: self._alternatives]

    @abstractmethod
    def take(self, choice: Mapping[str, Any], finish: Finish | None, new: int | None) -> Piece:
        """Read the first choice of a chunk; ``new`` is how many tokens the server says came with it."""

    def finish_counting(self) -> Piece | None:
        """Return what the final usage adds to what came."""
        return None


@final
class TokenReader(Reader):
    """Chunks with token ids: ``/inference/v1/generate`` and ``/v1/completions`` of vLLM."""

    knows_prompt = True

    def take(self, choice: Mapping[str, Any], finish: Finish | None, new: int | None) -> Piece:
        """Read token ids and log-probabilities; a chunk that was sent twice is noticed by the server's own count."""
        ids = tuple(token for token in items(choice.get("token_ids")) if type(token) is int and token >= 0)
        if len(ids) != len(items(choice.get("token_ids"))):
            raise RequestFailed(f"the server sent {_shown(choice.get('token_ids'))} for token ids")
        if choice.get("text") and not ids:
            raise RequestFailed("the server sent text without token ids; use the engine with route='chat'")
        if (
            new is not None
            and self.usage.generated is not None
            and self.arrived + len(ids) > self.usage.generated
        ):
            raise RequestFailed(
                f"the server sent {self.arrived + len(ids)} tokens and counts {self.usage.generated}; "
                "a chunk came twice or its count is wrong"
            )
        return Piece(
            ids, self._logprobs(mapping(choice.get("logprobs")), len(ids)), finish, self.usage.cached
        )

    def _logprobs(self, said: Mapping[str, Any], tokens: int) -> tuple[TokenLogprob, ...] | None:
        if not said or not tokens:
            return None
        if "content" in said:
            entries = [self._entry(mapping(one)) for one in items(said["content"])]
        else:  # the completions route: columns
            tops = items(said.get("top_logprobs")) or [None] * tokens
            entries = [
                TokenLogprob(_logprob(value), self._best(mapping(top).values()))
                for value, top in zip(items(said.get("token_logprobs")), tops, strict=False)
            ]
        return tuple(entries) if len(entries) == tokens else None


@final
class ChatReader(Reader):
    """Chunks of ``/v1/chat/completions``: text, with as many pieces as it had tokens, as far as that is told.

    A chunk has as many tokens as it has log-probabilities, else as the server's running count says, else one:
    what servers send apart is at least one token. What the final count has beyond that comes as empty pieces.
    """

    knows_prompt = False

    def __init__(
        self, spec: GenerationSpec, tokenizer: PieceTokenizer, marks: ThinkingMarks | None, after: str
    ) -> None:
        super().__init__(spec)
        self._tokenizer = tokenizer
        self._marks = marks or ThinkingMarks(start="<think>", end="</think>")
        self._overlap = Overlap(after)
        self._thinking = False

    def take(self, choice: Mapping[str, Any], finish: Finish | None, new: int | None) -> Piece:
        """Read a delta; a thought that came apart is put between the model's marks."""
        delta = mapping(choice.get("delta"))
        text, shown = self._text(delta)
        logprobs = tuple(
            self._entry(mapping(one)) for one in items(mapping(choice.get("logprobs")).get("content"))
        )
        if logprobs:
            tokens = len(logprobs)
        elif new is not None:
            tokens = new
        else:
            tokens = 1 if shown else 0
            self.exact = self.exact and not shown
        if finish is not None:
            text += self._overlap.rest()
        if text and not tokens:
            tokens, self.exact = 1, False
        ids = self._tokenizer.pieces(text, tokens) if tokens else ()
        return Piece(
            ids, logprobs if logprobs and len(logprobs) == len(ids) else None, finish, self.usage.cached
        )

    def finish_counting(self) -> Piece | None:
        """Add tokens that the final count has and no chunk told of. A count beyond what was allowed is not believed."""
        counted = self.usage.generated
        if self.exact or counted is None or not self.arrived <= counted <= self._most:
            return None
        missing = counted - self.arrived
        self.exact, self.arrived = True, counted
        return Piece((self._tokenizer.piece(""),) * missing) if missing else None

    def _text(self, delta: Mapping[str, Any]) -> tuple[str, bool]:
        """Return what is new to read, and whether anything came at all."""
        thought = _text(delta.get("reasoning_content")) or _text(delta.get("reasoning"))
        content = _text(delta.get("content")) or _text(delta.get("refusal"))
        text = ""
        if thought:
            text += thought if self._thinking else self._marks.start + thought
            self._thinking = True
        if content:
            new = self._overlap.take(content)
            text += self._marks.end + new if self._thinking else new
            self._thinking = False
        return text, bool(thought or content)


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> Sequence[Any]:
    """Return a list as it is, and an empty one for anything else."""
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object, otherwise: int | None) -> int | None:
    return value if type(value) is int and value >= 0 else otherwise


def _logprob(value: object) -> float:
    number = float(value) if isinstance(value, int | float) else _LEAST_LOGPROB
    return min(0.0, max(number, _LEAST_LOGPROB)) if number == number else _LEAST_LOGPROB


def _shown(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "..."
