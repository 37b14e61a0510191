"""Probes: short answers forked from samples that go on growing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import final

from thinkctl.controller.closing import close_and_book, close_together
from thinkctl.controller.growing import Growing
from thinkctl.controller.pump import Pump
from thinkctl.errors import RequestFailed
from thinkctl.protocols import Stream
from thinkctl.types import Answer, Probe, ProbeRequest, Role, StreamUsage, TokenLogprob, Usage

__all__ = ["Forks"]


@final
@dataclass(slots=True)
class Forks:
    """The probes of one run; what grows is the pump's."""

    pump: Pump
    _running: set[Stream] = field(default_factory=set[Stream])
    _ended: bool = False

    async def probe(self, sample: Growing, ask: ProbeRequest) -> None:
        """Fork a short greedy answer from a running sample; what it cannot afford it leaves out."""
        closing = sample.tokenizer.encode(ask.text) if ask.text else self.pump.closing(sample)
        at = sample.said.length if ask.at is None else ask.at
        prompt = [*sample.said.prompt_ids, *sample.said.token_ids[:at], *closing]
        if self._ended or at > sample.said.length:
            return
        grant = self.pump.admission.reserve(len(prompt), ask.max_tokens, sample.model)
        if grant is None:
            return
        spec = replace(
            self.pump.spec(sample, grant),
            temperature=0.0,
            top_p=1.0,
            top_k=0,
            min_p=0.0,
            seed=None,
            stop_token_ids=(),
            constraint=None if ask.text else self.pump.constraint(sample),
        )
        token_ids: list[int] = []
        logprobs: list[TokenLogprob] = []
        failed = False
        stream: Stream | None = None
        try:
            stream = sample.engine.stream(prompt, replace(spec, logprobs=ask.logprobs))
            self._running.add(stream)
            async for delta in stream:
                token_ids += delta.token_ids
                logprobs += delta.logprobs or ()
                if sample.form.closed(sample.tokenizer.decode(token_ids)):
                    break
        except RequestFailed:
            failed = True  # it says nothing, which is no news either; what it used is on the bill
        finally:
            if stream is not None:
                self._running.discard(stream)

            def book(used: StreamUsage) -> None:
                usage = Usage(
                    requests=used.requests if stream is not None else 0,
                    prompt_tokens=used.prompt_tokens,
                    cached_tokens=used.cached_tokens,
                    probe_tokens=len(token_ids),
                    wasted_tokens=max(0, used.generated_tokens - len(token_ids)),
                    estimated=used.estimated,
                )
                self.pump.admission.ledger.settle(
                    grant, Role.PROBE, sample.model, usage, self.pump.prices[sample.model]
                )
                text = sample.tokenizer.decode(token_ids)
                found = sample.form.extract(sample.form.cue + text, complete=sample.form.closed(text))
                answer = None if found is None else Answer(found, sample.form.key(found), sample.index, True)
                forced = ask.text or self.pump.closing_text(sample)
                sample.add_probe(
                    Probe(at, text, answer, tuple(logprobs) or None, usage, forced, len(closing))
                )
                self.pump.news(sample, not failed)

            await close_and_book(stream, len(prompt), len(token_ids), book)

    async def end(self) -> None:
        """Let no further probe begin, and close those that run."""
        self._ended = True
        await close_together(self._running)
