"""Votes of many rows at once say what the rules say one sample at a time."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl.evals.loading import table_of_pool
from thinkctl.evals.outcomes import Case, outcomes_of
from thinkctl.evals.votes import Votes, first_true, is_vectorised, would_stop
from thinkctl.protocols import StoppingPolicy
from thinkctl.runfile import Pool, Recorded, RecordedSample
from thinkctl.selectors import Latest
from thinkctl.stopping import (
    SPRT,
    AdaptiveConsistency,
    CannotBeOvertaken,
    EValue,
    Margin,
    ThinkingCap,
    Window,
    all_of,
    any_of,
)
from thinkctl.testing import history_of
from thinkctl.types import Budget

RULES: list[StoppingPolicy | None] = [
    None,
    AdaptiveConsistency(0.6),
    AdaptiveConsistency(0.9),
    Margin(1),
    Margin(2),
    EValue(0.4),
    SPRT(0.8),
    Window(2),
    Window(3),
    CannotBeOvertaken(1),
    CannotBeOvertaken(5),
    CannotBeOvertaken(9),
    any_of(Margin(3), CannotBeOvertaken(7)),
    all_of(Margin(1), Window(2), AdaptiveConsistency(0.7)),
]


@st.composite
def tables(draw):
    """A pool of a few questions of different lengths; None abstains, R is right."""
    answers = draw(
        st.lists(st.lists(st.sampled_from([None, "R", "a", "b", "c"]), max_size=9), min_size=1, max_size=5)
    )
    if not any(answers):
        answers[0] = ["R"]
    tokens = st.integers(1, 9)
    recorded = tuple(
        Recorded(f"q{row}", "", tuple(RecordedSample(answer, draw(tokens)) for answer in said))
        for row, said in enumerate(answers)
    )
    correct = {f"q{row}": tuple(answer == "R" for answer in said) for row, said in enumerate(answers)}
    return table_of_pool(Pool(recorded, {}, correct))


@pytest.mark.parametrize("policy", RULES, ids=str)
@settings(max_examples=40)
@given(
    table=tables(),
    permutations=st.sampled_from([None, 2]),
    cap=st.none() | st.integers(1, 9),
    limits=st.sampled_from([{}, {"tokens": 12}, {"requests": 3}, {"tokens": 20, "requests": 4}]),
    samples=st.none() | st.integers(1, 6),
)
def test_both_ways_of_replaying_agree_to_the_token(policy, table, permutations, cap, limits, samples):
    case = Case(policy, samples, Budget(**limits))
    (fast,), (slow,) = (
        outcomes_of(table, [case], permutations=permutations, cap=cap, vectorised=vectorised)
        for vectorised in (True, False)
    )
    for each in fields(fast):
        found, expected = getattr(fast, each.name), getattr(slow, each.name)
        assert np.array_equal(found, expected), (each.name, found, expected)


def test_a_rule_that_reads_more_than_votes_is_asked_sample_by_sample():
    assert all(is_vectorised(rule) for rule in RULES)
    assert not is_vectorised(ThinkingCap(5))
    assert not is_vectorised(any_of(Margin(2), ThinkingCap(5)))


@pytest.mark.parametrize(
    ("keys", "leader", "runner_up", "leading"),
    [
        ([0, 1, 1, 0], [0, 1, 1, 2, 2], [0, 0, 1, 1, 2], [-1, 0, 0, 1, 0]),
        ([-1, 3, -1, 3], [0, 0, 1, 1, 2], [0, 0, 0, 0, 0], [-1, -1, 3, 3, 3]),
        ([0, 1, 2, 2, 1, 0], [0, 1, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 2, 2], [-1, 0, 0, 0, 2, 1, 0]),
    ],
)
def test_a_draw_goes_to_the_value_that_was_given_first(keys, leader, runner_up, leading):
    votes = Votes.count(np.array([keys]))
    assert votes.leader[:, 0].tolist() == leader
    assert votes.runner_up[:, 0].tolist() == runner_up
    assert votes.leading[:, 0].tolist() == leading


def test_the_first_place_that_holds_is_one_beyond_the_last_where_none_does():
    assert first_true(np.array([[False, True, False], [True, True, False]])).tolist() == [1, 0, 2]


def test_other_selectors_choose_for_themselves():
    recorded = tuple(RecordedSample(answer, 1) for answer in ("R", "R", "a"))
    table = table_of_pool(Pool((Recorded("q", "", recorded),), {}, {"q": (True, True, False)}))
    (found,) = outcomes_of(table, [Case(selector=Latest())])
    assert found.right is not None
    assert found.right.tolist() == [0.0]


def test_a_rule_s_own_answer_is_the_same_as_on_a_history():
    answers = ("4", "5", "5", None, "4", "4", "4")
    keys = np.array([[0, 1, 1, -1, 0, 0, 0]])
    for rule in [each for each in RULES if each is not None]:
        stopping = would_stop(rule, Votes.count(keys))[:, 0].tolist()
        assert stopping == [rule.decide(history_of(*answers[:most])).stop for most in range(len(answers) + 1)]
