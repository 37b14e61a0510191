"""Prices from the list of genai-prices: a list of our own, put in its place, and a look at the real one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import pytest

from thinkctl.errors import MissingExtra
from thinkctl.pricing import prices_for, worst_case
from thinkctl.types import Prices

pytest.importorskip("genai_prices")

from genai_prices import data_snapshot
from genai_prices import types as listed

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
LIST = f"genai-prices {version('genai-prices')}"
PLAIN = {"input_mtok": Decimal("0.15"), "output_mtok": Decimal("0.6")}


@pytest.fixture
def selling() -> Iterator[Callable[..., Callable[[str], Prices | None]]]:
    """Return ``selling(prices)``: a look-up in a list with the one model ``shop/model`` at these prices."""

    def put(*prices: Any) -> Callable[[str], Prices | None]:
        found = prices[0] if len(prices) == 1 else list(prices)
        model = listed.ModelInfo(id="model", match=listed.ClauseEndsWith("model"), prices=found)
        shop = listed.Provider(
            id="shop",
            name="Shop",
            api_pattern="https://shop",
            model_match=listed.ClauseStartsWith("mod"),
            models=[model],
        )
        data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([shop], from_auto_update=False))
        return lambda name: prices_for(name, at=NOON)

    yield put
    data_snapshot.set_custom_snapshot(None)


def test_a_name_brings_the_prices_of_the_list_and_their_version(selling) -> None:
    prices = listed.ModelPrice(**PLAIN, cache_read_mtok=Decimal("0.075"), requests_kcount=Decimal(5))
    assert selling(prices)("shop/model") == Prices(
        dollars_per_million_prompt_tokens=Decimal("0.15"),
        dollars_per_million_generated_tokens=Decimal("0.6"),
        dollars_per_million_cached_tokens=Decimal("0.075"),
        dollars_per_request=Decimal("0.005"),
        source=f"{LIST} shop/model",
    )


@pytest.mark.parametrize("name", ["shop/other", "nowhere/model", "moderate", "other", "", "/", "shop/"])
def test_what_the_list_does_not_have_is_unknown_and_not_free(selling, name) -> None:
    assert selling(listed.ModelPrice(**PLAIN))(name) is None


@pytest.mark.parametrize(
    "prices",
    [
        listed.ModelPrice(),
        listed.ModelPrice(input_mtok=Decimal(1)),
        listed.ModelPrice(output_mtok=Decimal(1)),
        listed.ModelPrice(cache_write_mtok=Decimal(2), output_mtok=Decimal(1)),
    ],
    ids=repr,
)
def test_a_model_that_is_listed_without_a_price_is_unknown_and_not_free(selling, prices) -> None:
    assert selling(prices)("shop/model") is None


def test_a_model_that_is_listed_at_nothing_is_free(selling) -> None:
    found = selling(listed.ModelPrice(input_mtok=Decimal(0), output_mtok=Decimal(0)))("shop/model")
    assert worst_case(10, 10, 1, found) == 0


def test_the_provider_may_be_left_out_where_the_list_knows_it(selling) -> None:
    look_up = selling(listed.ModelPrice(**PLAIN))
    assert look_up("model") == look_up("shop/model") is not None
    assert look_up("shop/org/model") == look_up("model")  # a model's name may have a slash itself


def test_the_dearest_tier_holds_for_every_prompt_and_the_version_says_so(selling) -> None:
    def tiers(base: str, long: str) -> Any:
        return listed.TieredPrices(
            base=Decimal(base), tiers=[listed.Tier(start=200_000, price=Decimal(long))]
        )

    found = selling(
        listed.ModelPrice(
            input_mtok=tiers("1.25", "2.5"),
            output_mtok=tiers("10", "15"),
            cache_read_mtok=tiers("0.125", "0.25"),
        )
    )("shop/model")
    assert found is not None
    assert found.dollars_per_million_prompt_tokens == Decimal("2.5")
    assert found.dollars_per_million_generated_tokens == 15
    assert found.dollars_per_million_cached_tokens == Decimal("0.25")
    assert found.source == f"{LIST} shop/model, dearest tier"


def test_the_dearest_hour_of_the_day_holds_and_the_version_says_so(selling) -> None:
    night = listed.TimeOfDateConstraint(start_time=time(16, 30, tzinfo=UTC), end_time=time(0, 30, tzinfo=UTC))
    cheap = listed.ModelPrice(input_mtok=Decimal("0.1"), output_mtok=Decimal("0.2"))
    dear = listed.ModelPrice(input_mtok=Decimal("0.2"), output_mtok=Decimal("0.4"))
    for day, other in ((cheap, dear), (dear, cheap)):
        found = selling(
            listed.ConditionalPrice(prices=day), listed.ConditionalPrice(constraint=night, prices=other)
        )("shop/model")
        assert found is not None
        assert found.dollars_per_million_generated_tokens == Decimal("0.4")
        assert found.source == f"{LIST} shop/model, dearest hour"


def test_a_price_of_the_past_does_not_count(selling) -> None:
    since = listed.StartDateConstraint(start_date=date(2026, 1, 1))
    found = selling(
        listed.ConditionalPrice(prices=listed.ModelPrice(input_mtok=Decimal(9), output_mtok=Decimal(9))),
        listed.ConditionalPrice(constraint=since, prices=listed.ModelPrice(**PLAIN)),
    )("shop/model")
    assert found is not None
    assert found.dollars_per_million_generated_tokens == Decimal("0.6")
    assert found.source == f"{LIST} shop/model"


def test_writing_the_cache_is_charged_where_it_is_dearer_than_reading_the_prompt(selling) -> None:
    found = selling(listed.ModelPrice(**PLAIN, cache_write_mtok=Decimal("0.1875")))("shop/model")
    assert found is not None
    assert found.dollars_per_million_prompt_tokens == Decimal("0.1875")
    assert found.source == f"{LIST} shop/model, cache writes"
    cheap = selling(listed.ModelPrice(**PLAIN, cache_write_mtok=Decimal("0.05")))("shop/model")
    assert cheap is not None
    assert cheap.dollars_per_million_prompt_tokens == Decimal("0.15")


def test_thoughts_that_cost_more_than_answers_are_not_underpriced(selling) -> None:
    found = selling(listed.ModelPrice(**PLAIN, output_reasoning_mtok=Decimal(3)))("shop/model")
    assert found is not None
    assert found.dollars_per_million_generated_tokens == 3


def test_the_list_that_comes_with_the_package_is_enough() -> None:
    found = prices_for("openai/gpt-4o-mini")
    assert found is not None
    assert 0 < found.dollars_per_million_prompt_tokens < found.dollars_per_million_generated_tokens
    assert found.source.startswith(f"{LIST} openai/gpt-4o-mini")


def test_without_the_package_only_a_name_is_an_error_and_it_says_what_to_install(monkeypatch) -> None:
    for module in [name for name in sys.modules if name.partition(".")[0] == "genai_prices"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    with pytest.raises(MissingExtra, match=r"'openai/gpt-4o-mini' .* install thinkctl\[prices\]"):
        prices_for("openai/gpt-4o-mini")
    assert worst_case(1, 1, 1, Prices.per_gpu_hour(1)) == 0
