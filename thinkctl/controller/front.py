"""The front door: engines, a strategy, a policy and a budget in; an answer with a receipt out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

from thinkctl.controller.allotment import Allotment, Share
from thinkctl.controller.background import run_in_background
from thinkctl.controller.ledger import Ledger
from thinkctl.controller.loop import Loop
from thinkctl.controller.purse import current_ledger
from thinkctl.controller.rent import Rent
from thinkctl.controller.setup import Setup, check_needs
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.hindsight import shadow
from thinkctl.protocols import Allocation, Engine, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.types import (
    Budget,
    Event,
    Finished,
    History,
    Prices,
    Problem,
    Receipt,
    Run,
    StopReason,
    spec_of,
)
from thinkctl.types.run import ModelPrices

__all__ = ["Controller"]

_NO_LIMITS = Budget()


@final
class Controller:
    """Decides how long a model thinks about a problem.

    Args:
        engine: One engine, or several by model name; a request that names no model goes to the first.
        strategy: What to ask.
        policy: When to stop; ``None`` never stops early.
        selector: Which answer wins; the strategy's own where none is given.
        verifier: Judges every finished sample; what it generates is on the bill and inside the wall.
        prices: Dollars for tokens, requests and hours, for all models or by model name, instead of those of the
            model cards. By name also those of a verifier's own model.
        speculate: Samples to run beyond those that are free: 0 spends the fewest tokens, more saves time.
        decide_every: Tokens of one sample after which the policy is asked again; completions always ask.
        usual_tokens: Tokens that a sample is expected to need as long as none has finished. With a tight
            budget fewer samples are started at once, so that each can be about that long.
        shadows: Policies that only watch: ``run.shadows`` says what each would have saved and whether the answer
            would have been another. Probes that one of them needs are made and billed; nothing else is done. A
            run that its deadline ended has none: it is returned at once.

    Raises:
        ConfigurationError: for knobs out of range, a controller without an engine, or a strategy or policy that
            needs what an engine, or the controller, cannot give.
    """

    def __init__(
        self,
        engine: Engine | Mapping[str, Engine],
        strategy: Strategy,
        *,
        policy: StoppingPolicy | None = None,
        selector: Selector | None = None,
        verifier: Verifier | None = None,
        prices: Prices | Mapping[str, Prices] | None = None,
        speculate: int = 0,
        decide_every: int = 32,
        usual_tokens: int = 256,
        shadows: Sequence[StoppingPolicy] = (),
    ) -> None:
        engines = dict(engine) if isinstance(engine, Mapping) else {engine.card.name: engine}
        if not engines:
            raise ConfigurationError("a controller needs at least one engine; got an empty mapping")
        for name, value, least in (
            ("speculate", speculate, 0),
            ("decide_every", decide_every, 1),
            ("usual_tokens", usual_tokens, 1),
        ):
            if value < least:
                raise ConfigurationError(f"{name}={value} is too small; give at least {least}")
        self._setup = Setup(
            engines=engines,
            strategy=strategy,
            policy=policy,
            selector=selector if selector is not None else strategy.selector,
            verifier=verifier,
            prices={name: _price_of(name, each, prices) for name, each in engines.items()},
            speculate=speculate,
            decide_every=decide_every,
            usual_tokens=usual_tokens,
            shadows=tuple(shadows),
            verifier_prices=prices if isinstance(prices, Mapping) else {},
            needs=check_needs((strategy, *_given(policy), *_given(verifier), *shadows), engines, verifier),
        )
        self._prices = tuple(
            ModelPrices(name, each) for name, each in self._setup.prices.items() if each is not None
        )

    async def solve(self, problem: Problem | str, budget: Budget | None = None, *, seed: int = 0) -> Run:
        """Think about a problem and return the run, inside the budget and every purse around the call.

        Running out of budget is a stop reason, not an error. If the call is cancelled, everything is aborted
        on the engine before the cancellation goes on.

        Raises:
            ConfigurationError: a dollar budget without a price, or a strategy that asks for unknown models.
            ContextExceeded: the prompt does not fit the model.
            EngineUnavailable: the engine is dead; ``error.run`` holds the run so far.
        """
        return await self._solve(problem, budget, seed, current_ledger(), None)

    def solve_sync(self, problem: Problem | str, budget: Budget | None = None, *, seed: int = 0) -> Run:
        """Do as :meth:`solve` without ``await``, also inside a running loop or a notebook (which it blocks).

        It runs on thinkctl's own event loop in its own thread, the same for all calls. Do not mix it with
        ``await solve(...)`` on an engine that belongs to one loop; such an engine says so.
        """
        return run_in_background(self.solve(problem, budget, seed=seed))

    async def stream(
        self, problem: Problem | str, budget: Budget | None = None, *, seed: int = 0
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens while it happens; the last event is ``Finished`` and holds the run.

        Leaving the iteration early aborts the run; use ``contextlib.aclosing`` to have that done at once.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        task = asyncio.ensure_future(self._solve(problem, budget, seed, current_ledger(), events.put_nowait))
        task.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield Finished(task.result())
        finally:
            await _aborted([task])

    async def solve_many(
        self,
        problems: Iterable[Problem | str],
        budget: Budget | None = None,
        *,
        each: Budget | None = None,
        at_once: int = 64,
        seed: int = 0,
        allocation: Allocation | None = None,
    ) -> AsyncGenerator[Run, None]:
        """Solve many problems on the same engine, ``at_once`` at a time; yield runs as they end.

        ``budget`` is one wall around all of them, ``each`` a wall around every single one. A problem gets at
        least its share of what is left when its turn comes. Runs are told apart by ``run.history.problem``.

        With an ``allocation`` the budget is spent where it helps most: all problems are open from the start,
        every sample goes to the most urgent of them, and ``at_once`` is how many samples are in flight in the
        whole batch. It ends when the budget does, whatever that is, or when no strategy, no policy and no
        allocation asks for more; most runs come then. Dollars may be limited where tokens cost them, not hours:
        limit seconds there.
        """
        if at_once < 1:
            raise ConfigurationError(f"at_once={at_once} solves nothing; give at least 1")
        waiting = list(problems)
        purse = Ledger(budget or _NO_LIMITS, now=asyncio.get_running_loop().time(), parent=current_ledger())
        shares: list[Share | None] = [None] * len(waiting)
        if allocation is None:
            purse.sharers = len(waiting)
        else:
            self._check_hours(purse)
            streams = min(engine.caps.streams for engine in self._setup.engines.values())
            shares = list(Allotment(allocation, len(waiting), min(at_once, streams)).shares)
            at_once = max(1, len(waiting))
        waiting.reverse()
        shares.reverse()
        tasks: list[asyncio.Task[Run]] = []
        try:
            while waiting or tasks:
                while waiting and len(tasks) < at_once:
                    solving = self._solve(waiting.pop(), each, seed, purse, None, shares.pop())
                    tasks.append(asyncio.ensure_future(solving))
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in tasks if task.done()]:
                    tasks.remove(task)
                    yield task.result()
        finally:
            await _aborted(tasks)

    async def _solve(
        self,
        problem: Problem | str,
        budget: Budget | None,
        seed: int,
        parent: Ledger | None,
        sink: Callable[[Event], None] | None,
        share: Share | None = None,
    ) -> Run:
        with contextlib.ExitStack() as leaving:
            if share is not None:
                leaving.callback(share.leave)
            for engine in self._setup.engines.values():
                await engine.start()
            setup = self._setup  # what an engine gives may be known only now
            parts = (setup.strategy, *_given(setup.policy), *_given(setup.verifier), *setup.shadows)
            check_needs(parts, setup.engines, setup.verifier)
            clock = asyncio.get_running_loop().time
            limits = budget or _NO_LIMITS
            if limits.dollars is not None or (parent is not None and parent.counts_dollars):
                self._check_prices()
            rent = Rent(limits, self._setup.prices, now=clock(), parent=parent)
            try:
                if rent.short:
                    return self._not_asked(Problem.of(problem), limits, seed, rent.short)
                loop = Loop(self._setup, Problem.of(problem), rent.ledger, seed=seed, sink=sink, share=share)
                run = replace(rent.settled(await loop.run()), prices=self._prices)
                return self._shadowed(run)
            except EngineUnavailable as error:
                if error.run is not None:
                    error.run = replace(rent.settled(error.run), prices=self._prices)
                raise
            finally:
                rent.close(clock())

    def _not_asked(self, problem: Problem, limits: Budget, seed: int, why: str) -> Run:
        """Return the run of a problem that nothing could be asked about for want of dollars."""
        policy, verifier = self._setup.policy, self._setup.verifier
        return Run(
            history=History(problem, limits, seed=seed, walled=True),
            answer=None,
            confidence=None,
            stop=StopReason.DOLLARS,
            why=why,
            receipt=Receipt(),
            strategy=spec_of(self._setup.strategy),
            policy=None if policy is None else spec_of(policy),
            selector=spec_of(self._setup.selector),
            verifier=None if verifier is None else spec_of(verifier),
            prices=self._prices,
        )

    def _shadowed(self, run: Run) -> Run:
        """Add what the policies that only watch would have done; reading it over takes time, after a deadline none."""
        if not self._setup.shadows or run.stop is StopReason.SECONDS:
            return run
        selector = self._setup.selector
        return replace(run, shadows=tuple(shadow(policy, run, selector) for policy in self._setup.shadows))

    def _check_hours(self, purse: Ledger) -> None:
        """All runs of an allocated batch are open at once: the time of the engine is not any one's to pay for."""
        hourly = [name for name, each in self._setup.prices.items() if each and each.dollars_per_hour]
        if hourly and purse.counts_dollars:
            raise ConfigurationError(
                f"an allocation cannot divide dollars for the hours of {', '.join(map(repr, hourly))} among problems; "
                "give the batch the seconds that they buy instead"
            )

    def _check_prices(self) -> None:
        unknown = [name for name, prices in self._setup.prices.items() if prices is None]
        if unknown:
            raise ConfigurationError(
                f"a dollar budget needs a price, and none is known for {', '.join(map(repr, unknown))}; "
                "give Controller(prices=Prices(...)) or leave dollars out of the budget"
            )


def _given(part: object | None) -> tuple[object, ...]:
    return () if part is None else (part,)


async def _aborted(tasks: Sequence[asyncio.Task[Run]]) -> None:
    """Cancel tasks and wait until they have let go of their engines, however often we are cancelled."""
    for task in tasks:
        task.cancel()
    cancelled = False
    while any(not task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            cancelled = True
    for task in tasks:
        if not task.cancelled():
            task.exception()  # whoever leaves early does not want to hear of it
    if cancelled:
        raise asyncio.CancelledError


def _price_of(name: str, engine: Engine, prices: Prices | Mapping[str, Prices] | None) -> Prices | None:
    """Return the prices of a model; what does not say where it comes from is the user's or the card's."""
    given = prices if prices is None or isinstance(prices, Prices) else prices.get(name)
    if given is not None:
        return _named(given, "user")
    return None if engine.card.prices is None else _named(engine.card.prices, "model card")


def _named(prices: Prices, source: str) -> Prices:
    return prices if prices.source else prices.model_copy(update={"source": source})
