"""Verdicts on claims, in words, and whether the number of questions that they ask for is about right."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.statistics.curves import Curve
from thinkctl.evals.statistics.iso import resamples
from thinkctl.evals.statistics.paired import holm
from thinkctl.evals.statistics.verdicts import Judgement, Verdict, corrected, judge_claim

QUESTIONS = 100


def arm(chances, costs, questions=QUESTIONS, seed=0, name="small"):
    luck = np.random.default_rng(seed).random((questions, 1))
    return Curve(
        (luck < np.array(chances)).astype(float),
        np.ones((questions, 1)) * np.array(costs, dtype=float),
        name=name,
        axis=Axis.GENERATED_TOKENS,
    )


def judged(kind, chances, base, questions=QUESTIONS, seed=0, **options) -> Any:
    small = arm(chances, [100, 200, 400, 800], questions, seed)
    large = arm([base], [600], questions, seed + 1, name="large")
    return judge_claim(kind, small, large, times=400, **options)


@pytest.mark.parametrize(
    ("kind", "chances", "base", "verdict", "says"),
    [
        (
            "iso-accuracy",
            [0.5, 0.7, 0.8, 0.9],
            0.4,
            "reached",
            "Reached: to be as accurate as large, small takes",
        ),
        ("iso-accuracy", [0.2, 0.3, 0.4, 0.5], 0.8, "not reached", "did not come to the accuracy of large"),
        ("iso-accuracy", [0.3, 0.4, 0.6, 0.8], 0.65, "inconclusive", "to be as accurate as large, small"),
        (
            "iso-compute",
            [0.5, 0.7, 0.9, 0.9],
            0.5,
            "reached",
            "with the generated tokens of large, small is +",
        ),
        ("iso-compute", [0.2, 0.3, 0.4, 0.5], 0.8, "not reached", "points ["),
        ("iso-compute", [0.2, 0.3, 0.5, 0.6], 0.5, "inconclusive", "Inconclusive: "),
        ("non-inferior", [0.2, 0.3, 0.5, 0.9], 0.6, "reached", "where 2 may be lost"),
        ("non-inferior", [0.2, 0.3, 0.4, 0.5], 0.8, "not reached", "where 2 may be lost"),
        ("non-inferior", [0.2, 0.3, 0.4, 0.6], 0.61, "inconclusive", "would tell"),
    ],
)
def test_a_verdict_is_where_the_interval_lies_and_says_so(kind, chances, base, verdict, says):
    found = judged(kind, chances, base, margin=2)
    assert (found.verdict, says in found.words) == (Verdict(verdict), True), found.words
    assert found.words.lower().startswith(verdict)
    assert (found.needs is not None) <= (verdict == "inconclusive")
    assert f"on {QUESTIONS} questions" in found.words


@settings(max_examples=30)
@given(st.integers(0, 200), st.floats(0.2, 0.8))
def test_a_claim_is_reached_exactly_where_its_bound_is_on_the_right_side(seed, base):
    iso = judged("iso-accuracy", [0.3, 0.5, 0.6, 0.7], base, seed=seed)
    gain = judged("iso-compute", [0.3, 0.5, 0.6, 0.7], base, seed=seed)
    lost = judged("non-inferior", [0.3, 0.5, 0.6, 0.7], base, seed=seed, margin=5)
    assert (iso.verdict is Verdict.REACHED) == (iso.iso.high < 1)
    assert (iso.verdict is Verdict.NOT_REACHED) == (iso.iso.low >= 1)
    assert (gain.verdict is Verdict.REACHED) == (gain.gain.points.low > 0)
    assert (lost.verdict is Verdict.REACHED) == (lost.points.low > -5)
    for found in (iso, gain, lost):
        assert found.needs is None or found.needs > QUESTIONS
        assert (found.p_value < 0.05) == (found.verdict is not Verdict.INCONCLUSIVE)


def verdict_of(p_value, verdict=Verdict.REACHED, questions=QUESTIONS):
    return Judgement("iso-accuracy", verdict, "", questions, p_value=p_value)


@pytest.mark.parametrize(("base", "little"), [(0.0, True), (0.02, True), (0.2, False)])
def test_to_reach_an_arm_that_is_hardly_ever_right_is_called_no_feat(base, little):
    found = judged("iso-accuracy", [0.3, 0.4, 0.5, 0.6], base)
    assert found.verdict is Verdict.REACHED
    assert ("so there was little to reach: look at the difference" in found.words) is little


def test_of_several_verdicts_those_stand_that_holm_leaves():
    p_values = [0.011, 0.02, 0.04, 0.3]
    found = corrected([*map(verdict_of, p_values[:3]), verdict_of(p_values[3], Verdict.INCONCLUSIVE)])
    assert [each.p_value for each in found] == list(holm(p_values))
    assert [each.verdict for each in found] == ["reached", *["inconclusive"] * 3]
    assert {each.tests for each in found} == {4}
    assert found[0].needs is None
    assert "(Holm): reached too (p = 0.011, corrected 0.044)." in found[0].words
    assert "(Holm): inconclusive (p = 0.02, corrected 0.06; about " in found[1].words
    assert "inconclusive too" in found[3].words


def test_a_verdict_of_not_reached_stands_or_falls_like_any_other():
    stands, falls = corrected([verdict_of(0.001, Verdict.NOT_REACHED), verdict_of(0.049)])
    assert (stands.verdict, falls.verdict) == ("not reached", "reached")
    falls, _ = corrected([verdict_of(0.04, Verdict.NOT_REACHED), verdict_of(0.9, Verdict.INCONCLUSIVE)])
    assert falls.verdict == "inconclusive"


def test_what_was_not_measured_is_a_test_that_cannot_tell():
    untold, other = corrected([verdict_of(None, Verdict.INCONCLUSIVE), verdict_of(0.03)])
    assert (untold.verdict, untold.p_value, untold.needs) == ("inconclusive", 1.0, None)
    assert "not tested" in untold.words
    assert (other.verdict, other.p_value) == ("inconclusive", 0.06)


def test_beside_others_it_takes_more_questions():
    alone, among = (corrected([verdict_of(0.2, Verdict.INCONCLUSIVE)] * tests)[0] for tests in (1, 8))
    assert QUESTIONS < known(alone.needs) < known(among.needs)


def test_operations_are_told_as_tflop_and_not_as_a_rate():
    small, large = (
        replace(arm([chance], [cost]), axis=Axis.TERAFLOPS) for chance, cost in ((0.9, 1), (0.5, 2))
    )
    assert "of its TFLOP" in judge_claim("iso-accuracy", small, large, times=50).words


def test_never_reached_is_a_verdict_and_not_an_error():
    found = judged("iso-accuracy", [0.1, 0.2, 0.2, 0.2], 0.9)
    assert (found.verdict, found.iso.ratio, found.iso.reached_share) == (Verdict.NOT_REACHED, math.inf, 0.0)
    assert "not reached (in all resamples)" in found.words


def test_an_arm_beside_itself_reaches_nothing_but_is_not_inferior():
    small = arm([0.5], [600])
    assert judge_claim("iso-accuracy", small, small, times=50).verdict == "not reached"
    assert judge_claim("iso-compute", small, small, times=50).verdict == "not reached"
    assert judge_claim("non-inferior", small, small, margin=1).verdict == "reached"


def test_what_cannot_be_afforded_at_the_large_one_s_cost_is_said():
    found = judge_claim("iso-compute", arm([0.9], [900]), arm([0.5], [600], name="large"), times=50)
    assert "takes more generated tokens than large" in found.words
    assert found.verdict is Verdict.NOT_REACHED


def test_so_many_questions_would_about_have_told():
    found = judged("non-inferior", [0.2, 0.3, 0.4, 0.66], 0.6, margin=2)
    assert found.needs is not None
    told = [
        judged("non-inferior", [0.2, 0.3, 0.4, 0.66], 0.6, 8 * found.needs, seed, margin=2).verdict
        for seed in range(10)
    ]
    assert told.count(Verdict.REACHED) >= 8


def test_arms_that_seem_just_alike_need_no_number_of_questions():
    right = np.array([[1.0], [0.0]] * 10)
    small, large = Curve(right, np.ones((20, 1))), Curve(1 - right, np.ones((20, 1)))
    found = judge_claim("non-inferior", small, large, margin=0)
    assert (found.verdict, found.needs) == (Verdict.INCONCLUSIVE, None)
    assert "more would hardly tell" in found.words


def test_one_question_tells_nothing():
    for kind in ("iso-accuracy", "iso-compute", "non-inferior"):
        found = judged(kind, [0.2, 0.4, 0.6, 0.8], 0.5, questions=1)
        assert (found.verdict, found.needs) == (Verdict.INCONCLUSIVE, None)


def test_an_unknown_claim_is_refused_with_those_there_are():
    with pytest.raises(ConfigurationError, match="'iso-compute' or 'non-inferior'"):
        judged("better", [0.1, 0.2, 0.3, 0.4], 0.5)


def test_a_share_of_resamples_that_is_not_none_is_not_called_none():
    assert [resamples(part) for part in (0.0, 0.0005, 0.002, 0.33, 1.0)] == [
        "0.0 % of resamples",
        "less than 0.1 % of resamples",
        "0.2 % of resamples",
        "33 % of resamples",
        "all resamples",
    ]
