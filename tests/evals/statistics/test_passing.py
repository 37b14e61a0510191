"""pass@k, best of k and the majority of k, against every choice of k samples."""

from __future__ import annotations

import itertools
import math
import time
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.statistics.passing import best_of, majority_at, pass_at
from thinkctl.evals.table import ABSTAINS

rows = st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, math.nan]), st.booleans()), min_size=1, max_size=8)
votes = st.lists(st.integers(ABSTAINS, 3), min_size=1, max_size=8)


@given(st.lists(st.booleans(), min_size=1, max_size=9))
def test_pass_at_k_is_the_share_of_choices_with_a_right_sample(right):
    n = len(right)
    found = pass_at([sum(right)], n, range(1, n + 1))[0]
    for k in range(1, n + 1):
        choices = list(itertools.combinations(right, k))
        assert found[k - 1] == pytest.approx(sum(map(any, choices)) / len(choices), abs=1e-12)


@pytest.mark.parametrize(("n", "c", "k"), [(64, 1, 64), (1000, 3, 500), (100_000, 7, 100), (64, 0, 9)])
def test_pass_at_k_holds_where_binomials_overflow(n, c, k):
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert pass_at([c], n, [k])[0, 0] == pytest.approx(float(exact), abs=1e-9)


@given(rows)
def test_best_of_k_is_the_mean_over_choices_and_over_who_wins_a_tie(samples):
    n = len(samples)
    found = best_of(np.array([[s for s, _ in samples]]), np.array([[r for _, r in samples]]), range(1, n + 1))
    for k in range(1, n + 1):
        worths = [_best(choice) for choice in itertools.combinations(samples, k)]
        assert found[0, k - 1] == pytest.approx(float(sum(worths) / len(worths)), abs=1e-12)


def _best(choice):
    worth = [-1.0 if math.isnan(score) else score for score, _ in choice]
    winners = [right for value, (_, right) in zip(worth, choice, strict=True) if value == max(worth)]
    return Fraction(sum(winners), len(winners))


@given(votes, st.lists(st.booleans(), min_size=4, max_size=4))
def test_majority_of_k_is_the_mean_over_choices_with_ties_shared(keys, right):
    n = len(keys)
    found = majority_at(np.array([keys]), np.array([right]), range(1, n + 1))
    assert found.exact
    for k in range(1, n + 1):
        worths = [_majority(choice, right) for choice in itertools.combinations(keys, k)]
        assert found.values[0, k - 1] == pytest.approx(float(sum(worths) / len(worths)), abs=1e-12)


def _majority(choice, right):
    given = [key for key in choice if key != ABSTAINS]
    most = max(map(given.count, given), default=0)
    leaders = {key for key in given if given.count(key) == most}
    return Fraction(sum(right[key] for key in leaders), max(len(leaders), 1))


@given(st.lists(st.integers(1, 3), min_size=3, max_size=9))
def test_a_tie_of_many_answers_is_shared_exactly(counts):
    keys = np.repeat(np.arange(len(counts)), counts)[None]
    right = np.zeros((1, len(counts)), dtype=np.bool_)
    right[0, 0] = True
    k = len(counts)
    total = sum(np.mean(majority_at(keys, np.roll(right, shift), [k]).values) for shift in range(len(counts)))
    assert total == pytest.approx(1.0, abs=1e-12)  # whoever wins, one answer's worth of credit is given


def test_rows_of_different_size_are_as_if_alone():
    keys = np.array([[0, 1, 0, ABSTAINS], [1, 1, ABSTAINS, ABSTAINS]])
    right = np.array([[True, False], [False, True]])
    scores, graded = np.array([[0.1, 0.9, 0.5, 0.2], [0.3, 0.2, 9.0, 9.0]]), keys == np.array([[0], [1]])
    sizes = np.array([4, 2])
    for row, size in enumerate(sizes):
        one = slice(row, row + 1)
        alone = majority_at(keys[one, :size], right[one], [1, 2]).values
        assert majority_at(keys, right, [1, 2], sizes=sizes).values[row] == pytest.approx(alone[0])
        alone = best_of(scores[one, :size], graded[one, :size], [1, 2])
        assert best_of(scores, graded, [1, 2], sizes=sizes)[row] == pytest.approx(alone[0])


def test_samples_without_an_answer_take_a_place_and_have_no_vote():
    nobody, one = np.full((1, 3), ABSTAINS), np.array([[0, ABSTAINS, ABSTAINS]])
    right = np.array([[True]])
    assert majority_at(nobody, right, [1, 3]).values.tolist() == [[0.0, 0.0]]
    assert majority_at(one, right, [1, 2, 3]).values[0] == pytest.approx([1 / 3, 2 / 3, 1])


@given(st.integers(0, 5), st.permutations(range(6)))
def test_neither_the_order_of_samples_nor_the_numbers_of_answers_matter(extra, order):
    keys = np.array([[0, 0, 1, 2, ABSTAINS, extra % 3]])
    right = np.array([[True, False, False]])
    expected = majority_at(keys, right, [1, 2, 5]).values
    assert majority_at(keys[:, list(order)], right, [1, 2, 5]).values == pytest.approx(expected)
    renamed = np.where(keys == ABSTAINS, ABSTAINS, (keys + 1) % 3)
    assert majority_at(renamed, np.roll(right, 1), [1, 2, 5]).values == pytest.approx(expected)


def test_above_the_limit_random_orders_are_averaged_and_it_says_so():
    random = np.random.default_rng(1)
    keys = random.integers(ABSTAINS, 3, (300, 20))
    right = np.tile([True, False, False], (300, 1))
    exact, drawn = (majority_at(keys, right, [1, 5, 20], exact_up_to=limit) for limit in (20, 19))
    assert (exact.exact, exact.orders, drawn.exact, drawn.orders) == (True, 0, False, 200)
    assert drawn.values.mean(axis=0) == pytest.approx(exact.values.mean(axis=0), abs=0.01)
    assert drawn.values[:, 2] == pytest.approx(exact.values[:, 2])  # all samples: no choice is left to chance
    again = majority_at(keys, right, [1, 5, 20], exact_up_to=19)
    assert (again.values == drawn.values).all()


def test_random_orders_are_the_same_for_every_question():
    keys = np.tile(np.random.default_rng(2).integers(ABSTAINS, 3, 30), (5, 1))
    found = majority_at(keys, np.tile([True, False, False], (5, 1)), [7], exact_up_to=0, orders=3).values
    assert len(set(found[:, 0])) == 1


def test_a_thousand_samples_of_a_question_do_not_overflow():
    keys = np.repeat([0, 1, 2], [400, 350, 250])[None]
    found = majority_at(keys, np.array([[True, False, False]]), [1, 1000], exact_up_to=1000)
    assert found.values[0] == pytest.approx([0.4, 1.0])


def test_a_thousand_questions_with_64_samples_take_seconds():
    random = np.random.default_rng(0)
    keys = np.where(random.random((1000, 64)) < 0.4, 0, random.integers(ABSTAINS, 40, (1000, 64)))
    right = np.zeros((1000, 40), dtype=np.bool_)
    right[:, 0] = True
    began = time.process_time()
    majority_at(keys, right, range(1, 65))
    best_of(random.random((1000, 64)), keys == 0, range(1, 65))
    pass_at((keys == 0).sum(axis=1), 64, range(1, 65))
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: pass_at([3], 2, [1]),
        lambda: pass_at([1], 2, [3]),
        lambda: pass_at([1], 2, [0]),
        lambda: best_of(np.zeros((1, 2)), np.zeros((1, 2)), []),
        lambda: majority_at(np.array([[2]]), np.array([[True]]), [1]),
        lambda: majority_at(np.array([[0]]), np.array([[True]]), [1], exact_up_to=0, orders=0),
    ],
)
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigurationError):
        wrong()
