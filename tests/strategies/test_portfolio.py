"""A portfolio: who gets the next sample, what each strategy sees, and when it ends."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.controller.rig import Judges, says, solve
from tests.strategies.growing import ended, grown, step
from thinkctl import Budget
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.selectors import BestScore, Majority
from thinkctl.strategies import UCT, BeamSearch, BestOfN, Portfolio, SelfConsistency, SelfCorrection
from thinkctl.testing import ScriptedEngine, check_strategy, history_of
from thinkctl.types import History, Request, Sample, Verdict, needs_of

TWO = Portfolio((BestOfN(20), BestOfN(20)))
KINDS = [
    TWO,
    Portfolio((SelfCorrection(), UCT(9), BeamSearch(4, 2)), at_once=3),
    Portfolio((SelfConsistency(2),)),
]


@pytest.mark.parametrize("portfolio", KINDS, ids=repr)
def test_it_conforms(portfolio) -> None:
    check_strategy(portfolio)


def arms(history: History) -> str:
    return "".join(sample.request.tag[0] for sample in history.samples)


def by_arm(scores: dict[str, list[float]], tokens: dict[str, int] | None = None):
    """Let each arm score these in turn, the last one from then on, for so many tokens a sample."""
    taken: Counter[str] = Counter()

    def says(request: Request, index: int) -> Sample:
        arm = request.tag[0]
        told = scores[arm][min(taken[arm], len(scores[arm]) - 1)]
        taken[arm] += 1
        return ended("4", told, tokens=(tokens or {}).get(arm, 10))

    return says


def test_each_has_one_sample_before_anyone_has_two() -> None:
    history = grown(
        Portfolio((BestOfN(9), BestOfN(9), BestOfN(9))),
        by_arm({"0": [0.9], "1": [0.1], "2": [0.5]}),
        rounds=3,
    )
    assert arms(history) == "012"


def test_the_next_sample_goes_where_scores_rise() -> None:
    rising = {"0": [0.1], "1": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]}
    counts = Counter(arms(grown(TWO, by_arm(rising), rounds=12)))
    assert counts["1"] > 1.5 * counts["0"]


def test_what_counts_is_progress_and_not_the_level_that_was_reached() -> None:
    """The first is at 0.9 from its first sample on and stays there; the second climbs and is behind all the time."""
    climbing = {"0": [0.9], "1": [0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    history = grown(TWO, by_arm(climbing), rounds=14)
    assert arms(history)[7:].count("1") > arms(history)[7:].count("0")


def test_strategies_without_progress_share_the_tokens_equally() -> None:
    counts = Counter(arms(grown(TWO, by_arm({"0": [0.0], "1": [0.0]}, {"0": 40, "1": 10}), rounds=24)))
    assert counts["1"] == 4 * counts["0"] - 1, "they have had the same number of tokens"


def test_nobody_is_written_off() -> None:
    stuck = {"0": [0.0], "1": [place / 100 for place in range(100)]}
    assert arms(grown(Portfolio((BestOfN(99), BestOfN(99))), by_arm(stuck), rounds=60)).count("0") > 3


def test_who_has_nothing_to_ask_leaves_its_part_to_the_others() -> None:
    history = grown(Portfolio((BestOfN(2), BestOfN(5))), by_arm({"0": [0.2], "1": [0.2]}))
    assert Counter(arms(history)) == {"0": 2, "1": 5}


def test_samples_at_once_are_divided_as_if_those_in_flight_had_brought_nothing() -> None:
    portfolio = Portfolio((BestOfN(9), BestOfN(9), BestOfN(9)), at_once=5)
    assert [request.tag for request in portfolio.propose(history_of())] == ["0", "1", "2", "0", "1"]


def test_searches_run_side_by_side_each_on_its_own_samples() -> None:
    def says(request: Request, index: int) -> Sample:
        if request.until is not None and index < 12:
            return step(0.1 * (index % 5))
        return ended(str(index), 0.01 * index)

    history = grown(Portfolio((BeamSearch(4, 2), UCT(5), SelfCorrection(2))), says, rounds=200)
    for sample in history.samples:
        parent = sample.request.parent
        assert parent is None or history.samples[parent].request.tag == sample.request.tag == "0"
    assert Counter(arms(history))["1"] == 5


def test_it_ends_with_an_answer_that_passes_and_the_best_wins() -> None:
    def says(request: Request, index: int) -> Sample:
        return ended(str(index), 1.0 if index == 3 else 0.1, passed=index == 3)

    history = grown(TWO, says)
    assert history.bought == 4
    assert (TWO.selector.select(history) or history.answers[0]).key == "3"
    assert (TWO.selector, Portfolio((BestOfN(2),), selector=Majority()).selector) == (BestScore(), Majority())


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"strategies": ()}, r"strategies=\(\)"),
        ({"at_once": 0}, "at_once=0"),
        ({"half_life": 0.0}, r"half_life=0\.0"),
    ],
)
def test_what_makes_no_sense_is_refused(knobs, named) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Portfolio(**{"strategies": (BestOfN(2),), **knobs})
    assert needs_of(TWO).scores


async def by_key(sample: Sample, engines: Engines) -> Verdict:
    return Verdict(
        int(sample.answer.key) / 10 if sample.answer is not None and sample.answer.key.isdecimal() else 0.0
    )


@settings(max_examples=40)
@given(
    tokens=st.integers(1, 250),
    at_once=st.integers(1, 4),
    keys=st.lists(st.sampled_from("4567"), min_size=1, max_size=5),
)
def test_no_budget_is_passed_by_all_together_and_there_is_one_answer(tokens, at_once, keys) -> None:
    portfolio = Portfolio((BestOfN(4), UCT(4), BeamSearch(4, 2, until="w")), at_once=at_once)
    engine = ScriptedEngine([says(key, 6) for key in keys])
    found = solve(engine, portfolio, Budget(tokens=tokens), verifier=Judges(by_key))
    assert found.receipt.generated_tokens <= tokens
    if tokens >= 64:
        assert found.answer is not None
