"""Policies made of policies, and the cap on thoughts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import decided, growing, probe
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import (
    AdaptiveConsistency,
    AllOf,
    AnswerConfidence,
    AnswerStable,
    AnyOf,
    CannotBeOvertaken,
    EntropyAfterThinking,
    LowConfidence,
    ThinkingCap,
    all_of,
    any_of,
)
from thinkctl.testing import check_policy, history_of
from thinkctl.types import Decision, History, Needs, ProbeRequest

NOTHING_YET = history_of()
KEYS = ("a", "b", None)


@dataclass(frozen=True)
class Says:
    """A policy that always decides the same."""

    decision: Decision

    def decide(self, history: History) -> Decision:
        return self.decision


places = st.lists(st.integers(0, 4), max_size=3, unique=True).map(tuple)
decisions = st.builds(
    Decision,
    stop=st.booleans(),
    cut=places,
    conclude=places,
    probe=places.map(lambda indices: tuple(ProbeRequest(index) for index in indices)),
    more=st.none() | st.integers(1, 9),
    thinking_tokens=st.none() | st.integers(0, 99),
    think=st.booleans(),
    confidence=st.none() | st.floats(0, 1),
    why=st.sampled_from(["", "x", "y"]),
)
policies = st.lists(decisions.map(Says), min_size=1, max_size=4)


def said(combined: AnyOf | AllOf) -> Decision:
    return combined.decide(NOTHING_YET)


@pytest.mark.parametrize("combine", [any_of, all_of])
def test_combinations_conform(combine) -> None:
    check_policy(combine(AdaptiveConsistency(0.9), CannotBeOvertaken(8)))
    check_policy(combine(AdaptiveConsistency(0.9), ThinkingCap(512)))
    check_policy(combine(any_of(AdaptiveConsistency(0.8), CannotBeOvertaken(5)), AdaptiveConsistency()))


@given(policies)
def test_any_stops_if_one_stops_and_all_stops_if_each_does(parts) -> None:
    stops = [part.decision.stop for part in parts]
    assert said(AnyOf(tuple(parts))).stop == any(stops)
    assert said(AllOf(tuple(parts))).stop == all(stops)


@given(policies)
def test_any_does_to_samples_what_one_asks_for_and_all_what_each_asks_for(parts) -> None:
    cuts = [set(part.decision.cut) for part in parts]
    conclusions = [set(part.decision.conclude) for part in parts]
    one, each = said(AnyOf(tuple(parts))), said(AllOf(tuple(parts)))
    assert set(one.cut) == set.union(*cuts)
    assert set(one.conclude) == set.union(*conclusions) - set.union(*cuts)
    assert set(each.cut) == set.intersection(*cuts)
    assert set(each.conclude) == set.intersection(*conclusions) - set.intersection(*cuts)


@given(policies)
def test_probes_are_made_for_whoever_asks_and_each_only_once_unless_the_sample_ends(parts) -> None:
    wanted = {probe for part in parts for probe in part.decision.probe}
    for combined in (AnyOf(tuple(parts)), AllOf(tuple(parts))):
        decision = said(combined)
        ended = {*decision.cut, *decision.conclude}
        assert set(decision.probe) == {probe for probe in wanted if probe.sample not in ended}
        assert len(set(decision.probe)) == len(decision.probe)


@given(policies)
def test_to_a_sample_happens_the_strongest_of_what_is_asked_for_alone(parts) -> None:
    for combined in (AnyOf(tuple(parts)), AllOf(tuple(parts))):
        decision = said(combined)
        probed = {probe.sample for probe in decision.probe}
        groups = [set(decision.cut), set(decision.conclude), probed]
        assert sum(map(len, groups)) == len(set.union(*groups))


@pytest.mark.parametrize(
    ("asks", "made"),
    [
        ([ProbeRequest(0, at=64)] * 2, [ProbeRequest(0, at=64)]),
        (
            [ProbeRequest(0, "", 20, None, 64), ProbeRequest(0, "", 1, 20, 64)],
            [ProbeRequest(0, "", 20, 20, 64)],
        ),
        (
            [ProbeRequest(0, "", 20, 0, 64), ProbeRequest(0, "", 9, None, 64)],
            [ProbeRequest(0, "", 20, 0, 64)],
        ),
        ([ProbeRequest(0, at=64), ProbeRequest(0, at=96)], [ProbeRequest(0, at=64), ProbeRequest(0, at=96)]),
        ([ProbeRequest(0, at=64), ProbeRequest(1, at=64)], [ProbeRequest(0, at=64), ProbeRequest(1, at=64)]),
        ([ProbeRequest(0, "a"), ProbeRequest(0, "b")], [ProbeRequest(0, "a"), ProbeRequest(0, "b")]),
    ],
)
def test_probes_of_one_place_and_text_are_made_once_for_all(asks, made) -> None:
    parts = tuple(Says(Decision(probe=(ask,))) for ask in asks)
    assert said(AnyOf(parts)).probe == said(AllOf(parts)).probe == tuple(made)


@given(policies)
def test_any_starts_without_a_thought_if_one_says_so_and_all_if_each_does(parts) -> None:
    thinks = [part.decision.think for part in parts]
    assert said(AnyOf(tuple(parts))).think == all(thinks)
    assert said(AllOf(tuple(parts))).think == any(thinks)


def test_a_combination_needs_what_each_of_its_policies_needs() -> None:
    for combine in (any_of, all_of):
        both = combine(AnswerConfidence(), any_of(LowConfidence(top=7), AdaptiveConsistency())).needs
        assert both == Needs(
            logprobs=7, probes=True, probe_logprobs=0, why="answer-confidence, low-confidence"
        )
        assert combine(AdaptiveConsistency(), ThinkingCap(9)).needs == Needs()


def test_every_probe_comes_with_what_any_of_them_reads() -> None:
    """EntropyAfterThinking is not asking now, but will read this probe."""
    for combine in (any_of, all_of):
        policy = combine(AnswerStable(), EntropyAfterThinking(every=128, top=7))
        assert decided(policy, growing(70)).probe == (ProbeRequest(0, "", 20, 7, 64),)


def test_who_is_overruled_goes_on_probing() -> None:
    """AnswerConfidence alone would have concluded, and must know how it goes on."""
    both = all_of(AnswerConfidence(), AnswerStable(k=2))
    decision = decided(both, growing(130, probe(64, "4", 1.0)))
    assert decision.conclude == ()
    assert decision.probe == (ProbeRequest(0, "", 20, 0, 128),)
    assert decided(both, growing(130, probe(64, "4", 1.0), probe(128, "4", 1.0))).conclude == (0,)


def test_side_by_side_they_ask_for_one_probe_and_each_concludes_on_it() -> None:
    """EAT alone asks at 32; at 64 one probe serves all."""
    policy = any_of(AnswerConfidence(), AnswerStable(), EntropyAfterThinking())
    assert decided(policy, growing(40)).probe == (ProbeRequest(0, "", 1, 20, 32),)
    assert decided(policy, growing(64, probe(32, None))).probe == (ProbeRequest(0, "", 20, 20, 64),)
    assert decided(policy, growing(70, probe(64, "4", 1.0))).conclude == (0,)
    assert decided(policy, growing(200, *[probe(at, "4", 0.5) for at in (64, 128, 192)])).conclude == (0,)


@given(policies)
def test_the_strictest_cap_holds(parts) -> None:
    caps = [part.decision.thinking_tokens for part in parts if part.decision.thinking_tokens is not None]
    for combined in (AnyOf(tuple(parts)), AllOf(tuple(parts))):
        assert said(combined).thinking_tokens == min(caps, default=None)


@given(policies)
def test_any_is_as_sure_as_the_surest_and_all_as_the_least_sure(parts) -> None:
    known = [part.decision.confidence for part in parts if part.decision.confidence is not None]
    assert said(AnyOf(tuple(parts))).confidence == max(known, default=None)
    assert said(AllOf(tuple(parts))).confidence == min(known, default=None)


@pytest.mark.parametrize(
    ("parts", "any_more", "all_more"),
    [
        ([(False, 3)], 3, 3),
        ([(False, 3), (False, 5)], 3, 5),
        ([(False, 3), (False, None)], 3, None),  # without a bound: leaves any alone, and all unbounded
        ([(False, None)], None, None),
        ([(True, 1), (False, 4)], 1, 4),  # a satisfied part is waited for no longer
        ([(True, None), (False, 4)], 4, 4),
        ([(True, 1), (False, None)], 1, None),
    ],
)
def test_the_bound_on_further_votes(parts, any_more, all_more) -> None:
    built = tuple(Says(Decision(stop=stop, more=more)) for stop, more in parts)
    assert (said(AnyOf(built)).more, said(AllOf(built)).more) == (any_more, all_more)


def test_a_combination_never_stops_before_the_votes_that_it_says_it_needs() -> None:
    rules = (AdaptiveConsistency(0.8), CannotBeOvertaken(6), AdaptiveConsistency(0.9))
    for policy in (any_of(*rules), all_of(*rules), all_of(any_of(*rules[:2]), rules[2])):
        for taken in range(4):
            for votes in product(KEYS, repeat=taken):
                decision = policy.decide(history_of(*votes))
                if decision.stop:
                    continue
                assert decision.more is not None
                for course in product(KEYS, repeat=decision.more - 1):
                    assert not policy.decide(history_of(*votes, *course)).stop


@given(decisions)
def test_a_combination_of_one_is_that_one(decision) -> None:
    conclude = tuple(index for index in decision.conclude if index not in decision.cut)
    ended = (*decision.cut, *conclude)
    alone = replace(
        decision, conclude=conclude, probe=tuple(each for each in decision.probe if each.sample not in ended)
    )
    assert said(any_of(Says(alone))) == said(all_of(Says(alone))) == alone


@given(policies)
def test_saying_it_twice_changes_nothing(parts) -> None:
    def unworded(decision: Decision) -> Decision:
        return replace(decision, why="")

    for combine in (any_of, all_of):
        assert unworded(said(combine(*parts, *parts))) == unworded(said(combine(*parts)))


@given(policies, policies)
def test_how_they_are_grouped_makes_no_difference_to_stopping(left, right) -> None:
    for combine in (any_of, all_of):
        assert said(combine(combine(*left), combine(*right))).stop == said(combine(*left, *right)).stop


def test_the_reasons_of_those_who_decided_are_joined_each_once() -> None:
    stops, waits = Says(Decision(stop=True, why="enough")), Says(Decision(why="not yet"))
    assert said(any_of(stops, waits)).why == "enough"
    assert said(all_of(stops, waits)).why == "not yet"
    assert said(any_of(waits, waits, Says(Decision(why="never")))).why == "not yet; never"


def test_a_cap_beside_a_rule_caps_and_leaves_the_rule_alone() -> None:
    rule = AdaptiveConsistency()
    for history in (history_of(), history_of("4", "5"), history_of("4", "4", "4", "4")):
        alone, capped = rule.decide(history), any_of(rule, ThinkingCap(512)).decide(history)
        assert capped.thinking_tokens == 512
        assert (capped.stop, capped.more, capped.confidence) == (alone.stop, alone.more, alone.confidence)


def test_all_of_with_a_cap_never_stops_and_holds_nothing_back() -> None:
    decision = all_of(AdaptiveConsistency(), ThinkingCap(9)).decide(history_of(*["4"] * 9))
    assert (decision.stop, decision.more, decision.thinking_tokens) == (False, None, 9)


def test_the_cap_conforms() -> None:
    check_policy(ThinkingCap(0))
    check_policy(ThinkingCap(512))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (any_of, "any_of has no policies"),
        (lambda: AllOf(()), "all_of has no policies"),
        (lambda: any_of(AdaptiveConsistency), "no stopping policy"),  # type: ignore[arg-type]
        (lambda: all_of("adaptive-consistency"), "no stopping policy"),  # type: ignore[arg-type]
        (lambda: ThinkingCap(-1), "tokens=-1"),
    ],
)
def test_what_cannot_be_is_refused(make, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()
