"""Early-stopping self-consistency."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import Majority
from thinkctl.stopping import Window
from thinkctl.testing import history_of


@pytest.mark.parametrize(
    ("answers", "stop", "more"),
    [
        ([], False, 3),
        (["1"], False, 2),
        (["1", "1"], False, 1),
        (["1", "1", "1"], True, 3),
        (["1", "1", "2"], False, 3),
        (["1", "2"], False, 4),  # the rest of this window, and the next
        (["1", "2", "2", "2"], False, 2),  # windows do not overlap
        (["1", "2", "2", "2", "2", "2"], True, 3),
        (["1", None, "1", None, None, "1"], True, 3),  # who abstains fills no window
        ([None, None, None], False, 3),
        (["1", "1", ..., "1"], False, 1),  # what came before its elders does not count yet
        (["1", "1", "1", "2"], True, 2),  # a stop is never taken back
    ],
)
def test_windows_of_three_votes(answers, stop, more) -> None:
    decision = Window(3).decide(history_of(*answers))
    assert (decision.stop, decision.more) == (stop, more)


@given(st.lists(st.sampled_from(["1", "2", None]), max_size=12), st.integers(2, 4))
def test_it_stops_when_a_window_agrees(answers, size) -> None:
    votes = [answer for answer in answers if answer is not None]
    windows = [votes[place : place + size] for place in range(0, len(votes), size)]
    agreed = any(len(window) == size and len(set(window)) == 1 for window in windows)
    assert Window(size).decide(history_of(*answers)).stop == agreed


def test_the_answer_is_the_majority_s_and_not_the_window_s() -> None:
    history = history_of(*"112", *"112", *"112", *"222", *"333")
    assert Window(3).decide(history).stop
    answer = Majority().select(history)
    assert answer is not None
    assert answer.key == "1"


def test_it_says_how_far_the_window_is() -> None:
    assert Window().decide(history_of("1", "1")).why == "window 1: 2 of 5 votes, all the same"
    assert Window(2).decide(history_of("1", "2", "1")).why == "window 2: 1 of 2 votes, all the same"
    assert Window(2).decide(history_of("1", "1")).why == "a window agreed"


@pytest.mark.parametrize("size", [1, 0, -5])
def test_a_window_in_which_votes_always_agree_is_refused(size) -> None:
    with pytest.raises(ConfigurationError, match=f"size={size} votes always agree"):
        Window(size)
