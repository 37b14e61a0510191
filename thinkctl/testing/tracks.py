"""Which stream a prompt goes on from: what a scripted engine remembers of what it has said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from thinkctl.testing.script import Launch, Plan
from thinkctl.testing.tokens import END_OF_TURN, ROLES, ScriptedTokenizer
from thinkctl.types import GenerationSpec, StreamUsage

__all__ = ["End", "Place", "PrefixCache", "StreamLog", "Track", "Tracks"]

Place = tuple[Plan, int]
"""Where a model is: the plan and which of its tokens is next."""


class End(StrEnum):
    """How a stream ended."""

    OPEN = "open"
    STOP = "stop"
    LENGTH = "length"
    CLOSED = "closed"
    FAILED = "failed"
    DIED = "died"


@final
@dataclass(slots=True, eq=False)
class StreamLog:
    """What became of one stream. ``launch`` is the number of its script; continuations have their parent's.

    ``token_ids`` were delivered; ``started`` and ``ended`` are seconds of the loop's clock.
    """

    prompt_ids: tuple[int, ...]
    spec: GenerationSpec
    launch: int
    continued: bool
    started: float
    token_ids: list[int] = field(default_factory=list[int])
    forced_tokens: int = 0
    usage: StreamUsage = StreamUsage()
    end: End = End.OPEN
    ended: float | None = None


@final
@dataclass(slots=True, eq=False)
class Track:
    """A stream as others may continue it: ``places[j]`` is where it is after ``j`` delivered tokens."""

    log: StreamLog
    launch: Launch
    places: list[Place]
    continued_on: bool = False

    def common(self, token_ids: Sequence[int]) -> int:
        """Return how many of these ids are the first that were delivered."""
        said = self.log.token_ids
        most = min(len(said), len(token_ids))
        return next((place for place in range(most) if said[place] != token_ids[place]), most)

    def stops_after(self, said: int) -> bool:
        """Return whether nothing was delivered after so many tokens but perhaps the end of turn."""
        return self.log.token_ids[said:] in ([], [END_OF_TURN])


@final
class Tracks:
    """All streams of an engine, by prompt."""

    def __init__(self, tokenizer: ScriptedTokenizer) -> None:
        self._tokenizer = tokenizer
        self._by_prompt: dict[tuple[int, ...], list[Track]] = {}

    def add(self, track: Track) -> None:
        """Remember a stream."""
        self._by_prompt.setdefault(track.log.prompt_ids, []).append(track)

    def continuing(self, prompt: tuple[int, ...]) -> tuple[Launch, Place] | None:
        """Return what a prompt goes on with, or ``None`` for a new chat.

        The stream that shares the most tokens is meant; among equals one that ended just there and was not
        continued yet, and then the oldest. What follows the shared tokens was forced: roles never are, so
        such a prompt is a new chat. So is one that forces the very first tokens, unless an earlier stream has
        that prompt and got no further.
        """
        if any(not track.log.continued for track in self._by_prompt.get(prompt, ())):
            return None
        best: tuple[tuple[int, bool, bool], Track, int] | None = None
        for length in sorted({len(known) for known in self._by_prompt if len(known) <= len(prompt)}):
            for track in self._by_prompt.get(prompt[:length], ()):
                said = track.common(prompt[length:])
                stops = track.stops_after(said)
                if any(token <= len(ROLES) for token in prompt[length + said :]) or not (said or stops):
                    continue
                waits = stops and track.log.end is not End.OPEN and not track.continued_on
                rank = (length + said, waits, stops)
                if best is None or rank > best[0]:
                    best = (rank, track, said)
        if best is None:
            return None
        (shared, waits, _), track, said = best
        track.continued_on = track.continued_on or waits
        forced = prompt[shared:]
        return track.launch, self.after(track.places[said], forced) if forced else track.places[said]

    def after(self, place: Place, forced: Sequence[int]) -> Place:
        """Return where a model is after forced tokens: at the start of its conclusion."""
        plan, number = place
        at = number if plan.thought else plan.at
        text = plan.script.concluding(self._tokenizer.decode(forced), at)
        return Plan(plan.script, (*self._tokenizer.encode(text), END_OF_TURN), thought=False, at=at), 0


@final
class PrefixCache:
    """Blocks of tokens whose whole prefix was computed before. A block of 0 tokens is no cache."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}

    def add(self, token_ids: tuple[int, ...]) -> int:
        """Put in whole blocks and return how many of these tokens were there: whole blocks, never all."""
        before, hit, cached = 0, True, 0
        for start in range(0, len(token_ids) - self._block + 1, self._block) if self._block else ():
            key = (before, token_ids[start : start + self._block])
            hit = hit and key in self._known
            before = self._known.setdefault(key, len(self._known) + 1)
            cached += self._block * (hit and start + self._block < len(token_ids))
        return cached
