"""The one value that strategies, policies and selectors read."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.testing import history_of, sample_of
from thinkctl.types import Finish, History, Usage

answers = st.lists(st.sampled_from(["4", "5", None, ...]), max_size=10)


def indices(samples) -> list[int]:
    return [sample.index for sample in samples]


@pytest.mark.parametrize(
    ("given_answers", "settled"),
    [
        ([], []),
        (["4", "5"], [0, 1]),
        (["4", ..., "5"], [0]),
        ([..., "5", "5"], []),
        (["4", None, "5"], [0, 1, 2]),
        ([None, ..., None], [0]),
    ],
)
def test_what_counts_is_the_gap_free_prefix_of_finished_samples(given_answers, settled) -> None:
    assert indices(history_of(*given_answers).settled) == settled


@pytest.mark.parametrize("given_answers", [["4", ..., "5"], [..., "5", "5"], [..., ...]])
def test_at_a_wall_every_finished_sample_counts(given_answers) -> None:
    history = history_of(*given_answers, walled=True)
    assert indices(history.settled) == [
        place for place, answer in enumerate(given_answers) if answer is not ...
    ]


@pytest.mark.parametrize("counted", [0, 1, 2])
def test_after_a_stop_what_the_policy_had_counted_counts(counted: int) -> None:
    history = history_of("4", "5", "5", ..., counted=counted)
    assert indices(history.settled) == list(range(counted))
    assert indices(dataclasses.replace(history, walled=True).settled) == list(range(counted))


def test_votes_are_the_answers_of_settled_samples_in_launch_order() -> None:
    history = history_of("4", None, "5", ..., "6")
    assert [answer.key for answer in history.answers] == ["4", "5"]
    assert [answer.sample for answer in history.answers] == [0, 2]


def test_bought_are_all_and_in_flight_those_that_grow() -> None:
    history = history_of("4", ..., None, ...)
    assert (history.bought, indices(history.in_flight)) == (4, [1, 3])


@given(answers)
def test_settled_and_in_flight_never_meet(given_answers) -> None:
    history = history_of(*given_answers)
    settled, growing = set(indices(history.settled)), set(indices(history.in_flight))
    assert not settled & growing
    assert indices(history.samples) == list(range(history.bought))
    assert {answer.sample for answer in history.answers} <= settled
    walled = dataclasses.replace(history, walled=True)
    assert settled <= set(indices(walled.settled))


@given(answers, st.integers(0, 12))
def test_a_newer_state_of_a_sample_takes_its_place_and_a_new_one_comes_last(
    given_answers, place: int
) -> None:
    history = history_of(*given_answers)
    newer = sample_of("9", index=place, finish=Finish.LENGTH)
    if place > history.bought:
        with pytest.raises(
            ValueError, match=f"sample {place} came before sample {history.bought}; launch order"
        ):
            history.received(newer)
        return
    grown = history.received(newer)
    assert grown.samples[place] is newer
    assert grown.bought == max(history.bought, place + 1)
    others = [sample for sample in history.samples if sample.index != place]
    assert [sample for sample in grown.samples if sample.index != place] == others
    assert history.bought == len(given_answers), "the old value is as it was"


def test_usage_is_the_sum_over_all_samples_those_in_flight_included() -> None:
    history = history_of("4", ..., None)
    assert history.usage == sum((sample.usage for sample in history.samples), Usage())
    assert history_of().usage == Usage()


def test_a_history_cannot_be_changed_and_equal_ones_are_equal() -> None:
    history = history_of("4", ...)
    assert history == history_of("4", ...)
    assert history != history_of("4", "5")
    with pytest.raises(dataclasses.FrozenInstanceError):
        history.seed = 3  # type: ignore[misc]


def test_a_history_begins_with_nothing() -> None:
    history = History(history_of().problem)
    assert (history.samples, history.elapsed, history.seed, history.walled, history.counted) == (
        (),
        0,
        0,
        False,
        None,
    )
