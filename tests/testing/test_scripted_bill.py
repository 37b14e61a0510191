"""The scripted engine delivers tokens when they are due, and bills what it generated."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.streams import TEXT, ask, ids, read, say
from thinkctl.testing import End, Script, ScriptedEngine, run
from thinkctl.types import EngineCounters, StreamUsage

# -- time ------------------------------------------------------------------------------------------------------


def test_tokens_come_when_they_are_due() -> None:
    async def main() -> list[float]:
        engine = ScriptedEngine([Script("a b c d e", seconds_per_token=0.1, first=2, chunk=2)])
        return [asyncio.get_running_loop().time() async for _ in ask(engine)]

    assert run(main(), start=1) == pytest.approx([3.2, 3.4, 3.6])


def test_a_reader_that_gave_up_waiting_may_come_back() -> None:
    async def main() -> float:
        engine = ScriptedEngine([Script("a", seconds_per_token=1)])
        stream = ask(engine)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream.__aiter__()), 0.3)
        await anext(stream.__aiter__())
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.0)


def test_a_slow_reader_keeps_the_engine_waiting() -> None:
    async def main() -> float:
        stream = ask(ScriptedEngine([Script("a b", seconds_per_token=1)]))
        await read(stream, 1)
        await asyncio.sleep(10)
        await read(stream, 1)
        return asyncio.get_running_loop().time()

    assert run(main()) == 12


def test_streams_beyond_the_limit_queue_by_priority_and_age() -> None:
    async def main() -> dict[str, float]:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)], streams=2)
        ended: dict[str, float] = {}

        async def one(name: str, priority: int) -> None:
            await read(ask(engine, priority=priority))
            ended[name] = asyncio.get_running_loop().time()

        async with asyncio.TaskGroup() as group:
            for name, priority in (("a", 0), ("b", 0), ("c", 1), ("d", 0), ("e", 1)):
                group.create_task(one(name, priority))
        assert engine.most_open == 5
        return ended

    assert run(main()) == {"a": 3, "b": 3, "d": 6, "c": 6, "e": 9}


def test_a_stream_closed_in_the_queue_costs_nothing() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)], streams=1, waste=1)
        first, second = ask(engine), ask(engine)
        async with asyncio.TaskGroup() as group:
            group.create_task(read(first))
            await asyncio.sleep(0.5)
            reader = group.create_task(read(second))
            await asyncio.sleep(0.5)
            assert await second.close() == StreamUsage()
        assert reader.result() == []
        assert engine.open_streams == 0

    run(main())


# -- the bill --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), max_size=5),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_the_streams_add_up_to_the_counters(reads: list[tuple[int, int]], waste: int, block: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT, "a b c"], waste=waste, block=block)
        bills = []
        delivered = 0
        for tokens, grant in reads:
            stream = ask(engine, max_tokens=grant)
            delivered += len(ids(await read(stream, tokens)))
            bills.append(await stream.close())
            assert await stream.close() == bills[-1]
            assert bills[-1].generated_tokens <= grant
        generated = sum(bill.generated_tokens for bill in bills)
        cached = sum(bill.cached_tokens or 0 for bill in bills)
        prompts = sum(bill.prompt_tokens for bill in bills)
        assert await engine.counters() == EngineCounters(prompts - cached, cached, generated, 0)
        assert generated == delivered + sum(bill.wasted_tokens for bill in bills)
        assert [log.usage for log in engine.log] == [bill for bill in bills if bill.prompt_tokens]

    run(main())


@pytest.mark.parametrize(("read_tokens", "grant", "wasted"), [(2, 100, 3), (2, 4, 2), (4, 4, 0)])
def test_closing_a_running_stream_wastes_tokens_within_its_grant(
    read_tokens: int, grant: int, wasted: int
) -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT], waste=3)
        stream = ask(engine, max_tokens=grant)
        await read(stream, read_tokens)
        used = await stream.close()
        assert (used.generated_tokens, used.wasted_tokens) == (read_tokens + wasted, wasted)

    run(main())


def test_nothing_happens_before_the_first_await() -> None:
    async def main() -> None:
        engine = ScriptedEngine(["a", "b"], waste=1)
        unused = ask(engine)
        assert await say(engine) == "a"
        assert await unused.close() == StreamUsage()
        assert await read(unused) == []
        assert len(engine.log) == 1

    run(main())


def test_a_stream_that_is_closed_while_it_is_read_ends() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)])
        stream = ask(engine)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(read(stream))
            await asyncio.sleep(1.5)
            assert (await stream.close()).generated_tokens == 1
        assert asyncio.get_running_loop().time() == 1.5
        assert len(ids(reader.result())) == 1
        assert (engine.log[0].end, engine.log[0].ended) == (End.CLOSED, 1.5)

    run(main())


def test_whole_blocks_of_an_earlier_prefix_are_cached_but_never_the_whole_prompt() -> None:
    async def main() -> list[int | None]:
        engine = ScriptedEngine(["a b c d e f"], block=2)
        stream = ask(engine)
        said = ids(await read(stream, 4))
        forked = ask(engine, said)
        await read(forked, 1)
        again = ask(engine)
        await read(again, 1)
        return [(await one.close()).cached_tokens for one in (stream, forked, again)]

    assert run(main()) == [0, 6, 2]


def test_two_readers_of_one_stream_are_a_mistake() -> None:
    async def main() -> None:
        stream = ask(ScriptedEngine([Script("a b", seconds_per_token=1)]))
        async with asyncio.TaskGroup() as group:
            group.create_task(read(stream))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="one reader"):
                await read(stream)

    run(main())
