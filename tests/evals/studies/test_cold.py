"""What one arm left in the prefix cache makes no other one cheaper."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.studies.test_costs import CARD, run_of, sample
from thinkctl.evals.axes import Axis
from thinkctl.evals.cold import cold, following
from thinkctl.evals.costs import costs_of, operations
from thinkctl.types import ModelPrices, Prices, Problem, Request, Sample, Usage


def warm(
    index: int, prompt: int, cached: int | None, *, tokens: int = 3, more: int = 0, **changed: Any
) -> Sample:
    """A sample whose request(s) found tokens in the cache; ``more`` are the prompt tokens of a second request."""
    made = sample(index, prompt, tokens, float(index), 9.0)
    used = Usage(
        requests=2 if more else 1, prompt_tokens=prompt + more, cached_tokens=cached, thinking_tokens=tokens
    )
    return replace(made, usage=used, **changed)


def cached(samples: list[Sample]) -> list[int | None]:
    return [used.cached_tokens for used in cold(samples)]


def test_what_the_first_sample_of_a_run_found_in_the_cache_is_charged() -> None:
    assert cached([warm(0, 40, 32), warm(1, 40, 32)]) == [0, 32]


def test_an_order_of_starts_says_which_was_first() -> None:
    late, early = warm(0, 40, 32, started=2.0), warm(1, 40, 32, started=1.0)
    assert cached([late, early]) == [32, 0]


def test_a_cache_that_was_empty_changes_nothing() -> None:
    before = [warm(0, 40, 0), warm(1, 40, 32), warm(2, 40, 32)]
    assert list(cold(before)) == [each.usage for each in before]


def test_a_later_request_of_a_sample_finds_what_it_computed_itself() -> None:
    assert cached([warm(0, 40, 41, more=45)]) == [41]
    assert cached([warm(0, 40, 32 + 44, more=45)]) == [45]


def test_a_prompt_that_goes_on_from_an_earlier_sample_finds_that_one() -> None:
    draft = warm(0, 40, 0)
    ids = draft.prompt_ids + draft.token_ids + (7, 7, 7)
    correction = warm(1, len(ids), 46, prompt_ids=ids)
    assert cached([draft, correction]) == [0, 43]
    assert cached([correction]) == [0]


def test_another_model_s_cache_is_another() -> None:
    assert cached([warm(0, 40, 0), warm(1, 40, 32, model="n")]) == [0, 0]


def test_a_cache_that_is_not_told_of_stays_unknown() -> None:
    assert cached([warm(0, 40, None), warm(1, 40, None)]) == [None, None]
    assert following([warm(0, 40, None), warm(1, 40, None)])[0].cached_tokens is None


def test_without_token_ids_equal_messages_are_one_prompt() -> None:
    other = Request(Problem.of("3+3?").messages)
    samples = [replace(warm(place, 40, 32), prompt_ids=()) for place in range(3)]
    assert cached([*samples[:2], replace(samples[2], request=other)]) == [0, 32, 0]


@pytest.mark.parametrize("first", [0, 32])
def test_of_a_pool_any_sample_may_be_the_first(first: int) -> None:
    """Whether the pool's own first sample found the prompt there or not."""
    pool = [warm(0, 40, first), warm(1, 40, 32), warm(2, 40, 32)]
    assert [used.cached_tokens for used in following(pool)] == [32, 32, 32]


def test_a_single_sample_follows_nobody() -> None:
    assert following([]) == ()
    assert following([warm(0, 40, 32)]) == cold([warm(0, 40, 32)])


def test_a_second_arm_on_the_same_questions_costs_what_it_would_alone() -> None:
    arms = [run_of([warm(0, 40, found), warm(1, 40, 32)]) for found in (0, 32)]
    costs = [costs_of(arm, {"m": CARD}) for arm in arms]
    assert costs[0][Axis.TERAFLOPS] == costs[1][Axis.TERAFLOPS]


def test_dollars_are_those_of_an_empty_cache() -> None:
    prices = Prices(
        dollars_per_million_prompt_tokens=Decimal(1000),
        dollars_per_million_cached_tokens=Decimal(100),
        dollars_per_million_generated_tokens=Decimal(0),
    )
    run = run_of([warm(0, 40, 32)])
    priced = replace(run, prices=(ModelPrices("m", prices),))
    paid = costs_of(run, {"m": CARD})[Axis.DOLLARS]
    assert costs_of(priced, {"m": CARD})[Axis.DOLLARS] == pytest.approx(paid + 32 * 0.0009)


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 50)), min_size=1, max_size=6)
)
def test_the_cold_cost_is_never_below_what_was_computed_and_the_first_prompt_is_always_paid(drawn) -> None:
    samples = [
        warm(index, prompt, min(found, prompt + more), more=more)
        for index, (prompt, found, more) in enumerate(drawn)
    ]
    for before, used in zip(samples, cold(samples), strict=True):
        assert (used.cached_tokens or 0) <= (before.usage.cached_tokens or 0)
        assert replace(used, cached_tokens=0) == replace(before.usage, cached_tokens=0)
        assert operations(used, CARD) >= operations(before.usage, CARD)
    paid = samples[0].usage.prompt_tokens - (cold(samples)[0].cached_tokens or 0)
    assert paid >= len(samples[0].prompt_ids)
