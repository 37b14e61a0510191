"""The exact stop, against every course that the remaining samples could take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import Majority
from thinkctl.stopping import CannotBeOvertaken
from thinkctl.testing import check_policy, history_of
from thinkctl.types import Decision

Votes = tuple[str | None, ...]
"""Answers in launch order; ``None`` abstained."""


def courses(votes: Votes, length: int) -> Iterator[Votes]:
    """Every way to go on: for an answer that was given, for a new one, or without an answer."""
    return product((*dict.fromkeys(filter(None, votes)), "new", None), repeat=length)


def majority(votes: Iterable[str | None]) -> str | None:
    counts = Counter(vote for vote in votes if vote is not None)
    return max(counts, key=counts.__getitem__, default=None)  # the first of equals


@cache
def decided(n: int, votes: Votes) -> Decision:
    return CannotBeOvertaken(n).decide(history_of(*votes))


@pytest.mark.parametrize("n", [1, 5, 40])
def test_it_conforms(n) -> None:
    check_policy(CannotBeOvertaken(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_it_stops_exactly_when_no_course_of_the_remaining_samples_changes_the_majority(n) -> None:
    for taken in range(n + 1):
        for votes in product(("a", "b", "c", None), repeat=taken):
            ends = {majority([*votes, *course]) for course in courses(votes, n - taken)}
            assert decided(n, votes).stop == (len(ends) == 1), votes


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=4, max_size=7), st.integers(6, 9))
def test_it_stops_exactly_then_with_more_samples_too(answers, n) -> None:
    votes = tuple(answers[:n])
    rest = min(n - len(votes), 4)
    ends = {majority([*votes, *course]) for course in courses(votes, rest)}
    assert decided(len(votes) + rest, votes).stop == (len(ends) == 1)


@pytest.mark.parametrize("n", [1, 3, 5, 6])
def test_more_is_the_fewest_further_samples_after_which_any_course_lets_it_stop(n) -> None:
    for taken in range(min(n, 4) + 1):
        for votes in product(("a", "b", None), repeat=taken):
            if decided(n, votes).stop:
                continue
            fewest = next(
                length
                for length in range(1, n - taken + 1)
                if any(decided(n, (*votes, *course)).stop for course in courses(votes, length))
            )
            assert decided(n, votes).more == fewest, votes


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=40))
def test_the_answer_is_that_of_all_n_ties_included(answers) -> None:
    policy, n = CannotBeOvertaken(len(answers)), len(answers)
    stopped = next(
        taken for taken in range(n + 1) if policy.decide(history_of(*answers[:taken])).stop or taken == n
    )
    early = Majority().select(history_of(*answers[:stopped]))
    assert early == Majority().select(history_of(*answers))


@pytest.mark.parametrize(
    ("n", "votes", "stop", "more"),
    [
        (40, [], False, 20),  # 20 of 40 win a draw, since they came first
        (4, ["a", "a"], True, 1),
        (4, ["b", "a", "a"], False, 1),  # b could draw, and came first
        (4, ["a", "b", "a"], True, 1),  # b could draw, but came later
        (5, [None, None, None, None], False, 1),
        (5, [None, None, None, None, "a"], True, 1),
        (5, [None] * 5, True, 1),
        (3, ["a", ..., "a"], False, 1),  # what came before its elders does not count yet
        (2, ["a", "b", "b"], True, 1),  # more than n: nothing is left
    ],
)
def test_draws_abstentions_and_gaps(n, votes, stop, more) -> None:
    decision = CannotBeOvertaken(n).decide(history_of(*votes))
    assert (decision.stop, decision.more) == (stop, more)


def test_it_claims_no_confidence_in_the_answer() -> None:
    assert CannotBeOvertaken(1).decide(history_of("4")).confidence is None


@pytest.mark.parametrize("n", [0, -3])
def test_fewer_than_one_sample_is_refused(n) -> None:
    with pytest.raises(ConfigurationError, match=f"n={n} samples cannot vote"):
        CannotBeOvertaken(n)
