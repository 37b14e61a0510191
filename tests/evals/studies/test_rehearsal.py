"""The made-up model is an engine like any other, and says the same whenever it is asked."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import Budget, Controller, SelfConsistency
from thinkctl.errors import ConfigurationError
from thinkctl.evals.studies.rehearsal import Rehearsal, _solved, _Tokens
from thinkctl.evals.tasks import task
from thinkctl.testing.conformance import CHECKS, Trial
from thinkctl.types import Run


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_it_keeps_every_promise_of_an_engine(check) -> None:
    asyncio.run(check(Trial(Rehearsal())))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_its_tokens_hold_any_text(text: str) -> None:
    assert _Tokens().decode(_Tokens().encode(text)) == text


def solved(order: list[int], tokens: int | None = None) -> dict[str, Run]:
    problems = task("countdown").problems[:4]

    async def run() -> dict[str, Run]:
        controller = Controller(Rehearsal(), SelfConsistency(3))
        budget = Budget(tokens=tokens)
        running = [
            asyncio.ensure_future(controller.solve(problems[place], budget, seed=place)) for place in order
        ]
        return {each.history.problem.id: each for each in await asyncio.gather(*running)}

    return asyncio.run(run())


@pytest.mark.parametrize("tokens", [None, 40])
def test_the_order_of_questions_makes_no_difference(tokens: int | None) -> None:
    """Also where a budget cuts samples, which are then continued or concluded."""
    one, other = solved([0, 1, 2, 3], tokens), solved([3, 1, 0, 2], tokens)
    for name, run in one.items():
        assert [sample.token_ids for sample in run.samples] == [s.token_ids for s in other[name].samples]
        assert run.receipt.usage == other[name].receipt.usage


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("What is 17*23-4?", "387"),
        ("First 1+1. Then: what is (3+4)*5?", "35"),
        ("Start with 9. Multiply the result by 8. Subtract 40. Divide the result by 4. What is it?", "8"),
        ("Start with 9. Divide the result by 2. What is it?", None),
        ("Who wrote this?", None),
        ("1+" * 3000 + "1", None),
        ("((((1+1", None),
    ],
)
def test_it_can_do_sums(asked: str, answer: str | None) -> None:
    assert _solved(asked) == answer


def test_it_makes_a_number_of_others_where_that_can_be() -> None:
    countdown = task("countdown")
    for problem in countdown.problems[:5]:
        found = _solved(problem.messages[-1].content)
        assert found is not None
        assert asyncio.run(countdown.grade(problem, found))


def test_what_it_cannot_be_is_said() -> None:
    with pytest.raises(ConfigurationError, match="no share"):
        Rehearsal(right=1.5)
    with pytest.raises(ConfigurationError, match="at least 1"):
        Rehearsal(tokens=0)
