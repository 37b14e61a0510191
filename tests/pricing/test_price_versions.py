"""Which prices a run was billed at, and that its run file keeps them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import PER_TOKEN, Asks, says, solve
from thinkctl import Prices, Run, runfile
from thinkctl.runfile.codec import dump_run, load_run
from thinkctl.testing import ScriptedEngine
from thinkctl.types.run import ModelPrices

amounts = st.decimals(0, 100, places=6)
priced = st.builds(
    Prices,
    dollars_per_million_prompt_tokens=amounts,
    dollars_per_million_generated_tokens=amounts,
    dollars_per_million_cached_tokens=st.none() | amounts,
    dollars_per_request=amounts,
    dollars_per_hour=amounts,
    source=st.text(max_size=8),
)


def answered(prices: Prices | None = None, card: Prices | None = None) -> Run:
    return solve(ScriptedEngine([says("4")], prices=card), Asks(1), prices=prices)


@pytest.mark.parametrize(
    ("prices", "card", "source"),
    [
        (PER_TOKEN, None, "user"),
        (None, PER_TOKEN, "model card"),
        (PER_TOKEN, PER_TOKEN, "user"),
        (PER_TOKEN.model_copy(update={"source": "contract of May"}), None, "contract of May"),
        (None, PER_TOKEN.model_copy(update={"source": "genai-prices 9 a/b"}), "genai-prices 9 a/b"),
    ],
)
def test_a_run_says_which_prices_it_was_billed_at(prices, card, source) -> None:
    found = answered(prices, card)
    assert found.prices == (ModelPrices("scripted", PER_TOKEN.model_copy(update={"source": source})),)


def test_a_run_without_prices_names_none() -> None:
    assert answered().prices == ()


@given(priced)
def test_a_run_file_keeps_the_prices_to_the_last_digit(prices: Prices) -> None:
    found = answered(prices)
    read = load_run(json.loads(json.dumps(dump_run(found))))
    assert read == found
    assert read.prices == found.prices


def test_a_run_file_of_an_earlier_version_has_no_prices(tmp_path: Path) -> None:
    found = answered(PER_TOKEN)
    record = dump_run(found)
    del record["prices"]
    assert load_run(record).prices == ()
    path = tmp_path / "runs.jsonl"
    runfile.write(path, [found])
    (again,) = runfile.read(path)
    assert again.prices[0].prices.source == "user"
    assert again.receipt.dollars == Decimal(5)


def test_prices_of_a_later_version_are_read_as_far_as_they_are_known() -> None:
    found = answered(PER_TOKEN)
    record = json.loads(json.dumps(dump_run(found)))
    record["prices"][0]["of_a_later_version"] = record["prices"][0]["prices"]["per_lunar_month"] = "3"
    assert load_run(record) == found
