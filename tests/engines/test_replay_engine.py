"""A replay engine keeps the promises of any other engine, and takes the time that was recorded."""

from __future__ import annotations

import asyncio
import functools
from dataclasses import replace
from typing import Any

import pytest

from tests.engines.recorded import MANY, THINKER, play, pool_of, prompt_of, run_of, sample
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.protocols import Engine
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.testing import history_of, run, sample_of
from thinkctl.testing.conformance import CHECKS, Check, Trial
from thinkctl.types import (
    Capabilities,
    Delta,
    GenerationSpec,
    ModelCard,
    Origin,
    Receipt,
    Run,
    StopReason,
    StreamUsage,
    Usage,
)


@functools.cache
def long_samples() -> Run:
    text = "one two three four five " * 8
    history = history_of(*(replace(sample_of("4", thought=text, logprobs=-0.5), index=n) for n in range(60)))
    return Run(history, None, None, StopReason.DONE, "", Receipt())


def on_trial(*, repeats: bool, **options: Any) -> Trial:
    """An engine with many long samples, asked for new ones, or to go on with the first."""
    engine = ReplayEngine([long_samples()], card=ModelCard(name="m", context=400), **options)
    prompt = engine.tokenizer.chat(long_samples().history.problem.messages)
    if repeats:
        prompt += run(play(engine, prompt, GenerationSpec(max_tokens=1)))[0]
    return Trial(engine, prompt, repeats=repeats)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("repeats", [True, False], ids=["one sample", "many samples"])
@pytest.mark.parametrize("tokens", [1, None], ids=["token by token", "many at once"])
def test_it_keeps_the_promises_of_an_engine(check: Check, repeats: bool, tokens: int | None) -> None:
    trial = on_trial(repeats=repeats, tokens_per_delta=tokens)

    async def on_a_loop() -> None:
        await check(trial)

    run(on_a_loop())


def test_it_says_what_it_can_do() -> None:
    engine: Engine = ReplayEngine([pool_of("4")], card=THINKER)
    assert isinstance(engine, Engine)
    assert engine.caps == replace(
        Capabilities(), streams=engine.caps.streams, probe_logprobs=-1, scores=False
    )
    assert engine.caps.streams > 10_000
    assert engine.card == THINKER


def test_scores_are_not_recorded_and_nothing_can_be_forced_in_flight() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4")])
        await engine.start()
        with pytest.raises(RequestFailed, match="not recorded: scores"):
            await engine.score(prompt_of(engine), [1])
        stream = engine.stream(prompt_of(engine), MANY)
        assert await stream.force([1]) is False

    run(scenario())


def test_log_probabilities_are_those_recorded_where_they_were() -> None:
    history = history_of("4", "5", logprobs=[[-0.5, -1.0], -2.0])
    told = Run(history, None, None, StopReason.DONE, "", Receipt())

    def given(recording: Run, most: int | None) -> list[Delta]:
        async def deltas() -> list[Delta]:
            engine = ReplayEngine([recording])
            stream = engine.stream(
                engine.tokenizer.chat(history.problem.messages), replace(MANY, logprobs=most)
            )
            return [delta async for delta in stream]

        return run(deltas())

    (delta,) = given(told, 2)
    recorded = history.samples[0].segments[0].logprobs
    assert recorded is not None
    assert delta.logprobs == tuple(replace(each, top=each.top[:2]) for each in recorded)
    assert given(told, None)[0].logprobs is None
    assert ReplayEngine([told]).caps.logprobs == len(recorded[0].top)
    bare = replace(told, history=history_of("4"))
    assert given(bare, 2)[0].logprobs is None
    assert ReplayEngine([bare, told]).caps.logprobs == -1


def test_a_prompt_that_does_not_fit_the_context_is_refused() -> None:
    engine = ReplayEngine([pool_of("4")], card=ModelCard(name="m", context=10))
    with pytest.raises(ContextExceeded, match="do not fit the context 10"):
        engine.stream(prompt_of(engine), GenerationSpec(max_tokens=10))
    with pytest.raises(ConfigurationError, match="max_tokens=0"):
        engine.stream(prompt_of(engine), GenerationSpec(max_tokens=0))


def test_a_closed_engine_ends_its_streams() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4", "5")], tokens_per_delta=1)
        stream = engine.stream(prompt_of(engine), MANY)
        await anext(aiter(stream))
        assert (await engine.counters()).running == 1
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(EngineUnavailable):
            await anext(aiter(stream))
        assert (await stream.close()).generated_tokens == 1
        assert (await engine.counters()).running == 0
        with pytest.raises(EngineUnavailable):
            await engine.start()
        with pytest.raises(EngineUnavailable):
            await play(engine, prompt_of(engine))

    run(scenario())


def test_a_stream_that_was_never_read_used_nothing() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4")])
        stream = engine.stream(prompt_of(engine), MANY)
        assert await stream.close() == StreamUsage()
        assert [delta async for delta in stream] == []

    run(scenario())


def test_with_pace_tokens_come_when_they_came() -> None:
    async def scenario() -> list[tuple[float, int]]:
        used = Usage(thinking_tokens=4)
        paced = sample(0, "slow", (4, Origin.SAMPLED), started=1.0, ended=3.0, usage=used)
        engine = ReplayEngine([run_of(paced)], pace=True)
        loop = asyncio.get_running_loop()
        stream = engine.stream(prompt_of(engine), MANY)
        return [(loop.time(), len(delta.token_ids)) async for delta in stream]

    assert run(scenario()) == [(0.5, 1), (1.0, 1), (1.5, 1), (2.0, 1)]


def test_a_paced_stream_can_be_closed_while_its_reader_waits() -> None:
    async def scenario() -> float:
        pool = Recorded("a", "2+2?", (RecordedSample("4", 2, seconds=100.0),))
        engine = ReplayEngine([pool], pace=True)
        stream = engine.stream(prompt_of(engine), MANY)
        reader = asyncio.ensure_future(play_out(stream))
        await asyncio.sleep(60)
        assert (await stream.close()).generated_tokens == 1
        assert await reader == 1
        return asyncio.get_running_loop().time()

    async def play_out(stream: Any) -> int:
        return sum([len(delta.token_ids) async for delta in stream])

    assert run(scenario()) == 60.0


def test_without_pace_no_time_passes() -> None:
    async def scenario() -> float:
        engine = ReplayEngine([Recorded("a", "2+2?", (RecordedSample("4", 500, seconds=100.0),))])
        await play(engine, prompt_of(engine))
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 0.0
