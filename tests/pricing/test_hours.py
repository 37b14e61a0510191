"""Engines that cost by the hour: what a run is charged, and dollars as a deadline."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import Asks, Proposes, endless, key, says, solve
from thinkctl import Budget, Controller, ModelCard, Prices, Request, Run, budget
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.pricing import dollars_for_seconds, only_time_costs, seconds_for_dollars
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Message, Role, StopReason

A_SECOND = Prices.per_gpu_hour(3600)
"""A dollar a second."""
BOTH = A_SECOND.model_copy(update={"dollars_per_million_generated_tokens": Decimal(100_000)})
"""A dollar a second, and ten cents a generated token."""
QUESTION = "What is 17*23-4?"


def thinker(*, n: int = 1) -> ScriptedEngine:
    """Think ten tokens a second without end; concluded when asked to."""
    return ScriptedEngine([endless("7", seconds_per_token=0.1)] * n)


# -- the arithmetic ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "hourly", "dollars"),
    [
        (3600, "1.2", "1.2"),
        (30, "1.2", "0.01"),
        (0.1, "36000", "1"),
        (1, "1", "0.000277777778"),  # rounded up, never down
        (1e-9, "0.001", "0.000000000001"),
        (0, "1.2", "0"),
        (-1, "1.2", "0"),
        (5, "0", "0"),
    ],
)
def test_seconds_cost_their_part_of_an_hour(seconds, hourly, dollars) -> None:
    assert dollars_for_seconds(seconds, Decimal(hourly)) == Decimal(dollars)


def test_dollars_buy_seconds() -> None:
    assert seconds_for_dollars(Decimal("0.01"), Decimal("1.2")) == pytest.approx(30)
    assert seconds_for_dollars(Decimal(-1), Decimal("1.2")) == 0


def test_the_gpus_of_an_engine_cost_together() -> None:
    assert Prices.per_gpu_hour("1.1", gpus=8).dollars_per_hour == Decimal("8.8")
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Prices.per_gpu_hour(-1)


@pytest.mark.parametrize(
    ("prices", "alone"), [([A_SECOND], True), ([A_SECOND, BOTH], False), ([A_SECOND, None], False)]
)
def test_time_alone_costs_where_tokens_are_free(prices, alone) -> None:
    assert only_time_costs(prices) is alone


# -- the bill ------------------------------------------------------------------------------------------------


def test_a_run_pays_for_its_own_seconds_whatever_it_generates() -> None:
    found = solve(ScriptedEngine([says("4", seconds_per_token=0.1, first=0.7)]), Asks(3), prices=A_SECOND)
    assert found.seconds == pytest.approx(1.2)
    assert found.receipt.dollars == dollars_for_seconds(found.seconds, Decimal(3600))


def test_tokens_and_time_add_up() -> None:
    found = solve(ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(2), prices=BOTH)
    (line,) = found.receipt.lines
    assert line.usage.generated_tokens == 10
    assert line.dollars == 1 + dollars_for_seconds(found.seconds, Decimal(3600))


def test_every_engine_that_is_held_is_paid_whether_it_is_asked_or_not() -> None:
    small = ScriptedEngine([says("4", seconds_per_token=0.1)])
    large = ScriptedEngine([says("5")], card=ModelCard(name="large"))

    async def main() -> None:
        controller = Controller({"small": small, "large": large}, Asks(1), prices=A_SECOND)
        receipt = (await controller.solve(QUESTION)).receipt
        each = dollars_for_seconds(receipt.seconds, Decimal(3600))
        assert [(line.model, line.role, line.dollars) for line in receipt.lines] == [
            ("small", Role.SAMPLE, each),
            ("large", Role.SAMPLE, each),
        ]
        assert receipt.requests == 1

    run(main())


def test_an_engine_without_a_price_leaves_the_bill_unknown() -> None:
    small, large = ScriptedEngine(["x"]), ScriptedEngine(["x"], card=ModelCard(name="large"))

    async def main() -> None:
        ask = (Message(role="user", content=QUESTION),)
        strategy = Proposes(lambda history: [] if history.bought else [Request(ask, model="large")])
        controller = Controller({"small": small, "large": large}, strategy, prices={"small": A_SECOND})
        assert (await controller.solve(QUESTION)).receipt.dollars is None

    run(main())


def test_a_purse_adds_up_the_time_of_its_calls() -> None:
    async def main() -> None:
        controller = Controller(ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(1), prices=A_SECOND)
        with budget(tokens=100) as purse:
            runs = [await controller.solve(QUESTION) for _ in range(3)]
        assert purse.receipt.dollars == sum(each.receipt.dollars or 0 for each in runs) > 0

    run(main())


def test_a_run_that_is_cancelled_pays_for_its_time() -> None:
    async def main() -> None:
        with budget(tokens=1000) as purse:
            task = asyncio.ensure_future(Controller(thinker(), Asks(1), prices=A_SECOND).solve(QUESTION))
            await asyncio.sleep(2.5)
            task.cancel()
            await asyncio.wait([task])
        assert purse.receipt.dollars == Decimal("2.5")

    run(main())


def test_a_run_whose_engine_dies_pays_for_its_time() -> None:
    engine = ScriptedEngine([Script("w " * 9, die_after=5, seconds_per_token=0.1)])

    async def main() -> None:
        with pytest.raises(EngineUnavailable) as died:
            await Controller(engine, Asks(1), prices=A_SECOND).solve(QUESTION)
        assert died.value.run is not None
        assert (
            died.value.run.receipt.dollars == dollars_for_seconds(died.value.run.seconds, Decimal(3600)) > 0
        )
        assert [each.prices.source for each in died.value.run.prices] == ["user"]

    run(main())


# -- the wall ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dollars", [2, 5, 20])
def test_dollars_are_a_deadline_where_only_time_costs(dollars: int) -> None:
    found = solve(thinker(), Asks(1), Budget(dollars=Decimal(dollars)), prices=A_SECOND)
    assert (found.stop, key(found)) == (StopReason.DOLLARS, "7")
    assert found.why == f"the dollar budget was reached: it bought {dollars - 0.05:.2f} s at $3600 an hour"
    assert dollars * 0.7 < (found.receipt.dollars or 0) <= dollars
    assert found.history.budget.seconds == pytest.approx(dollars - 0.05)


def test_the_nearer_of_two_deadlines_holds_and_gives_its_name() -> None:
    for limits, stop in (
        (Budget(dollars=Decimal(3), seconds=60), StopReason.DOLLARS),
        (Budget(dollars=Decimal(60), seconds=3), StopReason.SECONDS),
    ):
        found = solve(thinker(), Asks(1), limits, prices=A_SECOND)
        assert (found.stop, found.seconds <= 3) == (stop, True)


def test_what_time_did_not_use_returns_to_the_purse() -> None:
    async def main() -> None:
        controller = Controller(ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(1), prices=A_SECOND)
        with budget(dollars=2) as purse:
            runs: list[Run] = []
            while len(runs) < 20 and (not runs or runs[-1].stop is not StopReason.DOLLARS):
                runs.append(await controller.solve(QUESTION))
            assert purse.receipt.dollars == sum(each.receipt.dollars or 0 for each in runs)
            assert (purse.receipt.dollars or 0) <= 2
        assert [key(each) for each in runs[:3]] == ["4", "4", "4"]
        assert 3 <= len(runs) <= 6

    run(main())


def test_a_purse_that_pays_for_no_time_any_more_asks_nothing_and_is_no_error() -> None:
    engine = thinker()

    async def main() -> None:
        with budget(dollars="0.05") as purse:
            found = await Controller(engine, Asks(1), prices=A_SECOND).solve(QUESTION)
            assert purse.receipt.dollars == 0
        assert (found.stop, found.answer, found.samples) == (StopReason.DOLLARS, None, ())
        assert found.why == "$0.05 do not pay for the time at $3600 an hour"
        assert engine.log == []

    run(main())


def test_a_batch_shares_the_time_that_its_dollars_buy() -> None:
    async def main() -> None:
        controller = Controller(thinker(), Asks(1), prices=A_SECOND)
        problems = [f"What is {n}*23-4?" for n in range(4)]
        for at_once in (1, 4):
            batch = controller.solve_many(problems, Budget(dollars=Decimal(8)), at_once=at_once)
            runs = [each async for each in batch]
            assert [key(each) for each in runs] == ["7"] * 4
            assert sum(each.receipt.dollars or 0 for each in runs) <= 8

    run(main())


def test_tokens_and_time_out_of_one_limit_need_to_know_how_long() -> None:
    engine = thinker()

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"tokens and for time at \$3600 an hour.*give seconds"):
            await Controller(engine, Asks(1), prices=BOTH).solve(QUESTION, Budget(dollars=Decimal(5)))
        assert engine.log == []

    run(main())


def test_tokens_get_what_the_longest_time_leaves() -> None:
    """Five seconds and their grace are reserved: of 6 dollars less than one is left for tokens."""
    found = solve(thinker(), Asks(1), Budget(dollars=Decimal(6), seconds=5), prices=BOTH)
    assert found.receipt.generated_tokens <= 9
    assert (found.stop, (found.receipt.dollars or 0) <= 6) == (StopReason.DOLLARS, True)


@given(
    dollars=st.decimals("0.01", 30, places=2),
    seconds=st.none() | st.floats(0.5, 20),
    tokens_cost=st.booleans(),
    n=st.integers(1, 4),
    waste=st.integers(0, 2),
)
def test_the_dollar_wall_is_never_passed_whatever_time_costs(dollars, seconds, tokens_cost, n, waste) -> None:
    engine = ScriptedEngine(
        [endless("7", seconds_per_token=0.1), says("4", 12, seconds_per_token=0.07)], waste=waste
    )
    limits = Budget(dollars=dollars, seconds=seconds if seconds is not None or not tokens_cost else 3.0)
    found = solve(engine, Asks(n), limits, prices=BOTH if tokens_cost else A_SECOND)
    assert (found.receipt.dollars or 0) <= dollars
