"""What a run cost, against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest

from thinkctl.evals.axes import Axis
from thinkctl.evals.costs import costs_of, kv_bytes_per_token, operations, peak_kv_bytes
from thinkctl.types import (
    Budget,
    Finish,
    History,
    ModelCard,
    Problem,
    Receipt,
    ReceiptLine,
    Request,
    Run,
    Sample,
    StopReason,
    Usage,
)
from thinkctl.types.card import Dimensions
from thinkctl.types.sample import Segment
from thinkctl.types.usage import Role

SHAPE = Dimensions(
    layers=3,
    hidden_size=8,
    heads=2,
    key_value_heads=1,
    head_size=4,
    feed_forward_size=16,
    vocabulary=10,
)
CARD = ModelCard(name="m", parameters=100, active_parameters=100, dimensions=SHAPE)
PROBLEM = Problem.of("2+2?")


def sample(index: int, prompt: int, tokens: int, started: float, ended: float, model: str = "m") -> Sample:
    return Sample(
        index,
        Request(PROBLEM.messages),
        model=model,
        prompt_ids=tuple(range(prompt)),
        segments=(Segment(tuple(range(tokens))),),
        finish=Finish.STOP,
        usage=Usage(requests=1, prompt_tokens=prompt, thinking_tokens=tokens),
        started=started,
        ended=ended,
    )


def run_of(samples: list[Sample], *lines: ReceiptLine) -> Run:
    billed = [ReceiptLine(Role.SAMPLE, one.model, one.usage, Decimal("0.5")) for one in samples]
    history = History(PROBLEM, Budget(), tuple(samples))
    return Run(history, None, None, StopReason.DONE, "", Receipt.of([*billed, *lines], 2.0))


def test_a_token_costs_two_operations_a_parameter_and_four_a_layer_head_number_and_position() -> None:
    """Prompt of 2 tokens and 1 generated: positions 1, 2, 3."""
    used = Usage(requests=1, prompt_tokens=2, thinking_tokens=1)
    assert operations(used, CARD) == 2 * 100 * 3 + 4 * 3 * 2 * 4 * (1 + 2 + 3)


def test_cached_prompt_tokens_are_not_computed_but_looked_at() -> None:
    used = Usage(requests=1, prompt_tokens=5, cached_tokens=3, answer_tokens=2)
    assert operations(used, CARD) == 2 * 100 * 4 + 4 * 3 * 2 * 4 * (4 + 5 + 6 + 7)


def test_of_a_mixture_of_experts_only_active_parameters_count() -> None:
    mixture = CARD.model_copy(update={"parameters": 1000})
    used = Usage(requests=1, prompt_tokens=2, thinking_tokens=1)
    assert operations(used, mixture) == operations(used, CARD)


def test_two_samples_cost_twice_one_and_do_not_look_at_each_other() -> None:
    one, two = run_of([sample(0, 4, 6, 0, 1)]), run_of([sample(0, 4, 6, 0, 1), sample(1, 4, 6, 0, 1)])
    costs = [costs_of(run, {"m": CARD}) for run in (one, two)]
    for axis in (Axis.GENERATED_TOKENS, Axis.ALL_TOKENS, Axis.REQUESTS, Axis.TERAFLOPS, Axis.DOLLARS):
        assert costs[1][axis] == pytest.approx(2 * costs[0][axis])
    assert costs[0][Axis.TERAFLOPS] == pytest.approx((2 * 100 * 10 + 4 * 3 * 2 * 4 * 55) / 1e12)
    assert (costs[0][Axis.GENERATED_TOKENS], costs[0][Axis.ALL_TOKENS], costs[0][Axis.SECONDS]) == (
        6,
        10,
        2.0,
    )


def test_what_a_verifier_generated_and_what_was_thrown_away_counts() -> None:
    judge = ReceiptLine(
        Role.VERIFIER, "m", Usage(requests=1, prompt_tokens=3, answer_tokens=1, wasted_tokens=2), None
    )
    costs = costs_of(run_of([sample(0, 4, 6, 0, 1)], judge), {"m": CARD})
    assert costs[Axis.GENERATED_TOKENS] == 9
    assert costs[Axis.REQUESTS] == 2
    assert math.isnan(costs[Axis.DOLLARS])  # the judge's price is not known
    alone = costs_of(run_of([sample(0, 4, 6, 0, 1)]), {"m": CARD})
    verified = (2 * 100 * 6 + 4 * 3 * 2 * 4 * 21) / 1e12
    assert costs[Axis.TERAFLOPS] == pytest.approx(alone[Axis.TERAFLOPS] + verified)


def test_tokens_on_the_bill_that_no_sample_kept_are_computed_too() -> None:
    extra = ReceiptLine(Role.PROBE, "m", Usage(requests=0, probe_tokens=5), Decimal(0))
    costs = costs_of(run_of([sample(0, 4, 6, 0, 1)], extra), {"m": CARD})
    alone = costs_of(run_of([sample(0, 4, 6, 0, 1)]), {"m": CARD})
    assert costs[Axis.TERAFLOPS] - alone[Axis.TERAFLOPS] == pytest.approx(2 * 100 * 5 / 1e12)


def test_the_cache_holds_what_runs_at_once_and_a_shared_prompt_once() -> None:
    each = 2 * 3 * 1 * 4 * 2
    assert kv_bytes_per_token(CARD) == each
    together = [sample(0, 4, 6, 0, 2), sample(1, 4, 7, 1, 3)]
    apart = [sample(0, 4, 6, 0, 1), sample(1, 4, 7, 2, 3)]
    assert peak_kv_bytes(together, {"m": CARD}) == each * (4 + 6 + 7)
    assert peak_kv_bytes(apart, {"m": CARD}) == each * (4 + 7)
    assert peak_kv_bytes(apart, {"m": CARD}, {"m": 4}) == 2 * each * (4 + 7)
    other = [sample(0, 4, 6, 0, 2), sample(1, 5, 7, 1, 3)]
    assert peak_kv_bytes(other, {"m": CARD}) == each * (4 + 6 + 5 + 7)


def test_what_is_not_known_is_not_a_number() -> None:
    run = run_of([sample(0, 4, 6, 0, 1)])
    small = replace(run, receipt=replace(run.receipt, lines=()))
    assert math.isnan(costs_of(run, {})[Axis.TERAFLOPS])
    assert math.isnan(costs_of(run, {"m": ModelCard(name="m")})[Axis.KV_BYTES])
    assert math.isnan(costs_of(run, {"m": CARD})[Axis.JOULES])
    assert costs_of(run, {"m": CARD}, joules=3.5)[Axis.JOULES] == 3.5
    assert costs_of(small, {"m": CARD})[Axis.DOLLARS] == 0
