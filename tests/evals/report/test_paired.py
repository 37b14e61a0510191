"""Two results are compared question by question, and a gate says whether the second may pass."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, ttest_rel

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.gold import read_gold
from thinkctl.evals.report.duelling import LARGE, duel_of
from thinkctl.evals.report.paired import EXIT_CODES, Gate, gate_of, pair_points
from thinkctl.evals.report.sides import side_of
from thinkctl.runfile import write
from thinkctl.types import Sampling


def both(made, one, other, questions=100):
    """Two arms that are right on the first so many questions."""
    left, right = (made.point(name, 1, 0.5, 100, questions=questions) for name in "ab")
    order = np.arange(questions)
    return (
        replace(left, right=(order < one).astype(float)),
        replace(right, right=(order >= questions - other).astype(float)),
    )


def test_differences_are_paired_by_question(made):
    one, other = both(made, 60, 70)
    (row,) = pair_points([one], [other])
    assert row.points.value == pytest.approx(10)
    assert (row.better, row.worse, row.questions, row.left_out) == (40, 30, 100, 0)
    found = ttest_rel(other.right, one.right).confidence_interval(0.95)
    assert (row.points.low, row.points.high) == pytest.approx((100 * found.low, 100 * found.high))


def test_one_shot_answers_are_tested_by_mcnemar_with_mid_p(made):
    (row,) = pair_points(*[[point] for point in both(made, 60, 70)])
    tail = 2 * binom.cdf(30, 70, 0.5) - binom.pmf(30, 70, 0.5)
    assert (row.test, row.p_value) == ("McNemar mid-p", pytest.approx(tail))


def test_means_of_repeats_are_tested_by_t(made):
    one, other = both(made, 60, 70)
    other = replace(other, right=other.right * 0.5)
    (row,) = pair_points([one], [other])
    assert (row.test, row.p_value) == ("t", pytest.approx(ttest_rel(other.right, one.right).pvalue))


def test_costs_are_ratios_of_sums(made):
    one, other = both(made, 60, 70)
    other = replace(other, costs={axis: 3 * values for axis, values in other.costs.items()})
    (row,) = pair_points([one], [other])
    assert row.costs[Axis.GENERATED_TOKENS].value == pytest.approx(
        other.costs[Axis.GENERATED_TOKENS].sum() / one.costs[Axis.GENERATED_TOKENS].sum()
    )


def test_only_questions_that_both_have_count_in_whatever_order(made):
    one, other = both(made, 60, 70)
    turned = replace(
        other,
        question_ids=tuple(f"q{place}" for place in range(149, 49, -1)),
        right=np.ones(100),
    )
    (row,) = pair_points([one], [turned])
    assert (row.questions, row.left_out) == (50, 100)
    assert row.first_accuracy.value == pytest.approx(0.2)  # q50 to q59 of 50
    assert (row.better, row.worse) == (40, 0)


def test_the_interval_has_the_level_that_was_asked_for(made):
    one, other = both(made, 60, 70)
    (row,) = pair_points([one], [other], level=0.8)
    found = ttest_rel(other.right, one.right).confidence_interval(0.8)
    assert (row.points.low, row.points.high) == pytest.approx((100 * found.low, 100 * found.high))


def test_several_arms_are_paired_by_name_and_budget_and_adjusted_together(made):
    points = made.usual(60)
    worse = [replace(point, right=point.right * (np.arange(60) % 3 > 0)) for point in points]
    rows = pair_points(points, worse)
    assert [(row.first, row.second) for row in rows] == [(row.second, row.first) for row in rows]
    assert len(rows) == len(points)
    told = [
        (row.adjusted, row.p_value) for row in rows if row.adjusted is not None and row.p_value is not None
    ]
    assert len(told) == len(rows)
    assert all(adjusted >= p_value for adjusted, p_value in told)
    assert max(adjusted / p_value for adjusted, p_value in told) == pytest.approx(len(rows))


def test_what_has_nothing_in_common_is_an_error(made):
    one, other = both(made, 60, 70)
    for changed in (
        replace(other, task="another"),
        replace(other, question_ids=tuple(f"z{n}" for n in range(100))),
    ):
        with pytest.raises(ConfigurationError, match=r"nothing to compare.*FOLDER:ARM"):
            pair_points([one], [changed])
    with pytest.raises(ConfigurationError, match=r"level=95"):
        pair_points([one], [other], level=95)


@pytest.mark.parametrize(
    ("one", "other", "margin", "gate"),
    [
        (60, 60, 0, Gate.PASSED),  # nothing differs
        (100, 0, 5, Gate.FAILED),  # everything does
        (50, 90, 0, Gate.PASSED),
        (90, 50, 5, Gate.FAILED),
        (60, 58, 5, Gate.INCONCLUSIVE),
        (60, 58, 30, Gate.PASSED),
    ],
)
def test_a_gate_passes_fails_or_cannot_tell(made, one, other, margin, gate):
    left, right = both(made, one, other)
    if one == other:
        right = replace(right, right=left.right)
    rows = pair_points([left], [right], margin=margin)
    assert (rows[0].gate, gate_of(rows)) == (gate, gate)


def test_one_that_failed_fails_all_and_one_untold_leaves_all_untold(made):
    rows = {
        gate: pair_points(*[[point] for point in both(made, one, other)], margin=5)[0]
        for gate, one, other in (("p", 50, 95), ("f", 95, 50), ("i", 60, 58))
    }
    assert gate_of([rows["p"], rows["i"], rows["f"]]) is Gate.FAILED
    assert gate_of([rows["p"], rows["i"]]) is Gate.INCONCLUSIVE
    assert gate_of([rows["p"]]) is Gate.PASSED
    assert [EXIT_CODES[gate] for gate in (Gate.PASSED, Gate.FAILED, Gate.INCONCLUSIVE)] == [0, 3, 4]


# -- run files -----------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(made, tmp_path):
    """Return ``recorded(name, right)``: a run file of questions that are answered so."""

    def make(name, right):
        runs = [made.run_of(f"q{place}", each, 2, "I think.", "small") for place, each in enumerate(right)]
        write(tmp_path / name, runs)
        return str(tmp_path / name)

    (tmp_path / "gold.jsonl").write_text(
        "".join(json.dumps({"id": f"q{place}", "answer": "4"}) + "\n" for place in range(20))
    )
    return make


def test_run_files_are_compared_with_reference_answers(made, tmp_path, recorded):
    gold = read_gold(tmp_path / "gold.jsonl")
    one = side_of(recorded("one.jsonl", [True, False] * 10), gold)
    other = side_of(recorded("other.jsonl.gz", [True] * 20), gold)
    (row,) = pair_points(one, other)
    assert (row.first, row.second, row.better, row.worse) == ("one", "other", 10, 0)
    assert row.costs[Axis.GENERATED_TOKENS].value == pytest.approx(1)


def test_what_cannot_be_a_side_says_what_to_give(tmp_path, recorded):
    path = recorded("one.jsonl", [True])
    (tmp_path / "text.txt").write_text("hello\n")
    with pytest.raises(ConfigurationError, match="--gold FILE"):
        side_of(path)
    with pytest.raises(ConfigurationError, match="no run has one of the 1 questions"):
        side_of(path, {"other": "4"})
    with pytest.raises(ConfigurationError, match="is no run file"):
        side_of(str(tmp_path / "text.txt"), {"q0": "4"})
    with pytest.raises(ConfigurationError, match="holds no study"):
        side_of(str(tmp_path / "nothing"))


def test_markdown_has_the_p_value_after_holm_beside_the_plain_one(made):
    from thinkctl.cli.compared import _markdown

    one, other = ([point for point in made.usual(60, seed=seed) if point.budget == 4] for seed in (1, 2))
    rows = pair_points(one, other)
    head, _, *lines = _markdown(rows, gate_of(rows), margin=0, level=0.95, gate=False)
    columns = [name.strip() for name in head.split("|")]
    at = columns.index("p"), columns.index("p after Holm")
    told = [tuple(line.split("|")[place].strip() for place in at) for line in lines[: len(rows)]]
    assert told == [(f"{row.p_value:.3g}", f"{row.adjusted:.3g}") for row in rows]
    assert len(rows) == 2


# -- duels ---------------------------------------------------------------------------------------------------


def test_a_duel_is_a_study_with_a_claim_stated_before_it_runs():
    study = duel_of("small", "openai:big@http://x/v1", "gsm8k", questions=50, samples=12, has_verifier=False)
    assert {name: model.engine for name, model in study.models.items()} == {
        "small": "vllm:small",
        "large": "openai:big@http://x/v1",
    }
    assert [arm.name for arm in study.arms] == ["small at once", "small, votes", LARGE]
    assert study.arms[1].budgets == (1, 2, 4, 8, 12)
    (claim,) = study.claims
    assert (claim.small, claim.large, claim.axis) == (
        "small, votes",
        LARGE,
        Axis.GENERATED_TOKENS,
    )


def test_a_task_with_a_check_of_its_own_is_claimed_for_the_checked_arm():
    study = duel_of("vllm:a", "vllm:b", "humaneval", questions=50, samples=8, has_verifier=True)
    (claim,) = study.claims
    assert (claim.small, claim.axis) == ("small, best of n", Axis.TERAFLOPS)
    assert (study.arms[1].verifier, study.arms[1].policy, study.arms[1].think) == (
        "task",
        "threshold(1.0)",
        False,
    )
    asked = duel_of("a", "b", "gsm8k", questions=9, samples=8, has_verifier=False, axis=Axis.DOLLARS)
    assert [claim.axis for claim in asked.claims] == [Axis.DOLLARS]


def test_a_duel_asks_for_reasoning_where_votes_decide_or_where_it_is_told_to():
    voting = duel_of("a", "b", "gsm8k", questions=9, samples=8, has_verifier=False)
    checked = duel_of("a", "b", "humaneval", questions=9, samples=8, has_verifier=True, think=True)
    assert (voting.arms[1].think, checked.arms[1].think) == (True, True)


def test_every_sample_of_a_duel_is_bounded_alike():
    study = duel_of("a", "b", "gsm8k", questions=9, samples=8, has_verifier=False, max_tokens=77)
    assert [(arm.sampling or Sampling()).max_tokens for arm in study.arms] == [77, 77, 77]
    assert [(arm.sampling or Sampling()).temperature for arm in study.arms] == [0, 0.7, 0]


def test_a_duel_of_one_question_is_refused():
    with pytest.raises(ConfigurationError, match="1 questions and 8 samples tells nothing"):
        duel_of("a", "b", "gsm8k", questions=1, samples=8, has_verifier=False)
