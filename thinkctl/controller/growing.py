"""A sample while it grows: with the ledger, the only mutable thing in a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import Enum, auto
from typing import Any, final

from thinkctl.answers import Form
from thinkctl.controller.ledger import Grant
from thinkctl.controller.transcript import Transcript
from thinkctl.protocols import Engine, Stream, Tokenizer
from thinkctl.types import Answer, Delta, Finish, Probe, Request, Sample, StreamUsage, Usage, Verdict

__all__ = ["Growing", "Order"]


class Order(Enum):
    """What the loop wants of a sample in flight."""

    CONCLUDE = auto()
    CUT = auto()


@final
class Growing:
    """One sample in flight: what it said, what it was told, what it used, how it ended."""

    def __init__(
        self,
        index: int,
        request: Request,
        *,
        model: str,
        engine: Engine,
        form: Form,
        prompt_ids: tuple[int, ...],
        started: float = 0.0,
    ) -> None:
        self.index = index
        self.request = request
        self.model = model
        self.engine = engine
        self.form = form
        self.said = Transcript(engine.tokenizer, form, engine.card.thinking, prompt_ids, think=request.think)
        # how it is steered
        self.order: Order | None = None
        self.cut_by_policy = False
        self.forcing = False
        self.squeezed = False
        self.ended_thought = False
        """Whether it ended its thought itself, and the answer alone is asked for by force, since it has a type."""
        self.more_answer = 0
        """Tokens that its answer may have beyond the reserve."""
        self.stream: Stream | None = None
        self.judging: asyncio.Future[Any] | None = None
        self.carry: Grant | None = None
        self.thinking_limit: int | None = request.sampling.thinking_tokens
        self.seen_tokens = 0
        # what it used
        self.sampled = 0
        self._forced = 0
        self._wasted = 0
        self._other = Usage()
        self._billed = Usage()
        # how it ended
        self.started = started
        self.ended: float | None = None
        self.finish: Finish | None = None
        self.answer: Answer | None = None
        self.verdict: Verdict | None = None
        self.keys: dict[str, str] = {}
        self.probes: list[Probe] = []
        self.error = ""
        self._snapshot: Sample | None = None
        self._snapshot_length = 0

    # -- what it says ---------------------------------------------------------------------------------------

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of its model."""
        return self.engine.tokenizer

    @property
    def ids(self) -> list[int]:
        """The prompt and all tokens so far: what its next stream goes on from."""
        return [*self.said.prompt_ids, *self.said.token_ids]

    @property
    def context_used(self) -> int:
        """Tokens of prompt and sample."""
        return len(self.said.prompt_ids) + self.said.length

    @property
    def thinking(self) -> bool:
        """Whether, as far as its text was read, its thought is still open."""
        return self.said.answer_at is None

    @property
    def undecided(self) -> bool:
        """Whether it is still thinking, or has said nothing yet that is an answer in the expected form."""
        if self.said.concluded_at is not None:
            return False
        return self.thinking or self.form.extract(self.said.answer_text(ended=False), complete=False) is None

    @property
    def unanswered(self) -> bool:
        """Whether an answer of a type is wanted, and it has ended by itself, or ended its thought, without one."""
        if not self.form.typed or self.said.concluded_at is not None:
            return False
        return self.form.extract(self.said.answer_text(ended=True), complete=True) is None

    @property
    def off_type(self) -> bool:
        """Whether it was held to the type of the answer, has ended, and has said something else."""
        answer = self.said.answer_text(ended=True)
        return self.form.typed and self.form.extract(answer, complete=True) is None

    @property
    def thought_over(self) -> bool:
        """Whether it has just said the mark that ends its thought, and its answer has a type."""
        if not self.form.typed or self.said.concluded_at is not None or not self.said.marked:
            return False
        self.said.refresh()
        return bool(self.said.answer_at)

    @property
    def forced_to_answer(self) -> bool:
        """Whether its answer was asked for before it had ended its thought itself."""
        return self.said.concluded_at is not None and not self.ended_thought

    @property
    def step_complete(self) -> bool:
        """Whether it was asked for one step of a chain, has said it, and nobody wants it to conclude."""
        until, most = self.request.until, self.request.sampling.max_tokens
        if until is None or self.order is not None or self.said.concluded_at is not None:
            return False
        full = most is not None and self.sampled >= most
        return full or (bool(until) and until in self.said.own_text().lstrip())

    @property
    def answered(self) -> bool:
        """Whether a forced conclusion has said all that the answer form needs."""
        return self.said.tokens_since_cue() > 0 and self.form.closed(self.said.said_since_cue())

    def take(self, delta: Delta) -> None:
        """Append what a stream delivered."""
        if delta.forced:
            self._snapshot = None
            if self.forcing:
                self.forcing = False
                self.said.conclude()
            self._forced += len(delta.token_ids)
            self.said.force(delta.token_ids)
        else:
            self.sampled += len(delta.token_ids)
            self.said.append(delta.token_ids, logprobs=delta.logprobs)

    def close_thought(self, closing: list[int]) -> None:
        """Append the closing text to what the next stream goes on from; an end of turn stays on the bill."""
        self._snapshot = None
        self.said.drop_end_of_turn()
        self.said.conclude()
        self.said.force(tuple(closing))

    # -- what it used ---------------------------------------------------------------------------------------

    def thinking_tokens(self) -> int:
        """Its own sampled tokens before the answer."""
        return self.said.sampled_before_answer()

    def usage(self) -> Usage:
        """What it used so far, probes included."""
        return self._other + self._kinds()

    def _kinds(self) -> Usage:
        thinking = self.thinking_tokens()
        return Usage(
            thinking_tokens=thinking,
            answer_tokens=self.sampled - thinking,
            forced_tokens=self._forced,
            wasted_tokens=self._wasted,
        )

    def bill(self, used: StreamUsage, delivered: int, *, requests: int = 1) -> Usage:
        """Book a closed stream, if it was opened, and return what came to the bill since the last one."""
        self._snapshot = None
        self.said.refresh()
        self._wasted += max(0, used.generated_tokens - delivered)
        stream = Usage(
            requests=requests,
            prompt_tokens=used.prompt_tokens,
            cached_tokens=used.cached_tokens,
            estimated=used.estimated,
        )
        self._other = self._other + stream
        before, self._billed = self._billed, self._kinds()
        return stream + self._billed - before

    def add_probe(self, probe: Probe) -> None:
        """Keep a probe and what it used."""
        self._snapshot = None
        self.probes.append(probe)
        self._other = self._other + probe.usage

    # -- how it ends ----------------------------------------------------------------------------------------

    def finished(self, finish: Finish, now: float) -> None:
        """Set the end, the exact text and the answer."""
        self._snapshot = None
        self.finish = finish
        self.ended = now
        self.said.settle()
        self.answer = self._extract()

    def reopen(self) -> None:
        """Let a finished sample go on: it waits for its verdict, or is going to be concluded after all."""
        self._snapshot = None
        self.finish = self.ended = self.order = None

    def _extract(self) -> Answer | None:
        if self.finish is Finish.ERROR or (self.finish is Finish.CUT and self.cut_by_policy):
            return None
        if self.verdict is not None and (self.verdict.void or self.verdict.answer is not None):
            return None if self.verdict.answer is None else replace(self.verdict.answer, sample=self.index)
        complete = self.finish is Finish.STOP
        found = self.form.extract(self.said.answer_text(ended=complete), complete=complete or self.answered)
        if found is None and self.finish is Finish.LENGTH:
            found = self.form.completed(self.said.said_since_cue())
        if found is None:
            return None
        key = self.keys.get(found) or self.form.key(found)
        return Answer(found, key, self.index, self.forced_to_answer)

    def pardon(self) -> bool:
        """Let a sample that was cut vote after all, with an answer that it had stated; ``False`` if it had none."""
        if self.answer is not None or self.finish is not Finish.CUT:
            return False
        self._snapshot, self.cut_by_policy = None, False
        self.answer = self._extract()
        return self.answer is not None

    def salvage(self) -> bool:
        """Take what a conclusion that was broken off has said for the answer; ``False`` if that is none."""
        said = self.said.said_since_cue()
        if self.form.typed:
            found = self.form.completed(said)
        else:
            line = said.strip().partition("\n")[0].strip()
            found = self.form.extract(self.form.cue + line, complete=True) if line else None
        void = self.verdict is not None and self.verdict.void
        if self.answer is not None or found is None or void:
            return False
        self._snapshot = None
        self.answer = Answer(found, self.form.key(found), self.index, self.forced_to_answer)
        return True

    def snapshot(self, lag: int = 0) -> Sample:
        """Return it as an immutable value; the same object until something changes.

        While it only grows, the value may be up to ``lag`` tokens old: reading a text costs more than
        deciding on it.
        """
        if self._snapshot is None or self.said.length - self._snapshot_length > lag:
            self.said.refresh()
            self._snapshot_length = self.said.length
            self._snapshot = Sample(
                index=self.index,
                request=self.request,
                model=self.model,
                prompt_ids=self.said.prompt_ids,
                segments=self.said.segments(),
                text=self.said.text,
                thought_chars=self.said.thought_chars(ended=self.finish is Finish.STOP),
                finish=self.finish,
                concluded=self.said.concluded_at is not None,
                answer=self.answer,
                verdict=self.verdict,
                probes=tuple(self.probes),
                usage=self.usage(),
                started=self.started,
                ended=self.ended,
                error=self.error,
            )
        return self._snapshot
