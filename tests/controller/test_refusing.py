"""What cannot be is refused, with what, which value, and what now."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.controller.rig import QUESTION, Asks, key, says, solve, words
from thinkctl import Budget, Controller, ModelCard, Problem, SelfConsistency
from thinkctl.errors import ConfigurationError, ContextExceeded, RequestFailed
from thinkctl.testing import ScriptedEngine


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"speculate": -1}, "speculate=-1 is too small; give at least 0"),
        ({"decide_every": 0}, "decide_every=0 is too small; give at least 1"),
        ({"usual_tokens": 0}, "usual_tokens=0 is too small; give at least 1"),
    ],
)
def test_knobs_out_of_range_are_refused_when_the_controller_is_made(knobs, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Controller(ScriptedEngine(["x"]), SelfConsistency(2), **knobs)


def test_a_controller_needs_an_engine() -> None:
    with pytest.raises(ConfigurationError, match="at least one engine"):
        Controller({}, SelfConsistency(2))


@pytest.mark.parametrize("problem", ["", "   ", "\n"])
def test_an_empty_problem_is_refused(problem: str) -> None:
    with pytest.raises(ValidationError, match="the problem is empty"):
        solve(ScriptedEngine(["x"]), Asks(1), problem=problem)


def test_an_unknown_answer_form_is_refused_with_the_known_ones() -> None:
    problem = Problem.model_validate({"messages": "What?", "form": "haiku"})
    with pytest.raises(ValueError, match="unknown answer form 'haiku'; known forms: boxed, hashes"):
        solve(ScriptedEngine(["x"]), Asks(1), problem=problem)


@pytest.mark.parametrize(
    "limit",
    [
        {"tokens": 0},
        {"tokens": -5},
        {"seconds": 0},
        {"seconds": float("inf")},
        {"seconds": float("nan")},
        {"dollars": 0},
        {"dollars": "-0.1"},
        {"requests": 0},
        {"thinking_tokens": 0},
        {"answer_tokens": 0},
        {"tokens": 10, "answer_tokens": 10},
        {"tokens": 1.5},
        {"minutes": 3},
    ],
    ids=str,
)
def test_budgets_that_cannot_be_are_refused(limit) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(limit)


@pytest.mark.parametrize(("context", "fits"), [(12, True), (11, False), (6, False), (1, False)])
def test_a_prompt_that_leaves_no_room_to_answer_is_refused_before_anything_is_asked(context, fits) -> None:
    """The prompt has 6 tokens here, and asking for the answer takes 5."""
    engine = ScriptedEngine(["4}"], context=context)
    if fits:
        assert key(solve(engine, Asks(1), Budget(answer_tokens=1))) == "4"
        return
    with pytest.raises(ContextExceeded, match=f"the prompt has 6 tokens .* a context of {context}; shorten"):
        solve(engine, Asks(1))
    assert engine.log == []


def test_a_context_error_is_a_failed_request_and_a_value_error() -> None:
    with pytest.raises(RequestFailed):
        solve(ScriptedEngine(["x"], context=50), Asks(1), problem=words(100))
    with pytest.raises(ValueError, match="shorten the problem or take a model with a longer one"):
        solve(ScriptedEngine(["x"], context=50), Asks(1), problem=words(100))


def test_a_refused_call_leaves_the_purse_as_it_was() -> None:
    import asyncio

    from thinkctl.controller import budget

    with budget(tokens=100) as purse:
        for engine, problem in ((ScriptedEngine(["x"], context=8), QUESTION), (ScriptedEngine(["x"]), "")):
            with pytest.raises(ValueError, match=r"empty|context"):
                asyncio.run(Controller(engine, Asks(2)).solve(problem))
        assert (purse.tokens_left, purse.receipt.requests) == (100, 0)


def test_a_negative_or_foreign_price_name_is_harmless() -> None:
    """Prices by name may name models that this controller does not have."""
    card = ModelCard(name="scripted")
    made = Controller(ScriptedEngine([says("4")], card=card), Asks(1), prices={})
    assert key(made.solve_sync(QUESTION)) == "4"
