"""A sample while it grows: the only mutable thing in a run besides the ledger."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, final

from thinkctl.answers import Form
from thinkctl.controller.ledger import Grant
from thinkctl.protocols import Engine, Stream, Tokenizer
from thinkctl.types import (
    Answer,
    Delta,
    Finish,
    Origin,
    Probe,
    Request,
    Sample,
    Segment,
    StreamUsage,
    ThinkingMarks,
    TokenLogprob,
    Usage,
    Verdict,
)

__all__ = ["Growing", "Order"]

_UNFINISHED: Final = "�"
"""What a tokenizer decodes half a character to: the rest of it is still to come."""


class Order(Enum):
    """What the loop wants of a sample in flight."""

    CONCLUDE = auto()
    CUT = auto()


@final
@dataclass(slots=True)
class _Part:
    """A segment that still grows."""

    origin: Origin
    token_ids: list[int] = field(default_factory=list[int])
    logprobs: list[TokenLogprob] | None = None

    def frozen(self) -> Segment:
        logprobs = None if self.logprobs is None else tuple(self.logprobs)
        return Segment(tuple(self.token_ids), self.origin, logprobs)


@final
class Growing:
    """One sample in flight: its tokens, its text, where its answer begins, what it used, what it was told."""

    def __init__(
        self,
        index: int,
        request: Request,
        *,
        model: str,
        engine: Engine,
        form: Form,
        prompt_ids: tuple[int, ...],
        inherited: tuple[int, ...] = (),
        forced: tuple[int, ...] = (),
        started: float = 0.0,
    ) -> None:
        self.index = index
        self.request = request
        self.model = model
        self.engine = engine
        self.form = form
        self.prompt_ids = prompt_ids
        self.started = started
        self.ended: float | None = None
        self.finish: Finish | None = None
        self.answer: Answer | None = None
        self.verdict: Verdict | None = None
        self.probes: list[Probe] = []
        self.error = ""
        # how it is steered
        self.order: Order | None = None
        self.cut_by_policy = False
        self.forcing = False
        self.squeezed = False
        self.stream: Stream | None = None
        self.judging: asyncio.Future[Verdict] | None = None
        self.carry: Grant | None = None
        self.thinking_limit: int | None = request.sampling.thinking_tokens
        # what it used
        self.sampled = 0
        self._forced = 0
        self._wasted = 0
        self._other = Usage()
        self._billed_thinking = 0
        self._billed = Usage()
        # its tokens and text
        self._parts: list[_Part] = []
        self.length = 0
        self._answer_at: int | None = None if request.think else 0
        self.concluded_at: int | None = None
        self._cue_end = 0
        self._text = ""
        self._search_from = 0
        self._decoded_from = 0
        self._decoded_to = 0
        self._snapshot: Sample | None = None
        self.seen_tokens = 0
        self._append(inherited, Origin.INHERITED)
        self._append(forced, Origin.FORCED)
        if request.reopen:  # an answer in what it inherited is not its own
            self._text = self.tokenizer.decode(self.token_ids)
            self._search_from = len(self._text)
            self._decoded_to = self.length
        self.refresh()

    # -- tokens ---------------------------------------------------------------------------------------------

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its model."""
        return self.engine.tokenizer

    @property
    def token_ids(self) -> list[int]:
        """All ids after the prompt."""
        return [token for part in self._parts for token in part.token_ids]

    def take(self, delta: Delta) -> None:
        """Append what a stream delivered."""
        if delta.forced:
            if self.forcing:
                self.forcing = False
                self._begin_conclusion()
            self._forced += len(delta.token_ids)
            self._append(delta.token_ids, Origin.FORCED)
            self._cue_end = self.length
            return
        self.sampled += len(delta.token_ids)
        self._append(delta.token_ids, Origin.SAMPLED, delta.logprobs)

    def force(self, token_ids: list[int]) -> None:
        """Append the closing text to what the next stream will go on from, and begin the conclusion."""
        self._begin_conclusion()
        self._append(tuple(token_ids), Origin.FORCED)
        self._cue_end = self.length

    def drop_end_of_turn(self) -> None:
        """Take back a final end-of-turn token, so that the text can go on; it stays on the bill."""
        part = self._parts[-1] if self._parts else None
        if part is None or part.origin is not Origin.SAMPLED or not part.token_ids:
            return
        if self.tokenizer.decode(part.token_ids[-1:]) == "":
            part.token_ids.pop()
            if part.logprobs:
                part.logprobs.pop()
            self.length -= 1
            self._snapshot = None

    def _begin_conclusion(self) -> None:
        self.refresh()
        self.concluded_at = self.length
        if self._answer_at is None:
            self._answer_at = self.length

    def _append(
        self, token_ids: tuple[int, ...], origin: Origin, logprobs: tuple[TokenLogprob, ...] | None = None
    ) -> None:
        self._snapshot = None
        if not token_ids:
            return
        last = self._parts[-1] if self._parts else None
        if last is None or last.origin is not origin or (last.logprobs is None) != (logprobs is None):
            last = _Part(origin, logprobs=None if logprobs is None else [])
            self._parts.append(last)
        last.token_ids.extend(token_ids)
        if logprobs is not None and last.logprobs is not None:
            last.logprobs.extend(logprobs)
        self.length += len(token_ids)

    # -- text -----------------------------------------------------------------------------------------------

    @property
    def thinking(self) -> bool:
        """Whether, as far as its text was read, its thought is still open."""
        return self._answer_at is None

    @property
    def text(self) -> str:
        """The text as of the last :meth:`refresh`."""
        return self._text

    def refresh(self) -> None:
        """Decode the tokens that came since, and look whether the thought has ended by itself."""
        if self._decoded_to == self.length:
            return
        token_ids = self.token_ids
        window = token_ids[self._decoded_from :]
        known = self.tokenizer.decode(token_ids[self._decoded_from : self._decoded_to])
        now = self.tokenizer.decode(window)
        if not now.endswith(_UNFINISHED) or self.finish is not None:
            self._text += now[len(known) :]
            searched_from = self._decoded_from
            self._decoded_from, self._decoded_to = self._decoded_to, self.length
            if self._answer_at is None:
                self._find_answer(token_ids, searched_from)

    def _find_answer(self, token_ids: list[int], searched_from: int) -> None:
        marks = self.engine.card.thinking
        if marks is not None:
            if self._answers_at_once(marks):
                self._answer_at = 0
                return
            place = self._text.find(marks.end, self._search_from)
            chars = place + len(marks.end)
        else:
            opening = re.compile(self.form.opening) if self.form.opening else None
            match = opening.search(self._text, self._search_from) if opening else None
            place = -1 if match is None else match.start()
            chars = place + 1
        if place < 0:
            return
        low, high = 0, len(token_ids)
        while low < high:  # the fewest tokens whose text reaches that place
            middle = (low + high) // 2
            if len(self.tokenizer.decode(token_ids[:middle])) >= chars:
                high = middle
            else:
                low = middle + 1
        self._answer_at = low if marks is not None else max(0, low - 1)

    def kept_ids(self) -> tuple[int, ...]:
        """The ids to go on from: all of them but a final end of turn."""
        token_ids = self.token_ids
        if token_ids and self.tokenizer.decode(token_ids[-1:]) == "":
            token_ids.pop()
        return tuple(token_ids)

    def thought_ids(self) -> tuple[int, ...]:
        """The ids to go on thinking from: without end of turn, closing mark, forced conclusion or answer.

        Without thinking marks the whole text is what was thought, its answer included.
        """
        token_ids = list(self.kept_ids())
        if self.concluded_at is not None:
            return tuple(token_ids[: self.concluded_at])
        marks = self.engine.card.thinking
        if marks is None or self._answer_at is None:
            return tuple(token_ids)
        end = min(self._answer_at, len(token_ids))
        while end and marks.end in self.tokenizer.decode(token_ids[:end]):
            end -= 1
        return tuple(token_ids[:end])

    def _answers_at_once(self, marks: ThinkingMarks) -> bool:
        """Whether a model that could think has begun without its opening mark."""
        said = self._text.lstrip()
        if not said or marks.start.startswith(said[: len(marks.start)]):
            return False
        return marks.start not in self.tokenizer.decode(self.prompt_ids[-8:])

    def said_since_cue(self) -> int:
        """Tokens after the forced closing text."""
        return 0 if self.concluded_at is None else self.length - self._cue_end

    # -- use ------------------------------------------------------------------------------------------------

    def thinking_tokens(self) -> int:
        """Its own sampled tokens before the answer."""
        if self._answer_at is None:
            return self.sampled
        position = own = 0
        for part in self._parts:
            if part.origin is Origin.SAMPLED:
                own += max(0, min(len(part.token_ids), self._answer_at - position))
            position += len(part.token_ids)
        return own

    def usage(self) -> Usage:
        """What it used so far, probes included."""
        thinking = self.thinking_tokens()
        return self._other + Usage(
            thinking_tokens=thinking,
            answer_tokens=self.sampled - thinking,
            forced_tokens=self._forced,
            wasted_tokens=self._wasted,
        )

    def bill(self, used: StreamUsage, delivered: int) -> Usage:
        """Book a closed stream and return what came to the bill since the last one."""
        wasted = max(0, used.generated_tokens - delivered)
        self._wasted += wasted
        self._other = self._other + Usage(
            requests=1,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            estimated=used.estimated,
        )
        self.refresh()
        thinking = self.thinking_tokens()
        answer = self.sampled - thinking
        before = self._billed
        self._billed = Usage(thinking_tokens=thinking, answer_tokens=answer, forced_tokens=self._forced)
        self._snapshot = None
        return Usage(
            requests=1,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            thinking_tokens=thinking - before.thinking_tokens,
            answer_tokens=answer - before.answer_tokens,
            forced_tokens=self._forced - before.forced_tokens,
            wasted_tokens=wasted,
            estimated=used.estimated,
        )

    def add_probe(self, probe: Probe) -> None:
        """Keep a probe and what it used."""
        self.probes.append(probe)
        self._other = self._other + probe.usage
        self._snapshot = None

    # -- outcome --------------------------------------------------------------------------------------------

    def finished(self, finish: Finish, now: float) -> None:
        """Set the end, the exact text and the answer."""
        self.finish = finish
        self.ended = now
        self._text = self.tokenizer.decode(self.token_ids)
        self._decoded_from = self._decoded_to = self.length
        self.answer = self._extract()
        self._snapshot = None

    def reopen(self) -> None:
        """Let a finished sample go on: it is going to be concluded after all."""
        self.finish = self.ended = self.order = None
        self._snapshot = None

    @property
    def undecided(self) -> bool:
        """Whether it is still thinking, or has said nothing yet that is an answer in the expected form."""
        if self.concluded_at is not None:
            return False
        return self._answer_at is None or self.form.extract(self._answer_text(), complete=False) is None

    def _answer_text(self) -> str:
        """Where an answer is looked for: after the thinking marks of a model that has them."""
        marked = self.engine.card.thinking is not None and self.request.think
        return self._text[self._thought_chars() :] if marked else self._text

    def _extract(self) -> Answer | None:
        if self.finish is Finish.ERROR or (self.finish is Finish.CUT and self.cut_by_policy):
            return None
        complete = self.finish is Finish.STOP
        text = self._answer_text()
        if self.concluded_at is not None:
            said = self.tokenizer.decode(self.token_ids[self._cue_end :])
            complete = complete or self.form.closed(said)
            text = self.form.cue + said
        found = self.form.extract(text, complete=complete)
        if found is None:
            return None
        return Answer(found, self.form.key(found), self.index, self.concluded_at is not None)

    def answered(self) -> bool:
        """Whether the forced conclusion has said all that the answer form needs."""
        if self.concluded_at is None or self.length == self._cue_end:
            return False
        return self.form.closed(self.tokenizer.decode(self.token_ids[self._cue_end :]))

    def _thought_chars(self) -> int:
        if self._answer_at is None:
            stopped = self.finish is Finish.STOP
            return 0 if stopped and self.engine.card.thinking is not None else len(self._text)
        return len(self.tokenizer.decode(self.token_ids[: self._answer_at])) if self._answer_at else 0

    def snapshot(self) -> Sample:
        """Return it as an immutable value; the same object until something changes."""
        if self._snapshot is None:
            self.refresh()
            self._snapshot = Sample(
                index=self.index,
                request=self.request,
                model=self.model,
                prompt_ids=self.prompt_ids,
                segments=tuple(part.frozen() for part in self._parts),
                text=self._text,
                thought_chars=self._thought_chars(),
                finish=self.finish,
                concluded=self.concluded_at is not None,
                answer=self.answer,
                verdict=self.verdict,
                probes=tuple(self.probes),
                usage=self.usage(),
                started=self.started,
                ended=self.ended,
                error=self.error,
            )
        return self._snapshot
