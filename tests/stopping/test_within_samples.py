"""What all policies keep that act within a sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import growing, level, probe, seen, settled
from thinkctl import registry
from thinkctl.stopping import (
    AdaptiveConsistency,
    AnswerConfidence,
    AnswerStable,
    EntropyAfterThinking,
    EveryTokens,
    LowConfidence,
    Patient,
    RepetitionGuard,
    WarmUp,
    all_of,
    any_of,
)
from thinkctl.stopping.probing import length
from thinkctl.testing import check_policy, sample_of
from thinkctl.types import Finish, Origin, Probe, Sample, Segment, TokenLogprob, needs_of, spec_of

EAGER = RepetitionGuard(tokens=6, repeats=3, window=12)
BARE: list[Any] = [
    AnswerConfidence(0.9, every=4, guard=None),
    AnswerConfidence(0.9, every=4, mean="geometric", marks=("w",), guard=None),
    AnswerStable(2, every=4, guard=None),
    EntropyAfterThinking(delta=0.01, alpha=1, every=4, guard=None),
    LowConfidence(window=3, warm_up=2, guard=None),
]
GUARDED: list[Any] = [
    *(replace(policy, guard=EAGER) for policy in BARE),
    replace(BARE[2], guard=replace(EAGER, then="conclude")),
    EAGER,
    replace(EAGER, then="conclude"),
]
WRAPPED = [
    any_of(*GUARDED),
    all_of(*GUARDED),
    any_of(*BARE, AdaptiveConsistency()),
    Patient(any_of(*GUARDED), 2),
    WarmUp(any_of(*GUARDED), samples=1, tokens=6),
    EveryTokens(any_of(*GUARDED), 5),
]
ALL: list[Any] = [*BARE, *GUARDED, *WRAPPED]

tokens = st.builds(TokenLogprob, st.floats(-9, 0), st.lists(st.floats(-9, 0), max_size=4).map(tuple))
odd = tokens | st.sampled_from(
    [TokenLogprob(math.nan, (math.nan,)), TokenLogprob(-math.inf, (-math.inf,)), TokenLogprob(0.0)]
)
probes = st.builds(
    lambda at, answer, text, logprobs: replace(probe(at, answer), text=text, logprobs=logprobs),
    st.integers(0, 40),
    st.sampled_from(["4", "5", "", None]),
    st.sampled_from(["4}", "", "wait"]),
    st.none() | st.lists(odd, max_size=4).map(tuple),
)


@st.composite
def samples(draw) -> Sample:
    """A sample in any state."""
    ids = draw(st.lists(st.integers(0, 2), max_size=40))
    known = draw(st.none() | st.lists(odd, min_size=len(ids), max_size=len(ids)).map(tuple))
    split = draw(st.integers(0, len(ids)))
    before = draw(st.sampled_from([Origin.INHERITED, Origin.FORCED]))
    segments: tuple[Segment, ...] = (
        Segment(tuple(ids[:split]), before),
        Segment(tuple(ids[split:]), Origin.SAMPLED, known),
    )
    if draw(st.booleans()):
        segments = (Segment(tuple(ids), Origin.SAMPLED, known),)
    text = draw(st.sampled_from(["", "w", "ww done"]))
    finish = draw(st.none() | st.sampled_from(Finish))
    return replace(
        sample_of("4" if finish is Finish.STOP else ..., finish=finish or Finish.STOP),
        segments=segments,
        text=text,
        thought_chars=draw(st.integers(0, len(text))),
        finish=finish,
        concluded=draw(st.booleans()),
        probes=tuple(draw(st.lists(probes, max_size=6))),
    )


histories = st.builds(lambda some: seen(*some), st.lists(samples(), max_size=5))


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: type(policy).__name__)
def test_they_conform(policy) -> None:
    check_policy(policy)


@given(histories, st.sampled_from(ALL))
def test_they_act_on_samples_in_flight_alone_and_do_one_thing_to_each(history, policy) -> None:
    decision = policy.decide(history)
    flying = {sample.index: sample for sample in history.in_flight}
    asked = [request.sample for request in decision.probe]
    assert {*decision.cut, *decision.conclude, *asked} <= set(flying)
    assert len({*decision.cut, *decision.conclude}) == len(decision.cut) + len(decision.conclude)
    assert not {*decision.cut, *decision.conclude} & set(asked)
    assert all(
        request.at is None or 0 < request.at <= length(flying[request.sample]) for request in decision.probe
    )
    ended = {index for index, sample in flying.items() if sample.thought_chars < len(sample.text)}
    assert not ended & {*decision.conclude, *asked}


@given(histories, st.sampled_from(BARE))
def test_without_signals_nothing_is_cut_or_concluded(history, policy) -> None:
    blind = [
        replace(
            sample,
            segments=tuple(replace(segment, logprobs=None) for segment in sample.segments),
            probes=tuple(replace(each, answer=None, text="", logprobs=None) for each in sample.probes),
        )
        for sample in history.samples
    ]
    decision = policy.decide(seen(*blind))
    assert (decision.stop, decision.cut, decision.conclude) == (False, (), ())


@given(histories, st.sampled_from(GUARDED[:6]))
def test_a_guard_goes_before_the_rule_and_changes_nothing_else(history, policy) -> None:
    guard, alone = policy.guard.decide(history), replace(policy, guard=None).decide(history)
    both = policy.decide(history)
    held = {*guard.cut, *guard.conclude}
    if not isinstance(policy, LowConfidence):
        assert set(both.conclude) == {*guard.conclude, *alone.conclude} - set(guard.cut)
        assert [each for each in alone.probe if each.sample not in held] == list(both.probe)
    assert set(both.cut) >= set(guard.cut)


@pytest.mark.parametrize("policy", ALL, ids=lambda policy: type(policy).__name__)
def test_they_come_back_from_their_text_and_their_spec(policy) -> None:
    assert registry.parse(registry.write(policy), "stopping") == policy
    assert registry.policy(spec_of(policy)) == policy


def test_a_nested_guard_can_be_written_changed_and_left_out() -> None:
    assert registry.policy("answer-stable") == AnswerStable()
    assert registry.policy("answer-stable(guard=None)") == AnswerStable(guard=None)
    written = "low-confidence(window=256, guard=repetition-guard(then='conclude'))"
    assert registry.policy(written) == LowConfidence(window=256, guard=RepetitionGuard(then="conclude"))


def test_what_they_need_is_what_they_read() -> None:
    needs = needs_of(any_of(*BARE))
    assert (needs.logprobs, needs.probes, needs.probe_logprobs, needs.scores) == (20, True, 20, False)
    assert needs.why.startswith("answer-confidence, answer-stable, entropy-after-thinking, low-confidence")
    assert not needs_of(EAGER).probes


def test_all_abstaining_samples_change_nothing() -> None:
    silent = [settled(*[level(2)] * 4, finish=Finish.LENGTH) for _ in range(3)]
    flying = growing(8, Probe(4, "", None, None, probe(4).usage), logprobs=[level(2)] * 8)
    for policy in ALL:
        decision = policy.decide(seen(*silent, flying))
        assert (decision.stop, decision.cut, decision.conclude) == (False, (), ()), policy
