"""Policies that are asked again, later, or at certain places only."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import closed, decided, growing, level, probe, seen, settled
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import (
    AdaptiveConsistency,
    AnswerConfidence,
    AnswerStable,
    CannotBeOvertaken,
    EntropyAfterThinking,
    EveryTokens,
    LowConfidence,
    NoThinking,
    Patient,
    RepetitionGuard,
    ThinkingCap,
    WarmUp,
    any_of,
)
from thinkctl.stopping.probing import length
from thinkctl.testing import check_policy, history_of, sample_of
from thinkctl.types import Decision, History, Needs, ProbeRequest, Sample

KEYS = ("a", "b", None)
LOOP = growing([1, 2] * 200)


@dataclass(frozen=True)
class StopsAt:
    """A policy that stops at these numbers of settled samples, and says when at the soonest."""

    places: tuple[int, ...]

    def decide(self, history: History) -> Decision:
        settled = len(history.settled)
        ahead = [place - settled for place in self.places if place > settled]
        return Decision(stop=settled in self.places, more=min(ahead, default=None), confidence=0.5)


@dataclass(frozen=True)
class Says:
    """A policy that always decides the same."""

    decision: Decision

    def decide(self, history: History) -> Decision:
        return self.decision


@dataclass(frozen=True)
class Longer:
    """A policy that cuts, concludes and probes whatever has so many tokens."""

    tokens: int

    def decide(self, history: History) -> Decision:
        over = tuple(sample.index for sample in history.in_flight if length(sample) >= self.tokens)
        return Decision(cut=over[:1], conclude=over[1:2], probe=tuple(map(ProbeRequest, over[2:])))


@pytest.mark.parametrize(
    "policy",
    [
        Patient(AdaptiveConsistency(0.8), 3),
        Patient(CannotBeOvertaken(5)),
        Patient(AnswerStable(k=2, every=1), 2),
        Patient(Patient(AdaptiveConsistency(0.7), 2), 2),
        WarmUp(AdaptiveConsistency(0.8), samples=7),
        WarmUp(Patient(AdaptiveConsistency(0.8)), samples=3, tokens=2),
        EveryTokens(AnswerStable(k=2, every=1), 2),
        EveryTokens(RepetitionGuard(tokens=2, repeats=2, window=4), 2),
        EveryTokens(WarmUp(LowConfidence(window=2, warm_up=2), tokens=2), 3),
    ],
)
def test_they_conform(policy) -> None:
    check_policy(policy)


@pytest.mark.parametrize("wrap", [Patient, WarmUp, lambda policy: EveryTokens(policy, 8)])
def test_they_need_what_the_policy_needs_and_pass_on_what_is_not_theirs(wrap) -> None:
    assert wrap(AnswerConfidence()).needs == AnswerConfidence().needs
    assert wrap(ThinkingCap(9)).needs == Needs()
    whole = Decision(thinking_tokens=9, think=False, confidence=0.7, why="so")
    assert wrap(Says(whole)).decide(history_of("4", "4")) == whole


# -- patience --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("places", "settled", "stop", "more"),
    [
        ((), 4, False, None),
        ((4,), 4, False, 2),
        ((4,), 3, False, 3),
        ((3, 4), 4, False, 1),
        ((2, 3, 4), 4, True, None),
        ((2, 4), 4, False, 2),
        ((1, 2, 3), 4, False, None),
        ((0,), 0, False, 2),  # satisfied from the start: two more looks
        ((0, 1, 2), 2, True, None),
        ((6,), 4, False, 4),
    ],
)
def test_it_stops_when_the_policy_would_have_on_the_last_three_looks(places, settled, stop, more) -> None:
    decision = Patient(StopsAt(places), 3).decide(history_of(*["4"] * settled))
    assert decision.stop is stop
    assert stop or decision.more == more


@given(st.lists(st.sampled_from(KEYS), max_size=9), st.integers(1, 4))
def test_patience_is_looking_back_over_the_same_votes(votes, k) -> None:
    rule = AdaptiveConsistency(0.7)
    looks = [rule.decide(history_of(*votes[:place])).stop for place in range(len(votes) + 1)]
    assert Patient(rule, k).decide(history_of(*votes)).stop == (len(looks) >= k and all(looks[-k:]))


def test_it_never_stops_before_the_votes_that_it_says_it_needs() -> None:
    for policy in (Patient(AdaptiveConsistency(0.7), 2), WarmUp(AdaptiveConsistency(0.7), samples=3)):
        for taken in range(4):
            for votes in product(KEYS, repeat=taken):
                decision = policy.decide(history_of(*votes))
                if decision.stop or decision.more is None:
                    continue
                for course in product(KEYS, repeat=decision.more - 1):
                    assert not policy.decide(history_of(*votes, *course)).stop


def test_samples_in_flight_do_not_hold_it_up() -> None:
    assert Patient(StopsAt((2, 3)), 2).decide(history_of("4", "4", "4", ...)).stop


@pytest.mark.parametrize(
    ("shares", "concluded"),
    [((1.0,), False), ((1.0, 1.0), True), ((1.0, 0.5), False), ((0.5, 1.0), False), ((0.5, 1.0, 1.0), True)],
)
def test_a_thought_is_concluded_when_the_last_probes_agree_to_it(shares, concluded) -> None:
    probes = [probe(64 * place, "4", share) for place, share in enumerate(shares, 1)]
    sample = growing(64 * len(shares), *reversed(probes))
    assert decided(Patient(AnswerConfidence()), sample).conclude == (0,) * concluded


def test_what_goes_by_tokens_alone_is_left_as_it_is() -> None:
    assert decided(Patient(RepetitionGuard(), 3), LOOP).cut == (0,)
    assert decided(Patient(AnswerConfidence(), 3), LOOP).cut == (0,)
    concludes = RepetitionGuard(then="conclude")
    assert decided(
        Patient(AnswerStable(guard=concludes), 3), replace(LOOP, probes=(probe(64),))
    ).conclude == (0,)


def test_probes_are_asked_for_without_patience() -> None:
    assert (
        decided(Patient(AnswerStable(), 5), growing(70)).probe == decided(AnswerStable(), growing(70)).probe
    )


# -- warm-up ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settled", "stop", "more"), [(0, False, 3), (1, False, 2), (2, False, 1), (3, True, None)]
)
def test_a_policy_is_not_asked_before_enough_samples_are_settled(settled, stop, more) -> None:
    decision = WarmUp(StopsAt((0, 1, 2, 3)), samples=3).decide(history_of(*["4"] * settled, ...))
    assert (decision.stop, decision.more) == (stop, more)
    assert decision.confidence == 0.5


def test_while_it_warms_up_it_leaves_samples_alone() -> None:
    policy = WarmUp(Longer(1), samples=1)
    assert replace(decided(policy, LOOP, LOOP, LOOP), why="") == Decision()
    assert WarmUp(NoThinking(), samples=1).decide(history_of()).think


def test_a_policy_without_a_bound_has_none_afterwards() -> None:
    assert WarmUp(Says(Decision()), samples=3).decide(history_of()).more is None


def test_samples_are_left_alone_before_they_are_long_enough() -> None:
    long, short = growing(10), growing(9)
    policy = WarmUp(Longer(1), tokens=10)
    assert decided(policy, long, long, long) == decided(Longer(1), long, long, long)
    assert decided(policy, short, short, short) == Decision()


def test_before_the_warm_up_is_over_no_probe_is_made() -> None:
    assert decided(WarmUp(AnswerStable(), tokens=100), growing(99)).probe == ()
    assert len(decided(WarmUp(AnswerStable(), tokens=100), growing(100)).probe) == 1


# -- a grid of tokens ------------------------------------------------------------------------------------------


@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 40))
def test_a_growing_sample_is_seen_as_it_was_at_its_last_multiple(tokens, every, longer) -> None:
    there = tokens - tokens % every
    found = decided(EveryTokens(Longer(longer), every), growing(tokens))
    assert found == decided(Longer(longer), growing(there))


@given(st.lists(st.sampled_from([1, 2]), max_size=60), st.integers(1, 20))
def test_all_places_between_two_multiples_lead_to_the_same(ids, every) -> None:
    policy = EveryTokens(RepetitionGuard(tokens=8, repeats=3, window=20), every)
    there = len(ids) - len(ids) % every
    assert {decided(policy, growing(ids[:place])) for place in range(there, len(ids) + 1)} == {
        decided(policy, growing(ids[:there]))
    }


def test_later_probes_are_not_seen_yet() -> None:
    policy = EveryTokens(AnswerConfidence(every=10), 20)
    assert decided(policy, growing(39, probe(20, "4", 0.5), probe(30, "4", 1.0))).conclude == ()
    assert decided(policy, growing(39, probe(20, "4", 1.0), probe(30, "4", 0.5))).conclude == (0,)


def test_log_probabilities_are_cut_to_the_same_place() -> None:
    policy = EveryTokens(LowConfidence(window=2, warm_up=2, guard=None), 10)
    warm = [sample_of("4", logprobs=[level(5)]) for _ in range(2)]
    low = growing(12, logprobs=[level(5)] * 10 + [level(0)] * 2)
    assert decided(policy, *warm, low).cut == ()
    assert decided(replace(policy, tokens=12), *warm, low).cut == (2,)


def test_a_thought_that_has_ended_since_is_not_concluded() -> None:
    sample = growing(39, probe(20, "4", 1.0))
    policy = EveryTokens(AnswerConfidence(every=10, guard=None), 20)
    assert decided(policy, sample).conclude == (0,)
    for ended in (closed(sample), replace(sample, concluded=True)):
        assert replace(decided(policy, ended), why="") == Decision()


def test_what_is_being_concluded_is_seen_as_it_is() -> None:
    policy = EveryTokens(RepetitionGuard(), 30)
    assert decided(policy, LOOP).cut == (0,)
    assert decided(policy, replace(LOOP, concluded=True)) == Decision()


def test_settled_samples_are_seen_whole() -> None:
    history = seen(sample_of("4"), sample_of("5"))
    assert EveryTokens(AdaptiveConsistency(), 1000).decide(history) == AdaptiveConsistency().decide(history)


@pytest.mark.skipif(not Sample.__weakrefoffset__, reason="samples cannot be watched")
@pytest.mark.parametrize(
    "policy",
    [
        EveryTokens(any_of(AnswerConfidence(), LowConfidence(window=2, warm_up=2), RepetitionGuard()), 10),
        Patient(any_of(AnswerConfidence(), EntropyAfterThinking(), AnswerStable())),
    ],
    ids=lambda policy: type(policy).__name__,
)
def test_no_sample_is_kept_alive_by_what_is_remembered_of_it(policy) -> None:
    samples = [growing(size, probe(64, "4", 1.0)) for size in (10, 64, 99)]
    watched = [weakref.ref(sample) for sample in samples]
    decided(policy, settled(level(1)), settled(level(2)), *samples)
    samples.clear()
    gc.collect()
    assert [each() for each in watched] == [None] * 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Patient(AdaptiveConsistency(), 0), "k=0"),
        (lambda: WarmUp(AdaptiveConsistency(), samples=-1), "samples=-1"),
        (lambda: WarmUp(AdaptiveConsistency(), tokens=-1), "tokens=-1"),
        (lambda: EveryTokens(AdaptiveConsistency(), 0), "tokens=0"),
        (lambda: Patient(AdaptiveConsistency), "no stopping policy"),  # type: ignore[arg-type]
        (lambda: WarmUp("patient"), "no stopping policy"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
