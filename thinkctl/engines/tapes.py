"""What a replay engine plays: recorded samples as tapes, their tokens as a vocabulary of its own.

The text of single tokens is not recorded, so a text is cut into as many pieces as it had tokens: where the cut
is known (the end of a thought, forced text, the end of turn, where another sample went on), and evenly in
between. Every piece has an id of its own, by which a continuation is recognised; decoding is concatenation.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final, final

from thinkctl.errors import ConfigurationError, RequestFailed
from thinkctl.runfile import CHARS_PER_TOKEN
from thinkctl.types import Finish, Message, ThinkingMarks, TokenLogprob

__all__ = ["Chat", "Path", "Strip", "Tape", "Vocabulary", "not_recorded"]

_FIRST: Final = 1 << 30
"""Ids from here on are recorded tokens, those below are words that were encoded."""
_SHOWN: Final = 60


@dataclass(slots=True, eq=False)
class Strip:
    """A text cut into tokens."""

    text: str
    tokens: int
    first: int = -1
    """The id of its first token; the others follow."""
    _places: list[int] = field(default_factory=list[int])
    _chars: list[int] = field(default_factory=list[int])

    def __post_init__(self) -> None:
        self._places, self._chars = [0, self.tokens], [0, len(self.text)]

    def know(self, place: int, char: int) -> None:
        """Take note that ``char`` characters come before token ``place``, unless something else is known."""
        at = bisect_left(self._places, place)
        if (
            0 < at < len(self._places)
            and self._places[at] != place
            and self._chars[at - 1] <= char <= self._chars[at]
        ):
            self._places.insert(at, place)
            self._chars.insert(at, char)

    def cut(self, place: int) -> int:
        """Return how many characters come before token ``place``."""
        at = bisect_right(self._places, place) - 1
        start, char = self._places[at], self._chars[at]
        if start == place:
            return char
        return char + (place - start) * (self._chars[at + 1] - char) // (self._places[at + 1] - start)

    def part(self, start: int, stop: int) -> str:
        """Return the text of tokens ``start`` to ``stop``."""
        return self.text[self.cut(start) : self.cut(stop)]

    def ids(self, start: int, stop: int) -> tuple[int, ...]:
        """Return the ids of tokens ``start`` to ``stop``."""
        return tuple(range(self.first + start, self.first + stop))


Span = tuple[Strip, int, int]
Path = tuple[Span | str, ...]
"""What comes after a prompt: stretches of tapes, and texts that were forced."""


@final
@dataclass(slots=True, eq=False)
class Tape(Strip):
    """The own tokens of one recorded sample, that is without those it inherited from its parent.

    ``entry`` is what comes before what it says: inherited tokens and the ``lead`` tokens of a forced text.
    ``closings`` are stretches that were forced later; the turn had ``ended`` before the first. ``whole`` is the
    sample's text with what it inherited, which is ``skipped`` characters long. ``seconds_per_token`` is how
    fast its own tokens came. A step is ``complete_at`` so many characters: its tokens from there on come at once.
    """

    name: str = ""
    chat: Chat | None = None
    parent: Tape | None = None
    inherited: int = 0
    whole: str = ""
    skipped: int = 0
    entry: Path = ()
    lead: int = 0
    closings: tuple[tuple[int, int], ...] = ()
    ended: bool = False
    logprobs: tuple[TokenLogprob | None, ...] | None = None
    finish: Finish | None = Finish.STOP
    error: str = ""
    seconds_per_token: float = 0.0
    estimated: bool = False
    complete_at: int | None = None

    def until(self, place: int) -> int:
        """Return up to which token the model itself goes on from ``place``."""
        return next((start for start, _ in self.closings if start >= place), self.tokens)

    def burst(self, stop: int) -> int:
        """Return up to which token a delta goes that was to go up to ``stop``."""
        return self.tokens if self.complete_at is not None and self.cut(stop) >= self.complete_at else stop

    def ends_at(self, place: int) -> Finish | None:
        """Return how the model ended at a token where it goes no further, if it did."""
        if place == self.tokens and self.finish in {Finish.STOP, Finish.LENGTH}:
            return self.finish
        return Finish.STOP if self.ended and self.closings and place == self.closings[0][0] else None

    def after(self, place: int, forced: str) -> int | None:
        """Return where the tape is when ``forced`` comes after token ``place``; ``None``: not recorded."""
        for start, stop in self.closings:
            char = self.cut(start)
            if start < place or char != self.cut(place):  # an empty last token may have been left out
                continue
            if not self.text.startswith(forced, char):
                char = self.text.rfind(forced)
                self.know(start, char)
            if char == self.cut(start):
                self.know(stop, char + len(forced))
            return stop if self.part(start, stop) == forced else None
        return None

    def begins_with(self, forced: str) -> bool:
        """Whether its lead is this text."""
        if self.text.startswith(forced):
            self.know(self.lead, len(forced))
        return self.part(0, self.lead) == forced

    def line(self, length: int) -> tuple[Tape, int]:
        """Return which tape holds the end of the first ``length`` tokens after the prompt, and where."""
        if self.parent is not None and length <= self.inherited:
            return self.parent.line(length)
        return self, length - self.inherited

    def path(self, stop: int) -> Path:
        """Return what a continuation after its own token ``stop`` begins with."""
        return (*self.entry, (self, self.lead, stop)) if stop > self.lead else self.entry


@final
@dataclass(slots=True, eq=False)
class Chat(Strip):
    """A prompt that was recorded, and the tapes that begin with it, in launch order."""

    name: str = ""
    estimated: bool = False
    _births: dict[tuple[Path, bool], list[Tape]] = field(default_factory=dict[tuple[Path, bool], list[Tape]])
    _taken: set[Tape] = field(default_factory=set[Tape])

    def add(self, tape: Tape, before: Path) -> None:
        """Add a tape that begins after ``before``, with forced text next if it has a lead."""
        tape.chat = self
        self._births.setdefault((before, tape.lead > 0), []).append(tape)

    def rewind(self) -> None:
        """Begin again with the first tapes."""
        self._taken.clear()

    def take(self, path: Path) -> tuple[Tape, int]:
        """Return the tape that goes on after ``path``, and from which of its tokens.

        A tape that begins there comes first, each once in launch order; else the tape that ``path`` is on.
        Raises ``RequestFailed`` for what was not recorded.
        """
        forced = path[-1] if path and isinstance(path[-1], str) else ""
        tapes = self._births.get((path[:-1] if forced else path, bool(forced)), [])
        for tape in tapes:
            if tape not in self._taken and tape.begins_with(forced):
                self._taken.add(tape)
                tape.entry = path
                return tape, tape.lead
        if not path:
            raise RequestFailed(
                f"problem {self.name} has {len(tapes)} recorded samples, asked for {len(tapes) + 1}; "
                "ask for fewer, record more, or reset() the engine between runs"
            )
        if forced:
            said = "" if len(path) == 1 else f" after {self._describe(path[-2])}"
            raise not_recorded(f"{forced[-_SHOWN:]!r}{said}")
        match path[-1]:
            case (Tape() as tape, start, stop) if tape.chat is self and (tape.entry, tape.lead) == (
                path[:-1],
                start,
            ):
                return tape, stop
            case other:
                raise not_recorded(self._describe(other))

    @staticmethod
    def _describe(item: Span | str) -> str:
        if isinstance(item, str):
            return repr(item[-_SHOWN:])
        name = item[0].name if isinstance(item[0], Tape) else "a prompt"
        return f"token {item[2]} of {name}"


def not_recorded(what: str) -> RequestFailed:
    """Return the error for a continuation that nobody recorded."""
    return RequestFailed(f"not recorded: what the model would say after {what}; run it on a live engine")


@final
class Vocabulary:
    """The tokenizer of a recording."""

    def __init__(self, marks: ThinkingMarks | None) -> None:
        self._strips: list[Strip] = []
        self._firsts: list[int] = []
        self._next = _FIRST
        self._words: list[str] = []
        self._word_ids: dict[str, int] = {}
        self._known: dict[str, tuple[int, ...]] = {}
        both = (marks.start, marks.end) if marks is not None else ()
        self._marks: re.Pattern[str] | None = re.compile("|".join(map(re.escape, both))) if both else None
        self._chats: dict[tuple[Message, ...], Chat] = {}
        self._questions: dict[str, Chat] = {}

    # -- what is in it --------------------------------------------------------------------------------------

    def add(self, strip: Strip) -> None:
        """Give ids to the tokens of a strip."""
        strip.first = self._next
        self._strips.append(strip)
        self._firsts.append(self._next)
        self._next += strip.tokens

    def add_text(self, text: str, tokens: int) -> None:
        """Remember that a text was so many tokens."""
        if text not in self._known and tokens:
            strip = Strip(text, tokens)
            self._known[text] = tuple(self._word(strip.part(n, n + 1)) for n in range(tokens))

    def chat_of(self, messages: Sequence[Message]) -> Chat | None:
        """Return the chat that begins with these messages.

        A pool's question is the last user turn, with or without a paragraph after it that says how to answer.
        """
        known = self._chats.get(tuple(messages))
        question = next((turn.content for turn in reversed(messages) if turn.role == "user"), "")
        return known or self._questions.get(question) or self._questions.get(question.rpartition("\n\n")[0])

    def add_chat(self, key: tuple[Message, ...] | str, chat: Chat) -> Chat:
        """Add a chat by its messages, or by a pool's question."""
        self.add(chat)
        if isinstance(key, str):
            self._questions[key] = chat
        else:
            self._chats[key] = chat
        return chat

    @property
    def chats(self) -> tuple[Chat, ...]:
        """All chats."""
        return (*self._chats.values(), *self._questions.values())

    # -- the protocol ---------------------------------------------------------------------------------------

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text: as many as were recorded for it, else one for four characters."""
        if (known := self._known.get(text)) is not None:
            return list(known)
        ids: list[int] = []
        start = 0
        for mark in self._marks.finditer(text) if self._marks else ():
            ids += [*self._plain(text[start : mark.start()]), self._word(mark.group())]
            start = mark.end()
        return ids + self._plain(text[start:])

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids. Raises ``ConfigurationError`` for ids that are not of this recording."""
        return "".join(
            item if isinstance(item, str) else item[0].part(item[1], item[2])
            for item in self._items(token_ids)
        )

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt ids of a recorded problem: as many as were recorded, no other problem's."""
        chat = self.chat_of(messages)
        if chat is None:
            asked = messages[-1].content[:_SHOWN] if messages else ""
            raise ConfigurationError(
                f"the problem {asked!r} is not in the recording, which has {len(self.chats)} prompts; "
                "solve a recorded one, put exactly as it was, or record this one first"
            )
        return list(chat.ids(0, chat.tokens))

    # -- from ids to tapes ----------------------------------------------------------------------------------

    def find(self, token_ids: Sequence[int]) -> tuple[Chat, Path]:
        """Return the chat that a prompt begins with, and what comes after it. Raises ``RequestFailed``."""
        items = list(self._items(token_ids))
        first = items[0] if items else ""
        if isinstance(first, str) or not isinstance(chat := first[0], Chat) or first[1:] != (0, chat.tokens):
            raise RequestFailed(
                "the prompt is not that of a recorded problem; make it with tokenizer.chat(...)"
            )
        path: list[Span | str] = []
        for item in items[1:]:
            last = path[-1] if path else ""
            if isinstance(last, str):
                path.append(item)
            elif isinstance(item, str):
                tape, start, stop = last
                on = tape.after(stop, item) if isinstance(tape, Tape) else None
                path[-1:] = [last, item] if on is None else [(tape, start, on)]
            elif item[0] is last[0] and item[1] == last[2]:
                path[-1] = (item[0], last[1], item[2])
            else:
                path.append(item)
        return chat, tuple(path)

    def _items(self, token_ids: Sequence[int]) -> Iterator[Span | str]:
        """Iterate over stretches of strips, and texts that were encoded."""
        ids = tuple(token_ids)
        start = 0
        while start < len(ids):
            if ids[start] < _FIRST:
                words = [*takewhile(lambda token: token < _FIRST, ids[start:])]
                if not all(0 <= word < len(self._words) for word in words):
                    raise ConfigurationError(f"{words} has ids that this recording does not know")
                yield "".join(self._words[word] for word in words)
                start += len(words)
                continue
            if ids[start] >= self._next:
                raise ConfigurationError(f"{ids[start]} is an id that this recording does not know")
            strip = self._strips[bisect_right(self._firsts, ids[start]) - 1]
            place = ids[start] - strip.first
            most = min(len(ids) - start, strip.tokens - place)
            here, there = ids[start : start + most], strip.ids(place, place + most)
            if here != there:
                most = next(n for n in range(most) if here[n] != there[n])
            yield strip, place, place + most
            start += most

    def _plain(self, text: str) -> list[int]:
        return [self._word(text[n : n + CHARS_PER_TOKEN]) for n in range(0, len(text), CHARS_PER_TOKEN)]

    def _word(self, text: str) -> int:
        known = self._word_ids.get(text)
        if known is None:
            known = self._word_ids[text] = len(self._words)
            self._words.append(text)
        return known
