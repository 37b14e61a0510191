"""Runs one sample from its first token to its verdict: streams, renewals, conclusion, judging."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, final

from thinkctl.controller.admission import Admission
from thinkctl.controller.closing import close_and_book
from thinkctl.controller.growing import Growing, Order
from thinkctl.controller.ledger import Grant
from thinkctl.controller.meter import MeteredEngine
from thinkctl.controller.rates import Rates, StreamTimer
from thinkctl.errors import RequestFailed
from thinkctl.pricing import price
from thinkctl.protocols import Engine, Stream, Verifier
from thinkctl.types import (
    Constraint,
    Finish,
    GenerationSpec,
    History,
    Prices,
    ReceiptLine,
    Role,
    StreamUsage,
)

__all__ = ["Pump"]

_LONGEST_ANSWER: Final = 512
"""Tokens of an answer that has a type, where there is room and nobody said how many."""
_SHARE: Final = 2
"""Of what is free, an answer may have one part in this many."""


@final
@dataclass(slots=True)
class Pump:
    """What all samples of a run share. ``news(sample, urgent)`` tells the loop that something came."""

    admission: Admission
    engines: Mapping[str, Engine]
    prices: Mapping[str, Prices | None]
    rates: Rates
    verifier: Verifier | None
    verifier_prices: Mapping[str, Prices]
    seed: int
    news: Callable[[Growing, bool], None]
    history: Callable[[], History]
    in_flight: Callable[[], int]
    elapsed: Callable[[], float]
    _concluding: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, sample: Growing, grant: Grant | None) -> None:
        """Grow a sample to its end. Raises ``EngineUnavailable`` if its engine is dead."""
        try:
            finish = await self._grow(sample, grant)
            await self._complete(sample, finish)
        finally:
            if not sample.finish:
                self._end(sample, Finish.CUT)

    async def _grow(self, sample: Growing, grant: Grant | None) -> Finish:
        while grant is not None:
            if sample.order is Order.CONCLUDE:  # before this stream began
                grant.release()
                break
            granted, before = grant.need.tokens, sample.said.length
            finish = await self._generate(sample, grant, Role.SAMPLE)
            delivered = sample.said.length - before
            if finish is Finish.ERROR or finish is Finish.STEP:
                return finish
            if sample.order is Order.CUT:
                return finish if finish is Finish.STOP else Finish.CUT
            if sample.said.concluded_at is not None:  # it was made to conclude while it ran
                return await self._answer(sample, finish)
            if finish is Finish.STOP and sample.unanswered:  # its answer has a type: ask for it in that type
                return await self._ask_for_answer(sample)
            ended_early = finish is Finish.LENGTH and delivered < granted
            if sample.order is Order.CONCLUDE or ended_early or self._at_its_limit(sample, finish):
                return await self.conclude(sample) if sample.undecided else finish or Finish.CUT
            if finish is not Finish.LENGTH:
                return finish or Finish.CUT
            grant = await self._renew(sample)
            sample.squeezed = grant is None
        if sample.order is Order.CUT:
            return Finish.CUT
        return await self.conclude(sample) if sample.undecided else Finish.LENGTH

    def _at_its_limit(self, sample: Growing, finish: Finish | None) -> bool:
        return finish is Finish.LENGTH and self.admission.longest(sample, len(self.closing(sample))) < 1

    async def _renew(self, sample: Growing) -> Grant | None:
        """Get another grant. While others conclude, which gives back most of their reserves, wait for that."""
        closing = len(self.closing(sample))
        most = self.admission.longest(sample, closing)
        while True:
            grant = self.admission.renew(sample, most, closing, sharing=self.in_flight())
            if grant is not None or sample.order is not None or not self._concluding:
                return grant
            await self._changed.wait()

    def wake(self) -> None:
        """Let those who wait for tokens look again: some came back, or a sample was given an order."""
        self._changed.set()
        self._changed = asyncio.Event()

    # -- one stream -----------------------------------------------------------------------------------------

    async def _generate(self, sample: Growing, grant: Grant, role: Role) -> Finish | None:
        """Run one stream on all tokens so far; ``None`` when it was closed before it ended."""
        if sample.order is Order.CUT:
            grant.release()
            return None
        loop = asyncio.get_running_loop()
        delivered = 0
        prompt = sample.context_used
        finish: Finish | None = None
        stream: Stream | None = None
        try:
            stream = sample.engine.stream(sample.ids, self.spec(sample, grant))
            sample.stream = stream
            timer = StreamTimer(self.rates, loop.time())
            async for delta in stream:
                delivered += len(delta.token_ids)
                sample.take(delta)
                timer.arrived(len(delta.token_ids), loop.time())
                finish = delta.finish
                if sample.said.concluded_at is not None and self._said_enough(sample):
                    finish = finish or (Finish.STOP if sample.answered else Finish.LENGTH)
                    break
                if finish is not Finish.STOP and sample.step_complete:
                    finish = Finish.STEP
                    break
                if sample.thought_over:
                    finish = Finish.STOP
                    break
                self.news(sample, False)
        except RequestFailed as error:
            sample.error = str(error)
            finish = Finish.ERROR
        finally:
            sample.stream = None

            def book(used: StreamUsage) -> None:
                line = sample.bill(used, delivered, requests=used.requests if stream is not None else 0)
                self.admission.ledger.settle(grant, role, sample.model, line, self.prices[sample.model])

            await close_and_book(stream, prompt, delivered, book)
        return finish

    def _said_enough(self, sample: Growing) -> bool:
        most = self.admission.answer_reserve + sample.more_answer
        return sample.answered or sample.said.tokens_since_cue() >= most

    def spec(self, sample: Growing, grant: Grant) -> GenerationSpec:
        sampling = sample.request.sampling
        seed = self.seed * 1_000_003 + sample.index if sample.engine.caps.seeds else None
        return GenerationSpec(
            max_tokens=grant.need.tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            seed=seed,
            logprobs=sampling.logprobs,
            thinking_tokens=self._thought_left(sample),
            attempts=self.admission.attempts,
            stop_token_ids=self._end_of_thought(sample),
            constraint=self.constraint(sample) if sample.said.concluded_at is not None else None,
        )

    @staticmethod
    def constraint(sample: Growing) -> Constraint | None:
        """Return what its answer is held to. Where an engine cannot, the answer is checked when it is there."""
        return sample.form.constraint if sample.engine.caps.constraints else None

    @staticmethod
    def _end_of_thought(sample: Growing) -> tuple[int, ...]:
        """Return the token at which a thought is over, if another stream is going to give the answer."""
        marks = sample.engine.card.thinking
        wanted = sample.form.typed and sample.said.marked and sample.thinking
        if marks is None or not wanted or not sample.engine.caps.token_prompts:
            return ()
        end = sample.tokenizer.encode(marks.end)
        return tuple(end) if len(end) == 1 else ()

    @staticmethod
    def _thought_left(sample: Growing) -> int | None:
        """Return how long the thought may still get; ``None`` where nothing bounds it or it has ended."""
        if sample.thinking_limit is None or not sample.thinking:
            return None
        return max(0, sample.thinking_limit - sample.thinking_tokens())

    # -- concluding -----------------------------------------------------------------------------------------

    def closing(self, sample: Growing) -> list[int]:
        """Return the ids that close a thought and ask for the answer, from model card and answer form."""
        return sample.tokenizer.encode(self.closing_text(sample))

    @staticmethod
    def closing_text(sample: Growing) -> str:
        """Return the text that closes a thought and asks for the answer."""
        card = sample.engine.card
        over = sample.form.typed and not sample.thinking
        mark = card.thinking.end if card.thinking is not None and sample.request.think and not over else ""
        return mark + card.answer_cue + sample.form.cue

    async def steer(self, sample: Growing, *, hurry: bool = False) -> None:
        """Close the thought of a running sample: in flight where the engine can, else close and continue.

        In a ``hurry`` close and continue: one prefill takes less time than a decode step for each token.
        """
        sample.said.refresh()
        stream, closing = sample.stream, self.closing(sample)
        if sample.order is not None or not sample.undecided:
            return
        sample.order = Order.CONCLUDE
        if stream is None:  # between two streams: it sees the order before the next
            self.wake()
            return
        # a stream that runs cannot be held to a type from here on
        if not hurry and not sample.form.typed and 0 < len(closing) <= sample.engine.caps.force:
            sample.forcing = True
            if await stream.force(closing):
                return
            sample.forcing = False
        await stream.close()

    async def conclude(self, sample: Growing) -> Finish:
        """Force the closing text after the tokens so far and generate the answer, from the reserve."""
        if sample.order is Order.CUT:
            return Finish.CUT
        if sample.said.concluded_at is not None:  # a conclusion that was broken off goes on
            return await self._answer(sample, Finish.LENGTH)
        sample.more_answer = self._more_of_answer(sample)
        room, closing = self.answer_room(sample), self.closing(sample)
        grant = self.admission.for_conclusion(sample, room, len(closing)) if room >= 1 else None
        if grant is None:
            return Finish.LENGTH
        sample.close_thought(closing)
        return await self._conclusion(sample, grant)

    async def _ask_for_answer(self, sample: Growing) -> Finish:
        """Ask for the answer of a sample that has ended its turn, or its thought, and has not stated it in its type."""
        sample.ended_thought = True
        finish = await self.conclude(sample)
        return finish if sample.said.concluded_at is not None or sample.order is Order.CUT else Finish.STOP

    async def _answer(self, sample: Growing, finish: Finish | None) -> Finish:
        """Go on with a forced conclusion until the answer is complete or its reserve is used up."""
        if finish is None or finish is Finish.LENGTH:
            left = self.answer_room(sample)
            # an answer of a type cannot go on in another stream, which would begin its grammar again
            whole = sample.answered or (sample.form.typed and sample.said.tokens_since_cue() > 0)
            grant = None if left < 1 or whole else self.admission.for_conclusion(sample, left)
            if grant is not None:
                return await self._conclusion(sample, grant)
        if sample.order is Order.CUT and finish is not Finish.STOP:
            return Finish.CUT
        return finish or Finish.CUT

    async def _conclusion(self, sample: Growing, grant: Grant) -> Finish:
        self._concluding += 1
        try:
            finish = await self._generate(sample, grant, Role.CONCLUSION)
        finally:
            self._concluding -= 1
            self.wake()
        if sample.order is Order.CUT and finish is not Finish.STOP:
            return Finish.CUT
        if finish is Finish.STOP and sample.off_type:
            sample.error = "what it said is not of the type of the answer"
        return finish or Finish.CUT

    def _more_of_answer(self, sample: Growing) -> int:
        """Return how many tokens beside the reserve an answer of a type may have: of what is free, its part.

        Its length follows from its type, and nothing of it is thrown away. Who says with ``Budget.answer_tokens``
        how long an answer may be gets just that, and so does one with a deadline that would not be met.
        """
        ledger = self.admission.ledger
        if (
            not sample.form.typed
            or ledger.budget.answer_tokens is not None
            or not self.admission.answer_reserve
        ):
            return 0
        free = ledger.left(fair=True).tokens
        part = _LONGEST_ANSWER if free is None else free // (_SHARE * max(1, self.in_flight()))
        more = min(part, _LONGEST_ANSWER - self.admission.answer_reserve)
        end = asyncio.get_running_loop().time() + self.rates.conclusion_seconds(_LONGEST_ANSWER)
        return max(0, more) if ledger.deadline is None or end < ledger.deadline else 0

    def answer_room(self, sample: Growing) -> int:
        """Return how many tokens the (rest of the) conclusion of a sample may have."""
        room = self.admission.answer_reserve + sample.more_answer - sample.said.tokens_since_cue()
        context = sample.engine.card.context
        if context is None:
            return room
        closing = 0 if sample.said.concluded_at is not None else len(self.closing(sample))
        return min(room, context - sample.context_used - closing)

    # -- the end --------------------------------------------------------------------------------------------

    async def _complete(self, sample: Growing, finish: Finish) -> None:
        whole = finish in {Finish.STOP, Finish.LENGTH, Finish.STEP}
        if sample.form.by_algebra and whole and sample.order is not Order.CUT:
            await self._find_key(sample, finish)
        if self.verifier is not None and whole and sample.order is not Order.CUT:
            sample.finished(finish, self.elapsed())
            await self._judge(sample, self.verifier)
        self._end(sample, finish)

    async def _find_key(self, sample: Growing, finish: Finish) -> None:
        """Find by algebra what its answer is to be counted with; one that is cut meanwhile keeps the cheap key."""
        sample.finished(finish, self.elapsed())
        answer = sample.answer
        sample.reopen()  # it is not settled before its key is there
        if answer is None:
            return
        sample.judging = asyncio.ensure_future(sample.form.key_by_value(answer.text))
        try:
            sample.keys[answer.text] = await sample.judging
        except asyncio.CancelledError:
            if sample.order is not Order.CUT:
                raise
        finally:
            sample.judging = None

    async def _judge(self, sample: Growing, verifier: Verifier) -> None:
        value = sample.snapshot()
        sample.reopen()  # it is not settled before its verdict is there
        asked = self.elapsed()
        metered = {name: MeteredEngine(engine, self.admission, name) for name, engine in self.engines.items()}
        try:
            sample.judging = asyncio.ensure_future(verifier.judge(self.history(), value, metered))
            sample.verdict = await sample.judging
        except RequestFailed as error:
            sample.error = f"its verifier failed: {error}"
        except asyncio.CancelledError:
            if sample.order is not Order.CUT:
                raise
        finally:
            sample.judging = None
            for engine in metered.values():
                await engine.close_streams()
            self.admission.ledger.verified(self.elapsed() - asked)
            if (verdict := sample.verdict) is not None and verdict.model:
                dollars = price(verdict.usage, self.verifier_prices.get(verdict.model))
                line = ReceiptLine(Role.VERIFIER, verdict.model, verdict.usage, dollars)
                self.admission.ledger.charge(line)

    async def finish_by_force(self, sample: Growing) -> None:
        """Conclude a sample that had ended without an answer."""
        before = sample.finish or Finish.CUT
        sample.reopen()
        finish = Finish.CUT
        try:
            finish = await self.conclude(sample)
            if finish is Finish.ERROR:  # that it could not be concluded does not undo how it had ended
                finish = before
        finally:
            self._end(sample, finish)

    def _end(self, sample: Growing, finish: Finish) -> None:
        sample.finished(finish, self.elapsed())
        self.admission.finished(sample)
        self.news(sample, True)
