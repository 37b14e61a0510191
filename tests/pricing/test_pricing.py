"""What tokens cost, to the last decimal."""

from __future__ import annotations

from dataclasses import replace
from decimal import Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.pricing import price, worst_case
from thinkctl.types import Prices, Usage


def prices(prompt: str, generated: str, cached: str | None = None, request: str = "0") -> Prices:
    return Prices(
        dollars_per_million_prompt_tokens=Decimal(prompt),
        dollars_per_million_generated_tokens=Decimal(generated),
        dollars_per_million_cached_tokens=None if cached is None else Decimal(cached),
        dollars_per_request=Decimal(request),
    )


PLAIN, CHEAP_CACHE = prices("0.15", "0.60"), prices("0.15", "0.60", "0.075")

amounts = st.decimals(0, 100, places=6)
priced = st.builds(prices, amounts.map(str), amounts.map(str), st.none() | amounts.map(str), amounts.map(str))
counts = st.integers(0, 10**9)
usages = st.builds(
    Usage, counts, counts, st.none() | counts, counts, counts, counts, counts, counts, st.booleans()
)


truthful = usages.filter(lambda usage: usage.cached_tokens is not None).map(
    lambda usage: replace(usage, prompt_tokens=usage.prompt_tokens + (usage.cached_tokens or 0))
)


@pytest.mark.parametrize(
    ("usage", "tariff", "dollars"),
    [
        (Usage(), PLAIN, "0"),
        (Usage(prompt_tokens=1_000_000), PLAIN, "0.15"),
        (Usage(answer_tokens=1), PLAIN, "0.0000006"),
        (Usage(0, 0, 0, 1, 2, 3, 4, 5), PLAIN, "0.000009"),  # thought, answer, probe, forced and wasted tokens
        (Usage(prompt_tokens=100, cached_tokens=60), PLAIN, "0.000015"),  # no price for cached ones: full price
        (Usage(prompt_tokens=100, cached_tokens=60), CHEAP_CACHE, "0.0000105"),
        (Usage(prompt_tokens=100, cached_tokens=None), CHEAP_CACHE, "0.000015"),  # not told: full price
        (Usage(prompt_tokens=100, cached_tokens=None), prices("1", "1", "2"), "0.0002"),  # or the dearer one
        (Usage(prompt_tokens=10, cached_tokens=60), CHEAP_CACHE, "0.00000075"),  # no more than there were
        (Usage(requests=3), prices("1", "1", request="0.005"), "0.015"),
    ],
)  # fmt: skip
def test_every_token_costs_its_price(usage, tariff, dollars) -> None:
    assert price(usage, tariff) == Decimal(dollars)


def test_without_prices_the_cost_is_unknown_and_not_0() -> None:
    assert price(Usage(), None) is None
    assert worst_case(0, 0, 0, None) is None


def test_no_bill_is_rounded_whatever_precision_the_caller_works_with() -> None:
    tariff = prices("0.123456789012345678", "0.987654321098765432", request="0.000000000000000001")
    usage = Usage(requests=1, prompt_tokens=987_654_321, answer_tokens=123_456_789)
    with localcontext(Context(prec=3)):
        dollars = price(usage, tariff)
    assert dollars == Decimal("243.865262249657063322292486")


@given(truthful, truthful, priced)
def test_the_bill_of_two_together_is_the_sum_of_their_bills(one, other, tariff) -> None:
    apart = [price(usage, tariff) for usage in (one, other)]
    with localcontext(Context(prec=100)):
        assert price(one + other, tariff) == sum(dollars for dollars in apart if dollars is not None)


@given(usages, priced)
def test_the_worst_case_is_never_below_the_bill(usage, tariff) -> None:
    bill = price(usage, tariff)
    most = worst_case(usage.prompt_tokens, usage.generated_tokens, usage.requests, tariff)
    assert bill is not None
    assert most is not None
    assert most >= bill
