"""What a report says of claims, of arms beside the baseline, and of what went wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.evals.report.test_page import page_of
from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.points import Health
from thinkctl.evals.report.claims import Judged, claim_in_words, claimed_arms, compared_with, judge
from thinkctl.evals.report.health import cut_off, health_rows, warnings_of
from thinkctl.evals.report.page import _verdict
from thinkctl.evals.report.paired import against_baselines
from thinkctl.evals.report.source import within
from thinkctl.evals.statistics.paired import holm
from thinkctl.evals.statistics.verdicts import Judgement, Verdict, corrected
from thinkctl.evals.studies.sessions import Lost


@pytest.mark.parametrize(
    ("skills", "kind", "verdict"),
    [
        ((0.3, 0.9, 0.95), "iso-accuracy", "reached"),
        ((0.1, 0.12, 0.15), "iso-accuracy", "not reached"),
        ((0.3, 0.9, 0.95), "iso-compute", "reached"),
        ((0.1, 0.12, 0.15), "iso-compute", "not reached"),
        ((0.3, 0.6, 0.62), "non-inferior", "inconclusive"),
    ],
)
def test_a_claim_is_judged(made, skills, kind, verdict):
    points = [
        made.point(made.LARGE, 1, 0.62, 298, model="large"),
        *made.curve(made.SMALL, skills, first=40),
    ]
    (judged,) = judge(points, [made.claim(kind=kind)])
    assert judged.verdict == verdict
    assert judged.words.lower().startswith(verdict)


def test_a_claim_on_an_axis_that_nobody_measured_is_inconclusive_and_says_so(made):
    (judged,) = judge(made.usual(), [made.claim(axis=Axis.JOULES)])
    assert judged.verdict == "inconclusive"
    assert "joules" in judged.words
    assert "not measured" in judged.words


def test_a_claim_about_arms_that_are_not_there_is_an_error(made):
    with pytest.raises(ConfigurationError, match="no task in common"):
        judge(made.usual(), [made.claim(small="other")])


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({}, "0.5B self-consistency reaches 1.5B zero-shot for fewer generated tokens on gsm8k"),
        (
            {"kind": "iso-compute", "axis": Axis.TERAFLOPS},
            "0.5B self-consistency is right more often than 1.5B zero-shot for as much TFLOP on gsm8k",
        ),
        (
            {"kind": "non-inferior", "margin": 2.0},
            "0.5B self-consistency is at most 2 percentage points less accurate than 1.5B zero-shot on gsm8k",
        ),
    ],
)
def test_a_claim_has_a_name_in_words(made, claim, words):
    assert claim_in_words(made.claim(task="gsm8k", **claim)) == words
    assert claim_in_words(made.claim(**claim), "gsm8k") == words


def four_tasks(made, last=(0.3, 0.55, 0.72)):
    """Make points of three tasks on which the small arm never comes near, and of one on which it is better."""
    skills = {"a": (0.1, 0.12, 0.15), "b": (0.1, 0.12, 0.15), "c": (0.1, 0.12, 0.15), "d": last}
    return [
        point
        for seed, (task, own) in enumerate(skills.items())
        for point in (
            made.point(made.LARGE, 1, 0.62, 298, model="large", task=task, seed=seed),
            *made.curve(made.SMALL, own, first=40, task=task, seed=seed),
        )
    ]


def test_claims_are_judged_by_themselves_and_together_by_holm(made):
    claims = [made.claim(task=task) for task in "abcd"]
    found = judge(four_tasks(made), claims)
    assert [each.task for each in found] == list("abcd")
    assert [each.verdict for each in found[:3]] == ["not reached"] * 3
    alone = [known(each.judgement.p_value) for each in found]
    assert [known(each.corrected).p_value for each in found] == list(holm(alone))
    assert {known(each.corrected).tests for each in found} == {4}
    (single,) = judge(four_tasks(made), claims[:1])
    assert single.corrected is None
    assert (single.words, single.stands) == (found[0].words, single.verdict)


def test_a_claim_on_every_task_is_as_many_tests_as_tasks(made):
    found = judge(four_tasks(made), [made.claim()])
    assert [known(each.corrected).tests for each in found] == [4] * 4


def test_a_page_says_of_several_claims_what_each_comes_to_by_itself_and_with_the_others(made, tmp_path):
    claims = tuple(made.claim(task=task) for task in "abcd")
    results = made.Results(tuple(four_tasks(made)), tmp_path, made.Study(claims=claims))
    text, _ = page_of(results, tmp_path)
    assert "4 claims are judged" in text
    assert text.count('<div class="verdict ') == 4
    assert text.count("Together with the others, 4 in all (Holm): ") == 4
    assert "not reached too (p = " in text
    for claim in claims:
        assert claim_in_words(claim) in text


def test_a_verdict_that_holm_takes_back_is_shown_as_inconclusive():
    alone = Judgement("iso-accuracy", Verdict.REACHED, "Reached: so.", 100, p_value=0.02)
    taken = Judged("gsm8k", "a reaches b", alone, corrected([alone] * 4)[0])
    shown = _verdict(taken)
    assert shown["kind"] == "inconclusive"
    assert shown["word"].startswith("Reached by itself, inconclusive together with the others: needs about ")
    assert taken.plain()["verdict"] == "reached"
    assert taken.plain()["holm"]["verdict"] == "inconclusive"


def test_arms_are_compared_with_that_of_the_first_claim_about_their_task(made):
    points = four_tasks(made)
    claims = [made.claim(large=made.SMALL, small=made.LARGE, task="b"), made.claim(task="d"), made.claim()]
    assert compared_with(points, claims) == {
        "a": made.LARGE,
        "b": made.SMALL,
        "c": made.LARGE,
        "d": made.LARGE,
    }
    assert claimed_arms(points, claims) == {
        "a": made.SMALL,
        "b": made.LARGE,
        "c": made.SMALL,
        "d": made.SMALL,
    }
    assert compared_with(points, claims[1:2]) == dict.fromkeys("abcd", made.LARGE)
    assert claimed_arms(points, claims[1:2]) == {"d": made.SMALL}


def test_without_claims_arms_are_compared_with_the_only_one_of_one_budget(made):
    points = made.usual()
    assert compared_with(points, []) == {"gsm8k": made.LARGE}
    assert compared_with(points[1:], []) == {}
    assert compared_with(points, [made.claim(large="gone")]) == {}


def test_each_arm_is_tested_against_the_baseline_and_holm_allows_for_all(made, tmp_path):
    points = made.usual(40)
    rows = against_baselines(points, {"gsm8k": made.LARGE})
    assert [row.second for row in rows] == [f"{made.SMALL} (16 samples)", "0.5B best-of-n (8 samples)"]
    assert [row.adjusted for row in rows] == list(holm([known(row.p_value) for row in rows]))
    assert against_baselines(points, {}) == ()
    text, _ = page_of(made.Results(tuple(points), tmp_path), tmp_path)
    table = text.partition('aria-label="Table of arms against the star"')[2].partition("</table>")[0]
    assert table.count("<tr>") == 3
    assert "p after Holm" in table


def test_what_went_wrong_is_warned_of(made):
    sick = Health(samples=100, truncated=20, unparsed=1, errors=6, estimated=True, overshoot_tokens=3)
    points = [made.point("a", 4, 0.5, 100, health=sick, questions=10, replayed=True)]
    told = {"gsm8k": {"card": {"contamination": "in every training set"}}}
    about = " | ".join(each.about for each in warnings_of(points, object(), told))
    for words in (
        "20 % truncated",
        "6 % errors",
        "estimated",
        "3 tokens of overshoot",
        "replayed: a",
        "10 questions",
    ):
        assert words in about
    assert "gsm8k: whether models have seen it" in about
    assert "tuned on test?" in about
    assert "unparsed" not in about
    (row,) = health_rows(points)
    assert (row.truncated, row.unparsed, row.errors) == (0.2, 0.01, 0.06)


def test_runs_that_were_cut_off_are_told():
    class Interrupted:
        lost = Lost(runs=2, tokens=340, killed=1)

    class Undisturbed:
        lost = Lost(runs=0, tokens=0, killed=0)

    (warned,) = cut_off(Interrupted())
    assert "2 runs were cut off" in warned.why
    assert "at least 340 tokens" in warned.why
    assert cut_off(Undisturbed()) == cut_off(object()) == []


def test_a_study_with_questions_to_tune_on_is_not_suspected(made):
    class Tuned:
        tune = 20

    healthy = [made.point("a", 4, 0.5, 100, health=Health(samples=100))]
    assert warnings_of(healthy, Tuned(), {}) == []


def test_shares_that_are_off_by_rounding_are_put_right(made):
    (point,) = within([replace(made.usual()[0], right=made.usual()[0].right * (1 + 3e-16))])
    assert point.right.max() == 1


def test_a_mark_stands_below_the_number_of_its_arm_also_where_an_arm_is_not_on_a_task(made, tmp_path):
    points = [
        *made.usual(6),
        made.point(made.LARGE, 1, 0.5, 300, task="other", questions=6),
        made.point("0.5B best-of-n", 1, 0.5, 300, task="other", questions=6),
    ]
    text, _ = page_of(made.Results(tuple(points), tmp_path), tmp_path)
    heads = text.partition('<p class="heads"')[2].partition("</p>")[0]
    assert re.findall(r'class="m">(\d+)<', heads) == ["1", "2", "3"]
    lines = re.findall(r'<summary><span class="id".*?</summary>', text)
    assert {line.count('class="m ') for line in lines} == {3}
    other = next(line for line in lines if "other: q0" in line)
    assert [kind == "gone" for kind in re.findall(r'class="m (\w+)"', other)] == [False, True, False]
