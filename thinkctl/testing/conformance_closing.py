"""Checks of engines: streams that end, are closed or given up, alone and in company, and what is billed for them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from thinkctl.protocols import Stream
from thinkctl.testing.trial import Read, Trial, claim, close, idle, read, reconcile, say, soon
from thinkctl.types import StreamUsage

__all__ = [
    "a_cancelled_consumer_leaves_nothing_behind",
    "a_close_ends_the_work_and_is_counted",
    "a_reader_that_gives_up_loses_nothing",
    "a_second_close_says_the_same",
    "a_stream_nobody_awaited_costs_nothing",
    "another_task_may_close",
    "closing_before_the_first_token_is_counted",
    "many_streams_run_at_once",
    "the_bills_add_up_to_the_counters",
]


async def a_close_ends_the_work_and_is_counted(trial: Trial) -> None:
    """After ``close`` nothing runs; the bill is what was delivered and what was wasted, within the grant."""
    for least in (1, 3):
        stream = trial.stream()
        got = await read(stream, least)
        usage = await close(stream)
        await idle(trial)
        delivered = len(got.token_ids)
        claim(
            usage.generated_tokens == delivered + usage.wasted_tokens,
            f"{delivered} tokens were delivered, but the bill is {usage}",
        )
        claim(usage.generated_tokens <= trial.tokens, f"more was decoded than granted: {usage}")
        exact = trial.engine.caps.token_prompts  # elsewhere a prompt has as many tokens as the server says
        prompt = len(trial.prompt)
        claim(usage.prompt_tokens == prompt or not exact, f"a prompt of {prompt} is billed as {usage}")
        claim(not (await read(stream)).deltas, "a closed stream went on")


async def a_second_close_says_the_same(trial: Trial) -> None:
    """``close`` may be called again, also at once and after the end."""
    ended = trial.stream()
    await read(ended)
    stopped = trial.stream()
    await read(stopped, 1)
    for stream in (ended, stopped, trial.stream()):
        first, second = await soon(asyncio.gather(stream.close(), stream.close()), "close()")
        claim(first == second == await close(stream), f"two closes gave {first} and {second}")


async def a_stream_nobody_awaited_costs_nothing(trial: Trial) -> None:
    """Nothing is sent before the first await."""
    before = await idle(trial)
    stream = trial.stream()
    await asyncio.sleep(0)
    claim(
        not await soon(stream.force(list(trial.prompt[:1])), "force()"),
        "a stream that had not begun was forced",
    )
    claim(await close(stream) == StreamUsage(), "a stream that was never awaited is billed")
    claim(await idle(trial) == before, "a stream that was never awaited was counted")
    claim(not (await read(stream)).deltas, "a stream that was closed before it began went on")


async def a_reader_that_gives_up_loses_nothing(trial: Trial) -> None:
    """Waiting may be cancelled; the stream goes on where it was, and closing it leaves the engine idle."""
    whole = await say(trial)
    stream = trial.stream()
    got = Read()
    for turns in (1, 2, 3, 4):
        task = asyncio.ensure_future(anext(aiter(stream)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            got.deltas.append(await soon(task, "a cancelled wait"))
    got.deltas += (await read(stream)).deltas
    usage = await close(stream)
    if trial.repeats:
        claim(got.token_ids == whole, f"cancelled waits changed {whole} into {got.token_ids}")
    claim(usage.generated_tokens == len(got.token_ids) + usage.wasted_tokens, f"the bill is {usage}")


async def a_cancelled_consumer_leaves_nothing_behind(trial: Trial) -> None:
    """A task that is cancelled while it reads, and closes as it goes, leaves the engine idle and a right bill."""
    begun = asyncio.Event()
    delivered = 0
    bills: list[StreamUsage] = []
    before = await idle(trial)

    async def consume() -> None:
        nonlocal delivered
        stream = trial.stream()
        try:
            async for delta in stream:
                delivered += len(delta.token_ids)
                begun.set()
        finally:
            bills.append(await stream.close())

    tasks = [asyncio.create_task(consume()) for _ in range(2)]
    await soon(begun.wait(), "a stream")
    for task in tasks:
        task.cancel()
    await soon(asyncio.gather(*tasks, return_exceptions=True), "a cancelled task")
    reconcile(before, await idle(trial), bills)
    claim(
        sum(bill.generated_tokens - bill.wasted_tokens for bill in bills) == delivered,
        f"{delivered} tokens were delivered, but the bills are {bills}",
    )


async def another_task_may_close(trial: Trial) -> None:
    """Closing a stream that another task waits for ends that wait."""
    stream = trial.stream()
    await read(stream, 1)
    reader = asyncio.create_task(read(stream))
    await asyncio.sleep(0)
    usage = await close(stream)
    got = await soon(reader, "the reader of a closed stream")
    least = 1 + len(got.token_ids)
    claim(usage.generated_tokens >= least, f"at least {least} tokens were delivered, but the bill is {usage}")
    await idle(trial)


async def many_streams_run_at_once(trial: Trial) -> None:
    """Concurrent streams do not disturb each other's tokens, and all of them end."""
    streams = [trial.stream() for _ in range(trial.at_once)]
    reads = await soon(asyncio.gather(*(read(stream) for stream in streams)), "a crowd of streams")
    for stream in streams:
        await close(stream)
    lengths = [len(got.token_ids) for got in reads]
    claim(lengths == [trial.tokens] * trial.at_once, f"streams of {trial.tokens} tokens brought {lengths}")
    if trial.repeats:
        alone = await say(trial)
        claim(
            all(got.token_ids == alone for got in reads),
            "a stream says something else in company than alone",
        )
    await idle(trial)


async def the_bills_add_up_to_the_counters(trial: Trial) -> None:
    """Streams stopped at different places: all bills together are what the engine says it computed."""
    before = await idle(trial)
    streams = [trial.stream() for _ in range(trial.at_once)]

    async def part(place: int, stream: Stream) -> StreamUsage:
        await read(stream, 1 + place % trial.tokens)
        return await close(stream)

    bills = await soon(
        asyncio.gather(*(part(place, stream) for place, stream in enumerate(streams))), "a crowd of closes"
    )
    reconcile(before, await idle(trial), bills)
    overshoot = trial.engine.caps.overshoot
    claim(overshoot != 0 or not any(bill.wasted_tokens for bill in bills), f"overshoot is 0, but: {bills}")


async def closing_before_the_first_token_is_counted(trial: Trial) -> None:
    """Streams closed right after they began: whatever was computed is on the bill, and nothing goes on."""
    before = await idle(trial)
    bills = []
    for turns in (0, 1, 5, 20):
        stream = trial.stream()
        reader = asyncio.create_task(read(stream))
        for _ in range(turns + 1):
            await asyncio.sleep(0)
        bills.append(await close(stream))
        got = await soon(reader, "the reader of a closed stream")
        claim(
            bills[-1].generated_tokens == len(got.token_ids) + bills[-1].wasted_tokens,
            f"{len(got.token_ids)} tokens were delivered, but the bill is {bills[-1]}",
        )
    reconcile(before, await idle(trial), bills)
