"""``solve_many``: one budget over a whole batch, shared fairly, at most so many at once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import PER_TOKEN, Asks, Odd, endless, key, says, tokens_of, words
from thinkctl import Budget, Controller, Problem, Run
from thinkctl.controller import budget
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import StopReason


def questions(number: int) -> list[str]:
    return [f"Question {place}?" for place in range(number)]


def solve_all(
    engine, problems, limits=None, *, n: int = 1, strategy=None, usual_tokens: int = 256, **more
) -> list[Run]:
    """Solve a batch in virtual time and check that nothing is left running."""

    async def main() -> list[Run]:
        made = Controller(engine, strategy or Asks(n), usual_tokens=usual_tokens)
        return [found async for found in made.solve_many(problems, limits, **more)]

    runs = run(main())
    truth = run(engine.counters())
    assert (truth.running, engine.open_streams) == (0, 0)
    assert truth.generated_tokens == sum(found.receipt.generated_tokens for found in runs)
    if limits is not None and limits.tokens is not None:
        assert truth.generated_tokens <= limits.tokens
    return runs


def test_every_problem_comes_back_once() -> None:
    runs = solve_all(ScriptedEngine([says("4")]), questions(20))
    assert sorted(found.history.problem.text for found in runs) == sorted(questions(20))


def test_runs_come_as_they_end_and_those_of_one_moment_in_order() -> None:
    engine = ScriptedEngine([says("4", thought, seconds_per_token=0.1) for thought in (9, 1, 5, 1)])
    assert [found.history.problem.text[9] for found in solve_all(engine, questions(4))] == [
        "1",
        "3",
        "2",
        "0",
    ]


def test_the_same_question_twice_is_two_problems() -> None:
    runs = solve_all(ScriptedEngine([says("4"), says("5")]), ["Same?", "Same?", Problem.of("Same?")])
    assert len(runs) == 3
    assert len({found.history.problem.id for found in runs}) == 1
    assert sorted(key(found) or "" for found in runs) == ["4", "4", "5"]


def test_no_problems_are_no_runs() -> None:
    assert solve_all(ScriptedEngine(["unasked"]), [], Budget(tokens=5)) == []


@pytest.mark.parametrize("at_once", [1, 3, 10, 64])
def test_so_many_are_solved_at_once_and_never_more(at_once: int) -> None:
    engine = ScriptedEngine([says("4", 3 + place % 4, seconds_per_token=0.1) for place in range(9)])
    solve_all(engine, questions(10), at_once=at_once)
    assert engine.most_open == min(at_once, 10)


def test_the_next_problem_starts_when_one_ends() -> None:
    engine = ScriptedEngine([says("4", 8, seconds_per_token=0.1)])
    solve_all(engine, questions(6), at_once=2)
    assert [log.started for log in engine.log] == pytest.approx([0, 0, 1, 1, 2, 2])


def test_problems_may_come_from_a_generator() -> None:
    assert len(solve_all(ScriptedEngine([says("4")]), (text for text in questions(3)))) == 3


# -- the budget ------------------------------------------------------------------------------------------------


def test_one_budget_is_a_wall_around_all_of_them() -> None:
    runs = solve_all(
        ScriptedEngine([endless(chunk=7)], waste=1), questions(10), Budget(tokens=1000), at_once=4
    )
    assert {found.stop for found in runs} == {StopReason.TOKENS}


@pytest.mark.parametrize("at_once", [1, 3, 64])
@pytest.mark.parametrize("tokens", [100, 400, 1000, 10_000])
def test_endless_problems_get_equal_shares_and_all_are_answered(tokens: int, at_once: int) -> None:
    """Whoever comes first must not eat what the others need."""
    runs = solve_all(ScriptedEngine([endless()]), questions(10), Budget(tokens=tokens), at_once=at_once)
    spent = sorted(found.receipt.generated_tokens for found in runs)
    assert [key(found) for found in runs] == ["4"] * 10
    share = tokens // 10
    assert spent[0] >= share - share // 4 - 1, "each has its share but for what is kept for concluding"


@pytest.mark.parametrize("at_once", [1, 2, 64])
def test_an_endless_problem_takes_nothing_from_the_others(at_once: int) -> None:
    def script(number: int, prompt: str) -> Script:
        return endless() if "Question 0" in prompt else says("5", 40)

    runs = solve_all(ScriptedEngine(script), questions(5), Budget(tokens=500), at_once=at_once)
    answers = {found.history.problem.text: key(found) for found in runs}
    assert answers == {"Question 0?": "4", **{f"Question {place}?": "5" for place in range(1, 5)}}
    assert not any(sample.concluded for found in runs for sample in found.samples if key(found) == "5")


def test_what_easy_problems_leave_is_there_for_the_hard_ones() -> None:
    """Nine problems use five tokens of their 100; the last may have what is left."""

    def script(number: int, prompt: str) -> Script:
        return endless() if "Question 9" in prompt else says("5")

    runs = solve_all(ScriptedEngine(script), questions(10), Budget(tokens=1000), at_once=1)
    assert runs[-1].receipt.generated_tokens > 800
    together = solve_all(ScriptedEngine(script), questions(10), Budget(tokens=1000), at_once=64)
    assert max(found.receipt.generated_tokens for found in together) > 800


def test_a_share_that_is_used_up_is_a_wall_and_named_as_one() -> None:
    """More samples were wanted than the share allows: the strategy was not done."""
    runs = solve_all(
        ScriptedEngine([says("4", 18)]), questions(4), Budget(tokens=400), n=50, at_once=1, usual_tokens=20
    )
    assert {found.stop for found in runs} == {StopReason.TOKENS}
    assert min(len(found.samples) for found in runs) >= 3


def test_more_problems_than_tokens_come_back_without_an_answer_and_nothing_is_overdrawn() -> None:
    runs = solve_all(ScriptedEngine([endless()]), questions(30), Budget(tokens=20))
    assert len(runs) == 30
    assert {found.stop for found in runs} == {StopReason.TOKENS}


def test_dollars_and_requests_are_shared_as_well() -> None:
    engine = ScriptedEngine([endless()], prices=PER_TOKEN)
    limits = Budget(dollars=Decimal(400), requests=40)
    runs = solve_all(engine, questions(4), limits, at_once=1)
    assert [key(found) for found in runs] == ["4"] * 4
    assert sum(found.receipt.dollars or 0 for found in runs) <= 400
    assert min(found.receipt.generated_tokens for found in runs) >= 70


def test_requests_are_shared() -> None:
    engine = ScriptedEngine([says("4")])
    runs = solve_all(engine, questions(5), Budget(requests=20), n=40, at_once=1)
    assert [len(found.samples) for found in runs] == [4] * 5


def test_each_problem_may_have_a_budget_of_its_own_besides() -> None:
    runs = solve_all(
        ScriptedEngine([endless()]), questions(4), Budget(tokens=1000), each=Budget(tokens=40), at_once=2
    )
    assert all(found.receipt.generated_tokens <= 40 for found in runs)
    assert [key(found) for found in runs] == ["4"] * 4


def test_one_deadline_holds_for_all_of_them() -> None:
    engine = ScriptedEngine([endless(seconds_per_token=0.1)])

    async def main() -> tuple[float, list[Run]]:
        made = Controller(engine, Asks(1))
        runs = [found async for found in made.solve_many(questions(6), Budget(seconds=10), at_once=2)]
        return asyncio.get_running_loop().time(), runs

    end, runs = run(main())
    assert end <= 10
    assert [found.stop for found in runs] == [StopReason.SECONDS] * 6
    assert [key(found) for found in runs] == ["4"] * 6


def test_a_batch_is_charged_to_the_purse_around_it() -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless()])
        with budget(tokens=300) as purse:
            runs = [found async for found in Controller(engine, Asks(1)).solve_many(questions(3))]
        assert [key(found) for found in runs] == ["4"] * 3
        assert purse.receipt.generated_tokens == sum(found.receipt.generated_tokens for found in runs) <= 300
        assert min(found.receipt.generated_tokens for found in runs) >= 70, "a purse is shared fairly, too"

    run(main())


@given(
    lengths=st.lists(st.none() | st.integers(0, 60), min_size=1, max_size=8),
    tokens=st.integers(1, 600),
    at_once=st.integers(1, 9),
    n=st.integers(1, 4),
    usual=st.integers(1, 300),
    speed=st.sampled_from([0.0, 0.1]),
)
def test_whatever_the_problems_the_wall_holds_and_early_problems_leave_late_ones_their_share(
    lengths, tokens, at_once, n, usual, speed
) -> None:
    def script(number: int, prompt: str) -> Script:
        length = lengths[int(prompt.split("Question ")[1].split("?", maxsplit=1)[0])]
        return (
            endless(seconds_per_token=speed) if length is None else says("4", length, seconds_per_token=speed)
        )

    problems = questions(len(lengths))
    runs = solve_all(
        ScriptedEngine(script, waste=1),
        problems,
        Budget(tokens=tokens),
        n=n,
        at_once=at_once,
        usual_tokens=usual,
    )
    share = tokens // len(lengths)
    if share >= 8:
        assert [key(found) for found in runs] == ["4"] * len(lengths), (
            "a share of eight is enough for an answer"
        )


# -- leaving and failing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("closing", [0.0, 0.2])
def test_leaving_early_aborts_what_still_runs(closing: float) -> None:
    async def main() -> None:
        engine = ScriptedEngine([says("4", 2, seconds_per_token=0.1), endless(seconds_per_token=0.1)])
        made = Controller(Odd(engine, closing_seconds=closing), Asks(1))
        with budget(tokens=10_000) as purse:
            async with aclosing(made.solve_many(questions(8), at_once=3)) as runs:
                async for found in runs:
                    assert key(found) == "4"
                    break
            assert engine.open_streams == 0
            assert purse.tokens_left == 10_000 - purse.receipt.generated_tokens
        assert engine.launched <= 4

    run(main())


@pytest.mark.parametrize("times", [1, 3])
def test_cancelling_a_batch_aborts_all_of_it(times: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless(seconds_per_token=0.1)])
        made = Controller(Odd(engine, closing_seconds=0.3), Asks(2))

        async def consume() -> None:
            async for _ in made.solve_many(questions(8), at_once=4):
                pass

        task = asyncio.ensure_future(consume())
        await asyncio.sleep(1)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.open_streams == 0

    run(main())


def test_a_dead_engine_ends_the_batch() -> None:
    async def main() -> None:
        engine = ScriptedEngine(
            [says("4"), Script(words(9), 0.1, die_after=3), endless(seconds_per_token=0.1)]
        )
        seen = []
        with pytest.raises(EngineUnavailable):  # noqa: PT012
            async for found in Controller(engine, Asks(1)).solve_many(questions(6), at_once=3):
                seen.append(key(found))  # noqa: PERF401
        assert set(seen) == {"4"}
        assert engine.open_streams == 0

    run(main())


def test_a_problem_that_does_not_fit_is_an_error_and_leaves_nothing_running() -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless(seconds_per_token=0.1)], context=100)
        with pytest.raises(ContextExceeded):
            async for _ in Controller(engine, Asks(1)).solve_many(["Short?", words(200)]):
                pass
        assert engine.open_streams == 0

    run(main())


def test_nothing_at_once_solves_nothing_and_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="at_once=0 solves nothing"):
            async for _ in Controller(ScriptedEngine(["x"]), Asks(1)).solve_many(["a?"], at_once=0):
                pass

    run(main())


def test_the_same_batch_gives_the_same_runs_in_the_same_order() -> None:
    def once() -> list[Run]:
        engine = ScriptedEngine([says("4", thought) for thought in (3, 9, 1)], waste=1)
        return solve_all(engine, questions(12), Budget(tokens=300), n=3, at_once=5, seed=3)

    assert once() == once()


def test_tokens_are_counted_once_in_the_batch_and_once_in_the_run() -> None:
    runs = solve_all(ScriptedEngine([says("4")]), questions(3))
    assert [found.receipt.generated_tokens for found in runs] == [tokens_of(3)] * 3
