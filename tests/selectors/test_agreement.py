"""Which answer wins by agreement and by rank, as sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import registry
from thinkctl.agreement import Agreement, Borda
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import BestScore, Majority
from thinkctl.testing import check_selector, history_of, sample_of
from thinkctl.types import History, Verdict, spec_of

ALL: list[Selector] = [Agreement(), Agreement(0.5), Borda(), Borda(0), Borda(1.2)]


def marked(*samples: tuple[str | None, str, float | None]) -> History:
    """Return a history of answers with their marks, a letter each, and their scores."""
    return history_of(
        *(
            replace(sample_of(answer), verdict=Verdict(score, marks=tuple(marks)))
            for answer, marks, score in samples
        )
    )


def chosen(selector: Selector, history: History) -> int | None:
    answer = selector.select(history)
    return None if answer is None else answer.sample


@pytest.mark.parametrize("selector", ALL, ids=repr)
def test_every_selector_conforms_and_is_registered(selector) -> None:
    check_selector(selector)
    assert registry.build(spec_of(selector)) == selector


@pytest.mark.parametrize(
    ("samples", "winner"),
    [
        ([("1", "r", None), ("2", "s", None), ("3", "s", None)], 1),  # two give the same
        ([("1", "r", None), ("2", "s", None)], 0),  # a tie: the first launched
        ([("1", "", None), ("2", "", None), ("3", "s", None)], 2),  # no marks, no agreement
        ([("1", "a", None), ("2", "a", None), ("3", "abc", None)], 2),  # 2 x 1 below 1 x 3
        (
            [("1", "ab", None), ("2", "ba", None), ("3", "abc", None)],
            0,
        ),  # marks in any order: 2 x 2 above 1 x 3
        (
            [("1", "ab", None), ("2", "ac", None), ("3", "ac", None)],
            1,
        ),  # the same number is not the same tests
        (
            [("1", "s", 0.2), ("2", "s", 0.9), ("3", "s", 0.9)],
            1,
        ),  # the best of the group, the first of equals
        ([("1", "s", None), ("2", "s", 0.0)], 1),  # what was scored before what was not
        ([(None, "s", None), (None, "s", None), ("3", "r", None)], 2),  # no answer, no vote
    ],
)
def test_the_largest_group_of_equal_marks_wins(samples, winner) -> None:
    assert chosen(Agreement(), marked(*samples)) == winner


def test_a_lower_power_weighs_solutions_less_than_tests() -> None:
    history = marked(*[(str(number), "a", None) for number in range(4)], ("5", "abc", None))
    assert chosen(Agreement(), history) == 0  # 4 x 1 above 1 x 3
    assert chosen(Agreement(0.5), history) == 4  # 2 x 1 below 1 x 3


def test_without_any_marks_the_best_score_wins() -> None:
    history = history_of("4", "5", "5", scores=[0.9, 0.1])
    assert chosen(Agreement(), history) == chosen(BestScore(), history) == 0


@pytest.mark.parametrize(
    ("answers", "scores", "p", "winner"),
    [
        (["4", "5", "5"], [0.9, 0.8, 0.1], 1, "4"),  # 3 against 2 + 1: a tie, given first
        (["5", "4", "5"], [0.8, 0.9, 0.1], 1, "5"),
        (["4", "5", "5"], [0.9, 0.8, 0.1], 0, "5"),  # the plain majority
        (["4", "5", "5"], [0.9, 0.8, 0.1], 2, "4"),  # 9 against 5
        (["4", "5", "5", "5"], [0.9, 0.3, 0.2, 0.1], 1000, "4"),  # the best score
        (["4", "5", "5"], [0.5, 0.5, 0.5], 1, "4"),  # of equals the first ranks higher: 3 against 2 + 1
        (["4", "5", "5"], [0.5, None, None], 1, "4"),  # no score, no points
        (["4", "5", "5"], [], 1, "5"),  # none is scored: the majority
        ([None, "5"], [0.9, 0.1], 1, "5"),  # an abstention has no rank
    ],
)
def test_borda_votes_by_rank(answers, scores, p, winner) -> None:
    answer = Borda(p).select(history_of(*answers, scores=scores))
    assert answer is not None
    assert answer.text == winner


votes = st.lists(
    st.tuples(st.sampled_from("456"), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=1, max_size=8
)


@given(votes)
def test_a_power_of_none_is_the_majority_of_the_scored_and_a_huge_one_the_best_score(drawn) -> None:
    history = history_of(*(answer for answer, _ in drawn), scores=[score for _, score in drawn])
    assert Borda(0).select(history) == Majority().select(history)
    best, huge = BestScore().select(history), Borda(10_000).select(history)
    assert best is not None
    assert huge is not None
    assert best.key == huge.key


@given(votes, st.sampled_from([0.5, 1.0, 2.0]))
def test_borda_looks_at_ranks_alone(drawn, power) -> None:
    answers, scores = [answer for answer, _ in drawn], [score for _, score in drawn]
    squeezed = [math.sqrt(score) / 2 for score in scores]
    one, other = (Borda(power).select(history_of(*answers, scores=each)) for each in (scores, squeezed))
    assert one == other


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Agreement(0), "power=0"),
        (lambda: Agreement(1.5), "power=1.5"),
        (lambda: Borda(-1), "p=-1"),
        (lambda: Borda(math.inf), "p=inf"),
    ],
)
def test_knobs_out_of_range_are_refused(make, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()
