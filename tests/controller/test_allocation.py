"""One budget over a batch: samples go where they help most, the wall holds, and everybody gets an answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controller.rig import PER_TOKEN, Asks, endless, says
from thinkctl import AdaptiveConsistency, Budget, Controller, Prices, Problem, Run, SelfConsistency
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Allocation, StoppingPolicy
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.stopping import Elimination, FirstCome, FlipProbability, LeastConfident, Margin, Uniform
from thinkctl.testing import ScriptedEngine, run
from thinkctl.types import Standing, StopReason

ALL: list[Allocation] = [FlipProbability(), LeastConfident(), Elimination(), Uniform(), FirstCome()]


def recorded(*answers: str, tokens: int = 10) -> list[Recorded]:
    """One problem for each text: its samples answer what the letters say; a space abstains."""
    return [
        Recorded(
            f"p{place}",
            f"Question {place}?",
            tuple(RecordedSample(None if key == " " else key, tokens) for key in keys),
        )
        for place, keys in enumerate(answers)
    ]


def solved(
    pool: Sequence[Recorded],
    budget: Budget | None,
    allocation: Allocation | None,
    *,
    n: int = 40,
    at_once: int = 1,
    policy: StoppingPolicy | None = None,
    each: Budget | None = None,
) -> list[Run]:
    """Solve all problems of a pool, and return the runs in the problems' order."""

    async def all_of_them() -> list[Run]:
        controller = Controller(ReplayEngine(pool), SelfConsistency(n), policy=policy)
        problems = [each.problem() for each in pool]
        places = {problem.id: place for place, problem in enumerate(problems)}
        found = [
            done
            async for done in controller.solve_many(
                problems, budget, each=each, at_once=at_once, allocation=allocation
            )
        ]
        return sorted(found, key=lambda done: places[done.history.problem.id])

    return run(all_of_them())


def bought(runs: Sequence[Run]) -> list[int]:
    return [done.history.bought for done in runs]


def by_hand(pool: Sequence[Recorded], allocation: Allocation, samples: int, n: int = 40) -> list[int]:
    """Give ``samples`` samples out one after the other, as an allocation on a table of votes would."""
    given = [0] * len(pool)
    for _ in range(samples):
        ranks = []
        for place, each in enumerate(pool):
            votes = Counter(one.answer for one in each.samples[: given[place]] if one.answer is not None)
            leader, runner_up, *_ = [*sorted(votes.values(), reverse=True), 0, 0]
            priority = allocation.priority(Standing(leader, runner_up, given[place], place))
            if priority is not None and given[place] < min(n, len(each.samples)):
                ranks.append((priority, -given[place], -place))
        if not ranks:
            break
        given[-max(ranks)[2]] += 1
    return given


@pytest.mark.parametrize("allocation", ALL, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize("samples", [1, 3, 7, 12, 17])
def test_samples_one_at_a_time_go_where_the_allocation_sends_them(allocation, samples) -> None:
    pool = recorded("aaaaaaaa", "abababab", "aab aabb", "abcdefgh")
    runs = solved(pool, Budget(requests=samples), allocation, n=8)
    assert bought(runs) == by_hand(pool, allocation, samples, n=8)
    assert sum(bought(runs)) == samples


@settings(max_examples=30)
@given(
    st.lists(st.text("abc", min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(1, 24),
    st.sampled_from(ALL),
)
def test_any_batch_is_given_out_as_on_a_table(answers, samples, allocation) -> None:
    pool = recorded(*answers)
    runs = solved(pool, Budget(requests=samples), allocation, n=6)
    assert bought(runs) == by_hand(pool, allocation, samples, n=6)


@pytest.mark.parametrize("allocation", ALL[:4], ids=lambda part: type(part).__name__)
def test_everybody_gets_a_first_sample_before_anybody_gets_a_second(allocation) -> None:
    assert bought(solved(recorded(*["abab"] * 5), Budget(requests=5), allocation, n=4)) == [1] * 5


def test_settled_problems_leave_their_part_to_the_others() -> None:
    pool = recorded("aaaaaaaa", "abababab", "aaaaaaaa")
    flip = bought(solved(pool, Budget(requests=12), FlipProbability(), n=8))
    assert flip[1] == 8
    assert sum(flip) == 12


@pytest.mark.parametrize("at_once", [1, 3, 8, 64])
def test_no_more_samples_are_in_flight_than_allowed_and_as_many_as_that(at_once) -> None:
    engine = ScriptedEngine([says("4", 30, seconds_per_token=0.1)])
    problems = [Problem.of(f"Question {place}?") for place in range(6)]
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, (await engine.counters()).running or 0)
            await asyncio.sleep(0.05)

    async def all_of_them() -> int:
        watching = asyncio.ensure_future(watch())
        controller = Controller(engine, Asks(4))
        runs = [
            done
            async for done in controller.solve_many(problems, at_once=at_once, allocation=FlipProbability())
        ]
        watching.cancel()
        await asyncio.wait([watching])
        return sum(done.history.bought for done in runs)

    assert run(all_of_them()) == 24
    assert most == min(at_once, 24)


@pytest.mark.parametrize("allocation", ALL, ids=lambda part: type(part).__name__)
@pytest.mark.parametrize("tokens", [64, 300, 1000])
@pytest.mark.parametrize("at_once", [1, 4, 64])
def test_the_wall_around_a_batch_holds_and_nearly_all_of_it_is_used(allocation, tokens, at_once) -> None:
    pool = recorded(*["abcdabcdabcd"] * 12)
    runs = solved(pool, Budget(tokens=tokens), allocation, n=12, at_once=at_once)
    spent = sum(done.receipt.usage.generated_tokens for done in runs)
    assert spent <= tokens
    assert spent >= min(tokens - 100, 12 * 12 * 10 * 0.9)
    walls = {done.stop for done in runs}
    assert walls <= {StopReason.TOKENS, StopReason.POLICY, StopReason.DONE}


@pytest.mark.parametrize("tokens", [400, 700, 1_000, 1_200])
def test_what_is_left_is_spent_in_the_order_in_which_samples_were_given_out(tokens) -> None:
    """Where there is not enough for all at once, nobody starts a second sample before everybody has started one."""
    engine = ScriptedEngine(
        lambda number, prompt: says(str(number), 60 + 7 * (number % 5), seconds_per_token=0.01)
    )
    problems = [Problem.of(f"Question {number}?") for number in range(4)]
    controller = Controller(engine, Asks(12), policy=Margin(3))

    async def all_of_them() -> list[Run]:
        batch = controller.solve_many(
            problems, Budget(tokens=tokens), at_once=16, allocation=FlipProbability()
        )
        return [done async for done in batch]

    runs = run(all_of_them())
    assert min(bought(runs)) >= 1
    firsts = [done.samples[0].started for done in runs]
    seconds = [done.samples[1].started for done in runs if done.history.bought > 1]
    assert max(firsts) <= min(seconds, default=max(firsts))
    assert sum(done.receipt.generated_tokens for done in runs) <= tokens


@pytest.mark.parametrize("dollars", ["100", "415", "1000"])
def test_a_batch_costs_no_more_dollars_than_it_may(dollars) -> None:
    """A generated token costs a dollar."""

    async def all_of_them() -> list[Run]:
        pool = recorded(*["abcabcab"] * 10)
        controller = Controller(ReplayEngine(pool), SelfConsistency(8), prices=PER_TOKEN)
        batch = controller.solve_many(
            [each.problem() for each in pool],
            Budget(dollars=Decimal(dollars)),
            at_once=8,
            allocation=FlipProbability(),
        )
        return [done async for done in batch]

    runs = run(all_of_them())
    spent = sum((done.receipt.dollars or Decimal(0) for done in runs), Decimal(0))
    assert min(Decimal(dollars), Decimal(800)) - 100 <= spent <= Decimal(dollars)
    assert all(done.answer is not None for done in runs) or Decimal(dollars) < 200


def test_dollars_for_hours_cannot_be_allocated_and_seconds_can() -> None:
    async def all_of_them(budget: Budget) -> list[Run]:
        pool = recorded("aaaa", "abab")
        controller = Controller(ReplayEngine(pool), SelfConsistency(4), prices=Prices.per_gpu_hour(2))
        batch = controller.solve_many([each.problem() for each in pool], budget, allocation=FlipProbability())
        return [done async for done in batch]

    with pytest.raises(ConfigurationError, match="give the batch the seconds that they buy"):
        run(all_of_them(Budget(dollars=Decimal(1))))
    assert len(run(all_of_them(Budget(seconds=60)))) == 2


def test_a_deadline_ends_the_batch_with_an_answer_for_all() -> None:
    async def all_of_them() -> list[Run]:
        engine = ScriptedEngine([endless("4", thought="hm " * 40, seconds_per_token=0.05)])
        controller = Controller(engine, Asks(4))
        problems = [Problem.of(f"Question {place}?") for place in range(3)]
        return [
            done
            async for done in controller.solve_many(
                problems, Budget(seconds=20), at_once=3, allocation=FlipProbability()
            )
        ]

    runs = run(all_of_them())
    assert [done.answer and done.answer.key for done in runs] == ["4"] * 3
    assert {done.stop for done in runs} == {StopReason.SECONDS}
    assert all(done.seconds <= 20.05 for done in runs)


def test_a_policy_that_is_satisfied_takes_its_problem_out_of_the_batch() -> None:
    pool = recorded("aaaaaaaaaa", "ababababab")
    runs = solved(pool, Budget(requests=14), Uniform(), n=10, policy=AdaptiveConsistency())
    assert [done.stop for done in runs] == [StopReason.POLICY, StopReason.DONE]
    assert bought(runs) == [4, 10]


def test_what_an_allocation_settles_ends_and_the_others_go_on() -> None:
    pool = recorded("aaaaaaaaaa", "ababababab")
    runs = solved(pool, None, Elimination(AdaptiveConsistency()), n=10)
    assert bought(runs) == [4, 10]
    assert (runs[0].stop, runs[0].why) == (StopReason.POLICY, "other problems need samples more")
    assert runs[0].answer is not None


def test_a_wall_around_each_problem_holds_beside_the_allocation() -> None:
    runs = solved(recorded("abababab", "abababab"), None, FlipProbability(), n=8, each=Budget(requests=3))
    assert bought(runs) == [3, 3]


def test_an_empty_batch_and_an_empty_budget_end() -> None:
    assert solved_of_nothing() == []
    runs = solved(recorded("aa", "ab"), Budget(tokens=1), FlipProbability(), n=2)
    assert sum(done.receipt.usage.generated_tokens for done in runs) <= 1


def solved_of_nothing() -> list[Run]:
    async def all_of_them() -> list[Run]:
        controller = Controller(ScriptedEngine(["x"]), Asks(1))
        return [done async for done in controller.solve_many([], allocation=FlipProbability())]

    return run(all_of_them())


def test_leaving_a_batch_early_leaves_the_engine_idle() -> None:
    async def leave() -> int | None:
        engine = ScriptedEngine([says("4", 5, seconds_per_token=0.1), endless(seconds_per_token=0.1)])
        controller = Controller(engine, Asks(1))
        problems = [Problem.of(f"Question {place}?") for place in range(4)]
        batch = controller.solve_many(problems, at_once=2, allocation=Uniform())
        async for _ in batch:
            break
        await batch.aclose()
        return (await engine.counters()).running

    assert run(leave()) == 0
