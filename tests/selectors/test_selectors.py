"""Which answer wins, as sentences."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import (
    BestScore,
    Latest,
    Majority,
    MajorityOfTheBests,
    WeightedMajority,
    score_of,
    tally,
    top_two,
)
from thinkctl.testing import check_selector, history_of, sample_of
from thinkctl.types import Answer, History, Verdict

ALL: list[Selector] = [
    Majority(),
    WeightedMajority("confidence"),
    WeightedMajority("score"),
    BestScore(),
    Latest(),
    MajorityOfTheBests(),
]

votes = st.lists(st.sampled_from(["1", "2", "3", None]), max_size=9)
scores = st.lists(st.sampled_from([None, 0.0, 0.1, 0.25, 0.5, 1.0]), max_size=9)


def chosen(selector: Selector, history: History) -> str | None:
    answer = selector.select(history)
    return None if answer is None else answer.text


@pytest.mark.parametrize("selector", ALL, ids=repr)
def test_every_selector_conforms(selector: Selector) -> None:
    check_selector(selector)


@pytest.mark.parametrize(
    ("answers", "winner", "sample"),
    [
        (["4", "5", "5"], "5", 1),
        (["4", "5", "5", "4"], "4", 0),  # a tie: "4" was given first
        (["5", "4", "4", "5"], "5", 0),
        ([None, None, "6"], "6", 2),
        (["4", None, None, None], "4", 0),  # abstentions are not votes
        ([None], None, None),
        ([], None, None),
    ],
)
def test_the_majority_wins_and_a_tie_goes_to_the_answer_given_first(answers, winner, sample) -> None:
    selected = Majority().select(history_of(*answers))
    assert (selected and selected.text, selected and selected.sample) == (winner, sample)


def test_votes_are_counted_on_the_canonical_value_and_the_first_spelling_is_returned() -> None:
    spellings = [
        replace(sample_of(text), answer=Answer(text, key, 0))
        for text, key in [("7", "7"), ("0.5", "1/2"), ("1/2", "1/2")]
    ]
    assert chosen(Majority(), history_of(*spellings)) == "0.5"


def test_the_tally_is_in_the_order_of_first_votes() -> None:
    assert list(tally(history_of("5", "4", None, "4", "6")).items()) == [("5", 1), ("4", 2), ("6", 1)]


@pytest.mark.parametrize(
    ("answers", "counts"),
    [([], (0, 0)), ([None], (0, 0)), (["1"], (1, 0)), (["1", "2", "2", "3"], (2, 1)), (["1", "2"], (1, 1))],
)
def test_the_top_two_counts_are_0_where_there_is_no_answer(answers, counts) -> None:
    assert top_two(history_of(*answers)) == counts


@pytest.mark.parametrize("selector", ALL, ids=repr)
def test_a_sample_that_finished_before_its_elders_does_not_count_unless_a_wall_ended_the_run(
    selector,
) -> None:
    assert chosen(selector, history_of("4", ..., "5", "5")) == "4"
    assert chosen(selector, history_of("4", ..., "5", "5", walled=True)) == "5"


def test_a_confident_minority_outweighs_an_unsure_majority() -> None:
    history = history_of("4", "4", "5", logprobs=[-2.0, -2.0, -0.1])
    assert (chosen(Majority(), history), chosen(WeightedMajority(), history)) == ("4", "5")


@pytest.mark.parametrize(
    ("answers", "given", "winner"),
    [
        (["4", "4", "5"], [0.1, 0.2, 0.9], "5"),
        (["4", "4", "5"], [0.5, 0.5, 0.9], "4"),
        (["4", "5", "5"], [0.9, None, 0.1], "4"),  # mean known weight 0.5: 0.9 to 0.6
        (["4", "5", "5"], [0.4, None, 0.4], "5"),
        (["4", "5", "5"], [], "5"),  # no weight is known: a plain vote
        (["4", "5"], [0.1, None], "4"),  # the mean is exactly 0.1: a tie
        (["4", "5", "5"], [0.0, 0.0, 0.0], "4"),
    ],
)
def test_a_vote_of_unknown_weight_counts_as_much_as_the_average_vote(answers, given, winner) -> None:
    assert chosen(WeightedMajority("score"), history_of(*answers, scores=given)) == winner


@pytest.mark.parametrize(
    ("answers", "given", "winner"),
    [
        (["4", "5", "6"], [0.2, 0.9, 0.9], "5"),  # a tie goes to the first launched
        (["4", "5", "5"], [0.9, 0.8, 0.8], "4"),
        (["4", "5", "5"], [0.0, None, None], "4"),  # what was not scored cannot win
        (["4", None], [0.1, 1.0], "4"),  # nor what did not answer
        (["4", "5", "5"], [], "5"),  # nothing was scored: the majority
        ([None], [1.0], None),
    ],
)
def test_the_best_score_wins_and_without_any_score_the_majority(answers, given, winner) -> None:
    assert chosen(BestScore(), history_of(*answers, scores=given)) == winner


@pytest.mark.parametrize(
    ("verdict", "score"),
    [
        (None, None),
        (Verdict(), None),
        (Verdict(score=0.3, passed=True), 0.3),
        (Verdict(passed=True), 1.0),
        (Verdict(passed=False), 0.0),
        (Verdict(score=math.nan), None),
        (Verdict(score=math.inf), None),
    ],
)
def test_a_verdict_without_a_number_scores_by_whether_it_passed(verdict, score) -> None:
    assert score_of(replace(sample_of("4"), verdict=verdict)) == score


@pytest.mark.parametrize(("answers", "last"), [(["4", "5", None], "5"), ([None], None), ([], None)])
def test_the_latest_answer_is_that_of_the_last_launched_sample_that_has_one(answers, last) -> None:
    assert chosen(Latest(), history_of(*answers)) == last


def test_an_unknown_weight_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot weigh by 'length'; use 'confidence' or 'score'"):
        WeightedMajority("length")  # type: ignore[arg-type]


@given(votes, st.sampled_from([0.1, 0.3, 1.0]))
def test_equal_weights_are_a_plain_vote(answers, weight) -> None:
    history = history_of(*answers, scores=[weight] * len(answers))
    plain = Majority().select(history)
    assert WeightedMajority("score").select(history) == plain
    assert WeightedMajority("confidence").select(history) == plain


@given(votes, scores)
def test_a_winner_is_an_answer_of_the_history_and_missing_only_where_nobody_answered(answers, given) -> None:
    history = history_of(*answers, scores=given)
    for selector in ALL:
        winner = selector.select(history)
        assert winner in history.answers if history.answers else winner is None


@given(votes, scores)
def test_abstentions_change_nothing(answers, given) -> None:
    padded = [*given, *[None] * len(answers)][: len(answers)]
    kept = [(answer, score) for answer, score in zip(answers, padded, strict=True) if answer is not None]
    full = history_of(*answers, scores=padded)
    bare = history_of(*(answer for answer, _ in kept), scores=[score for _, score in kept])
    for selector in ALL:
        assert chosen(selector, full) == chosen(selector, bare)


@given(votes, scores)
def test_one_more_vote_for_the_winner_never_unseats_it(answers, given) -> None:
    history = history_of(*answers, scores=given)
    winner = Majority().select(history)
    if winner is not None:
        assert chosen(Majority(), history_of(*answers, winner.text)) == winner.text


# -- majority of the bests ---------------------------------------------------------------------------------------


def by_drawing(votes, scored, m) -> dict[str, float]:
    """Work out how often each answer is the best of m draws with replacement, by trying all draws."""
    from itertools import product

    wins: dict[str, float] = {}
    for drawn in product(range(len(votes)), repeat=m):
        best = max(scored[place] for place in drawn)
        top = {place for place in range(len(votes)) if scored[place] == best}
        for place in top:  # of equal scores each wins its share
            wins[votes[place]] = wins.get(votes[place], 0) + 1 / len(top)
    return wins


@given(
    st.lists(
        st.tuples(st.sampled_from("123"), st.sampled_from([0.0, 0.3, 0.3, 0.8, 1.0])), min_size=1, max_size=5
    ),
    st.integers(1, 4),
)
def test_the_majority_of_the_bests_is_what_all_draws_say(pairs, m) -> None:
    answers, scored = [key for key, _ in pairs], [score for _, score in pairs]
    wins = by_drawing(answers, scored, m)
    found = chosen(MajorityOfTheBests(m), history_of(*answers, scores=scored))
    assert found is not None
    assert wins[found] == pytest.approx(max(wins.values()))


def test_one_draw_is_the_majority_and_many_are_the_best_score() -> None:
    history = history_of("1", "2", "1", scores=[0.1, 0.9, 0.2])
    assert chosen(MajorityOfTheBests(1), history) == "1"
    assert chosen(MajorityOfTheBests(50), history) == "2"


def test_a_single_favourite_mistake_does_not_win_over_many_good_ones() -> None:
    history = history_of("9", *["4"] * 8, "5", scores=[1.0, *[0.9] * 8, 0.1])
    assert [chosen(each, history) for each in (BestScore(), MajorityOfTheBests())] == ["9", "4"]


def test_where_nothing_was_scored_the_majority_of_the_bests_is_the_majority() -> None:
    assert chosen(MajorityOfTheBests(), history_of("1", "2", "2")) == "2"
    with pytest.raises(ConfigurationError, match="m=0"):
        MajorityOfTheBests(0)
