"""The lock-step driver on the real engine: it repeats, it waits for everybody, and nobody holds it up for ever."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from thinkctl.engines.vllm import VllmLockstep
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.types import GenerationSpec

pytestmark = pytest.mark.engine


async def read(stream, least: int = 1 << 30) -> list[int]:
    ids: list[int] = []
    async for delta in stream:
        ids += delta.token_ids
        if len(ids) >= least:
            break
    return ids


async def crowd(bench, temperature: float = 1.0) -> list[tuple[int, ...]]:
    """Streams that begin together, end apart, and open others as they end."""

    async def one(place: int) -> tuple[int, ...]:
        stream = bench.engine.stream(bench.prompt, bench.spec(40, temperature=temperature))
        ids = await read(stream, 4 + 3 * place)
        assert (await stream.close()).wasted_tokens == 0
        if place % 2:
            other = bench.engine.stream([*bench.prompt, *ids], bench.spec(5, temperature=temperature))
            ids += await read(other)
            await other.close()
        return tuple(ids)

    return list(await asyncio.gather(*(one(place) for place in range(8))))


def test_after_a_rewind_everything_repeats(lockstep) -> None:
    runs = []
    for _ in range(2):
        lockstep.run(lockstep.engine.rewind(3))
        before = lockstep.run(lockstep.engine.counters())
        ids = lockstep.run(crowd(lockstep))
        after = lockstep.run(lockstep.engine.counters())
        runs.append(
            (
                ids,
                after.generated_tokens - before.generated_tokens,
                after.cached_tokens - before.cached_tokens,
            )
        )
    assert runs[0] == runs[1]
    lockstep.run(lockstep.engine.rewind(4))
    assert lockstep.run(crowd(lockstep)) != runs[0][0]


def test_streams_in_progress_cannot_be_rewound(lockstep) -> None:
    async def rewind_between() -> None:
        stream = lockstep.engine.stream(lockstep.prompt, lockstep.spec())
        await anext(stream)
        with pytest.raises(ConfigurationError, match="streams are running"):
            await lockstep.engine.rewind()
        await stream.close()
        await lockstep.engine.rewind()

    lockstep.run(rewind_between())


def test_a_stream_that_nobody_awaits_does_not_hold_up_the_others_for_ever(lockstep) -> None:
    async def abandon_one() -> float:
        idle = lockstep.engine.stream(lockstep.prompt, lockstep.spec())
        await anext(idle)
        began = time.monotonic()
        ids = await read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(20)))
        took = time.monotonic() - began
        usage = await idle.close()
        assert (len(ids), usage.generated_tokens, usage.wasted_tokens) == (20, 21, 20)
        return took

    assert 0.5 <= lockstep.run(abandon_one()) < 30


def test_a_reader_that_comes_back_finds_what_was_decoded_meanwhile(lockstep) -> None:
    async def come_back() -> list[int]:
        late = lockstep.engine.stream(lockstep.prompt, lockstep.spec(12, temperature=0.0))
        first = list((await anext(late)).token_ids)
        await read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(6)))
        return first + await read(late)

    whole = lockstep.run(read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(12, temperature=0.0))))
    assert lockstep.run(come_back()) == whole


def test_it_serves_several_event_loops(lockstep) -> None:
    found: list[list[int]] = []

    def elsewhere() -> None:
        found.append(
            asyncio.run(read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(8, temperature=0.0))))
        )

    threads = [threading.Thread(target=elsewhere) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elsewhere()
    assert len(found) == 4
    assert all(ids == found[0] for ids in found)


def test_a_loop_that_was_closed_leaves_nothing_running(lockstep) -> None:
    async def begin():
        stream = lockstep.engine.stream(lockstep.prompt, lockstep.spec())
        await anext(stream)
        return stream

    orphan = asyncio.run(begin())
    assert len(lockstep.run(read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(4))))) == 4
    assert lockstep.run(lockstep.engine.counters()).running == 0
    del orphan


def test_a_second_engine_in_the_process_preempts_and_still_counts_right(lockstep) -> None:
    """A cache of 12 blocks for 8 streams of up to 4 blocks each; what is lost is computed again in pieces."""
    small = VllmLockstep(
        lockstep.engine._settings.model,
        dtype="float32",
        context=256,
        streams=8,
        kv_cache_bytes=12 * 32 * 46_080,
        extra={"max_num_batched_tokens": 32},
    )
    prompts = [[*lockstep.prompt, 100 + place] for place in range(8)]

    async def one(place: int):
        stream = small.stream(prompts[place], lockstep.spec(100, temperature=0.0))
        ids = await read(stream, 40 + 6 * place)
        return ids, await stream.close()

    async def whole() -> None:
        async with small:
            found = await asyncio.gather(*map(one, range(8)))
            counters = await small.counters()
            again = await small._between_steps(lambda: small._barrier.ask("thinkctl_again"))
        assert small._barrier._tally.preempted > 0, "the cache was large enough: nothing was tried"
        assert again[0] > 0, "nothing was computed again in pieces"
        for ids, usage in found:
            assert (usage.generated_tokens, usage.wasted_tokens) == (len(ids), 0)
        assert counters.generated_tokens == sum(len(ids) for ids, _ in found)
        ids, _ = found[0]
        assert ids == await read(lockstep.engine.stream(prompts[0], lockstep.spec(len(ids), temperature=0.0)))

    lockstep.run(whole())
    assert len(lockstep.run(read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(3))))) == 3


def test_a_stream_aborted_in_the_middle_of_its_prompt_is_counted_as_barren(lockstep) -> None:
    small = VllmLockstep(
        lockstep.engine._settings.model,
        dtype="float32",
        context=512,
        streams=4,
        kv_cache_bytes=1 << 26,
        extra={"max_num_batched_tokens": 64},
    )

    async def whole() -> None:
        async with small:
            stream = small.stream([5] * 400, lockstep.spec(10))
            reader = asyncio.ensure_future(anext(stream, None))
            while (await small.counters()).prompt_tokens == 0:  # noqa: ASYNC110 - steps are what we look for
                await asyncio.sleep(0)
            usage = await stream.close()
            await reader
            counters = await small.counters()
            assert 0 < (counters.prompt_tokens or 0) < 400, "the prompt was computed whole: nothing was tried"
            assert (usage.generated_tokens, counters.generated_tokens, counters.running) == (0, 0, 0)
            assert usage.prompt_tokens == 400

    lockstep.run(whole())


def test_a_worker_that_fails_ends_every_stream_and_the_engine(lockstep) -> None:
    doomed = VllmLockstep(
        lockstep.engine._settings.model, dtype="float32", context=256, streams=4, kv_cache_bytes=1 << 26
    )

    async def whole() -> None:
        await doomed.start()
        streams = [doomed.stream(lockstep.prompt, lockstep.spec()) for _ in range(3)]
        await asyncio.gather(*(anext(stream) for stream in streams))

        def fail():
            raise RuntimeError("the worker is broken")

        doomed._barrier._llm.step = fail
        ends = await asyncio.gather(*(read(stream) for stream in streams), return_exceptions=True)
        assert [type(end) for end in ends] == [EngineUnavailable] * 3
        assert "the worker is broken" in str(ends[0])
        usage = await streams[0].close()
        assert (usage.generated_tokens, usage.estimated) == (1, True)
        with pytest.raises(EngineUnavailable, match="the worker is broken"):
            await doomed.counters()
        with pytest.raises(EngineUnavailable, match="the worker is broken"):
            doomed.stream(lockstep.prompt, lockstep.spec())
        await doomed.aclose()

    lockstep.run(whole())


def test_closing_the_engine_ends_streams_and_leaves_no_thread(lockstep) -> None:
    engine = VllmLockstep(
        lockstep.engine._settings.model, dtype="float32", context=256, streams=4, kv_cache_bytes=1 << 26
    )

    async def whole() -> None:
        stream = engine.stream(lockstep.prompt, GenerationSpec(max_tokens=200, ignore_end=True))
        await anext(stream)
        waiting = asyncio.ensure_future(read(stream))
        await asyncio.sleep(0)
        await engine.aclose()
        with pytest.raises(EngineUnavailable, match="was closed"):
            await waiting
        await engine.aclose()

    lockstep.run(whole())
    assert not engine._barrier._thread.is_alive()


def test_of_a_models_own_defaults_only_its_ends_of_turn_are_heeded(lockstep, tmp_path) -> None:
    """Its generation config would have repetitions punished; it also names a second end of turn."""
    whole = lockstep.run(read(lockstep.engine.stream(lockstep.prompt, lockstep.spec(12, temperature=0.0))))
    end = next(token for place, token in enumerate(whole) if place > 3 and token not in whole[:place])
    original = Path(lockstep.engine._settings.model)
    for file in original.iterdir():
        if file.name != "generation_config.json":
            (tmp_path / file.name).symlink_to(file)
    config = {"eos_token_id": [2, end], "repetition_penalty": 3.0, "temperature": 0.1, "top_k": 1}
    (tmp_path / "generation_config.json").write_text(json.dumps(config))
    model = VllmLockstep(tmp_path, dtype="float32", context=256, streams=4, kv_cache_bytes=1 << 26)

    async def both() -> tuple[list[int], list[int]]:
        async with model:
            greedy = GenerationSpec(max_tokens=12, temperature=0.0)
            return (
                await read(model.stream(lockstep.prompt, greedy)),
                await read(model.stream(lockstep.prompt, replace(greedy, ignore_end=True))),
            )

    heeded, ignored = lockstep.run(both())
    assert heeded == whole[: whole.index(end) + 1]
    assert ignored == whole
