"""What every policy across samples keeps: it is conformant, order does not matter, and ``more`` skips no stop."""

from __future__ import annotations

import math
import time
import timeit
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl import registry
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping import (
    CGES,
    SPRT,
    AdaptiveConsistency,
    Boundary,
    CannotBeOvertaken,
    ConfidenceConsensus,
    EValue,
    ExpectedImprovement,
    Margin,
    Threshold,
    ValueOfComputation,
    Window,
)
from thinkctl.stopping.value_of_computation import PriceBoundary
from thinkctl.testing import check_policy, history_of
from thinkctl.types import (
    Answer,
    Finish,
    History,
    Problem,
    Request,
    Sample,
    Segment,
    TokenLogprob,
    Usage,
    Verdict,
)

PROBLEM = Problem.of("?")
BOUNDARIES: list[Boundary] = [
    AdaptiveConsistency(0.6),
    AdaptiveConsistency(),
    Margin(1),
    Margin(),
    SPRT(),
    SPRT(0.6, 0.1, 0.1),
    EValue(0.5),
    EValue(0.2),
    EValue(0.1, rivals=3),
]
OF_VOTES: list[StoppingPolicy] = [
    *[policy for policy in BOUNDARIES if isinstance(policy, StoppingPolicy)],
    ValueOfComputation(1e3, 300),
    ValueOfComputation(1e5, 300),
    ValueOfComputation(100, 30),
    Window(2),
    Window(5),
    CannotBeOvertaken(9),
]
MEASURED: list[StoppingPolicy] = [ValueOfComputation(1e3), ValueOfComputation(1e5)]
OF_CONFIDENCE: list[StoppingPolicy] = [
    ConfidenceConsensus(0.6, 1),
    ConfidenceConsensus(0.8, 5),
    ConfidenceConsensus(),
    ConfidenceConsensus(1.0, 2),
    CGES(),
    CGES(0.6),
]
OF_SCORES: list[StoppingPolicy] = [
    Threshold(),
    Threshold(0.5),
    ExpectedImprovement(1e3),
    ExpectedImprovement(1e5, 300),
    ExpectedImprovement(1e6, 300, least=5),
]
ALL = [*OF_VOTES, *MEASURED, *OF_CONFIDENCE, *OF_SCORES]
UNORDERED = [policy for policy in ALL if not isinstance(policy, Window | CannotBeOvertaken)]

every = pytest.mark.parametrize("policy", ALL, ids=registry.write)

samples = st.builds(
    lambda key, confidence, score, tokens: (key, confidence, score, tokens),
    st.sampled_from(["a", "a", "a", "b", "b", "c", None]),
    st.none() | st.sampled_from([1e-9, 0.1, 0.5, 0.9, 1.0]) | st.floats(0.01, 1),
    st.none() | st.sampled_from([0.0, 0.2, 0.5, 0.51, 1.0]),
    st.sampled_from([0, 10, 300, 5000]),
)
Told = tuple[str | None, float | None, float | None, int]


def history(told: Sequence[Told]) -> History:
    return History(PROBLEM, samples=tuple(sample(index, *each) for index, each in enumerate(told)))


def sample(index: int, key: str | None, confidence: float | None, score: float | None, tokens: int) -> Sample:
    said = None if confidence is None else (TokenLogprob(math.log(confidence)),)
    return Sample(
        index,
        Request(PROBLEM.messages),
        segments=(Segment((0,), logprobs=said),),
        finish=Finish.STOP,
        answer=None if key is None else Answer(key, key, index),
        verdict=None if score is None else Verdict(score),
        usage=Usage(answer_tokens=tokens),
    )


@every
def test_it_conforms(policy) -> None:
    check_policy(policy)


@every
def test_it_comes_back_from_its_text(policy) -> None:
    assert registry.policy(registry.write(policy)) == policy


@every
def test_it_says_what_it_guarantees(policy) -> None:
    assert len(policy.guarantee) > 10


@pytest.mark.parametrize("policy", UNORDERED, ids=registry.write)
@settings(max_examples=30)
@given(told=st.lists(samples, max_size=14), data=st.data())
def test_the_order_of_the_samples_does_not_matter_where_rules_are_of_counts_and_sums(
    policy, told, data
) -> None:
    other = data.draw(st.permutations(told))
    assert policy.decide(history(told)) == policy.decide(history(other))


@every
@settings(max_examples=40)
@given(told=st.lists(samples, min_size=1, max_size=40))
def test_batches_of_more_stop_at_the_same_sample_as_one_at_a_time(policy, told) -> None:
    """A batch is so many votes; who abstains comes on top, as a controller refills it, but where it counts too."""
    abstentions_count = isinstance(policy, CannotBeOvertaken) or getattr(policy, "sample_tokens", 0) is None
    stops = [policy.decide(history(told[:taken])).stop for taken in range(len(told) + 1)]
    first = stops.index(True) if True in stops else None
    taken = 0
    while first is None or taken < first:
        decision = policy.decide(history(told[:taken]))
        if decision.stop or taken == len(told):
            break
        voted, batch = 0, taken
        while batch < len(told) and (decision.more is None or voted < decision.more):
            voted += abstentions_count or told[batch][0] is not None
            batch += 1
        assert first is None or batch <= first, (decision, taken, batch)
        taken = batch
    assert first is None or taken == first


@every
@settings(max_examples=20)
@given(told=st.lists(samples, max_size=12))
def test_samples_in_flight_and_those_behind_them_count_for_nothing(policy, told) -> None:
    settled = history(told)
    growing = replace(sample(len(told), "a", 1.0, 1.0, 10), finish=None, answer=None, verdict=None)
    behind = sample(len(told) + 1, "a", 1.0, 1.0, 10)
    assert policy.decide(settled.received(growing).received(behind)) == policy.decide(settled)


@every
def test_it_never_stops_where_nobody_answered(policy) -> None:
    for n in (0, 1, 8):
        silent = history([(None, 1.0, 1.0, 100)] * n)
        decision = policy.decide(silent)
        assert not decision.stop
        assert decision.confidence is None


@pytest.mark.parametrize("policy", [*OF_CONFIDENCE, *OF_SCORES], ids=registry.write)
def test_votes_without_the_signal_never_stop_it(policy) -> None:
    assert not policy.decide(history([("a", None, None, 100)] * 60)).stop


@pytest.mark.parametrize(
    "policy", [CGES(), ConfidenceConsensus(0.6, 1), Threshold(0.5), ExpectedImprovement(1.0)]
)
def test_it_says_which_signal_it_needs(policy) -> None:
    needs = policy.needs
    assert needs.why
    assert (needs.logprobs == 0) == (policy in (CGES(), ConfidenceConsensus(0.6, 1)))
    assert needs.scores == (needs.logprobs is None)


PRICES = [PriceBoundary(price) for price in (0.3, 0.1, 0.003, 1e-5)]


@pytest.mark.parametrize("rule", [*BOUNDARIES, *PRICES], ids=registry.write)
def test_a_boundary_never_falls_and_is_never_below_a_draw(rule) -> None:
    table = [rule.least_leader(runner_up) for runner_up in range(60)]
    assert table == sorted(table)
    assert all(leader >= max(runner_up, 1) for runner_up, leader in enumerate(table))


@pytest.mark.parametrize("rule", BOUNDARIES, ids=registry.write)
def test_decisions_are_those_of_the_table(rule) -> None:
    for runner_up in range(6):
        for leader in range(max(runner_up, 1), 14):
            decision = rule.decide(history_of(*["1"] * leader, *["2"] * runner_up))
            short = rule.least_leader(runner_up) - leader
            assert (decision.stop, decision.more) == (short <= 0, max(short, 1))


def test_a_draw_is_no_lead() -> None:
    for policy in (AdaptiveConsistency(0.6), Margin(1), SPRT(), EValue(0.9)):
        decision = policy.decide(history_of("1", "2", "2", "1"))
        assert not decision.stop
        assert decision.confidence == 0.5


@every
def test_a_decision_on_40_samples_is_fast(policy, benchmark) -> None:
    """Less than 5 ms of the processor, the best of several: a busy machine must not fail this test."""
    told: list[Told] = [("abc"[n % 3] if n % 4 else None, 0.9, 0.1 * (n % 7), 100) for n in range(40)]
    seen = history(told)
    benchmark(policy.decide, seen)
    tried = timeit.repeat(lambda: policy.decide(seen), timer=time.process_time, repeat=5, number=1)
    assert min(tried) < 5e-3
