"""Dollars and requests: exact, unknown prices, and small numbers."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    A_DOLLAR,
    ASK,
    PER_TOKEN,
    QUESTION,
    Asks,
    Judges,
    Proposes,
    decides,
    endless,
    finishes,
    generate,
    key,
    keys,
    says,
    solve,
    tokens_of,
    words,
)
from thinkctl import Budget, Controller, ModelCard, Prices, Request
from thinkctl.controller import budget
from thinkctl.errors import ConfigurationError
from thinkctl.testing import ScriptedEngine, run
from thinkctl.types import Decision, Finish, ProbeRequest, Role, StopReason, Verdict

REAL = Prices(
    dollars_per_million_prompt_tokens=Decimal("0.15"),
    dollars_per_million_generated_tokens=Decimal("0.6"),
    dollars_per_million_cached_tokens=Decimal("0.075"),
    dollars_per_request=Decimal("0.0001"),
)


def test_a_dollar_budget_needs_a_price_for_every_model() -> None:
    small, large = ScriptedEngine(["x"], prices=REAL), ScriptedEngine(["x"], card=ModelCard(name="large"))

    async def main() -> None:
        controller = Controller({"small": small, "large": large}, Asks(1))
        with pytest.raises(ConfigurationError, match="none is known for 'large'; give Controller"):
            await controller.solve(QUESTION, Budget(dollars=Decimal(1)))
        with budget(dollars=1), pytest.raises(ConfigurationError, match="'large'"):
            await controller.solve(QUESTION)
        assert small.log == []
        assert (await controller.solve(QUESTION, Budget(tokens=50))).receipt.dollars is not None

    run(main())


def test_without_a_price_the_bill_says_so_and_not_zero() -> None:
    found = solve(ScriptedEngine([says("4")]), Asks(2))
    assert found.receipt.dollars is None
    assert all(line.dollars is None for line in found.receipt.lines)


@pytest.mark.parametrize("given", ["one for all", "by name", "on the card"])
def test_prices_may_be_given_for_all_models_by_name_or_on_the_card(given: str) -> None:
    engine = ScriptedEngine([says("4")], prices=PER_TOKEN if given == "on the card" else None)
    prices = {"one for all": PER_TOKEN, "by name": {"scripted": PER_TOKEN}}.get(given)
    found = solve(engine, Asks(2), Budget(dollars=Decimal(100)), prices=prices)
    assert found.receipt.dollars == 2 * tokens_of(3)


def test_given_prices_go_before_those_of_the_card() -> None:
    engine = ScriptedEngine([says("4")], prices=A_DOLLAR)
    assert solve(engine, Asks(1), prices=PER_TOKEN).receipt.dollars == tokens_of(3)


@pytest.mark.parametrize("places", [3, 28])
def test_the_bill_is_exact_to_the_last_digit(places: int) -> None:
    """Whatever precision the caller has set."""
    with localcontext(prec=places):
        engine = ScriptedEngine([endless(chunk=3)], prices=REAL, block=4)
        found = solve(engine, Asks(5), Budget(tokens=777, dollars=Decimal(1)), usual_tokens=50)
    usage = found.receipt.usage
    assert usage.cached_tokens
    with localcontext(prec=60):
        owed = Decimal("0.0001") * usage.requests + (
            Decimal("0.15") * (usage.prompt_tokens - usage.cached_tokens)
            + Decimal("0.075") * usage.cached_tokens
            + Decimal("0.6") * usage.generated_tokens
        ) / Decimal(1_000_000)
    assert found.receipt.dollars == owed


@pytest.mark.parametrize("cents", [1, 2, 5, 9, 13, 40, 77, 150, 333])
@pytest.mark.parametrize("n", [1, 3])
def test_the_dollar_wall_is_never_passed(cents: int, n: int) -> None:
    """A cent a token, prompts included; each further stream reads its prompt again."""
    cent = Prices(
        dollars_per_million_prompt_tokens=Decimal(10_000),
        dollars_per_million_generated_tokens=Decimal(10_000),
    )
    limits = Budget(dollars=Decimal(cents) / 100)
    found = solve(ScriptedEngine([endless(chunk=4)], prices=cent, waste=2), Asks(n), limits)
    assert found.stop is StopReason.DOLLARS
    assert (found.receipt.dollars or 0) <= Decimal(cents) / 100


@pytest.mark.parametrize("dollars", [40, 60, 100, 400])
def test_a_dollar_budget_brings_an_answer_too(dollars: int) -> None:
    """A dollar a token, prompts free: a quarter of the money is kept for concluding."""
    engine = ScriptedEngine([endless("7", conclusion=f"{words(8)} 7}}")], prices=PER_TOKEN)
    found = solve(engine, Asks(1), Budget(dollars=Decimal(dollars)))
    assert (found.answer and found.answer.concluded, found.stop) == (True, StopReason.DOLLARS)
    assert found.samples[0].thinking_tokens == dollars - min(64, dollars // 4)


def test_the_price_of_reading_the_thought_again_is_kept_back_too() -> None:
    """A dollar for every token read or written: concluding reads the question, the thought and the cue."""
    found = solve(ScriptedEngine([endless("7")], prices=A_DOLLAR), Asks(1), Budget(dollars=Decimal(200)))
    assert key(found) == "7"
    assert (found.receipt.dollars or 0) <= 200
    assert (found.receipt.dollars or 0) > 140


def test_prices_that_make_cached_tokens_dearer_are_believed() -> None:
    odd = A_DOLLAR.model_copy(update={"dollars_per_million_cached_tokens": Decimal(3_000_000)})
    found = solve(ScriptedEngine([endless("7")], prices=odd, block=1), Asks(2), Budget(dollars=Decimal(600)))
    assert (found.receipt.dollars or 0) <= 600
    assert key(found) == "7"


def test_each_model_has_its_own_price() -> None:
    small = ScriptedEngine([says("4", 8)], prices=PER_TOKEN)
    large = ScriptedEngine([says("5", 8)], card=ModelCard(name="large"), prices=A_DOLLAR)

    async def main() -> None:
        strategy = Proposes(
            lambda history: [Request(ASK), Request(ASK, model="large")] if not history.bought else ()
        )
        found = await Controller({"small": small, "large": large}, strategy).solve(
            QUESTION, Budget(dollars=Decimal(900))
        )
        by_model = {line.model: line.dollars for line in found.receipt.lines}
        assert by_model == {"small": 10, "large": 10 + len(found.samples[1].prompt_ids)}
        assert found.receipt.dollars == sum(by_model.values())  # type: ignore[arg-type]

    run(main())


@given(
    dollars=st.integers(1, 400),
    prompt=st.integers(0, 3),
    request=st.integers(0, 9),
    n=st.integers(1, 5),
    usual=st.integers(1, 100),
    waste=st.integers(0, 2),
    probe=st.booleans(),
)
def test_no_mixture_of_prices_and_samples_passes_the_wall(
    dollars, prompt, request, n, usual, waste, probe
) -> None:
    prices = Prices(
        dollars_per_million_prompt_tokens=Decimal(prompt * 1_000_000),
        dollars_per_million_generated_tokens=Decimal(1_000_000),
        dollars_per_request=Decimal(request),
    )
    policy = decides(
        lambda history: Decision(
            probe=tuple(ProbeRequest(each.index, max_tokens=3) for each in history.in_flight)
        )
    )
    engine = ScriptedEngine([endless(chunk=3), says("5", 9)], prices=prices, waste=waste)
    found = solve(
        engine,
        Asks(n),
        Budget(dollars=Decimal(dollars)),
        usual_tokens=usual,
        policy=policy if probe else None,
    )
    assert (found.receipt.dollars or 0) <= dollars


# -- requests --------------------------------------------------------------------------------------------------


def test_one_request_is_one_stream() -> None:
    found = solve(ScriptedEngine([says("4")]), Asks(3), Budget(requests=1))
    assert (keys(found), found.stop, found.receipt.requests) == (["4"], StopReason.REQUESTS, 1)


def test_one_request_that_does_not_end_cannot_be_concluded() -> None:
    found = solve(ScriptedEngine([endless()]), Asks(3), Budget(requests=1, tokens=50))
    assert (found.answer, finishes(found), found.receipt.requests) == (None, [Finish.LENGTH], 1)


def test_two_requests_are_a_thought_and_its_conclusion() -> None:
    found = solve(ScriptedEngine([endless("7")]), Asks(3), Budget(requests=2, thinking_tokens=20))
    assert (key(found), found.receipt.requests, found.stop) == ("7", 2, StopReason.REQUESTS)


def test_two_requests_are_two_samples_once_the_first_has_answered() -> None:
    found = solve(ScriptedEngine([says("4"), says("5")]), Asks(3), Budget(requests=2))
    assert (keys(found), found.stop) == (["4", "5"], StopReason.REQUESTS)


def test_three_requests_are_two_samples_and_a_conclusion() -> None:
    """As long as nothing was answered one request is kept for concluding."""
    engine = ScriptedEngine([endless("7")])
    found = solve(engine, Asks(5), Budget(requests=3, thinking_tokens=20))
    assert keys(found) == ["7", None]
    assert (found.receipt.requests, found.stop) == (3, StopReason.REQUESTS)


@pytest.mark.parametrize("requests", range(1, 12))
def test_the_request_wall_is_never_passed_and_there_is_an_answer(requests: int) -> None:
    """Long thoughts in small grants, probes and a judge: all of them are requests."""

    async def judge(sample, engines) -> Verdict:
        await generate(engines, "judge", 3)
        return Verdict(1.0)

    policy = decides(
        lambda history: Decision(
            probe=tuple(ProbeRequest(each.index, max_tokens=3) for each in history.in_flight)
        )
    )
    engine = ScriptedEngine([endless("7", seconds_per_token=0.1), says("7", 60, seconds_per_token=0.1)])
    found = solve(
        engine,
        Asks(4),
        Budget(requests=requests, tokens=600),
        policy=policy,
        verifier=Judges(judge),
        usual_tokens=20,
        decide_every=8,
    )
    assert found.receipt.requests <= requests
    assert len(engine.log) <= requests
    assert (key(found) == "7") is (requests > 1)


def test_a_verifier_that_finds_no_request_left_is_told_so() -> None:
    async def judge(sample, engines) -> Verdict:
        await generate(engines, "judge", 3)
        return Verdict(1.0)

    found = solve(ScriptedEngine([says("4")]), Asks(1), Budget(requests=1), verifier=Judges(judge))
    (sample,) = found.samples
    assert (sample.verdict, key(found)) == (None, "4")
    assert "its verifier failed: the budget has no room" in sample.error
    assert [line.role for line in found.receipt.lines] == [Role.SAMPLE]
