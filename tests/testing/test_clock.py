"""The fake clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from thinkctl.testing import Deadlock, LeftOver, run


def now() -> float:
    return asyncio.get_running_loop().time()


def test_an_hour_passes_at_once_and_exactly() -> None:
    async def main() -> float:
        await asyncio.sleep(3600)
        return now()

    assert run(main()) == 3600
    assert run(main(), start=10.5) == 3610.5


def test_timers_fire_in_their_order_at_their_moments() -> None:
    async def main() -> list[tuple[float, str]]:
        seen: list[tuple[float, str]] = []

        async def note(seconds: float, name: str) -> None:
            await asyncio.sleep(seconds)
            seen.append((now(), name))

        async with asyncio.TaskGroup() as group:
            for seconds, name in ((0.3, "late"), (0.1, "early"), (0.0, "at once"), (90_000.0, "after a day")):
                group.create_task(note(seconds, name))
        return seen

    assert run(main()) == [(0.0, "at once"), (0.1, "early"), (0.3, "late"), (90_000.0, "after a day")]


def test_a_timeout_ends_what_is_slower() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await asyncio.sleep(2)
        return now()

    assert run(main()) == 1.5


def test_time_stands_still_while_something_runs() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return now()

    assert run(main()) == 0.0


def test_waiting_for_what_never_comes_is_a_deadlock_that_names_the_waiting_line() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match=r"(?s)no timer is set at 2 s; 1 tasks wait:.*clock\.py"):
        run(main(), start=2)


def test_a_timer_that_never_fires_is_a_deadlock() -> None:
    with pytest.raises(Deadlock):
        run(asyncio.sleep(float("inf")))


def test_a_task_that_was_left_over_fails_the_run_and_is_cancelled() -> None:
    cancelled = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            cancelled.append(now())
            raise

    async def main() -> None:
        task = asyncio.create_task(forgotten(), name="forgotten")
        await asyncio.sleep(1)
        assert not task.done()

    with pytest.raises(LeftOver, match="forgotten"):
        run(main())
    assert cancelled == [1.0]


def test_an_error_is_raised_as_it_is_and_names_what_was_left_over() -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(100), name="forgotten")
        await asyncio.sleep(0)
        assert not task.done()
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong") as caught:
        run(main())
    assert "forgotten" in caught.value.__notes__[0]


def test_a_job_in_a_thread_takes_no_virtual_time() -> None:
    async def main() -> tuple[int, float]:
        gate = threading.Event()
        asyncio.get_running_loop().call_later(5, gate.set)  # only if the clock went on without the job
        async with asyncio.timeout(3):
            found = await asyncio.to_thread(lambda: 42 if not gate.is_set() else 0)
        return found, now()

    assert run(main()) == (42, 0.0)


def test_another_thread_may_wake_the_loop() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[str] = loop.create_future()
        thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(woken.set_result, "hello"))
        loop.call_soon(thread.start)
        said = await woken
        thread.join()
        return said

    assert run(main()) == "hello"


def test_generators_are_closed_at_the_end() -> None:
    closed = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    async def main() -> AsyncIterator[int]:
        generator = numbers()
        await anext(generator)
        return generator

    run(main())
    assert closed == [True]
