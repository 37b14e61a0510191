"""Beam search, DVTS and REBASE: which chains go on, how often, and when it ends."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import Judges, solve
from tests.strategies.growing import ended, grown, parents, step
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.selectors import WeightedMajority
from thinkctl.strategies import DVTS, REBASE, BeamSearch, WeightedChains
from thinkctl.strategies.rebase import shares
from thinkctl.testing import Script, ScriptedEngine, check_selector, check_strategy, history_of
from thinkctl.types import Finish, Request, Sample, Verdict

SEARCHES = [BeamSearch, DVTS, REBASE]
KINDS = [
    BeamSearch(),
    BeamSearch(4, 2, rounds=3, aggregate="min"),
    BeamSearch(3, 3),
    DVTS(8, 4, aggregate="prod"),
    DVTS(4, 1),
    REBASE(),
    REBASE(5, temperature=1e-6),
]


@pytest.mark.parametrize("search", KINDS, ids=repr)
def test_it_conforms(search) -> None:
    check_strategy(search)


@pytest.mark.parametrize("aggregate", ["last", "min", "prod"])
def test_its_selector_conforms(aggregate) -> None:
    check_selector(WeightedChains(aggregate))


# -- which chains go on ------------------------------------------------------------------------------------------


def scoring(*scores: float):
    """Let steps go on for ever, with these scores in launch order."""
    return lambda request, index: step(scores[index] if index < len(scores) else 0.5)


def test_a_beam_goes_on_from_its_best_chains_and_from_each_as_often() -> None:
    history = grown(BeamSearch(4, 2), scoring(0.1, 0.9, 0.3, 0.8), rounds=2)
    assert parents(history) == [None] * 4 + [1, 1, 3, 3]


def test_of_equal_chains_the_first_go_on_and_those_without_a_score_last() -> None:
    history = grown(BeamSearch(4, 2), lambda request, index: step(None if index == 0 else 0.5), rounds=2)
    assert parents(history)[4:] == [1, 1, 2, 2]


@pytest.mark.parametrize(
    ("aggregate", "goes_on"), [("last", [6, 6, 4, 4]), ("min", [4, 4, 6, 6]), ("prod", [6, 6, 4, 4])]
)
def test_the_score_of_a_chain_is_made_of_those_of_its_steps(aggregate, goes_on) -> None:
    """Steps 4 and 5 go on from step 3 (0.5), steps 6 and 7 from step 0 (0.4)."""
    scores = scoring(0.4, 0.1, 0.2, 0.5, 0.45, 0.1, 0.9, 0.2)
    history = grown(BeamSearch(4, 2, aggregate=aggregate), scores, rounds=3)
    assert parents(history)[4:] == [3, 3, 0, 0, *goes_on]


def test_subtrees_do_not_crowd_each_other_out() -> None:
    """Samples 0 to 2 are one subtree, 3 to 5 another; the best of each goes on."""
    history = grown(DVTS(6, 3), scoring(0.7, 0.8, 0.9, 0.1, 0.2, 0.0, *[0.5] * 6), rounds=3)
    assert parents(history) == [None] * 6 + [2] * 3 + [4] * 3 + [6] * 3 + [9] * 3


def test_a_subtree_ends_with_its_best_step_and_all_that_ended_vote() -> None:
    said = [ended("4", 0.9), step(0.5), ended("5", 0.1), step(0.8)]
    history = grown(DVTS(4, 2), lambda request, index: said[index] if index < 4 else ended("6", 0.3))
    assert parents(history)[4:] == [3, 3]
    assert [answer.key for answer in history.answers] == ["4", "5", "6", "6"]


@pytest.mark.parametrize(
    ("scores", "width", "temperature", "parts"),
    [
        ([0.5, 0.5], 8, 0.2, [4, 4]),
        ([0.5, 0.5, 0.5], 8, 0.2, [3, 3, 2]),
        ([0.0, 1.0], 8, 0.2, [0, 8]),
        ([0.4, 0.6], 8, 0.2, [2, 6]),  # e^3 : e^2, 5.85 rounded up
        ([0.1, 0.2, 0.9], 1, 0.2, [0, 0, 1]),
        ([0.3, 0.2], 0, 0.2, [0, 0]),
        ([0.3, 0.2], -3, 0.2, [0, 0]),
        ([1.0, 0.0, 0.0], 5, 1e-9, [5, 0, 0]),
        ([], 4, 0.2, []),
    ],
)
def test_width_is_shared_by_the_softmax_of_the_scores(scores, width, temperature, parts) -> None:
    assert shares(scores, width, temperature) == parts


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 64), st.floats(1e-3, 10))
def test_the_shares_are_all_of_the_width_and_better_chains_never_get_less(scores, width, temperature) -> None:
    parts = shares(scores, width, temperature)
    assert sum(parts) == width
    ranked = [part for _, part in sorted(zip(scores, parts, strict=True), key=lambda pair: -pair[0])]
    assert ranked == sorted(ranked, reverse=True)


def test_chains_that_ended_take_their_part_of_the_width_with_them() -> None:
    said = [ended("4", 0.9), step(0.5), ended(None), step(0.5)]
    history = grown(REBASE(4), lambda request, index: said[index] if index < 4 else step(0.5), rounds=2)
    assert parents(history)[4:] == [1, 3]


# -- when it ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", SEARCHES)
def test_chains_that_are_complete_leave_and_vote_and_when_all_are_it_ends(search) -> None:
    history = grown(search(n=4), lambda request, index: ended(str(index), 0.1 * index))
    assert history.bought == 4
    assert [answer.key for answer in history.answers] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize(
    "end",
    [
        step(0.9, finish=Finish.ERROR, error="failed"),
        step(0.9, finish=Finish.CUT),
        ended(None, 0.9),
        replace(ended("4", 0.9), finish=Finish.STEP),
    ],
    ids=["failed", "cut", "ended without an answer", "stated its answer"],
)
def test_nothing_goes_on_after_a_chain_has_ended_however_it_did(search, end) -> None:
    assert grown(search(n=4), lambda request, index: end).bought == 4


@pytest.mark.parametrize("search", SEARCHES)
def test_a_step_ends_with_its_text_or_tokens_and_after_the_last_round_chains_run_to_their_end(search) -> None:
    history = grown(search(n=4, rounds=3, step_tokens=9, until="\n"), scoring())
    asked = [(sample.request.until, sample.request.sampling.max_tokens) for sample in history.samples]
    assert asked == [("\n", 9)] * 8 + [(None, None)] * 4


@pytest.mark.parametrize("search", SEARCHES)
def test_one_round_is_best_of_n(search) -> None:
    asked = search(n=4, rounds=1).propose(history_of())
    assert [(request.until, request.parent) for request in asked] == [(None, None)] * 4


@pytest.mark.parametrize("search", SEARCHES)
@given(at_most=st.integers(1, 5), seed=st.integers(0, 99))
def test_a_wave_that_cannot_start_at_once_is_completed_before_the_next(search, at_most, seed) -> None:
    def says(request: Request, index: int) -> Sample:
        dice = random.Random(seed * 1_000 + index)
        return step(dice.random()) if dice.random() < 0.8 else ended(str(dice.randrange(3)), dice.random())

    whole = grown(search(n=4, rounds=5), says, rounds=200)
    assert grown(search(n=4, rounds=5), says, rounds=200, at_most=at_most) == whole


def test_nothing_of_the_next_wave_is_asked_while_one_of_this_is_in_flight() -> None:
    growing = grown(BeamSearch(4, 2), scoring(0.1, 0.9, 0.3, 0.8), rounds=1)
    flying = replace(growing, samples=(*growing.samples[:3], replace(growing.samples[3], finish=None)))
    assert BeamSearch(4, 2).propose(flying) == []
    assert len(BeamSearch(4, 2).propose(growing)) == 4


# -- who wins ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("aggregate", "winner"), [("last", "5"), ("min", "4"), ("prod", "4")])
def test_answers_win_by_the_scores_of_their_chains(aggregate, winner) -> None:
    roots = [replace(step(0.9), index=0), replace(step(0.2), index=1)]
    ends = [replace(ended("4", 0.6), index=2), replace(ended("5", 0.8), index=3)]
    leaves = [replace(end, request=replace(end.request, parent=parent)) for parent, end in enumerate(ends)]
    answer = WeightedChains(aggregate).select(history_of(*roots, *leaves))
    assert (answer and answer.key) == winner


def test_the_last_score_is_what_a_weighted_majority_reads() -> None:
    history = history_of("4", "5", "4", scores=[0.3, 0.5, 0.3])
    assert WeightedChains().select(history) == WeightedMajority("score").select(history)
    assert WeightedChains("prod").select(history) == WeightedMajority("score").select(history)


# -- what makes no sense -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("search", "knobs", "named"),
    [
        (BeamSearch, {"n": 6, "width": 4}, "n=6 is no multiple of width=4"),
        (DVTS, {"n": 6, "width": 4}, "n=6 is no multiple of width=4"),
        (BeamSearch, {"n": 0}, "n=0"),
        (DVTS, {"width": 0}, "width=0"),
        (REBASE, {"rounds": 0}, "rounds=0"),
        (BeamSearch, {"step_tokens": 0}, "step_tokens=0"),
        (REBASE, {"temperature": 0.0}, r"temperature=0\.0"),
        (REBASE, {"temperature": float("nan")}, "temperature=nan"),
        (DVTS, {"aggregate": "mean"}, "aggregate='mean'"),
        (WeightedChains, {"aggregate": "mean"}, "aggregate='mean'"),
    ],
)
def test_what_makes_no_sense_is_refused(search, knobs, named) -> None:
    with pytest.raises(ConfigurationError, match=named):
        search(**knobs)


@pytest.mark.parametrize("search", SEARCHES)
def test_without_a_verifier_it_is_refused(search) -> None:
    with pytest.raises(ConfigurationError, match="needs scores"):
        Controller(ScriptedEngine(["4"]), search())


# -- through the loop --------------------------------------------------------------------------------------------


async def likes_sevens(sample: Sample, engines: Engines) -> Verdict:
    """Score a chain by its share of sevens, as a process reward model that likes them."""
    said = Counter(sample.text)
    return Verdict(said["7"] / max(1, sum(said[digit] for digit in "0123456789")))


def digits(number: int, prompt: str) -> Script:
    return Script(f"{number}. " * 4 + f"\\boxed{{{number}}}")


@pytest.mark.parametrize("search", SEARCHES)
def test_the_chain_that_the_verifier_likes_is_grown_to_its_end_and_wins(search) -> None:
    engine = ScriptedEngine(digits)
    found = solve(engine, search(n=8, until="."), verifier=Judges(likes_sevens))
    assert found.answer is not None
    roots = [sample for sample in found.samples if sample.request.parent is None]
    assert len(roots) == engine.launched == 8
    assert found.answer.key == "7"
    assert found.receipt.verifier_calls == found.history.bought


@given(
    search=st.sampled_from(SEARCHES),
    tokens=st.integers(1, 300),
    n=st.sampled_from([4, 8]),
    length=st.integers(1, 9),
    chunk=st.integers(1, 3),
    waste=st.integers(0, 1),
    streams=st.integers(1, 8),
    usual=st.integers(1, 30),
)
def test_no_budget_is_passed_and_there_is_an_answer_whenever_something_was_said(
    search, tokens, n, length, chunk, waste, streams, usual
) -> None:
    def says(number: int, prompt: str) -> Script:
        text = " ".join([f"w{number}"] * length + [f"{number}."]) + " "
        return Script(text * 5 + f"\\boxed{{{number}}}", chunk=chunk, conclusion=f"{number}}}")

    engine = ScriptedEngine(says, waste=waste, streams=streams)
    found = solve(
        engine,
        search(n=n, rounds=6, step_tokens=7, until="."),
        Budget(tokens=tokens),
        verifier=Judges(likes_sevens),
        usual_tokens=usual,
    )
    assert found.receipt.generated_tokens <= tokens
    assert found.receipt.overshoot_tokens == 0
    if tokens >= 64:
        assert found.answer is not None
