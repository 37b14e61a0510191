"""One run: propose, admit, grow, decide, until something stops it.

Only this loop acts. Strategies, policies and selectors are asked with an immutable history and answer with
values; everything that happens to an engine happens here or in the pump of one sample. Time is the event
loop's clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final, final

from thinkctl.answers import form_of
from thinkctl.controller.admission import Admission
from thinkctl.controller.allotment import Share
from thinkctl.controller.deciding import Deciding, confidence
from thinkctl.controller.forks import Forks
from thinkctl.controller.growing import Growing, Order
from thinkctl.controller.launcher import Launcher
from thinkctl.controller.ledger import Grant, Ledger
from thinkctl.controller.narrator import Narrator
from thinkctl.controller.pump import Pump
from thinkctl.controller.rates import Rates
from thinkctl.controller.setup import Setup, thinking_limit
from thinkctl.controller.timing import Timing
from thinkctl.errors import EngineUnavailable
from thinkctl.types import Decision, Event, History, ProbeRequest, Problem, Run, StopReason, spec_of

__all__ = ["Loop"]

_WHY: Final = {
    StopReason.DONE: "the strategy had nothing more to ask",
    StopReason.POLICY: "the policy was satisfied",
    StopReason.TOKENS: "the token budget was reached",
    StopReason.SECONDS: "the deadline was reached",
    StopReason.DOLLARS: "the dollar budget was reached",
    StopReason.REQUESTS: "the request budget was reached",
    StopReason.CANCELLED: "the caller gave up",
    StopReason.ENGINE: "the engine died",
}


@final
class Loop:
    """The loop of one problem under one ledger. It runs once, inside a running event loop."""

    def __init__(
        self,
        setup: Setup,
        problem: Problem,
        ledger: Ledger,
        *,
        seed: int = 0,
        sink: Callable[[Event], None] | None = None,
        share: Share | None = None,
    ) -> None:
        self._setup = setup
        self._problem = problem
        self._ledger = ledger
        self._seed = seed
        self._news = asyncio.Event()
        self._share = share
        if share is not None:
            share.wake = self._news.set
        self._narrator = Narrator(sink)
        self._samples: list[Growing] = []
        self._growing: dict[int, Growing] = {}
        self._tasks: dict[asyncio.Task[None], Growing | None] = {}
        self._probing: set[ProbeRequest] = set()
        self._walled = False
        self._counted: int | None = None
        self._deciding = Deciding(setup, self._narrator)
        self._winding_down = False
        self._rates = Rates()
        self._admission = Admission(ledger, setup.prices, setup.usual_tokens)
        self._time = Timing(ledger, self._rates, self._admission)
        self._pump = Pump(
            admission=self._admission,
            engines=setup.engines,
            prices=setup.prices,
            rates=self._rates,
            verifier=setup.verifier,
            verifier_prices=setup.verifier_prices,
            seed=seed,
            news=self._heard,
            history=self._history,
            in_flight=lambda: len(self._growing) if share is None else share.batch_in_flight,
            elapsed=self._time.elapsed,
        )
        self._forks = Forks(self._pump)
        self._launcher = Launcher(
            setup=setup,
            form=form_of(problem),
            admission=self._admission,
            pump=self._pump,
            samples=self._samples,
            start=self._start_sample,
            elapsed=self._time.elapsed,
            share=share,
        )

    # -- the run --------------------------------------------------------------------------------------------

    async def run(self) -> Run:
        """Run to the end. Whatever happens, no stream outlives this call."""
        self._admission.open(spare=self._share is None)
        try:
            stop, decision = await self._until_stopped()
            await self._close_all(by_policy=stop is StopReason.POLICY)
            await self._last_resort()
            return self._finish(stop, decision)
        except EngineUnavailable as error:
            await self._close_all()
            self._walled = True
            error.run = self._finish(StopReason.ENGINE, Decision(why=str(error)))
            raise
        finally:
            try:
                await self._close_all()
            finally:
                self._admission.close()

    async def _until_stopped(self) -> tuple[StopReason, Decision]:
        while True:
            self._raise_failures()
            if self._time.is_up():
                self._walled = True
                return StopReason.SECONDS, Decision(why=_WHY[StopReason.SECONDS])
            if self._past_thinking_wall():
                self._wind_down()
            history = self._history()
            decision = self._decide(history)
            if decision.stop:
                return StopReason.POLICY, decision
            self._steer(decision)
            waiting = self._winding_down or self._launcher.launch(history, decision, len(self._growing))
            if not self._growing and not self._waits_for_its_turn():
                if self._share is not None and self._share.enough:
                    self._counted = len(history.settled)
                    return StopReason.POLICY, replace(decision, why="other problems need samples more")
                return self._why_done(waiting), replace(decision, why="")
            await self._wait()

    def _waits_for_its_turn(self) -> bool:
        return self._share is not None and self._share.waits and not self._winding_down

    def _why_done(self, waiting: bool) -> StopReason:
        """Nothing is in flight and nothing was started: was that a wall?"""
        if self._winding_down:
            self._walled = True
            return StopReason.SECONDS
        if self._share is not None and self._share.wall is not None:
            self._walled = True
            return self._share.wall
        squeezed = any(sample.squeezed for sample in self._samples)
        wall = self._admission.wall if waiting or squeezed else None
        self._walled = wall is not None
        return wall or StopReason.DONE

    def _raise_failures(self) -> None:
        for task in [task for task in self._tasks if task.done()]:
            sample = self._tasks.pop(task)
            if sample is not None:
                self._growing.pop(sample.index, None)
            task.result()

    # -- deciding -------------------------------------------------------------------------------------------

    def _history(self) -> History:
        lag = self._setup.decide_every - 1
        return History(
            problem=self._problem,
            budget=self._ledger.budget,
            samples=tuple([sample.snapshot(lag) for sample in self._samples]),
            elapsed=self._time.elapsed(),
            seed=self._seed,
            walled=self._walled,
            counted=self._counted,
        )

    def _decide(self, history: History) -> Decision:
        for sample in self._growing.values():
            sample.seen_tokens = sample.said.length
        decision = self._deciding.decide(history)
        if decision.stop:
            self._counted = self._deciding.counted
        return decision

    def _steer(self, decision: Decision) -> None:
        """Do to samples in flight what the policy decided: cut before conclude before probe."""
        for index in decision.cut:
            if index in self._growing:
                self._cut(self._growing[index], by_policy=True)
        for index in decision.conclude:
            if index in self._growing:
                self._begin(self._pump.steer(self._growing[index]))
        for ask in decision.probe:
            sample = self._growing.get(ask.sample)
            if sample is None or sample.order is not None or ask.sample in decision.conclude:
                continue
            if sample.undecided and ask not in self._probing:
                self._probing.add(ask)
                self._begin(self._probe(sample, ask))
        for sample in self._growing.values():
            limit = sample.thinking_limit = thinking_limit(sample.request, self._ledger, decision)
            if limit is not None and sample.thinking and sample.thinking_tokens() >= limit:
                self._begin(self._pump.steer(sample))

    async def _probe(self, sample: Growing, ask: ProbeRequest) -> None:
        """Probe; a policy that asks for the same again meanwhile is not served twice."""
        try:
            await self._forks.probe(sample, ask)
        finally:
            self._probing.discard(ask)

    def _cut(self, sample: Growing, *, by_policy: bool) -> None:
        if sample.order is Order.CUT:
            return
        sample.order = Order.CUT
        sample.cut_by_policy = by_policy
        if sample.stream is not None:
            self._begin(_close(sample))
        elif sample.judging is not None:
            sample.judging.cancel()
        self._pump.wake()

    def _begin(self, work: Coroutine[Any, Any, None], sample: Growing | None = None) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks[task] = sample
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        """Wake the loop where a sample ended or something failed; that an order was carried out is no news."""
        if self._tasks.get(task) is not None or task.cancelled() or task.exception() is not None:
            self._news.set()

    def _start_sample(self, sample: Growing, grant: Grant | None) -> None:
        self._samples.append(sample)
        self._growing[sample.index] = sample
        self._narrator.started(sample.snapshot())
        self._begin(self._pump.run(sample, grant), sample)

    # -- waiting --------------------------------------------------------------------------------------------

    def _heard(self, sample: Growing, urgent: bool) -> None:
        self._narrator.grew(sample)
        if sample.finish is not None:
            self._growing.pop(sample.index, None)
        enough = sample.said.length - sample.seen_tokens >= self._setup.decide_every
        if urgent or enough or self._past_thinking_wall():
            self._news.set()

    async def _wait(self) -> None:
        alarm = self._next_alarm()
        handle = None
        if alarm is not None:
            handle = asyncio.get_running_loop().call_at(alarm, self._news.set)
        try:
            await self._news.wait()
        finally:
            if handle is not None:
                handle.cancel()
        self._news.clear()

    def _next_alarm(self) -> float | None:
        """When to look at the clock again: at the thinking wall, then at the deadline."""
        return self._ledger.deadline if self._winding_down else self._time.thinking_wall()

    def _past_thinking_wall(self) -> bool:
        return not self._winding_down and self._time.thinking_is_over()

    def _wind_down(self) -> None:
        """At the thinking wall: start nothing more, close every thought, wait for the answers.

        Who has not said a word yet is cut, if anybody has: answers without a thought would outvote the others.
        """
        self._winding_down = True
        anybody = any(sample.said.length for sample in self._samples)
        for sample in self._growing.values():
            if anybody and not sample.said.length:
                self._cut(sample, by_policy=False)
            else:
                self._begin(self._pump.steer(sample, hurry=True))

    # -- ending ---------------------------------------------------------------------------------------------

    async def _close_all(self, *, by_policy: bool = False) -> None:
        """Abort everything in flight and wait until the engine is idle, however often we are cancelled.

        A failure of a stream that is being closed is not news any more; a mistake of ours is.
        """
        for sample in list(self._growing.values()):
            self._cut(sample, by_policy=by_policy)
        if self._tasks:
            self._begin(self._forks.end())
        cancelled = False
        mistake: BaseException | None = None
        while self._tasks:
            try:
                await asyncio.wait(list(self._tasks))
            except asyncio.CancelledError:
                cancelled = True
            for task in [task for task in self._tasks if task.done()]:
                del self._tasks[task]
                if not task.cancelled() and not isinstance(task.exception(), EngineUnavailable | None):
                    mistake = task.exception()
        self._growing.clear()
        if cancelled:
            raise asyncio.CancelledError
        if mistake is not None:
            raise mistake

    async def _last_resort(self) -> None:
        """Nothing that counts was answered: take what did not count, force an answer, or salvage one."""
        if self._setup.selector.select(self._history()) is not None:
            return
        stated = [sample for sample in self._samples if sample.answer is not None]
        if stated or [sample for sample in self._samples if sample.pardon()]:
            self._counted, self._walled = None, True
            return
        await self._conclude_longest()
        if not any(sample.answer is not None for sample in self._samples):
            concluded = sorted(self._samples, key=lambda sample: -sample.said.tokens_since_cue())
            if any(sample.salvage() for sample in concluded):
                self._counted, self._walled = None, True

    async def _conclude_longest(self) -> None:
        """Conclude the longest chain of thought that can be concluded."""
        for sample in sorted(self._samples, key=lambda sample: -sample.said.length):
            broken_off = sample.said.concluded_at is not None and sample.answer is None
            if self._time.is_up() or not (sample.said.length and (sample.undecided or broken_off)):
                continue
            self._counted, self._walled = None, True
            self._growing[sample.index] = sample
            task = self._begin(self._pump.finish_by_force(sample), sample)
            await asyncio.wait({task}, timeout=self._time.left())
            if task.done():
                task.result()  # a dead engine is news here
            await self._close_all()
            if sample.answer is not None:
                return

    def _finish(self, stop: StopReason, decision: Decision) -> Run:
        history = self._history()
        setup = self._setup
        answer = setup.selector.select(history)
        sure = confidence(history, answer, decision)
        self._narrator.leads(answer, sure)
        return Run(
            history=history,
            answer=answer,
            confidence=sure,
            stop=stop,
            why=decision.why or _WHY[stop],
            receipt=self._ledger.receipt(self._time.now()),
            strategy=spec_of(setup.strategy),
            policy=None if setup.policy is None else spec_of(setup.policy),
            selector=spec_of(setup.selector),
            verifier=None if setup.verifier is None else spec_of(setup.verifier),
            notes=tuple(self._narrator.notes),
        )


async def _close(sample: Growing) -> None:
    if sample.stream is not None:
        await sample.stream.close()
