"""From a proposed request to a sample in flight: how many, how long, from which tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, final

from thinkctl.answers import Form
from thinkctl.controller.admission import Admission
from thinkctl.controller.allotment import Share
from thinkctl.controller.growing import Growing
from thinkctl.controller.ledger import Grant
from thinkctl.controller.pump import Pump
from thinkctl.controller.setup import Setup, arranged, thinking_limit
from thinkctl.errors import ConfigurationError, ContextExceeded
from thinkctl.types import Decision, History, Request

__all__ = ["Launcher"]

_MOST_BARREN: Final = 32
"""So many samples in a row without a token: what the strategy asks for cannot be had, and would never end."""


@final
@dataclass(slots=True)
class Launcher:
    """Starts samples of one run. ``start(sample, grant)`` hands an admitted sample to the loop."""

    setup: Setup
    form: Form
    admission: Admission
    pump: Pump
    samples: list[Growing]
    start: Callable[[Growing, Grant | None], None]
    elapsed: Callable[[], float]
    share: Share | None = None

    def launch(self, history: History, decision: Decision, in_flight: int) -> bool:
        """Start what is proposed, useful and affordable now; tell whether something useful stayed out."""
        proposals = () if self._barren() else self.setup.strategy.propose(history)
        useful = self._useful(history, decision)
        wanted = len(proposals) if useful is None else min(len(proposals), useful)
        streams = min(engine.caps.streams for engine in self.setup.engines.values())
        wanted = min(wanted, max(0, streams - in_flight))
        if self.share is not None:
            wanted = self.share.ask(history, in_flight, wanted)
        started = 0
        while started < wanted:
            batch = self._batch(proposals[started:wanted], history, decision, in_flight + started)
            started += batch
            if batch == 0:
                break
        if self.share is not None:
            self.share.started(started)
            if started < wanted:
                self.share.blocked(self.admission.wall, by_batch=self.admission.blocked_above)
        return started < wanted

    def _barren(self) -> bool:
        last = self.samples[-_MOST_BARREN:]
        return len(last) == _MOST_BARREN and not any(
            sample.finish is None or sample.usage().generated_tokens for sample in last
        )

    def _useful(self, history: History, decision: Decision) -> int | None:
        """How many further samples may run: those the policy needs before it could stop, and the speculation.

        Fewer could not make it stop, so starting that many at once wastes nothing.
        """
        if decision.more is None:
            return None
        pending = sum(
            not sample.finished or sample.answer is not None
            for sample in history.samples[len(history.settled) :]
        )
        return max(0, max(1, decision.more) + self.setup.speculate - pending)

    def _batch(
        self, proposals: Sequence[Request], history: History, decision: Decision, in_flight: int
    ) -> int:
        first = self._sample(proposals[0], history, decision)
        wanted = len(proposals)
        if self.share is not None:  # each gets its part of what the whole batch could start now
            wanted, in_flight = max(wanted, self.share.slots), self.share.batch_in_flight
        number, most = self.admission.plan(first, len(self.pump.closing(first)), wanted, in_flight)
        for started in range(min(number, len(proposals))):
            sample = first if started == 0 else self._sample(proposals[started], history, decision)
            if not self._admit(sample, most):
                return started
        return min(number, len(proposals))

    def _sample(self, request: Request, history: History, decision: Decision) -> Growing:
        model = request.model or self.setup.default_model
        engine = self.setup.engines.get(model)
        if engine is None:
            known = ", ".join(self.setup.engines)
            raise ConfigurationError(f"the strategy asks for model {model!r}; the controller has {known}")
        prompt, inherited = self._origin(request, model)
        request = arranged(request, self.setup.needs, decision, engine, prompt)
        sample = Growing(
            len(self.samples),
            request,
            model=model,
            engine=engine,
            form=self.form,
            prompt_ids=prompt,
            started=self.elapsed(),
        )
        forced = tuple(engine.tokenizer.encode(request.extend)) if request.extend else ()
        sample.said.inherit(inherited, forced, reopen=request.reopen)
        sample.thinking_limit = thinking_limit(request, self.admission.ledger, decision)
        return sample

    def _origin(self, request: Request, model: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return prompt and inherited ids."""
        if request.parent is None:
            return tuple(self.setup.engines[model].tokenizer.chat(request.messages)), ()
        if not 0 <= request.parent < len(self.samples) or self.samples[request.parent].finish is None:
            raise ConfigurationError(
                f"the strategy continues sample {request.parent}, which is not a finished sample "
                f"of this run ({len(self.samples)} were launched); continue one whose finish is set"
            )
        parent = self.samples[request.parent]
        said = parent.said
        if parent.model != model:
            raise ConfigurationError(
                f"the strategy continues sample {parent.index} of {parent.model!r} with {model!r}; token ids "
                "mean something else to another model: ask with messages instead"
            )
        return said.prompt_ids, said.thought_ids() if request.reopen else said.kept_ids()

    def _admit(self, sample: Growing, most: int) -> bool:
        closing = len(self.pump.closing(sample))
        self._check_context(sample, closing)
        at_once = (
            sample.form.typed and not sample.request.think
        )  # what a zero-shot sample says is its answer alone
        longest = 0 if at_once else self.admission.longest(sample, closing)
        grant = None
        if longest >= 1:
            grant = self.admission.admit(sample, min(most, longest), closing)
            if grant is None:
                return False
        elif self.pump.answer_room(sample) >= 1 and not self.admission.admit_conclusion(sample, closing):
            return False  # its thought may have no token at all: it is concluded at once, were there a budget
        self.start(sample, grant)
        return True

    def _check_context(self, sample: Growing, closing: int) -> None:
        context, prompt = sample.engine.card.context, len(sample.said.prompt_ids)
        if context is not None and sample.request.parent is None and prompt + closing >= context:
            raise ContextExceeded(
                f"the prompt has {prompt} tokens and asking for the answer takes {closing}, but "
                f"{sample.model!r} has a context of {context}; shorten the problem or take a model with a longer one"
            )
