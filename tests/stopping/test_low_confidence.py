"""DeepConf online: who falls below the first samples is cut."""

from __future__ import annotations

import gc
import math
from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import decided, growing, level, settled
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import LowConfidence, RepetitionGuard
from thinkctl.stopping.low_confidence import lowest_group_confidence, token_confidence
from thinkctl.stopping.memo import remembered
from thinkctl.testing import sample_of
from thinkctl.types import Decision, Finish, Needs, Origin, Segment, TokenLogprob

SMALL = LowConfidence(window=4, warm_up=4, guard=None)


def levels(*confidences: float):
    return [level(confidence) for confidence in confidences]


def first(*lows: float, tokens: int = 4):
    """Settled samples of which each has this confidence throughout."""
    return [settled(*[level(low)] * tokens) for low in lows]


def later(*confidences: float):
    return growing(len(confidences), logprobs=levels(*confidences))


# -- the measure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("top", "most", "confidence"),
    [
        ((-1.0, -3.0), 2, 2.0),
        ((-1.0, -3.0), 1, 1.0),
        ((-1.0, -3.0), 20, 2.0),  # the engine told no more
        ((-0.0,), 20, 0.0),
        ((), 20, None),
        ((-1.0, -math.inf), 20, None),
        ((-1.0, math.nan), 20, None),
    ],
)
def test_a_token_is_as_confident_as_its_alternatives_are_unlikely(top, most, confidence) -> None:
    assert token_confidence(TokenLogprob(-1.0, top), most) == confidence


@pytest.mark.parametrize(
    ("confidences", "window", "low"),
    [
        ((5, 1, 3), 1, 1),
        ((5, 1, 3), 2, 2),
        ((5, 1, 3), 3, 3),
        ((5, 1, 3), 9, 3),  # a short sample is one group
        ((9, 9, 1, 1, 9, 9), 2, 1),
    ],
)
def test_the_lowest_group_is_the_least_confident_window(confidences, window, low) -> None:
    assert lowest_group_confidence(settled(*levels(*confidences)), window) == pytest.approx(low)


@given(st.lists(st.floats(0, 30), min_size=1, max_size=40), st.integers(1, 50))
def test_the_lowest_group_is_what_the_definition_says(confidences, window) -> None:
    size = min(window, len(confidences))
    groups = [fmean(confidences[start : start + size]) for start in range(len(confidences) - size + 1)]
    found = lowest_group_confidence(settled(*levels(*confidences)), window)
    assert found == pytest.approx(min(groups), abs=1e-9)


def test_forced_and_inherited_tokens_are_left_out() -> None:
    own = settled(*levels(2, 4))
    around = (Segment((1, 2), Origin.INHERITED), *own.segments, Segment((3,), Origin.FORCED))
    assert lowest_group_confidence(replace(own, segments=around), 2) == pytest.approx(3)


def test_a_group_with_a_token_nobody_knows_is_left_out() -> None:
    blank = TokenLogprob(-1.0)
    assert lowest_group_confidence(settled(level(1), blank, *levels(7, 7)), 2) == pytest.approx(7)
    assert lowest_group_confidence(settled(blank, blank), 2) is None


def test_without_log_probabilities_of_all_tokens_there_is_none() -> None:
    known = settled(*levels(2, 4))
    assert lowest_group_confidence(sample_of("4"), 2) is None
    assert lowest_group_confidence(replace(known, segments=()), 2) is None
    assert lowest_group_confidence(replace(known, segments=(*known.segments, Segment((5,)))), 2) is None


# -- cutting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("eta", "threshold"), [(90, 1.3), (50, 2.5), (10, 3.7), (99.999, 1.00003)])
def test_the_threshold_is_a_percentile_of_the_first_samples(eta, threshold) -> None:
    policy = replace(SMALL, eta=eta)
    below, above = later(*[threshold - 0.01] * 4), later(*[threshold + 0.01] * 4)
    assert decided(policy, *first(1, 2, 3, 4), below, above).cut == (4,)


@pytest.mark.parametrize(
    ("confidences", "cut"),
    [
        ((), False),
        ((0, 0, 0), False),  # no full group yet
        ((0, 0, 0, 0), True),
        ((9, 9, 9, 9), False),
        ((9, 9, 0, 0, 0, 0), True),
        ((0, 0, 0, 0, 9, 9), True),  # within what news may be late
        ((0, 0, 0, 0, *[9] * 63), True),
        ((0, 0, 0, 0, *[9] * 64), False),  # that is past
    ],
)
def test_a_later_sample_is_cut_when_a_full_group_falls_below(confidences, cut) -> None:
    assert decided(SMALL, *first(1, 2, 3, 4), later(*confidences)).cut == (4,) * cut


@given(st.lists(st.floats(0, 9), min_size=1, max_size=80), st.integers(1, 6))
def test_looking_every_32_tokens_cuts_exactly_whose_lowest_group_is_below(confidences, window) -> None:
    policy, warm = replace(SMALL, window=window), first(3, 3, 3, 3, tokens=window)
    sample = later(*confidences)
    places = [*range(32, len(confidences), 32), len(confidences)]
    cut = any(decided(policy, *warm, later(*confidences[:place])).cut for place in places)
    low = lowest_group_confidence(sample, window) if len(confidences) >= window else None
    if low is None or abs(low - 3) > 1e-6:
        assert cut == (low is not None and low < 3)


def test_equal_confidence_is_never_low() -> None:
    assert decided(SMALL, *first(0.1, 0.1, 0.1, 0.1), later(*[0.1] * 70)).cut == ()


@pytest.mark.parametrize("place", range(4))
def test_nobody_is_cut_before_the_warm_up_is_settled(place) -> None:
    warm = [*first(1, 2, 3, 4)]
    warm[place] = later(1, 1, 1, 1)
    assert decided(SMALL, *warm, later(0, 0, 0, 0)) == Decision(more=4 - place)


def test_only_the_first_samples_set_the_measure() -> None:
    """Their median is 2.5, that of all is 5.5."""
    policy = replace(SMALL, eta=50)
    samples = [*first(1, 2, 3, 4, 7, 8, 9, 10), later(2.4, 2.4, 2.4, 2.4), later(2.6, 2.6, 2.6, 2.6)]
    assert decided(policy, *samples).cut == (8,)


@pytest.mark.parametrize("finish", [Finish.CUT, Finish.ERROR])
def test_what_failed_or_was_cut_sets_no_measure(finish) -> None:
    broken = settled(*levels(0, 0, 0, 0), finish=finish)
    assert decided(replace(SMALL, eta=50), broken, *first(2, 3, 4), later(2.9, 2.9, 2.9, 2.9)).cut == (4,)


def test_a_loop_is_cut_and_sets_no_measure() -> None:
    guard = RepetitionGuard(tokens=8, window=16)
    policy = replace(SMALL, eta=50, guard=guard)
    looped = replace(settled(), segments=(Segment((1,) * 8, Origin.SAMPLED, (level(99),) * 8),))
    sure = growing([1, 2] * 4, logprobs=[level(99)] * 8)
    samples = [looped, *first(2, 3, 4), later(2.9, 2.9, 2.9, 2.9), later(3.1, 3.1, 3.1, 3.1), sure]
    assert set(decided(policy, *samples).cut) == {4, 6}
    assert set(decided(replace(policy, guard=None), *samples).cut) == {4, 5}


def test_a_guard_s_conclusion_gives_way_to_a_cut() -> None:
    guard = RepetitionGuard(tokens=8, window=16, then="conclude")
    policy = replace(SMALL, guard=guard)
    low, high = (growing([1, 2] * 4, logprobs=[level(each)] * 8) for each in (0, 9))
    decision = decided(policy, *first(1, 2, 3, 4), low, high)
    assert (decision.cut, decision.conclude) == ((4,), (5,))


@pytest.mark.parametrize(
    "hole", [None, (), (TokenLogprob(-1.0),) * 4, (TokenLogprob(math.nan, (math.nan,)),) * 4]
)
def test_missing_log_probabilities_cut_nobody(hole) -> None:
    blank = replace(later(0, 0, 0, 0), segments=(Segment((1, 2, 3, 4), Origin.SAMPLED, hole),))
    assert decided(SMALL, *first(1, 2, 3, 4), blank).cut == ()
    warm = [replace(sample, segments=blank.segments) for sample in first(1, 2, 3, 4)]
    assert decided(SMALL, *warm, later(0, 0, 0, 0)) == Decision()


def test_what_is_being_concluded_is_left_alone() -> None:
    sample = replace(later(0, 0, 0, 0), concluded=True)
    assert decided(SMALL, *first(1, 2, 3, 4), sample) == Decision()


def test_it_needs_the_alternatives_of_every_token() -> None:
    assert LowConfidence(top=7).needs == Needs(logprobs=7, why="low-confidence")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"eta": 0}, "eta=0"),
        ({"eta": 100}, "eta=100"),
        ({"eta": math.nan}, "eta=nan"),
        ({"window": 0}, "window=0"),
        ({"warm_up": 1}, "warm_up=1"),
        ({"top": 0}, "top=0"),
    ],
)
def test_what_cannot_be_is_refused(wrong, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LowConfidence(**wrong)


# -- what is remembered ----------------------------------------------------------------------------------------


def test_results_are_found_by_identity_and_arguments() -> None:
    calls = []

    @remembered
    def tokens(sample, times: int = 1) -> int:
        calls.append(times)
        return len(sample.token_ids) * times

    one, other = growing(3), growing(5)
    assert [tokens(one), tokens(other), tokens(one), tokens(one, 2), tokens(one, times=2)] == [3, 5, 3, 6, 6]
    assert set(calls) == {1, 2}


def test_a_new_sample_in_the_place_of_an_old_one_is_computed_anew() -> None:
    @remembered
    def tokens(sample) -> int:
        return len(sample.token_ids)

    for size in range(200):
        assert tokens(growing(size)) == size
    gc.collect()
