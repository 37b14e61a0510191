"""Loops: a sample that says the same over and over will not think of anything new."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.memo import remembered
from thinkctl.stopping.probing import thought_is_open
from thinkctl.types import Decision, History, Origin, Sample

__all__ = ["RepetitionGuard"]

_NEEDLE: Final = 16
"""Tokens at the end of a sample that are looked for further up, at most."""
_WIDTH: Final = array("q").itemsize


@final
@dataclass(frozen=True)
class RepetitionGuard:
    """Cut or conclude a sample that repeats itself word for word. Never stops a run.

    A sample loops when it ends with a block of tokens that stands there ``repeats`` times or more, one after the
    other and together at least ``tokens`` tokens long. The last ``window`` tokens are looked at, so the longest
    block is ``window / repeats`` tokens, and a loop of p tokens is noticed ``max(tokens, repeats * p)`` tokens
    after it began. ``then`` is what happens: ``"cut"`` aborts the sample, which abstains; ``"conclude"`` closes
    its thought and asks for the answer.

    A loop makes a model certain of its next token, so rules that go by confidence take it for a good sign: they
    have this guard built in.

    Only loops to the letter are seen: shares of repeated n-grams do not tell tables and lists from loops that
    count. What the defaults take for a loop in recorded samples and in ordinary text is in docs/log.md.

    Source: ours.
    """

    tokens: int = 256
    repeats: int = 4
    window: int = 2048
    then: Literal["cut", "conclude"] = "cut"

    def __post_init__(self) -> None:
        if self.repeats < 2:
            raise ConfigurationError(
                f"repeats={self.repeats!r}: what is said once is no loop; give 2 or more"
            )
        if self.tokens < self.repeats:
            raise ConfigurationError(
                f"tokens={self.tokens!r} cannot hold {self.repeats} repeats; give {self.repeats} or more"
            )
        if self.window < self.tokens:
            raise ConfigurationError(
                f"window={self.window!r} is shorter than the shortest loop; give tokens={self.tokens} or more"
            )
        if self.then not in ("cut", "conclude"):
            raise ConfigurationError(f"then={self.then!r} is not understood; use 'cut' or 'conclude'")

    def decide(self, history: History) -> Decision:
        looping = tuple(
            sample.index
            for sample in history.in_flight
            if not sample.concluded and self._may_end(sample) and self.loops(sample)
        )
        why = f"{_named(looping)} in a loop" if looping else ""
        return Decision(cut=looping, why=why) if self.then == "cut" else Decision(conclude=looping, why=why)

    def loops(self, sample: Sample) -> bool:
        """Say whether a sample ends with a loop; of one that was concluded, whether its thought does."""
        return _period(sample, self.window, self.repeats, self.tokens) is not None

    def _may_end(self, sample: Sample) -> bool:
        return self.then == "cut" or thought_is_open(sample)


@remembered
def _period(sample: Sample, window: int, repeats: int, least: int) -> int | None:
    """Return how many tokens the block has with which a sample ends over and over; ``None`` without a loop."""
    tail = _tail(sample, window)
    count = len(tail)
    if count < least:
        return None
    data = array("q", tail).tobytes()
    needle_tokens = min(_NEEDLE, least // 2)
    needle = data[-needle_tokens * _WIDTH :]
    end = len(data) - 1
    while (
        place := data.rfind(needle, 0, end)
    ) >= 0:  # where the end was said before, the nearest place first
        end = place + len(needle) - 1
        period, odd = divmod(len(data) - len(needle) - place, _WIDTH)
        if odd:  # the bytes of two halves
            continue
        if repeats * period > count:
            return None
        length = max(least, repeats * period) * _WIDTH
        if data[-length : -period * _WIDTH] == data[period * _WIDTH - length :]:
            return period
    return None


def _tail(sample: Sample, tokens: int) -> list[int]:
    """Return the last token ids of a sample, wherever they come from, before it was made to conclude."""
    backwards = list(reversed(sample.segments))
    closing = (place for place, segment in enumerate(backwards) if segment.origin is Origin.FORCED)
    thought = backwards[next(closing, -1) + 1 :] if sample.concluded else backwards
    ids = (token for segment in thought for token in reversed(segment.token_ids))
    return list(islice(ids, tokens))[::-1]


def _named(samples: tuple[int, ...]) -> str:
    if len(samples) == 1:
        return f"sample {samples[0]} is"
    return f"samples {', '.join(map(str, samples))} are"
