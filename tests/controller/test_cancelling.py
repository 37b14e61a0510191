"""Cancelling: whenever it comes, and however often, everything is aborted upstream before it goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    QUESTION,
    Asks,
    Judges,
    Odd,
    abstains,
    decides,
    endless,
    generate,
    says,
    words,
)
from thinkctl import Budget, Controller
from thinkctl.controller import budget
from thinkctl.testing import ScriptedEngine, run
from thinkctl.types import Decision, History, ProbeRequest, Verdict

TENTH: dict[str, Any] = {"seconds_per_token": 0.1}


async def judged(sample, engines) -> Verdict:
    """Judge for five seconds."""
    await generate(engines, "judge", 50)
    return Verdict(1.0)


def probes(history: History) -> Decision:
    """Probe everything all the time."""
    return Decision(probe=tuple(ProbeRequest(each.index, max_tokens=30) for each in history.in_flight))


SCENES = {
    # name: scripts, budget, knobs, and a moment at which it is going on
    "streaming": ([endless(**TENTH)], None, {}, 1.05),
    "before the first token": ([says("4", first=10)], None, {}, 0.5),
    "concluding": ([endless(conclusion=words(50), **TENTH)], Budget(tokens=100), {"usual_tokens": 10}, 3.0),
    "the last resort": ([abstains(4, conclusion=words(50), **TENTH)], None, {}, 1.0),
    "judging": ([says("4", 2, **TENTH), endless(**TENTH)], None, {"verifier": Judges(judged)}, 1.0),
    "probing": ([endless(conclusion=words(50), **TENTH)], None, {"policy": decides(probes)}, 4.0),
    "winding down": ([endless(conclusion=words(50), **TENTH)], Budget(seconds=4), {}, 3.5),
    "steering": ([endless(**TENTH)], Budget(thinking_tokens=10), {}, 1.0),
}


@pytest.mark.parametrize("closing", [0.0, 0.3])
@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("scene", SCENES)
def test_cancelling_aborts_everything_upstream_before_it_returns(
    scene: str, times: int, closing: float
) -> None:
    """Also when it comes again and again while the engine takes its time to let go."""
    scripts, limits, knobs, moment = SCENES[scene]

    async def main() -> None:
        engine = ScriptedEngine(scripts, waste=1)
        controller = Controller(Odd(engine, closing_seconds=closing), Asks(2), **knobs)  # type: ignore[arg-type]
        with budget(tokens=100_000) as purse:
            task = asyncio.ensure_future(controller.solve(QUESTION, limits))
            await asyncio.sleep(moment)
            assert engine.open_streams or closing, "the scene is over before it is cancelled"
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.05)
            with pytest.raises(asyncio.CancelledError):
                await task
            assert engine.open_streams == 0
            truth = await engine.counters()
            assert (truth.running, purse.receipt.generated_tokens) == (0, truth.generated_tokens)
            assert purse.tokens_left == 100_000 - purse.receipt.generated_tokens
            await asyncio.sleep(30)
            assert await engine.counters() == truth, "nothing is generated after that"

    run(main())


def test_a_timeout_around_solve_is_a_cancellation() -> None:
    async def main() -> float:
        engine = ScriptedEngine([endless(**TENTH)])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2.5):
                await Controller(engine, Asks(3)).solve(QUESTION)
        assert engine.open_streams == 0
        return asyncio.get_running_loop().time()

    assert run(main()) == 2.5


def test_cancelling_before_it_began_opens_nothing() -> None:
    async def main() -> None:
        engine = ScriptedEngine(["unasked"])
        task = asyncio.ensure_future(Controller(engine, Asks(3)).solve(QUESTION))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.log == []

    run(main())


def test_cancelling_while_the_engine_starts_opens_nothing() -> None:
    async def main() -> None:
        engine = ScriptedEngine(["unasked"])
        controller = Controller(Odd(engine, starting_seconds=10), Asks(1))
        task = asyncio.ensure_future(controller.solve(QUESTION))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.log == []

    run(main())


def test_one_of_several_runs_on_an_engine_can_be_cancelled_alone() -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless(**TENTH), says("4", 20, **TENTH)])
        one = asyncio.ensure_future(Controller(engine, Asks(1)).solve(QUESTION))
        await asyncio.sleep(0.5)
        other = asyncio.ensure_future(Controller(engine, Asks(1)).solve("Something else?"))
        await asyncio.sleep(0.5)
        one.cancel()
        found = await other
        assert found.answer is not None
        assert one.cancelled()

    run(main())


@given(
    moment=st.floats(0, 12),
    again=st.lists(st.floats(0, 0.5), max_size=3),
    n=st.integers(1, 4),
    force=st.sampled_from([0, 20]),
    waste=st.integers(0, 2),
    scene=st.sampled_from(sorted(SCENES)),
)
def test_at_whatever_moment_it_comes(moment, again, n, force, waste, scene) -> None:
    scripts, limits, knobs, _ = SCENES[scene]

    async def main() -> None:
        engine = ScriptedEngine(scripts, waste=waste, force=force)
        controller = Controller(Odd(engine, closing_seconds=0.1), Asks(n), **knobs)  # type: ignore[arg-type]
        with budget(tokens=2000, seconds=20) as purse:
            task = asyncio.ensure_future(controller.solve(QUESTION, limits))
            await asyncio.sleep(moment)
            task.cancel()
            for pause in again:
                await asyncio.sleep(pause)
                task.cancel()
            await asyncio.wait([task])
            assert engine.open_streams == 0
            truth = await engine.counters()
            assert purse.receipt.generated_tokens == truth.generated_tokens
            assert purse.tokens_left == 2000 - purse.receipt.generated_tokens

    run(main())
