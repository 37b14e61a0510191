"""Worlds drawn at random: parts, currencies, faults and ways to ask, and what holds in each of them."""

# pyright: reportArgumentType=false

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, aclosing
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.controller.guards import never_stuck
from tests.controller.rig import (
    ASK,
    MARKS,
    QUESTION,
    Decides,
    Judges,
    Odd,
    Proposes,
    audit,
    generate,
    reconciles,
    words,
)
from thinkctl import Budget, Controller, Prices, Purse, Request, Run, Sampling
from thinkctl.controller import budget
from thinkctl.errors import EngineUnavailable
from thinkctl.protocols import Engines
from thinkctl.selectors import BestScore, Latest, Majority
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Decision, Finished, GenerationSpec, History, ProbeRequest, Sample, Verdict


@dataclass(frozen=True)
class World:
    """Everything that a run depends on."""

    scripts: tuple[Script, ...]
    engine: dict[str, Any]
    marked: bool
    closing_seconds: float
    strategy: str
    n: int
    policy: int | None
    judge: str | None
    limit: Budget
    purses: tuple[Budget, ...]
    knobs: dict[str, Any]
    seed: int
    cancel: tuple[float, ...]
    way: str

    def build(self) -> tuple[ScriptedEngine, Controller]:
        """Return a fresh engine and a controller on it."""
        engine = ScriptedEngine(list(self.scripts), card=MARKS if self.marked else None, **self.engine)
        odd = Odd(engine, closing_seconds=self.closing_seconds)
        policy = None if self.policy is None else Decides(meddling(self.policy), most_in_a_moment=2000)
        verifier = None if self.judge is None else Judges(JUDGES[self.judge])
        strategy = Proposes(STRATEGIES[self.strategy](self.n), SELECTORS[self.n % 3])
        return engine, Controller(odd, strategy, policy=policy, verifier=verifier, **self.knobs)


# -- parts -----------------------------------------------------------------------------------------------------

SELECTORS = (Majority(), Latest(), BestScore())


def all_at_once(n: int) -> Callable[[History], list[Request]]:
    return lambda history: [Request(ASK)] * (n - history.bought)


def in_waves(n: int) -> Callable[[History], list[Request]]:
    return lambda history: [Request(ASK)] * min(3, n - history.bought) if not history.in_flight else []


def as_a_tree(n: int) -> Callable[[History], list[Request]]:
    """Go on from finished samples, anyhow but repeatably."""

    def propose(history: History) -> list[Request]:
        dice = random.Random(f"{history.seed}:{history.bought}")
        done = [sample.index for sample in history.samples if sample.finished]
        requests = []
        for _ in range(min(2, n - history.bought)):
            parent = dice.choice([None, *done])
            reopen = parent is not None and dice.random() < 0.5
            sampling = Sampling(
                max_tokens=dice.choice([None, None, 3, 40]), thinking_tokens=dice.choice([None, None, 0, 9])
            )
            extend = dice.choice(["", "\nWait,"])
            requests.append(Request(ASK, sampling, parent, reopen, extend, think=dice.random() < 0.8))
        return requests

    return propose


STRATEGIES = {"all at once": all_at_once, "in waves": in_waves, "as a tree": as_a_tree}


def meddling(salt: int) -> Callable[[History], Decision]:
    """Return a policy that does anything at any place, and the same for the same history."""

    def decide(history: History) -> Decision:
        lengths = [len(sample.token_ids) for sample in history.samples]
        dice = random.Random(f"{salt}:{lengths}:{len(history.settled)}")
        flying = [sample.index for sample in history.in_flight]
        picked = tuple(index for index in flying if dice.random() < 0.3)
        kind = dice.choice(["cut", "conclude", "probe", "stop", *["nothing"] * 4])
        return Decision(
            stop=kind == "stop" and dice.random() < 0.2,
            cut=picked if kind == "cut" else (),
            conclude=picked if kind == "conclude" else (),
            probe=tuple(ProbeRequest(index, max_tokens=1 + salt % 9) for index in picked)
            if kind == "probe"
            else (),
            more=dice.choice([None, 1, 2, 5]),
            thinking_tokens=dice.choice([None, None, None, 0, 7, 30]),
        )

    return decide


async def generates(sample: Sample, engines: Engines) -> Verdict:
    return Verdict(len(await generate(engines, "judge", 8)) % 5 / 5)


async def leaves_open(sample: Sample, engines: Engines) -> Verdict:
    engine = engines["scripted"]
    deltas = aiter(engine.stream(sample.prompt_ids, GenerationSpec(20)))
    await anext(deltas)
    engine.stream(sample.prompt_ids, GenerationSpec(5))
    return Verdict(passed=True)


async def scores(sample: Sample, engines: Engines) -> Verdict:
    engine = engines["scripted"]
    (value,) = (await engine.score(sample.prompt_ids, engine.tokenizer.encode("yes"))).values()
    return Verdict(2**value)


async def sleeps(sample: Sample, engines: Engines) -> Verdict:
    await asyncio.sleep(3)
    return Verdict(0.5)


JUDGES: dict[str, Callable[[Sample, Engines], Coroutine[Any, Any, Verdict]]] = {
    "generates": generates,
    "leaves open": leaves_open,
    "scores": scores,
    "sleeps": sleeps,
}

# -- drawing ---------------------------------------------------------------------------------------------------


@st.composite
def scripted(draw: st.DrawFn, number: int, *, faults: bool, marked: bool) -> Script:
    """Draw a script; each has a word of its own, so that the engine can tell their continuations apart."""
    thought = " ".join([f"t{number}"] * draw(st.integers(1, 50)))
    answer = draw(st.sampled_from("456"))
    rest = draw(
        st.sampled_from([f" \\boxed{{{answer}}}", f" \\boxed{{{answer}}} {words(5)}", " no", " \\boxed{1 2"])
    )
    text = f"{thought}{rest}"
    if marked and draw(st.integers(0, 4)):
        text = f"<think>{thought}</think>{rest}" if draw(st.booleans()) else f"<think>{text}"
    after = st.none() | st.integers(0, 40)
    return Script(
        text,
        seconds_per_token=draw(st.sampled_from([0.0, 0.01, 0.1, 0.5])),
        first=draw(st.sampled_from([0.0, 0.0, 0.4])),
        chunk=draw(st.integers(1, 6)),
        conclusion=draw(st.sampled_from([f"{answer}}}", f"{words(3)} {answer}}}", words(90), "}"])),
        fail_after=draw(after) if faults else None,
        die_after=draw(after) if faults and not draw(st.integers(0, 7)) else None,
        ends=bool(draw(st.integers(0, 2))),
    )


def limits(*, always: bool) -> st.SearchStrategy[Budget]:
    """Draw a budget in any currencies; ``always`` with tokens, since some thoughts never end."""
    tokens = st.integers(1, 300)
    return st.builds(
        Budget,
        tokens=tokens if always else st.none() | tokens,
        thinking_tokens=st.none() | st.integers(1, 40),
        seconds=st.none() | st.floats(0.01, 20),
        dollars=st.none() | st.integers(1, 500).map(lambda cents: Decimal(cents) / 100),
        requests=st.none() | st.integers(1, 15),
    )


@st.composite
def worlds(draw: st.DrawFn, *, cancelled: bool = False, faults: bool = True) -> World:
    """Draw a world."""
    marked = draw(st.booleans())
    price = st.integers(0, 20_000).map(Decimal)
    return World(
        scripts=tuple(
            draw(scripted(number, faults=faults, marked=marked)) for number in range(draw(st.integers(1, 4)))
        ),
        engine={
            "waste": draw(st.integers(0, 2)),
            "force": draw(st.sampled_from([0, 3, 40])),
            "streams": draw(st.sampled_from([1, 3, 64])),
            "block": draw(st.sampled_from([0, 1, 8])),
            "context": draw(st.sampled_from([None, None, 40, 90])),
            "prices": Prices(
                dollars_per_million_prompt_tokens=draw(price),
                dollars_per_million_generated_tokens=draw(price),
                dollars_per_million_cached_tokens=draw(st.none() | price),
                dollars_per_request=draw(st.sampled_from([Decimal(0), Decimal("0.003")])),
            ),
        },
        marked=marked,
        closing_seconds=draw(st.sampled_from([0.0, 0.0, 0.02])),
        strategy=draw(st.sampled_from(sorted(STRATEGIES))),
        n=draw(st.integers(1, 8)),
        policy=draw(st.none() | st.integers(0, 10_000)),
        judge=draw(st.none() | st.sampled_from(sorted(JUDGES))),
        limit=draw(limits(always=True)),
        purses=tuple(draw(st.lists(limits(always=False), max_size=2))),
        knobs={
            "speculate": draw(st.integers(0, 3)),
            "decide_every": draw(st.sampled_from([1, 5, 32])),
            "usual_tokens": draw(st.sampled_from([1, 20, 256])),
        },
        seed=draw(st.integers(0, 99)),
        cancel=tuple(draw(st.lists(st.floats(0, 8), min_size=1, max_size=3))) if cancelled else (),
        way=draw(st.sampled_from(["solve", "stream", "many"])),
    )


# -- living ----------------------------------------------------------------------------------------------------


@dataclass
class Life:
    """What came of a world."""

    runs: list[Run] = field(default_factory=list[Run])
    purses: list[Purse] = field(default_factory=list[Purse])
    died: bool = False
    cancelled: bool = False
    seconds: float = 0.0


async def lived(world: World, engine: ScriptedEngine, controller: Controller) -> Life:
    """Live through a world and check what can only be checked inside."""
    life = Life()
    clock = asyncio.get_running_loop().time
    with ExitStack() as stack:
        life.purses += [stack.enter_context(budget(limits)) for limits in world.purses]
        task = asyncio.ensure_future(asked(world, controller, life))
        for moment in world.cancel:
            await asyncio.wait({task}, timeout=moment)
            task.cancel()
        await asyncio.wait({task})
        life.cancelled = task.cancelled()
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, EngineUnavailable):
                life.died = True
                life.runs += [error.run] if error.run else []
            elif error is not None:
                raise error
    life.seconds = clock()
    assert engine.open_streams == 0, "a stream outlived its run"
    return life


async def asked(world: World, controller: Controller, life: Life) -> None:
    if world.way == "solve":
        life.runs.append(await controller.solve(QUESTION, world.limit, seed=world.seed))
    elif world.way == "many":
        many = controller.solve_many([QUESTION] * 2, world.limit, at_once=1 + world.seed % 2, seed=world.seed)
        async with aclosing(many):
            life.runs += [found async for found in many]
    else:
        async with aclosing(controller.stream(QUESTION, world.limit, seed=world.seed)) as events:
            async for told in events:
                if isinstance(told, Finished):
                    life.runs.append(told.run)


def live(world: World) -> tuple[Life, ScriptedEngine]:
    """Live through a world and check what holds in every one."""
    engine, controller = world.build()
    with never_stuck(60):
        life = run(lived(world, engine, controller))
    truth = run(engine.counters())
    generated = truth.generated_tokens or 0
    assert truth.running == 0
    walls = [world.limit, *world.purses]
    for wall in walls:
        assert wall.tokens is None or generated <= wall.tokens, "the token wall was passed"
        assert wall.requests is None or len(engine.log) <= wall.requests, "the request wall was passed"
        if wall.seconds is not None:
            late = 2 * world.closing_seconds
            assert life.seconds <= wall.seconds + late + 1e-9, "the deadline was passed"
    for purse in life.purses:
        assert reconciles([purse.receipt], truth), "the purse's bill is not what the engine counted"
        assert purse.overshoot == 0
        assert purse.limits.dollars is None or (purse.receipt.dollars or 0) <= purse.limits.dollars
    if not life.cancelled and not (life.died and world.way == "many"):
        assert reconciles([found.receipt for found in life.runs], truth)
        spent = sum(found.receipt.dollars or 0 for found in life.runs)
        assert world.limit.dollars is None or spent <= world.limit.dollars
    for found in life.runs:
        if world.way != "many":
            audit(found, engine, world.limit)
        for wall in walls:
            if wall.thinking_tokens is not None:
                assert all(sample.thinking_tokens <= wall.thinking_tokens for sample in found.samples)
    context = world.engine["context"]
    assert context is None or all(len(log.prompt_ids) + len(log.token_ids) <= context for log in engine.log)
    return life, engine
