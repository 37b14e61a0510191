"""How far a verifier can be trusted, against a grader: false positives first, the question as the unit."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl import Problem
from thinkctl.errors import ConfigurationError
from thinkctl.evals.judging import trust, trust_of
from thinkctl.evals.loading import table_of_pool
from thinkctl.runfile import read_pool
from thinkctl.testing import history_of, sample_of
from thinkctl.types import Answer, History, Verdict


def asked(name: str, *said: tuple[str | None, Verdict | None]) -> History:
    samples = (replace(sample_of(answer), verdict=verdict) for answer, verdict in said)
    return history_of(*samples, problem=Problem(messages=Problem.of(name).messages, id=name))


def four_is_right(history: History, answer: Answer) -> bool:
    return answer.key == "4"


GOOD, BAD = Verdict(1.0, passed=True), Verdict(0.0, passed=False)


def test_the_rates_count_what_a_grader_says_of_what_the_verifier_says() -> None:
    found = trust(
        [
            asked("one", ("4", GOOD), ("5", BAD), ("5", GOOD), (None, BAD)),
            asked("two", ("4", GOOD), ("4", BAD), ("6", BAD), ("6", None)),
            asked("three", ("5", BAD), ("5", Verdict())),
        ],
        four_is_right,
    )
    assert (found.samples, found.questions, found.unjudged, found.right) == (7, 3, 2, 3)
    rates = [
        found.false_positive_rate,
        found.true_positive_rate,
        found.precision,
        found.auroc,
        found.auroc_within,
    ]
    assert [rate and round(rate.value, 4) for rate in rates] == [0.25, 0.6667, 0.6667, 0.7083, 0.75]
    assert found.passes == pytest.approx(3 / 7)
    assert found.same == 0


def test_a_score_passes_from_a_threshold_on_and_a_check_by_what_it_says() -> None:
    runs = [asked("one", ("4", Verdict(0.6)), ("5", Verdict(0.4)), ("5", Verdict(0.9, passed=False)))]
    low, high = (trust(runs, four_is_right, passes_at=threshold) for threshold in (0.3, 0.7))
    assert [low.true_positive_rate and low.true_positive_rate.value, low.passes] == [
        1.0,
        pytest.approx(2 / 3),
    ]
    assert [high.true_positive_rate and high.true_positive_rate.value, high.passes] == [0.0, 0.0]
    with pytest.raises(ConfigurationError, match="passes_at=0"):
        trust(runs, four_is_right, passes_at=0)


def test_graders_may_be_given_by_problem() -> None:
    runs = [asked("one", ("4", GOOD), ("5", BAD)), asked("two", ("4", GOOD), ("5", BAD))]
    found = trust(runs, {"one": lambda answer: answer.key == "4", "two": lambda answer: answer.key == "5"})
    assert found.precision is not None
    assert found.precision.value == 0.5


# -- in words --------------------------------------------------------------------------------------------------------


def judged(
    *, questions: int, right_score: float, wrong_score: float, noise: float = 0.0, seed: int = 0
) -> str:
    drawn = np.random.default_rng(seed)
    groups = np.repeat(np.arange(questions), 4)
    right = np.tile([True, True, False, False], questions)
    scores = np.where(right, right_score, wrong_score) + noise * drawn.normal(size=len(right))
    return trust_of(scores >= 0.5, np.clip(scores, 0, 1), right, groups).verdict


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (
            judged(questions=20, right_score=1, wrong_score=1),
            "passes everything it sees, right or wrong, with one score: it did not look",
        ),
        (judged(questions=20, right_score=0, wrong_score=0), "fails everything it sees"),
        (judged(questions=20, right_score=0.9, wrong_score=0.1), "tells right from wrong (AUROC 1.00"),
        (judged(questions=20, right_score=0.9, wrong_score=0.1), "passes 0% [0%, 18%] of wrong answers"),
        (
            judged(questions=50, right_score=0.5, wrong_score=0.5, noise=0.2),
            "not shown to be better than chance",
        ),
        (judged(questions=50, right_score=0.4, wrong_score=0.6, noise=0.1), "worse than chance"),
        (judged(questions=1, right_score=0.9, wrong_score=0.1), "one question alone shows no more"),
    ],
)
def test_the_verdict_says_it_in_one_line(verdict, says) -> None:
    assert says in verdict
    assert "\n" not in verdict


def test_where_nothing_can_be_told_it_says_why() -> None:
    assert trust([], four_is_right).verdict == "cannot tell: no verdict among 0 judged samples of 0 questions"
    assert "no wrong answer" in trust([asked("one", ("4", GOOD))], four_is_right).verdict
    assert "no right answer" in trust([asked("one", ("5", GOOD))], four_is_right).verdict


def test_a_verifier_that_says_the_same_of_every_answer_to_a_question_shows() -> None:
    runs = [
        asked("easy", ("4", Verdict(0.9)), ("5", Verdict(0.9))),
        asked("hard", ("4", Verdict(0.2)), ("5", Verdict(0.2))),
        asked("clear", ("5", Verdict(0.2)), ("5", Verdict(0.2))),
    ]
    found = trust(runs, four_is_right)
    assert found.same == 1.0
    assert found.auroc_within is not None
    assert found.auroc_within.value == 0.5
    assert "not shown to be better than chance" in found.verdict


# -- the figures -----------------------------------------------------------------------------------------------------

rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_auroc_is_the_share_of_pairs_that_are_in_order(drawn) -> None:
    scores, right, groups = (np.array(column) for column in zip(*drawn, strict=True))
    found = trust_of(scores >= 0.5, scores, right, groups)

    def share(within: bool) -> float | None:
        pairs = [
            (good > bad) + (good == bad) / 2
            for good, is_right, place in drawn
            for bad, is_wrong, other in drawn
            if is_right and not is_wrong and (place == other or not within)
        ]
        return sum(pairs) / len(pairs) if pairs else None

    for estimate, expected in ((found.auroc, share(within=False)), (found.auroc_within, share(within=True))):
        assert (estimate is None) == (expected is None)
        if estimate is not None:
            assert estimate.value == pytest.approx(expected)
            assert estimate.low is None or estimate.low <= estimate.value <= (estimate.high or 0)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Questions differ much more than the answers to one of them: samples are not the unit."""
    drawn, questions, held = np.random.default_rng(1), 40, 0
    for _ in range(200):
        groups = np.repeat(np.arange(questions), 8)
        right = drawn.random(len(groups)) < 0.5
        mood = np.repeat(drawn.normal(size=questions), 8)
        found = trust_of(mood > 0, mood, right, groups).false_positive_rate
        assert found is not None
        held += (found.low or 0) <= 0.5 <= (found.high or 0)
    assert held >= 180


@settings(max_examples=30)
@given(rows)
def test_a_row_is_flat_and_whole(drawn) -> None:
    scores, right, groups = (np.array(column) for column in zip(*drawn, strict=True))
    row = trust_of(scores >= 0.5, scores, right, groups).row()
    assert set(map(type, row.values())) <= {int, float, str, type(None)}
    assert {"false_positive_rate", "false_positive_rate_low", "auroc", "verdict"} <= row.keys()


def test_a_recorded_reward_model_is_told_from_one_that_does_not_look() -> None:
    """Qwen2.5-Math-RM on 800 recorded answers; its scores are mapped by the logistic function."""
    shared = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
    path = shared / "data" / "pools" / "math100_qwen25math_rm_100x8.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the pool {path.name} is not there; set THINKCTL_SHARED to the folder with data/pools")
    pool = read_pool(path)
    table = table_of_pool(pool, "math100")
    runs = [table.history(row) for row in range(len(table))]
    lax, strict = (
        trust(runs, lambda history, answer: pool.correct[history.problem.id][answer.sample], passes_at=at)
        for at in (0.5, 0.9)
    )
    assert (lax.samples, lax.questions, lax.right) == (800, 100, 728)
    assert lax.verdict == (
        "tells right from wrong (AUROC 0.89 [0.73, 1.00], chance 0.5); passes 39% [17%, 66%] of wrong answers "
        "and 98% [96%, 99%] of right ones"
    )
    assert strict.verdict.endswith("passes 4% [1%, 16%] of wrong answers and 83% [76%, 89%] of right ones")
    assert lax.auroc is not None
    assert lax.auroc.value == pytest.approx(0.9682, abs=1e-4)
