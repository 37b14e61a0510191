"""What a sample said: token ids, where they come from, their text, and where the answer begins.

Token ids are the truth; text is derived from them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from thinkctl.answers import Form
from thinkctl.protocols import Tokenizer
from thinkctl.types import Origin, Segment, ThinkingMarks, TokenLogprob

__all__ = ["PROMPT_TAIL", "Transcript"]

_UNFINISHED: Final = "\ufffd"
"""What a tokenizer decodes half a character to: the rest of it is still to come."""
PROMPT_TAIL: Final = 8
"""Tokens at the end of a prompt among which a chat template may open the thought."""


@final
@dataclass(slots=True)
class _Part:
    """A segment that may still grow: the tokens from ``start`` to ``end``."""

    origin: Origin
    start: int
    end: int
    logprobs: list[TokenLogprob] | None = None


@final
class Transcript:
    r"""Grows at its end only. ``text`` is as of the last :meth:`refresh`.

    A thought ends at the model's closing mark; without thinking marks it ends where the answer form opens
    (``\boxed{``). ``answer_at`` is the index of the first token after it, ``None`` while it is open.
    ``concluded_at`` is the index of a forced closing text.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        form: Form,
        marks: ThinkingMarks | None,
        prompt_ids: tuple[int, ...],
        *,
        think: bool = True,
    ) -> None:
        self.prompt_ids = prompt_ids
        self.text = ""
        self.answer_at: int | None = None if think else 0
        self.concluded_at: int | None = None
        self._tokenizer = tokenizer
        self._form = form
        self._marks = marks if think else None
        self._ids: list[int] = []
        self._parts: list[_Part] = []
        self._cue_end = 0
        self._dropped_thoughts = 0
        self._search_from = 0
        self._decoded_from = 0
        self._decoded_to = 0

    # -- tokens ---------------------------------------------------------------------------------------------

    @property
    def token_ids(self) -> Sequence[int]:
        """All ids after the prompt; do not keep it, it grows."""
        return self._ids

    @property
    def length(self) -> int:
        """Tokens after the prompt."""
        return len(self._ids)

    @property
    def marked(self) -> bool:
        """Whether its thought ends at a mark."""
        return self._marks is not None

    def inherit(self, token_ids: tuple[int, ...], forced: tuple[int, ...], *, reopen: bool) -> None:
        """Begin with a parent's tokens and a forced text. Reopened, an answer among them is not its own."""
        self.append(token_ids, Origin.INHERITED)
        if reopen:
            self.text = self._tokenizer.decode(self._ids)
            self._search_from = len(self.text)
            self._decoded_to = self.length
        self.append(forced, Origin.FORCED)
        self.refresh()

    def append(
        self,
        token_ids: tuple[int, ...],
        origin: Origin = Origin.SAMPLED,
        logprobs: tuple[TokenLogprob, ...] | None = None,
    ) -> None:
        """Append tokens of one origin."""
        if not token_ids:
            return
        last = self._parts[-1] if self._parts else None
        if last is None or last.origin is not origin or (last.logprobs is None) != (logprobs is None):
            last = _Part(origin, self.length, self.length, None if logprobs is None else [])
            self._parts.append(last)
        self._ids.extend(token_ids)
        last.end = self.length
        if logprobs is not None and last.logprobs is not None:
            last.logprobs.extend(logprobs)

    def conclude(self) -> None:
        """Take note that the thought is closed here by force; the closing text comes next."""
        self.refresh()
        self.concluded_at = self._cue_end = self.length
        if self.answer_at is None:
            self.answer_at = self.length

    def force(self, token_ids: tuple[int, ...]) -> None:
        """Append a piece of the closing text."""
        self.append(token_ids, Origin.FORCED)
        self._cue_end = self.length

    def drop_end_of_turn(self) -> None:
        """Take back a final end-of-turn token, so that the text can go on; it counts as what it counted as."""
        part = self._parts[-1] if self._parts else None
        if part is None or part.origin is not Origin.SAMPLED or not self._ends_turn():
            return
        self._ids.pop()
        part.end -= 1
        self._dropped_thoughts += self.answer_at is None
        if part.logprobs:
            part.logprobs.pop()
        self._decoded_to = min(self._decoded_to, self.length)

    def _ends_turn(self) -> bool:
        return bool(self._ids) and self._tokenizer.decode(self._ids[-1:]) == ""

    def kept_ids(self) -> tuple[int, ...]:
        """The ids to go on from: all of them but a final end of turn."""
        return tuple(self._ids[:-1] if self._ends_turn() else self._ids)

    def thought_ids(self) -> tuple[int, ...]:
        """The ids to go on thinking from: without end of turn, closing mark, forced conclusion or answer.

        Without thinking marks the whole text is what was thought, its answer included.
        """
        token_ids = self.kept_ids()
        if self.concluded_at is not None:
            token_ids = token_ids[: self.concluded_at]
        if self._marks is None or self.answer_at is None:
            return token_ids
        end = min(self.answer_at, len(token_ids))
        while end and self._marks.end in self._tokenizer.decode(token_ids[:end]):
            end -= 1
        return token_ids[:end]

    def sampled_before_answer(self) -> int:
        """Its own sampled tokens that belong to the thought."""
        limit = self.length if self.answer_at is None else self.answer_at
        own = (part for part in self._parts if part.origin is Origin.SAMPLED)
        return self._dropped_thoughts + sum(max(0, min(part.end, limit) - part.start) for part in own)

    def own_text(self) -> str:
        """Return the text of what came after all that was inherited or forced at the start."""
        own = next((part.start for part in self._parts if part.origin is Origin.SAMPLED), self.length)
        return self._tokenizer.decode(self._ids[own:])

    def segments(self) -> tuple[Segment, ...]:
        """All tokens as immutable segments."""
        return tuple(
            Segment(
                tuple(self._ids[part.start : part.end]),
                part.origin,
                None if part.logprobs is None else tuple(part.logprobs),
            )
            for part in self._parts
        )

    # -- text -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Decode the tokens that came since, and look whether the thought has ended by itself."""
        if self._decoded_to == self.length:
            return
        known = self._tokenizer.decode(self._ids[self._decoded_from : self._decoded_to])
        now = self._tokenizer.decode(self._ids[self._decoded_from :])
        if now.endswith(_UNFINISHED):
            return
        self.text += now[len(known) :]
        self._decoded_from, self._decoded_to = self._decoded_to, self.length
        if self.answer_at is None:
            self.answer_at = self._find_answer()

    def settle(self) -> None:
        """Nothing more comes: make the text exact."""
        self.refresh()
        self.text = self._tokenizer.decode(self._ids)
        self._decoded_from = self._decoded_to = self.length

    def _find_answer(self) -> int | None:
        if self._marks is not None:
            if self._answers_at_once(self._marks):
                return 0
            place = self.text.find(self._marks.end, self._search_from)
            return None if place < 0 else self._tokens_reaching(place + len(self._marks.end))
        opening = re.compile(self._form.opening) if self._form.opening else None
        match = opening.search(self.text, self._search_from) if opening else None
        return None if match is None else max(0, self._tokens_reaching(match.start() + 1) - 1)

    def _tokens_reaching(self, chars: int) -> int:
        """Return the fewest tokens whose text has that many characters."""
        low, high = 0, self.length
        while low < high:
            middle = (low + high) // 2
            if len(self._tokenizer.decode(self._ids[:middle])) >= chars:
                high = middle
            else:
                low = middle + 1
        return low

    def _answers_at_once(self, marks: ThinkingMarks) -> bool:
        """Whether a model that could think has begun without its opening mark."""
        said = self.text.lstrip()
        if not said or marks.start.startswith(said[: len(marks.start)]):
            return False
        return marks.start not in self._tokenizer.decode(self.prompt_ids[-PROMPT_TAIL:])

    def thought_chars(self, *, ended: bool) -> int:
        """Return how many characters of the text are the thought.

        A thinking model that ``ended`` its turn without closing a thought did not think.
        """
        if self.answer_at is None:
            return 0 if ended and self._marks is not None else len(self.text)
        return len(self._tokenizer.decode(self._ids[: self.answer_at])) if self.answer_at else 0

    def answer_text(self, *, ended: bool) -> str:
        """Return where an answer is looked for: after the thinking marks of a model that has them.

        What was inherited to be thought on is not searched.
        """
        if self.concluded_at is not None:
            return self._form.cue + self.said_since_cue()
        thought = 0 if self._marks is None else self.thought_chars(ended=ended)
        return self.text[max(thought, self._search_from) :]

    def said_since_cue(self) -> str:
        """Return the text after the forced closing text; empty before a conclusion."""
        return "" if self.concluded_at is None else self._tokenizer.decode(self._ids[self._cue_end :])

    def tokens_since_cue(self) -> int:
        """Return how many tokens came after the forced closing text."""
        return 0 if self.concluded_at is None else self.length - self._cue_end
