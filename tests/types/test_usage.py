"""Usage and receipts: every token is of one kind, and what is unknown stays unknown."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.types import Receipt, ReceiptLine, Role, Usage

counts = st.integers(0, 10**6)
usages = st.builds(
    Usage,
    requests=counts,
    prompt_tokens=counts,
    cached_tokens=st.none() | counts,
    thinking_tokens=counts,
    answer_tokens=counts,
    probe_tokens=counts,
    forced_tokens=counts,
    wasted_tokens=counts,
    estimated=st.booleans(),
)
prices = st.none() | st.decimals("0", "100", places=12)
lines = st.builds(ReceiptLine, st.sampled_from(Role), st.sampled_from(["small", "large"]), usages, prices)
bills = st.lists(lines, max_size=6)


def line(
    role: Role = Role.SAMPLE, model: str = "small", dollars: str | None = "0.1", **used: Any
) -> ReceiptLine:
    return ReceiptLine(role, model, Usage(**used), None if dollars is None else Decimal(dollars))


# -- usage -----------------------------------------------------------------------------------------------------


@given(usages)
def test_every_generated_token_is_of_exactly_one_kind(usage: Usage) -> None:
    kinds = (
        usage.thinking_tokens,
        usage.answer_tokens,
        usage.probe_tokens,
        usage.forced_tokens,
        usage.wasted_tokens,
    )
    assert usage.generated_tokens == sum(kinds)


@given(usages, usages, usages)
def test_usages_add_up_in_any_order(one: Usage, two: Usage, three: Usage) -> None:
    assert (one + two) + three == one + (two + three)
    assert one + two == two + one
    assert one + Usage() == one
    assert (one + two).generated_tokens == one.generated_tokens + two.generated_tokens


@pytest.mark.parametrize(
    ("one", "other", "both"), [(3, 4, 7), (None, 4, None), (3, None, None), (None, None, None)]
)
def test_what_is_unknown_in_one_is_unknown_in_the_sum(one, other, both) -> None:
    assert (Usage(cached_tokens=one) + Usage(cached_tokens=other)).cached_tokens == both


def test_an_estimate_makes_the_sum_an_estimate() -> None:
    assert (Usage(estimated=True) + Usage()).estimated
    assert not (Usage() + Usage()).estimated


@given(usages, usages)
def test_what_came_since_is_the_difference_of_the_tokens(before: Usage, more: Usage) -> None:
    since = (before + more) - before
    assert since.generated_tokens == more.generated_tokens
    assert (since.thinking_tokens, since.wasted_tokens) == (more.thinking_tokens, more.wasted_tokens)


# -- receipts --------------------------------------------------------------------------------------------------


def test_there_is_one_line_for_each_role_and_model_in_the_order_they_first_appear() -> None:
    receipt = Receipt.of(
        [
            line(Role.PROBE, probe_tokens=1),
            line(Role.SAMPLE, thinking_tokens=2),
            line(Role.PROBE, "large", probe_tokens=4),
            line(Role.PROBE, probe_tokens=8),
        ],
        2.5,
    )
    assert [(each.role, each.model, each.usage.generated_tokens, each.dollars) for each in receipt.lines] == [
        (Role.PROBE, "small", 9, Decimal("0.2")),
        (Role.SAMPLE, "small", 2, Decimal("0.1")),
        (Role.PROBE, "large", 4, Decimal("0.1")),
    ]
    assert receipt.seconds == 2.5


@given(bills, bills, st.floats(0, 100), st.floats(0, 100))
def test_receipts_add_up(
    one: list[ReceiptLine], other: list[ReceiptLine], before: float, after: float
) -> None:
    first, second = Receipt.of(one, before), Receipt.of(other, after)
    both = first + second
    assert both.usage == first.usage + second.usage
    assert both.seconds == before + after
    assert len({(each.role, each.model) for each in both.lines}) == len(both.lines)
    if first.lines and second.lines:
        unknown = first.dollars is None or second.dollars is None
        assert both.dollars == (None if unknown else (first.dollars or 0) + (second.dollars or 0))
    assert both.generated_tokens == both.usage.generated_tokens


@given(bills)
def test_the_price_is_known_where_every_line_s_is(bill: list[ReceiptLine]) -> None:
    receipt = Receipt.of(bill, 0)
    known = [each.dollars for each in bill if each.dollars is not None]
    if len(known) < len(bill):
        assert receipt.dollars is None
    else:
        assert receipt.dollars == sum(known)


def test_dollars_are_never_rounded_whatever_precision_the_caller_has_set() -> None:
    with localcontext(prec=2):
        receipt = Receipt.of(
            [line(dollars="1.2345678901234567890123456789")] * 3 + [line(Role.PROBE, dollars="1e-30")], 0
        )
        total = receipt.dollars
    assert str(total) == "3.703703670370370367037037036701"


def test_an_empty_receipt_is_nothing_and_costs_nothing() -> None:
    receipt = Receipt()
    assert (receipt.usage, receipt.dollars, receipt.seconds) == (Usage(), Decimal(0), 0)


def test_thinking_and_answers_are_the_samples_and_a_verifier_s_tokens_are_its_own() -> None:
    receipt = Receipt.of(
        [
            line(
                Role.SAMPLE, requests=1, thinking_tokens=10, answer_tokens=3, wasted_tokens=1, prompt_tokens=7
            ),
            line(
                Role.CONCLUSION,
                requests=1,
                answer_tokens=2,
                forced_tokens=4,
                prompt_tokens=20,
                cached_tokens=16,
            ),
            line(Role.PROBE, requests=1, probe_tokens=5),
            line(Role.VERIFIER, requests=2, answer_tokens=30, wasted_tokens=2),
        ],
        1,
    )
    assert (receipt.thinking_tokens, receipt.answer_tokens) == (10, 5)
    assert (receipt.probe_tokens, receipt.forced_tokens, receipt.wasted_tokens) == (5, 4, 3)
    assert receipt.verifier_tokens == 32
    assert (receipt.requests, receipt.prompt_tokens, receipt.cached_tokens) == (5, 27, 16)
    assert receipt.generated_tokens == 10 + 5 + 5 + 4 + 3 + 30
    kinds = receipt.thinking_tokens + receipt.answer_tokens + receipt.probe_tokens + receipt.forced_tokens
    assert kinds + 1 + receipt.verifier_tokens == receipt.generated_tokens
