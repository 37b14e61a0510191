"""Allocation over recorded samples gives each sample to the most urgent problem, and says what any budget brings."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.allocating import Share, allocate, anytime, purchases
from thinkctl.evals.loading import open_table, table_of_pool
from thinkctl.evals.outcomes import Case, View
from thinkctl.evals.replaying import replay
from thinkctl.evals.table import VoteTable
from thinkctl.runfile import Pool, Recorded, RecordedSample
from thinkctl.selectors import Latest, Majority, top_two
from thinkctl.stopping import AdaptiveConsistency, CannotBeOvertaken, ThinkingCap
from thinkctl.stopping.allocation import Elimination, FirstCome, FlipProbability, LeastConfident, Uniform
from thinkctl.testing import history_of
from thinkctl.types import Answer, History, Standing

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("THINKCTL_SHARED", ROOT.parent / "shared"))
ALLOCATIONS = [
    FlipProbability(),
    LeastConfident(),
    Uniform(),
    FirstCome(),
    Elimination(AdaptiveConsistency(0.7)),
]
ANSWERS = st.lists(
    st.lists(st.sampled_from([None, "R", "a", "b"]), min_size=1, max_size=6), min_size=1, max_size=4
)


@dataclass(frozen=True)
class OnlyTheSecond:
    """What somebody else might write: it looks at everything that there is."""

    def priority(self, standing: Standing) -> float | None:
        return standing.bought + standing.leader if standing.place == 1 else None


@dataclass(frozen=True)
class SlowMajority:
    """A selector that nothing is known of."""

    def select(self, history: History) -> Answer | None:
        return Majority().select(history)


def table_of(*answers: list[str | None], tokens: int = 3) -> VoteTable:
    recorded = tuple(
        Recorded(f"q{row}", "", tuple(RecordedSample(answer, tokens) for answer in said))
        for row, said in enumerate(answers)
    )
    correct = {f"q{row}": tuple(answer == "R" for answer in said) for row, said in enumerate(answers)}
    return table_of_pool(Pool(recorded, {}, correct))


def view_of(table: VoteTable) -> View:
    return View.of(table, next(table.orders(None)))


def by_the_book(allocation, answers):
    """Ask for the priority of every problem before every sample."""
    bought = [0] * len(answers)
    while True:
        best = None
        for place, said in enumerate(answers):
            if bought[place] == len(said):
                continue
            standing = Standing(*top_two(history_of(*said[: bought[place]])), bought[place], place)
            urgency = allocation.priority(standing)
            if urgency is not None:
                best = max(best or (-np.inf, 0, 0), (urgency, -bought[place], -place))
        if best is None:
            return
        yield -best[2]
        bought[-best[2]] += 1


@pytest.mark.parametrize("allocation", [*ALLOCATIONS, OnlyTheSecond()], ids=str)
@settings(max_examples=40)
@given(answers=ANSWERS)
def test_every_sample_goes_to_the_most_urgent_problem(allocation, answers):
    found = purchases(view_of(table_of(*answers)), allocation)
    assert found.tolist() == list(by_the_book(allocation, answers))


@settings(max_examples=60)
@given(answers=ANSWERS, samples=st.floats(0.1, 8), allocation=st.sampled_from(ALLOCATIONS))
def test_one_pass_tells_what_every_budget_brings(answers, samples, allocation):
    table = table_of(*answers)
    (row,) = allocate(table, [Share(allocation, samples)])
    curve = anytime(view_of(table), allocation)
    place = min(int(samples * len(table) + 1e-9), len(curve.samples) - 1)
    assert curve.accuracy is not None
    assert row.accuracy is not None
    assert (row.samples.value, row.tokens.value) == pytest.approx((curve.samples[place], curve.tokens[place]))
    assert (row.accuracy.value, row.agreement.value) == pytest.approx(
        (curve.accuracy[place], curve.agreement[place])
    )


def test_what_is_used_up_gets_no_more():
    table = table_of(["R"], ["R", "a", "R"])
    assert purchases(view_of(table), Uniform()).tolist() == [0, 1, 1, 1]
    (row,) = allocate(table, [Share(Uniform(), 100)])
    assert (row.samples.value, row.walled) == (2.0, 0.0)


def test_tokens_are_shared_to_the_token_and_never_exceeded():
    table = table_of(["R", "R"], ["R", "a"], tokens=3)
    spent = [
        row.total_tokens
        for row in allocate(table, [Share(Uniform(), tokens=each) for each in (4.4, 4.5, 99)])
    ]
    assert spent == [6, 9, 12]


def test_a_policy_ends_a_problem_and_first_samples_come_first():
    table = table_of(["R", "R", "R", "a"], ["a", "R", "R", "R"])
    ended = purchases(view_of(table), FirstCome(), CannotBeOvertaken(4), first=1)
    assert ended.tolist() == [0, 1, 0, 1, 1, 1]


def test_votes_in_flight_are_taken_to_be_for_the_leader_until_they_are_in():
    view = view_of(table_of(["R", "a", "R", "R"], ["R", "R", "R", "R"]))
    alone, together = (purchases(view, FlipProbability(), at_once=width).tolist() for width in (1, 4))
    assert alone[:4] == [0, 1, 0, 0], "the first disagrees, so it is asked again at once"
    assert together[:4] == [0, 1, 0, 1], "nobody knows yet that it disagrees"
    assert sorted(alone) == sorted(together) == [0, 0, 0, 0, 1, 1, 1, 1]


def test_a_problem_that_seemed_settled_while_votes_were_in_flight_is_taken_up_again():
    view = view_of(table_of(["R", "a", "R", "a"]))
    assert purchases(view, Elimination(AdaptiveConsistency(0.8)), at_once=9).tolist() == [0, 0, 0, 0]


def test_any_selector_chooses_among_what_was_bought():
    table = table_of(["a", "R", "R"], ["R", "a", "a"], ["b", "a", "R"])
    shares = [Share(Uniform(), each, selector=Latest()) for each in (1, 2, 3)]
    rows = allocate(table, shares)
    assert [row.accuracy.value for row in rows if row.accuracy] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert [row.selector for row in rows] == ["latest"] * 3
    assert [row.samples.value for row in rows] == [1, 2, 3]


@settings(max_examples=20)
@given(answers=ANSWERS, samples=st.floats(0.1, 8))
def test_a_majority_chosen_row_by_row_is_the_majority(answers, samples):
    table = table_of(*answers)
    fast, slow = (
        allocate(table, [Share(FlipProbability(), samples, selector=selector)], permutations=2)[0]
        for selector in (Majority(), SlowMajority())
    )
    assert replace(slow, selector=fast.selector) == fast


def test_permutations_are_averaged_and_the_same_for_every_share():
    table = table_of(["R", "a", "a"], ["a", "R", "b"])
    one, again = allocate(table, [Share(Uniform(), 1), Share(Uniform(), 1)], permutations=5, seed=3)
    assert one == again
    assert one.permutations == 5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Share(Uniform()), "one of the two"),
        (lambda: Share(Uniform(), 2, 3), "one of the two"),
        (lambda: Share(Uniform(), 0), "nothing to share"),
        (lambda: Share(Uniform(), tokens=float("nan")), "nothing to share"),
        (lambda: Share(Uniform(), 1, first=-1), "first=-1"),
        (lambda: Share(Uniform(), 1, at_once=0), "at_once=0"),
        (lambda: Share(Uniform(), 1, policy=ThinkingCap(3)), "reads more than votes"),
    ],
)
def test_what_cannot_be_is_said(make, said):
    with pytest.raises(ConfigurationError, match=said):
        make()


@pytest.fixture(scope="module")
def gsm8k() -> VoteTable:
    path = SHARED / "data" / "pools" / "gsm8k_gpt4omini_1318x40.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the pool {path.name} is not there; set THINKCTL_SHARED to the folder with data/pools")
    return open_table(path)


@pytest.mark.parametrize(
    ("allocation", "accuracies"),
    [
        (Uniform(), {2: 89.15, 3: 91.24, 4: 92.35, 6: 93.28, 8: 93.52, 12: 94.01}),
        (Elimination(), {2: 89.15, 3: 91.24, 4: 92.35, 6: 94.19, 8: 94.17}),
        (LeastConfident(), {2: 91.94, 3: 93.87, 4: 94.16, 6: 94.13, 8: 94.20, 12: 94.17}),
        (FlipProbability(), {2: 92.03, 3: 93.92, 4: 94.20, 6: 94.17, 8: 94.19, 12: 94.17}),
    ],
    ids=str,
)
def test_the_published_accuracies_of_allocations_are_met_within_their_noise(gsm8k, allocation, accuracies):
    rows = allocate(gsm8k, [Share(allocation, each) for each in accuracies], permutations=10)
    found = [100 * row.accuracy.value for row in rows if row.accuracy is not None]
    assert found == pytest.approx(list(accuracies.values()), abs=0.35)


def test_first_come_is_what_was_published_if_every_problem_gets_one_sample_first(gsm8k):
    policy = AdaptiveConsistency(0.95)
    wanted = {2: 90.12, 3: 91.14, 4: 91.93, 6: 93.99, 8: 94.17}
    shares = [Share(FirstCome(), each, policy=policy, first=1) for each in wanted]
    rows = allocate(gsm8k, shares, permutations=10)
    found = [100 * row.accuracy.value for row in rows if row.accuracy is not None]
    assert found == pytest.approx(list(wanted.values()), abs=0.35)


def test_four_samples_a_question_by_flip_probability_are_as_good_as_forty(gsm8k):
    shares = [Share(FlipProbability(), 4), Share(Uniform(), 4)]
    flip, uniform = allocate(gsm8k, shares, permutations=40)
    (full,) = replay(gsm8k, [Case()], permutations=40)
    assert flip.accuracy is not None
    assert uniform.accuracy is not None
    assert full.accuracy is not None
    assert flip.samples.value <= 4
    assert abs(flip.accuracy.value - full.accuracy.value) < 0.001
    assert 100 * full.accuracy.value == pytest.approx(94.18, abs=0.1)
    assert 100 * flip.accuracy.value == pytest.approx(94.18, abs=0.1)
    assert 100 * uniform.accuracy.value == pytest.approx(92.35, abs=0.1)
