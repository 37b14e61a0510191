"""What arrived of one stream and was not handed over yet. Pure: no engine, no asyncio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.types import Delta, Finish, TokenLogprob

__all__ = ["Intake", "Piece"]


@final
@dataclass(frozen=True, slots=True)
class Piece:
    """What one message of the engine says of a stream: new tokens, and perhaps that it ended.

    ``cached`` is known with the first tokens. ``error`` is why the request failed.
    """

    token_ids: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] | None = None
    finish: Finish | None = None
    cached: int | None = None
    error: str = ""


@final
class Intake:
    """Keeps tokens in order, counts them, and cuts them into deltas that are forced or are not.

    ``arrived`` counts tokens the engine sent, ``delivered`` those that were taken. ``exhausted`` says that the
    finish was taken too.
    """

    def __init__(self) -> None:
        self.arrived = 0
        self.delivered = 0
        self.cached: int | None = None
        self.finish: Finish | None = None
        self.error: Exception | None = None
        self.exhausted = False
        self._token_ids: list[int] = []
        self._logprobs: list[TokenLogprob] = []
        self._forced: list[range] = []

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive."""
        return self.finish is not None or self.error is not None

    def put(self, piece: Piece) -> None:
        """Add what arrived."""
        self._token_ids += piece.token_ids
        self._logprobs += piece.logprobs or ()
        self.arrived += len(piece.token_ids)
        self.finish = self.finish or piece.finish
        if piece.cached is not None:
            self.cached = piece.cached

    def force(self, first: int, count: int) -> None:
        """Remember that ``count`` tokens from index ``first`` of the stream are forced."""
        self._forced.append(range(first, first + count))

    def take(self) -> Delta | None:
        """Return the next delta, or ``None`` if nothing is here. The one that empties an ended stream ends it."""
        if self.exhausted or not (self._token_ids or self.finish):
            return None
        forced, count = self._run()
        token_ids, self._token_ids = tuple(self._token_ids[:count]), self._token_ids[count:]
        logprobs, self._logprobs = tuple(self._logprobs[:count]), self._logprobs[count:]
        self.delivered += count
        finish = self.finish if self.delivered == self.arrived else None
        self.exhausted = finish is not None
        return Delta(token_ids, logprobs or None, finish, forced)

    def _run(self) -> tuple[bool, int]:
        """Return whether the next token is forced, and how many from it on are alike."""
        here, end = self.delivered, self.arrived
        forced = any(here in span for span in self._forced)
        edges = [edge for span in self._forced for edge in (span.start, span.stop) if here < edge < end]
        return forced, min(edges, default=end) - here
