"""Both drivers on the real engine: what every engine must do, and what vLLM must not do to us."""

from __future__ import annotations

import asyncio
import gc
import math

import pytest

from thinkctl.errors import ConfigurationError, ContextExceeded, RequestFailed
from thinkctl.protocols import Engine
from thinkctl.testing.conformance import CHECKS, Check, Trial
from thinkctl.types import EngineCounters, GenerationSpec, StreamUsage

pytestmark = pytest.mark.engine


def test_an_engine_that_just_started_has_computed_nothing(bench) -> None:
    assert bench.run(bench.engine.counters()) == EngineCounters(0, 0, 0, 0)


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_the_driver_conforms(bench, check: Check) -> None:
    bench.run(check(Trial(bench.engine)))


def test_it_is_an_engine_and_knows_itself(bench) -> None:
    caps = bench.engine.caps
    assert isinstance(bench.engine, Engine)
    assert bench.engine.card.parameters == 134_515_008
    assert (caps.streams, caps.block, caps.logprobs, caps.seeds, caps.counters) == (16, 32, 20, False, True)
    assert caps.force >= 16


async def stopped(bench, after: int) -> StreamUsage:
    stream, got = bench.engine.stream(bench.prompt, bench.spec()), 0
    async for delta in stream:
        got += len(delta.token_ids)
        if got >= after:
            break
    return await stream.close()


def test_sixteen_streams_that_are_aborted_together_waste_what_the_capabilities_say(bench) -> None:
    async def all_at_once() -> tuple[list[StreamUsage], EngineCounters, EngineCounters]:
        before = await bench.engine.counters()
        usages = await asyncio.gather(*(stopped(bench, 3 + 2 * place) for place in range(16)))
        return usages, before, await bench.engine.counters()

    usages, before, after = bench.run(all_at_once())
    assert {usage.wasted_tokens for usage in usages} == {bench.engine.caps.overshoot}
    assert sum(usage.generated_tokens for usage in usages) == after.generated_tokens - before.generated_tokens
    assert not any(usage.estimated for usage in usages)


def test_what_came_but_was_not_read_is_wasted(bench) -> None:
    async def slow() -> StreamUsage:
        stream = bench.engine.stream(bench.prompt, bench.spec(6))
        await anext(stream)
        other = bench.engine.stream(bench.prompt, bench.spec(12))  # drives the engine on, also in lock-step
        async for _ in other:
            pass
        await other.close()
        return await stream.close()

    usage = bench.run(slow())
    assert (usage.generated_tokens, usage.wasted_tokens) == (6, 5)


def test_a_stream_that_is_dropped_is_aborted(bench) -> None:
    async def drop() -> int:
        await anext(bench.engine.stream(bench.prompt, bench.spec()))
        gc.collect()
        for _ in range(100):
            if (await bench.engine.counters()).running == 0:
                break
            await asyncio.sleep(0.05)
        before = await bench.engine.counters()
        usage = await stopped(bench, 2)  # reconciles also after the drop
        after = await bench.engine.counters()
        return after.generated_tokens - before.generated_tokens - usage.generated_tokens

    assert bench.run(drop()) == 0


def test_forced_tokens_follow_what_was_delivered_at_once(bench) -> None:
    async def forced() -> tuple[int, list[int]]:
        stream, between = bench.engine.stream(bench.prompt, bench.spec(temperature=1.0)), 0
        marked: list[int] = []
        await anext(stream)
        assert await stream.force([1, 2, 3])
        assert await stream.force([4, 5])  # while the first are still to come
        async for delta in stream:
            marked += delta.token_ids if delta.forced else ()
            between += len(delta.token_ids) if not marked else 0
            if len(marked) >= 5:
                break
        await stream.close()
        return between, marked

    between, marked = bench.run(forced())
    assert marked == [1, 2, 3, 4, 5]
    assert between <= bench.engine.caps.overshoot


def test_forcing_an_end_of_turn_ends_the_stream(bench) -> None:
    async def forced() -> list[int]:
        stream = bench.engine.stream(bench.prompt, GenerationSpec(max_tokens=100, temperature=0.0))
        await anext(stream)
        assert await stream.force([40, 2, 41])
        deltas = [delta async for delta in stream]
        assert (await stream.close()).generated_tokens <= 3 + bench.engine.caps.overshoot
        return deltas

    last = bench.run(forced())[-1]
    assert (last.token_ids[-1], last.forced, last.finish) == (2, True, "stop")


def test_forcing_does_not_reach_beyond_the_grant(bench) -> None:
    async def forced() -> tuple[list[int], StreamUsage]:
        stream = bench.engine.stream(bench.prompt, bench.spec(4))
        ids = list((await anext(stream)).token_ids)
        assert await stream.force([10, 11, 12, 13, 14, 15])
        async for delta in stream:
            ids += delta.token_ids
        return ids, await stream.close()

    ids, usage = bench.run(forced())
    assert (len(ids), usage.generated_tokens, usage.wasted_tokens) == (4, 4, 0)
    assert ids[-2:] in ([10, 11], [11, 12])


def test_scores_are_those_of_the_whole_distribution(bench) -> None:
    scores = bench.run(bench.engine.score(bench.prompt, range(bench.engine.card.dimensions.vocabulary)))
    assert math.isclose(sum(map(math.exp, scores.values())), 1.0, abs_tol=1e-3)


@pytest.mark.parametrize(
    ("prompt", "changes", "error", "message"),
    [
        ([], {}, ConfigurationError, "prompt is empty"),
        ([49_152], {}, ConfigurationError, "token id 49152; this model's are 0 to 49151"),
        ([-1], {}, ConfigurationError, "token id -1"),
        ([1], {"seed": 7}, ConfigurationError, "seed=7: a request's own seed kills vLLM"),
        ([1], {"logprobs": 21}, ConfigurationError, "logprobs=21: this engine gives 0 to 20"),
        ([1], {"stop_token_ids": (60_000,)}, ConfigurationError, "stop_token_ids holds token id 60000"),
        ([1], {"max_tokens": 0}, ConfigurationError, "max_tokens=0"),
        ([1] * 1000, {"max_tokens": 1049}, ContextExceeded, "prompt of 1000 and max_tokens=1049 .* 2048"),
    ],
)
def test_what_vllm_would_die_of_is_refused_before(bench, prompt, changes, error, message) -> None:
    with pytest.raises(error, match=message):
        bench.engine.stream(prompt, GenerationSpec(**({"max_tokens": 4} | changes)))


def test_what_only_vllm_refuses_fails_that_request_alone(bench) -> None:
    async def refused() -> StreamUsage:
        stream = bench.engine.stream(bench.prompt, GenerationSpec(max_tokens=4, temperature=-1.0))
        with pytest.raises(RequestFailed, match="temperature must be non-negative"):
            await anext(stream)
        return await stream.close()

    assert bench.run(refused()) == StreamUsage()
    assert bench.run(stopped(bench, 1)).generated_tokens >= 1


def test_a_stream_has_one_reader(bench) -> None:
    async def two() -> None:
        stream = bench.engine.stream(bench.prompt, bench.spec())
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(stream)
        await first
        await stream.close()

    bench.run(two())


def test_a_cancelled_close_closes_all_the_same(bench) -> None:
    async def cancel() -> tuple[StreamUsage, int | None]:
        stream = bench.engine.stream(bench.prompt, bench.spec())
        await anext(stream)
        closing = asyncio.ensure_future(stream.close())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        return await stream.close(), (await bench.engine.counters()).running

    usage, running = bench.run(cancel())
    assert usage.generated_tokens == 1 + usage.wasted_tokens
    assert running == 0


def test_lower_priority_numbers_go_first(bench) -> None:
    async def race() -> list[int]:
        order: list[int] = []

        async def one(place: int, priority: int) -> None:
            stream = bench.engine.stream(bench.prompt, bench.spec(6, priority=priority))
            async for _ in stream:
                pass
            order.append(place)
            await stream.close()

        await asyncio.gather(*(one(place, 0 if place < 20 else -1) for place in range(24)))
        return order

    order = bench.run(race())
    assert sorted(order[:16])[-4:] == [20, 21, 22, 23], "the urgent ones came last and are in the first wave"


def test_marks_and_chat_survive_the_tokenizer(bench) -> None:
    tokenizer = bench.engine.tokenizer
    assert tokenizer.decode(tokenizer.encode("17 * 23 = 391\n\n")) == "17 * 23 = 391\n\n"
    assert tokenizer.decode([*tokenizer.encode("done"), 2]) == "done"
    text = tokenizer._inner.decode(bench.prompt)
    assert text.endswith("<|im_start|>assistant\n")
    assert tokenizer.encode("<|im_end|>") == [2]
