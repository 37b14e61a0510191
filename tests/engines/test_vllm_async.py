"""The production driver on the real engine: whose loop it is, and what happens when its process dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import pytest

from thinkctl import models
from thinkctl.engines.vllm import VllmEngine
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.types import GenerationSpec, StreamUsage

pytestmark = pytest.mark.engine

PROMPT = list(range(100, 140))
LONG = GenerationSpec(max_tokens=1500, ignore_end=True)


def engine(**changes) -> VllmEngine:
    settings: dict[str, Any] = {
        "dtype": "float32",
        "context": 2048,
        "streams": 16,
        "kv_cache_bytes": 1 << 28,
    } | changes
    return VllmEngine(models.resolve("smollm2-135m-instruct"), **settings)


def children() -> set[int]:
    """Return the ids of the processes that were started; that of an engine of other modules may be among them."""
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


def the_engine_process(others: set[int]) -> int:
    (only,) = {
        child.pid
        for child in multiprocessing.active_children()
        if "EngineCore" in child.name and child.pid is not None and child.pid not in others
    }
    return only


async def read(stream) -> int:
    return sum([len(delta.token_ids) async for delta in stream])


async def killed(others: set[int]) -> None:
    doomed = engine()
    async with doomed:
        await use_from_another_loop(doomed)
        streams = [doomed.stream(PROMPT, LONG) for _ in range(4)]
        await asyncio.gather(*(anext(stream) for stream in streams))
        waiting = [asyncio.ensure_future(read(stream)) for stream in streams[:2]]
        closing = asyncio.ensure_future(streams[2].close())
        counting = asyncio.ensure_future(doomed.counters())
        await asyncio.sleep(0)
        os.kill(the_engine_process(others), signal.SIGKILL)
        began = time.monotonic()
        ends: list[Any] = await asyncio.wait_for(
            asyncio.gather(*waiting, counting, return_exceptions=True), 30
        )
        assert time.monotonic() - began < 10
        assert [type(end) for end in ends[:2]] == [EngineUnavailable] * 2
        assert "died" in str(ends[0])
        assert isinstance(ends[2], EngineUnavailable) or ends[2].generated_tokens
        usage = await asyncio.wait_for(closing, 10)
        assert usage.generated_tokens >= 1
        for stream in streams:
            usage = await asyncio.wait_for(stream.close(), 10)
            assert usage.prompt_tokens == len(PROMPT)
            assert usage == await stream.close()
        assert (await streams[3].close()).estimated
        assert not await streams[3].force([1])
        with pytest.raises(EngineUnavailable, match="died"):
            await anext(streams[0].__class__(doomed, tuple(PROMPT), LONG, None))
        with pytest.raises(EngineUnavailable, match="died"):
            doomed.stream(PROMPT, LONG)
        with pytest.raises(EngineUnavailable, match="died"):
            await doomed.counters()
        with pytest.raises(EngineUnavailable, match="died"):
            await doomed.score(PROMPT, [1])


async def use_from_another_loop(busy: VllmEngine) -> None:
    refused: list[str] = []

    def elsewhere() -> None:
        async def use() -> None:
            with pytest.raises(ConfigurationError, match="belongs to another event loop") as caught:
                await anext(busy.stream(PROMPT, LONG))
            refused.append(str(caught.value))

        asyncio.run(use())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(refused) == 1


def test_every_stream_of_a_killed_engine_ends_at_once_and_says_so() -> None:
    pytest.importorskip("vllm")
    others = children()
    asyncio.run(killed(others))
    assert children() <= others


def test_closing_while_the_model_is_loaded_waits_for_nobody_and_costs_nothing() -> None:
    pytest.importorskip("vllm")
    others = children()

    async def hasty() -> None:
        loading = engine()
        stream = loading.stream(PROMPT, LONG)
        reader = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        assert await stream.close() == StreamUsage()
        assert time.monotonic() - began < 1
        assert await reader is None
        other = loading.stream(PROMPT, LONG)
        await anext(other)
        waiting = asyncio.ensure_future(read(other))
        await asyncio.sleep(0)
        await loading.aclose()
        with pytest.raises(EngineUnavailable, match="was closed"):
            await waiting
        assert (await other.close()).estimated
        with pytest.raises(EngineUnavailable, match="was closed"):
            loading.stream(PROMPT, LONG)
        await loading.aclose()

    asyncio.run(hasty())
    assert children() <= others


def test_what_vllm_refuses_to_load_is_said_in_its_words() -> None:
    pytest.importorskip("vllm")

    async def refused(message: str, **changes) -> None:
        bad = engine(**changes)
        with pytest.raises(ConfigurationError, match=message):
            await bad.start()
        with pytest.raises(ConfigurationError, match=message):
            await anext(bad.stream(PROMPT, LONG))
        await bad.aclose()

    asyncio.run(refused("max_model_len", context=100_000))
    asyncio.run(refused("unexpected keyword argument", extra={"no_such_option": 1}))
    asyncio.run(refused("thinkctl's to set", extra={"worker_extension_cls": "mine"}))
