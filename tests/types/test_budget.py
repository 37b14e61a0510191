"""Budgets: what can be written, what is kept for the answer, and what is said of mistakes."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from thinkctl.types import DEFAULT_ANSWER_TOKENS, Budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("tokens=300", Budget(tokens=300)),
        ("tokens=300,seconds=10", Budget(tokens=300, seconds=10)),
        (" tokens = 1_500 , seconds = 2.5 ", Budget(tokens=1500, seconds=2.5)),
        ("dollars=0.01", Budget(dollars=Decimal("0.01"))),
        (
            "requests=3,thinking_tokens=40,answer_tokens=8",
            Budget(requests=3, thinking_tokens=40, answer_tokens=8),
        ),
        ("tokens=5,", Budget(tokens=5)),
    ],
)
def test_a_budget_is_read_from_a_text(text: str, budget: Budget) -> None:
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"the budget is empty; write for instance tokens=300,seconds=10"),
        (" , ,", r"the budget is empty"),
        (
            "300",
            r"budget item '300' is not understood; write NAME=NUMBER with one of tokens, thinking_tokens, ",
        ),
        ("minutes=3", r"budget item 'minutes=3' is not understood"),
        ("tokens=5,tokens=6", r"budget names 'tokens' twice; give it once"),
        ("tokens=many", r"budget tokens=many: Input should be a valid integer"),
        ("tokens=0", r"budget tokens=0: Input should be greater than 0"),
        ("tokens=-5,seconds=0", r"budget tokens=-5: .*; budget seconds=0: Input should be greater than 0"),
        ("seconds=inf", r"budget seconds=inf: Input should be a finite number"),
        ("dollars=nan", r"budget dollars=nan: "),
        ("tokens=", r"budget tokens=: Input should be a valid integer"),
        (
            "tokens=10,answer_tokens=10",
            r"answer_tokens=10 leaves nothing of tokens=10 to think with; give more",
        ),
    ],
)
def test_a_mistake_in_the_text_is_named_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        Budget.parse(text)
    assert "validation error" not in str(raised.value), "no one should have to read pydantic's own words"
    assert "For further information" not in str(raised.value)


budgets = st.builds(
    Budget,
    tokens=st.none() | st.integers(1, 10**9),
    thinking_tokens=st.none() | st.integers(1, 10**9),
    seconds=st.none() | st.floats(0.001, 1e6),
    dollars=st.none() | st.decimals("0.000001", "1000000", places=9).filter(bool),
    requests=st.none() | st.integers(1, 10**6),
)


@given(budgets)
def test_what_was_written_comes_back(budget: Budget) -> None:
    fields = budget.model_dump(exclude_none=True)
    if fields:
        assert Budget.parse(",".join(f"{name}={value}" for name, value in fields.items())) == budget
    assert Budget.model_validate_json(budget.model_dump_json()) == budget


@given(st.text(max_size=40))
def test_no_text_does_anything_but_parse_or_raise_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(Budget.parse(text), Budget)


@pytest.mark.parametrize(
    ("fields", "reserve"),
    [
        ({}, DEFAULT_ANSWER_TOKENS),
        ({"tokens": 1000}, 64),
        ({"tokens": 256}, 64),
        ({"tokens": 255}, 63),
        ({"tokens": 3}, 0),
        ({"tokens": 1000, "answer_tokens": 9}, 9),
        ({"tokens": 1000, "answer_tokens": 900}, 250),
        ({"answer_tokens": 900}, 900),
    ],
)
def test_the_answer_reserve_is_at_most_a_quarter(fields: dict[str, Any], reserve: int) -> None:
    assert Budget.model_validate(fields).answer_reserve == reserve


@given(st.integers(1, 10**6), st.none() | st.integers(1, 10**6))
def test_something_is_always_left_to_think(tokens: int, answer_tokens: int | None) -> None:
    if answer_tokens is not None and answer_tokens >= tokens:
        with pytest.raises(ValidationError, match="leaves nothing"):
            Budget(tokens=tokens, answer_tokens=answer_tokens)
        return
    assert Budget(tokens=tokens, answer_tokens=answer_tokens).answer_reserve * 4 <= tokens


def test_at_most_a_quarter_of_the_time_is_kept() -> None:
    assert (Budget(seconds=10).longest_time_reserve, Budget().longest_time_reserve) == (2.5, 0)


def test_a_budget_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Budget(tokens=5).tokens = 6  # type: ignore[misc]


def test_dollars_are_exact() -> None:
    assert Budget.model_validate({"dollars": 0.1}).dollars == Decimal("0.1")
    assert Budget.parse("dollars=0.1").dollars == Decimal("0.1")


def test_an_unknown_limit_is_an_error_with_its_name() -> None:
    with pytest.raises(ValidationError, match=r"token\n.*not permitted"):
        Budget.model_validate({"token": 5})
