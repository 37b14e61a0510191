"""The whole spine on the real engine: fifty problems at tight walls, and a bill that reconciles.

One engine serves all of it. What happened is gathered once; each test then looks at one promise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.engines.conftest import gathered
from thinkctl import (
    AdaptiveConsistency,
    Budget,
    Controller,
    Prices,
    Run,
    SelfConsistency,
    ThinkingCap,
    any_of,
)
from thinkctl.protocols import Engine, Stream
from thinkctl.types import Delta, EngineCounters, GenerationSpec, StopReason, StreamUsage

pytestmark = pytest.mark.engine

PROBLEMS = [
    f"Tom has {n} boxes with {n % 7 + 2} pens each and loses {n % 5}. How many pens are left?"
    for n in range(50)
]
TOKEN_WALLS = [24, 40, 64, 100, 150]
DOLLAR_WALLS = [Decimal(wall) for wall in ("0.04", "0.06", "0.08", "0.12", "0.16")]
PRICES = Prices(
    dollars_per_million_prompt_tokens=Decimal(100),
    dollars_per_million_generated_tokens=Decimal(1000),
    dollars_per_million_cached_tokens=Decimal(10),
)
TIME_WALLS = [1.0, 1.5, 2.0, 3.0, 4.0]
CONTROLLER: dict[str, Any] = {"strategy": SelfConsistency(8), "policy": AdaptiveConsistency(0.9)}


class WatchedStream:
    """A stream that notes the longest wait for its next token: what one engine step takes, at most."""

    def __init__(self, inner: Stream, watch: Watched) -> None:
        self._inner = inner
        self._watch = watch
        self._open = False

    async def __aiter__(self) -> AsyncIterator[Delta]:
        clock = asyncio.get_running_loop().time
        last = clock()
        async for delta in self._inner:
            now = clock()
            self._watch.longest_step = max(self._watch.longest_step, now - last)
            last = now
            self._open = delta.finish is None
            yield delta

    async def close(self) -> StreamUsage:
        self._watch.aborted += self._open
        self._open = False
        return await self._inner.close()

    async def force(self, token_ids: Sequence[int]) -> bool:
        return await self._inner.force(token_ids)


@dataclass
class Watched:
    """The real engine, with every stream watched."""

    inner: Engine
    longest_step: float = 0.0
    aborted: int = 0

    @property
    def card(self):
        return self.inner.card

    @property
    def caps(self):
        return self.inner.caps

    @property
    def tokenizer(self):
        return self.inner.tokenizer

    async def start(self) -> None:
        await self.inner.start()

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Stream:
        return WatchedStream(self.inner.stream(prompt, spec), self)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]):
        return await self.inner.score(prompt, token_ids)

    async def counters(self) -> EngineCounters:
        return await self.inner.counters()

    async def aclose(self) -> None:
        await self.inner.aclose()


@dataclass
class Evidence:
    """What happened on the engine."""

    token_runs: list[Run] = field(default_factory=list[Run])
    aborted: int = 0
    token_truth: EngineCounters = EngineCounters()
    dollar_runs: list[Run] = field(default_factory=list[Run])
    dollar_truth: EngineCounters = EngineCounters()
    time_runs: list[tuple[float, float, Run]] = field(default_factory=list[tuple[float, float, Run]])
    time_truth: EngineCounters = EngineCounters()
    capped: list[Run] = field(default_factory=list[Run])
    capped_truth: EngineCounters = EngineCounters()
    running_before_cancel: int | None = None
    running_after_cancel: int | None = None
    decoded_after_cancel: int | None = None


async def difference(engine: Engine, before: EngineCounters) -> EngineCounters:
    after = await engine.counters()
    return EngineCounters(
        prompt_tokens=(after.prompt_tokens or 0) - (before.prompt_tokens or 0),
        cached_tokens=(after.cached_tokens or 0) - (before.cached_tokens or 0),
        generated_tokens=(after.generated_tokens or 0) - (before.generated_tokens or 0),
        running=after.running,
    )


async def tight_tokens(engine: Watched, evidence: Evidence) -> None:
    before = await engine.counters()
    controller = Controller(engine, **CONTROLLER)
    for wall in TOKEN_WALLS:
        problems = PROBLEMS[TOKEN_WALLS.index(wall) :: len(TOKEN_WALLS)]
        async for run in controller.solve_many(problems, each=Budget(tokens=wall), at_once=10):
            evidence.token_runs.append(run)
    evidence.token_truth = await difference(engine, before)
    evidence.aborted = engine.aborted


async def tight_dollars(engine: Watched, evidence: Evidence) -> None:
    before = await engine.counters()
    controller = Controller(engine, **CONTROLLER, prices=PRICES)
    for place, wall in enumerate(DOLLAR_WALLS):
        problems = PROBLEMS[place :: len(DOLLAR_WALLS)]
        async for run in controller.solve_many(problems, each=Budget(dollars=wall), at_once=10):
            evidence.dollar_runs.append(run)
    evidence.dollar_truth = await difference(engine, before)


async def tight_deadlines(engine: Watched, evidence: Evidence) -> None:
    before = await engine.counters()
    controller = Controller(engine, **CONTROLLER)
    clock = asyncio.get_running_loop().time

    async def one(place: int) -> None:
        began = clock()
        run = await controller.solve(PROBLEMS[place], Budget(seconds=TIME_WALLS[place % len(TIME_WALLS)]))
        evidence.time_runs.append((clock() - began, engine.longest_step, run))

    for place in range(0, len(PROBLEMS), 5):
        engine.longest_step = 0.0
        await asyncio.gather(*(one(place + offset) for offset in range(5)))
    evidence.time_truth = await difference(engine, before)


async def capped_thoughts(engine: Watched, evidence: Evidence) -> None:
    before = await engine.counters()
    policy = any_of(AdaptiveConsistency(0.9), ThinkingCap(24))
    controller = Controller(engine, SelfConsistency(4), policy=policy)
    async for run in controller.solve_many(PROBLEMS[:4], each=Budget(tokens=600)):
        evidence.capped.append(run)
    evidence.capped_truth = await difference(engine, before)


async def cancelled(engine: Watched, evidence: Evidence) -> None:
    controller = Controller(engine, SelfConsistency(16))
    task = asyncio.ensure_future(controller.solve("Write a very long story about numbers."))
    await asyncio.sleep(2)
    evidence.running_before_cancel = (await engine.counters()).running
    task.cancel()
    await asyncio.wait({task})
    counters = await engine.counters()
    evidence.running_after_cancel = counters.running
    await asyncio.sleep(0.5)
    evidence.decoded_after_cancel = (await difference(engine, counters)).generated_tokens


@pytest.fixture(scope="module", params=["in process", "over HTTP"])
def evidence(request: pytest.FixtureRequest) -> Evidence:
    async def gather(inner: Engine) -> Evidence:
        engine, found = Watched(inner), Evidence()
        await tight_tokens(engine, found)
        await tight_dollars(engine, found)
        await tight_deadlines(engine, found)
        await capped_thoughts(engine, found)
        await cancelled(engine, found)
        return found

    return gathered(request, gather, streams=16)


def decoded(runs: Sequence[Run]) -> int:
    return sum(run.receipt.generated_tokens for run in runs)


def test_fifty_problems_under_tight_token_walls_overshoot_by_nothing(evidence: Evidence) -> None:
    assert len(evidence.token_runs) == 50
    over = [run.receipt.generated_tokens - (run.history.budget.tokens or 0) for run in evidence.token_runs]
    assert max(over) <= 0


def test_fifty_problems_under_tight_dollar_walls_cost_no_more(evidence: Evidence) -> None:
    assert len(evidence.dollar_runs) == 50
    spent = [(run.receipt.dollars, run.history.budget.dollars) for run in evidence.dollar_runs]
    assert all(dollars is not None and wall is not None and 0 < dollars <= wall for dollars, wall in spent)
    truth = evidence.dollar_truth
    prompt, cached, generated = truth.prompt_tokens, truth.cached_tokens, truth.generated_tokens
    assert None not in (prompt, cached, generated)
    counted = (prompt or 0) * 100 + (cached or 0) * 10 + (generated or 0) * 1000
    billed = sum((run.receipt.dollars or Decimal(0) for run in evidence.dollar_runs), Decimal(0))
    estimated = any(run.receipt.usage.estimated for run in evidence.dollar_runs)
    assert estimated or billed * 1_000_000 == counted


def test_the_receipts_equal_what_the_engine_counted_aborted_streams_included(evidence: Evidence) -> None:
    assert decoded(evidence.token_runs) == evidence.token_truth.generated_tokens
    assert decoded([run for _, _, run in evidence.time_runs]) == evidence.time_truth.generated_tokens
    assert decoded(evidence.capped) == evidence.capped_truth.generated_tokens
    assert evidence.aborted, "no stream was aborted: nothing is shown"


def test_prompt_and_cached_tokens_reconcile_too(evidence: Evidence) -> None:
    prompt = sum(run.receipt.prompt_tokens for run in evidence.token_runs)
    cached = sum(run.receipt.cached_tokens or 0 for run in evidence.token_runs)
    assert cached == evidence.token_truth.cached_tokens
    assert prompt - cached == evidence.token_truth.prompt_tokens


def test_a_run_with_text_has_an_answer(evidence: Evidence) -> None:
    silent = [
        run.history.problem.text
        for run in [*evidence.token_runs, *evidence.capped]
        if run.answer is None and any(sample.text.strip() for sample in run.samples)
    ]
    assert silent == []


def test_fifty_problems_return_by_their_deadline_plus_50_ms_and_one_step(evidence: Evidence) -> None:
    assert len(evidence.time_runs) == 50
    late = [took - (run.history.budget.seconds or 0) - 0.05 - step for took, step, run in evidence.time_runs]
    assert max(late) <= 0


def test_a_deadline_leaves_time_for_answers(evidence: Evidence) -> None:
    # a quarter of the time is kept back at most: of a shorter wall that is too few steps of this engine
    ended = [run for _, _, run in evidence.time_runs if run.stop is StopReason.SECONDS]
    answered = [run.answer is not None for run in ended if (run.history.budget.seconds or 0) >= 4]
    assert answered
    assert sum(answered) >= 0.8 * len(answered)


def test_no_stream_outlives_its_run(evidence: Evidence) -> None:
    assert evidence.token_truth.running == evidence.time_truth.running == evidence.capped_truth.running == 0


def test_thoughts_are_capped_to_the_token(evidence: Evidence) -> None:
    samples = [sample for run in evidence.capped for sample in run.samples]
    assert max(sample.thinking_tokens for sample in samples) == 24
    assert any(sample.concluded for sample in samples)


def test_a_cancelled_solve_leaves_the_engine_idle(evidence: Evidence) -> None:
    assert evidence.running_before_cancel
    assert evidence.running_after_cancel == 0
    assert evidence.decoded_after_cancel == 0
