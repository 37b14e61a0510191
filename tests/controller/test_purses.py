"""One wall around many calls: purses, how they nest, and whom they follow."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.controller.rig import PER_TOKEN, QUESTION, Asks, endless, key, says, tokens_of
from thinkctl import Budget, Controller, Run
from thinkctl.controller import Purse, budget, budgeted
from thinkctl.errors import ConfigurationError
from thinkctl.testing import ScriptedEngine, run
from thinkctl.types import StopReason


def controller(n: int = 1) -> Controller:
    """Return a controller of ``n`` samples of five tokens."""
    return Controller(ScriptedEngine([says("4")]), Asks(n), usual_tokens=5)


async def solved(limits: Budget | None = None, n: int = 1) -> Run:
    return await controller(n).solve(QUESTION, limits)


# -- one purse -------------------------------------------------------------------------------------------------


def test_calls_in_a_purse_share_its_budget() -> None:
    async def main() -> list[tuple[StopReason, str | None]]:
        with budget(tokens=17) as purse:
            runs = [await solved() for _ in range(5)]
            assert purse.tokens_left == 17 - purse.receipt.generated_tokens
            assert (
                purse.receipt.generated_tokens == sum(found.receipt.generated_tokens for found in runs) <= 17
            )
        return [(found.stop, key(found)) for found in runs]

    stops = run(main())
    assert stops[:3] == [(StopReason.DONE, "4")] * 3
    assert stops[-1] == (StopReason.TOKENS, None)


def test_the_bill_of_a_purse_is_the_sum_of_the_bills_inside() -> None:
    async def main() -> None:
        with budget(dollars="1000") as purse:
            engine = ScriptedEngine([says("4"), endless()], prices=PER_TOKEN)
            runs = [await Controller(engine, Asks(2)).solve(QUESTION, Budget(tokens=100)) for _ in range(3)]
        assert (
            purse.receipt.usage == sum((found.receipt for found in runs), start=type(purse.receipt)()).usage
        )
        assert purse.receipt.dollars == sum(found.receipt.dollars or 0 for found in runs)

    run(main())


def test_what_is_left_counts_what_is_reserved_by_calls_in_flight() -> None:
    async def main() -> None:
        with budget(tokens=1000) as purse:
            engine = ScriptedEngine([endless(seconds_per_token=0.1)])
            task = asyncio.ensure_future(Controller(engine, Asks(1)).solve(QUESTION, Budget(tokens=300)))
            await asyncio.sleep(1)
            assert purse.tokens_left == 700
            await task
            assert purse.tokens_left == 1000 - purse.receipt.generated_tokens

    run(main())


def test_an_empty_purse_is_no_limit_and_still_a_bill() -> None:
    async def main() -> None:
        with budget() as purse:
            await solved(n=3)
            assert (purse.tokens_left, purse.seconds_left, purse.limits) == (None, None, Budget())
        assert purse.receipt.generated_tokens == 3 * tokens_of(3)

    run(main())


def test_after_the_block_the_purse_is_out_of_play() -> None:
    async def main() -> None:
        with budget(tokens=5) as purse:
            pass
        assert key(await solved()) == "4"
        assert purse.receipt.generated_tokens == 0

    run(main())


def test_a_purse_is_closed_by_an_exception_too() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError), budget(tokens=1):
            raise ZeroDivisionError
        assert key(await solved()) == "4"

    run(main())


@pytest.mark.parametrize("limit", [{"thinking_tokens": 7}, {"limits": Budget(thinking_tokens=7)}])
def test_a_purse_s_thinking_tokens_bound_every_thought_inside(limit) -> None:
    async def main() -> Run:
        with budget(**limit), budget(thinking_tokens=9):
            return await Controller(ScriptedEngine([endless()]), Asks(2)).solve(QUESTION, Budget(tokens=500))

    assert [sample.thinking_tokens for sample in run(main()).samples] == [7, 7]


@pytest.mark.parametrize("tokens", [8, 20, 40, 63, 64, 100])
def test_a_small_purse_brings_an_answer_as_a_small_budget_does(tokens: int) -> None:
    """A quarter of what is there is kept for concluding, whoever set the limit."""

    async def main() -> tuple[Run, Run]:
        engine = ScriptedEngine([endless()])
        with budget(tokens=tokens):
            inside = await Controller(engine, Asks(1)).solve(QUESTION)
        return inside, await Controller(engine, Asks(1)).solve(QUESTION, Budget(tokens=tokens))

    inside, own = run(main())
    assert inside.samples == own.samples
    assert (key(inside), inside.stop) == ("4", StopReason.TOKENS)


def test_the_last_tokens_of_a_purse_bring_an_answer_too() -> None:
    async def main() -> list[str | None]:
        engine = ScriptedEngine([endless()])
        with budget(tokens=1000):
            return [
                key(await Controller(engine, Asks(1)).solve(QUESTION, Budget(tokens=240))) for _ in range(5)
            ]

    assert run(main()) == ["4"] * 5


def test_a_purse_says_how_much_is_kept_for_answers_inside() -> None:
    async def main() -> Run:
        with budget(answer_tokens=3), budget(tokens=400):
            return await Controller(ScriptedEngine([endless()]), Asks(1)).solve(QUESTION, Budget(tokens=100))

    assert run(main()).samples[0].thinking_tokens == 97


# -- nesting ---------------------------------------------------------------------------------------------------


def test_a_call_is_charged_to_every_purse_around_it_and_stops_at_the_nearest_wall() -> None:
    async def main() -> None:
        with budget(tokens=1000) as tenant, budget(tokens=100) as session:
            with budget(tokens=30) as request:
                engine = ScriptedEngine([endless()])
                found = await Controller(engine, Asks(3)).solve(QUESTION, Budget(tokens=500))
            await solved()
        assert found.stop is StopReason.TOKENS
        assert request.receipt.usage == found.receipt.usage
        assert request.receipt.generated_tokens <= 30
        assert session.receipt.generated_tokens == request.receipt.generated_tokens + 5
        assert tenant.receipt == session.receipt
        assert tenant.tokens_left == 1000 - tenant.receipt.generated_tokens

    run(main())


def test_the_nearest_wall_may_be_the_outermost() -> None:
    async def main() -> None:
        with budget(tokens=30), budget(tokens=1000) as inner:
            await Controller(ScriptedEngine([endless()]), Asks(3)).solve(QUESTION, Budget(tokens=500))
            assert inner.receipt.generated_tokens <= 30
            assert inner.tokens_left == 30 - inner.receipt.generated_tokens

    run(main())


@given(
    limits=st.lists(st.none() | st.integers(1, 120), min_size=1, max_size=4),
    calls=st.lists(st.tuples(st.none() | st.integers(1, 90), st.integers(1, 4)), min_size=1, max_size=4),
    at_once=st.booleans(),
)
def test_no_purse_is_overdrawn_however_calls_nest_and_run_together(limits, calls, at_once) -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless(), says("4", 9)], waste=1)

        async def call(tokens: int | None, n: int) -> Run:
            own = Budget(tokens=tokens if tokens or any(limits) else 50)
            return await Controller(engine, Asks(n), usual_tokens=20).solve(QUESTION, own)

        async def inside(rest: list[int | None], purses: list[Purse]) -> None:
            if rest:
                with budget(tokens=rest[0]) as purse:
                    await inside(rest[1:], [*purses, purse])
                return
            tasks = [call(*each) for each in calls]
            runs = await asyncio.gather(*tasks) if at_once else [await task for task in tasks]
            spent = sum(found.receipt.generated_tokens for found in runs)
            assert spent == (await engine.counters()).generated_tokens
            for purse in purses:
                assert purse.receipt.generated_tokens == spent
                assert purse.limits.tokens is None or spent <= purse.limits.tokens

        await inside(limits, [])

    run(main())


def test_a_call_does_not_take_the_whole_purse_from_those_beside_it() -> None:
    """It could use all of it, but is not expected to: the others answer too."""

    async def main() -> list[str | None]:
        with budget(tokens=2000):
            engine = ScriptedEngine([says("4", 50, seconds_per_token=0.1)])
            runs = await asyncio.gather(*[Controller(engine, Asks(1)).solve(QUESTION) for _ in range(3)])
        return [key(found) for found in runs]

    assert run(main()) == ["4"] * 3


# -- tasks and threads -----------------------------------------------------------------------------------------


def test_purses_follow_tasks_that_are_created_inside() -> None:
    async def main() -> int:
        with budget(tokens=1000) as purse:
            await asyncio.gather(*[asyncio.ensure_future(solved()) for _ in range(4)])
        return purse.receipt.generated_tokens

    assert run(main()) == 4 * tokens_of(3)


def test_a_task_keeps_the_purse_in_which_it_was_created() -> None:
    async def main() -> tuple[int, int]:
        with budget(tokens=100) as one:
            task = asyncio.ensure_future(solved())
        with budget(tokens=100) as other:
            await task
        return one.receipt.generated_tokens, other.receipt.generated_tokens

    assert run(main()) == (tokens_of(3), 0)


def test_purses_of_tasks_side_by_side_do_not_mix() -> None:
    async def main() -> list[int]:
        async def one(calls: int) -> int:
            with budget(tokens=100) as purse:
                for _ in range(calls):
                    await solved()
                    await asyncio.sleep(0)
            return purse.receipt.generated_tokens

        return await asyncio.gather(*[one(calls) for calls in (1, 2, 3)])

    assert run(main()) == [5, 10, 15]


def test_purses_follow_to_thread() -> None:
    async def main() -> int:
        with budget(tokens=1000) as purse:
            await asyncio.to_thread(controller().solve_sync, QUESTION)
        return purse.receipt.generated_tokens

    assert asyncio.run(main()) == tokens_of(3)


def test_a_plain_thread_starts_with_no_purse() -> None:
    found: list[Run] = []
    with budget(tokens=1) as purse:
        thread = threading.Thread(target=lambda: found.append(controller().solve_sync(QUESTION)))
        thread.start()
        thread.join()
    assert key(found[0]) == "4"
    assert purse.receipt.generated_tokens == 0


def test_a_purse_may_be_shared_by_threads_that_are_given_it() -> None:
    """Eight threads, each with its own loop, draw on one purse through copies of its context."""
    from contextvars import copy_context

    with budget(tokens=120) as purse:
        contexts = [copy_context() for _ in range(8)]

        def work(number: int) -> list[Run]:
            async def main() -> list[Run]:
                return [await solved() for _ in range(5)]

            return contexts[number].run(asyncio.run, main())

        with ThreadPoolExecutor(8) as pool:
            runs = [found for several in pool.map(work, range(8)) for found in several]
        spent = sum(found.receipt.generated_tokens for found in runs)
        assert spent == purse.receipt.generated_tokens <= 120
        assert purse.tokens_left == 120 - spent
    assert spent >= 100


def test_a_purse_opened_in_plain_code_counts_for_solve_sync() -> None:
    with budget(tokens=12, seconds=60) as purse:
        runs = [controller().solve_sync(QUESTION) for _ in range(4)]
        assert 0 < (purse.seconds_left or 0) <= 60
    assert [key(found) for found in runs[:2]] == ["4", "4"]
    assert runs[-1].stop is StopReason.TOKENS
    assert purse.receipt.generated_tokens <= 12


# -- the decorator ---------------------------------------------------------------------------------------------


def test_every_call_of_a_budgeted_function_has_a_purse_of_its_own() -> None:
    @budgeted(tokens=12)
    async def both() -> list[str | None]:
        """Solve twice."""
        return [key(await solved()), key(await solved())]

    async def main() -> list[list[str | None]]:
        return [await both(), await both()]

    assert both.__doc__ == "Solve twice."
    assert run(main()) == [["4", "4"]] * 2


def test_a_plain_function_can_be_budgeted_too() -> None:
    @budgeted(Budget(tokens=3))
    def ask(question: str, *, times: int = 1) -> list[Run]:
        return [controller().solve_sync(question) for _ in range(times)]

    runs = ask(QUESTION, times=2)
    assert sum(found.receipt.generated_tokens for found in runs) <= 3
    assert {found.stop for found in runs} == {StopReason.TOKENS}


def test_budgeted_functions_nest() -> None:
    @budgeted(tokens=5)
    async def inner() -> Run:
        return await solved(n=3)

    @budgeted(tokens=8)
    async def outer() -> list[Run]:
        return [await inner(), await inner()]

    one, two = run(outer())
    assert max(one.receipt.generated_tokens, two.receipt.generated_tokens) <= 5
    assert one.receipt.generated_tokens + two.receipt.generated_tokens <= 8
    assert two.stop is StopReason.TOKENS


def test_a_generator_cannot_be_budgeted_because_it_goes_on_after_its_call() -> None:
    with pytest.raises(ConfigurationError, match="is a generator"):

        @budgeted(tokens=5)
        async def answers() -> AsyncIterator[Run]:
            yield await solved()

    with pytest.raises(ConfigurationError, match="with budget"):

        @budgeted(tokens=5)
        def more() -> Iterator[Run]:
            yield controller().solve_sync(QUESTION)


# -- what a purse can be made of -------------------------------------------------------------------------------


def test_dollars_may_be_a_number_a_text_or_a_decimal_and_stay_exact() -> None:
    for dollars in (0.1, "0.1", Decimal("0.1")):
        with budget(dollars=dollars) as purse:
            assert purse.limits.dollars == Decimal("0.1")


@pytest.mark.parametrize(
    "fields", [{"tokens": 0}, {"tokens": -1}, {"seconds": 0}, {"dollars": -1}, {"requests": 0}]
)
def test_limits_that_cannot_be_are_refused_when_the_purse_is_opened(fields) -> None:
    with pytest.raises(ValidationError), budget(**fields):
        pass
    with pytest.raises(ValidationError):
        budgeted(**fields)


def test_a_misspelt_limit_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValidationError, match="token"):
        budgeted(token=5)


def test_a_budget_and_its_fields_cannot_be_given_together() -> None:
    """One of them would be ignored."""
    with pytest.raises(ConfigurationError, match="not both"), budget(Budget(tokens=5), seconds=3):
        pass
    with pytest.raises(ConfigurationError, match="not both"):
        budgeted(Budget(tokens=5), tokens=3)
