"""Points are paired by question id, whatever their order, and refused where they do not belong together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.points import Point
from thinkctl.evals.statistics import of_points
from thinkctl.evals.statistics.of_points import (
    aligned,
    best_arm,
    curve_of,
    difference_of,
    gain_of,
    iso_of,
    judge_points,
    mcnemar_of,
    only,
    pareto_of,
)
from thinkctl.evals.studies import Claim

QUESTIONS = 40


def point(arm, budget, chance, tokens, *, task="sums", seed=0, questions=QUESTIONS, **more):
    random = np.random.default_rng(seed)
    right = (random.random(questions) < chance).astype(float)
    values = {
        "task": task,
        "arm": arm,
        "model": arm,
        "strategy": "self-consistency",
        "budget": budget,
        "limit": "samples",
        "replayed": False,
        "question_ids": tuple(f"q{n}" for n in range(questions)),
        "right": right,
        "abstained": np.zeros(questions),
        "costs": {Axis.GENERATED_TOKENS: tokens * random.uniform(0.5, 1.5, questions)},
    }
    return Point(**{**values, **more})


SMALL = [point("small", samples, 0.3 + 0.1 * samples, 100 * samples) for samples in (4, 1, 2)]
LARGE = point("large", 1, 0.5, 300, seed=1)


def shuffled(one, seed):
    return only(one, [one.question_ids[n] for n in np.random.default_rng(seed).permutation(QUESTIONS)])


def claim(**changes):
    return Claim(**{"small": "small", "large": "large", "kind": "non-inferior", "margin": 3.0, **changes})


def test_a_curve_has_the_points_of_an_arm_in_the_order_of_budgets():
    curve = curve_of(SMALL)
    assert curve.budgets == (1, 2, 4)
    assert curve.accuracy.tolist() == sorted(curve.accuracy.tolist())
    assert (curve.name, curve.axis, curve.question_ids[:2]) == (
        "small",
        Axis.GENERATED_TOKENS,
        ("q0", "q1"),
    )


@given(st.integers(0, 1000))
def test_the_order_of_questions_in_a_file_changes_nothing(seed):
    mixed = [shuffled(one, seed + place) for place, one in enumerate(SMALL)]
    base = shuffled(LARGE, seed + 9)
    assert iso_of(mixed, base, times=5).ratio == pytest.approx(iso_of(SMALL, LARGE, times=5).ratio)
    assert gain_of(mixed, base, times=5).points.value == pytest.approx(
        gain_of(SMALL, LARGE, times=5).points.value
    )
    one, other = difference_of(mixed[0], base), difference_of(SMALL[0], LARGE)
    assert one.estimate.value == pytest.approx(other.estimate.value)
    assert one.estimate.low == pytest.approx(other.estimate.low)
    assert mcnemar_of(mixed[0], base) == mcnemar_of(SMALL[0], LARGE)


def test_a_difference_is_in_points_and_with_an_axis_in_its_unit():
    away = 100 * (SMALL[0].right - LARGE.right)
    assert difference_of(SMALL[0], LARGE).estimate.value == pytest.approx(away.mean())
    dearer = difference_of(SMALL[0], LARGE, Axis.GENERATED_TOKENS).estimate.value
    assert dearer == pytest.approx(
        (SMALL[0].costs[Axis.GENERATED_TOKENS] - LARGE.costs[Axis.GENERATED_TOKENS]).mean()
    )


def test_single_points_have_accuracy_cost_and_cost_of_a_right_answer():
    tokens = LARGE.costs[Axis.GENERATED_TOKENS]
    assert of_points.accuracy_of(LARGE).value == LARGE.right.mean()
    assert of_points.cost_of(LARGE).value == pytest.approx(tokens.mean())
    assert known(of_points.per_right_answer(LARGE)).value == pytest.approx(tokens.sum() / LARGE.right.sum())
    assert of_points.per_right_answer(replace(LARGE, right=np.zeros(QUESTIONS))) is None
    assert of_points.outcomes_of(LARGE).wrong == QUESTIONS - LARGE.right.sum()
    sure = replace(LARGE, confidence=LARGE.right)
    assert of_points.coverage_of(sure, 0.05).observed == LARGE.right.mean()


def test_means_of_repeats_have_no_mcnemar_test():
    assert mcnemar_of(replace(LARGE, right=np.full(QUESTIONS, 0.5)), LARGE) is None


def test_the_front_is_told_in_the_order_of_the_points():
    dear = replace(
        LARGE, arm="dear", right=np.zeros(QUESTIONS), costs={Axis.GENERATED_TOKENS: np.full(QUESTIONS, 9e9)}
    )
    found = pareto_of([dear, *SMALL, LARGE], times=50)
    assert [member.on_front for member in found][:2] == [False, True]
    assert found[0].probability == 0.0
    assert pareto_of([]) == ()


def test_a_claim_is_judged_on_each_task_that_both_arms_have():
    other = [replace(one, task="words") for one in (*SMALL, LARGE)]
    lonely = point("small", 1, 0.5, 100, task="puzzles")
    everything = [*SMALL, LARGE, *other, lonely]
    assert set(judge_points(everything, claim(), times=50)) == {"sums", "words"}
    found = judge_points(everything, claim(task="words", kind="iso-accuracy"), times=50)
    assert set(found) == {"words"}
    assert known(found["words"].iso).ratio == iso_of(SMALL, LARGE, times=50).ratio


def test_the_best_of_equal_arms_looks_better_where_it_was_chosen_than_where_it_is_reported():
    tune, report = [f"q{n}" for n in range(100)], [f"q{n}" for n in range(100, 400)]
    gaps = []
    for seed in range(20):
        equal = [point(f"arm{n}", 1, 0.5, 1, seed=1000 * seed + n, questions=400) for n in range(20)]
        best = best_arm(equal, tune, report)
        assert best.of == 20
        assert best.reported.value == only(best.point, report).right.mean()
        gaps.append(best.tuned.value - best.reported.value)
    assert np.mean(gaps) == pytest.approx(0.09, abs=0.02)  # the winner's curse


def test_of_equally_accurate_arms_the_cheapest_is_best():
    dear, cheap = (replace(LARGE, arm=name, costs={Axis.DOLLARS: np.full(QUESTIONS, cost)}) for name, cost in
                   (("dear", 2.0), ("cheap", 1.0)))  # fmt: skip
    ids = LARGE.question_ids
    assert best_arm([dear, cheap], ids[:20], ids[20:], axis=Axis.DOLLARS).point.arm == "cheap"
    assert (
        best_arm([dear, cheap], ids[:20], ids[20:]).point.arm == "dear"
    )  # not measured on the axis: the first


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: curve_of([]), "no point"),
        (lambda: curve_of([*SMALL, LARGE]), "2 arms"),
        (lambda: curve_of([*SMALL, SMALL[0]]), "two points of one budget"),
        (lambda: curve_of(SMALL, Axis.SECONDS), "not measured in seconds; there is generated_tokens"),
        (
            lambda: curve_of([replace(SMALL[0], replayed=True)], Axis.SECONDS),
            r"replayed points have none",
        ),
        (
            lambda: aligned([LARGE, point("x", 1, 0.5, 1, questions=41)]),
            r"1 questions that .* has not \('q40'\)",
        ),
        (
            lambda: aligned([LARGE, point("x", 1, 0.5, 1, questions=39)]),
            r"no run of 1 of 40 questions \('q39'\)",
        ),
        (lambda: aligned([LARGE, replace(LARGE, task="words")]), "different tasks"),
        (lambda: aligned([replace(LARGE, question_ids=("q0",) * QUESTIONS)]), "a question twice"),
        (lambda: judge_points([*SMALL, LARGE], claim(large="huge")), "there are sums: large, sums: small"),
        (lambda: judge_points([*SMALL, LARGE], claim(task="words")), "on 'words'"),
        (lambda: best_arm(SMALL, ["q0"], ["q0", "q1"]), "1 of them in both"),
        (lambda: best_arm(SMALL, ["q0"], []), "0 to report on"),
        (lambda: of_points.coverage_of(LARGE, 0.05), "says nothing of its confidence"),
        (
            lambda: of_points.cost_of(
                replace(LARGE, costs={Axis.GENERATED_TOKENS: np.full(QUESTIONS, np.nan)})
            ),
            "40 questions are not known",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(wrong, says):
    with pytest.raises(ConfigurationError, match=says):
        wrong()
