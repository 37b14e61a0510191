"""Rows of a replay: what is summed up, with which interval, and what is not claimed."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import Controller, SelfConsistency
from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.intervals import mean, ratio, share
from thinkctl.evals.loading import open_table, table_of_pool, table_of_runs
from thinkctl.evals.outcomes import Case, label_of, outcomes_of
from thinkctl.evals.replaying import cautions, fixed_cases, replay
from thinkctl.registry import policy
from thinkctl.runfile import Pool, Recorded, RecordedSample
from thinkctl.selectors import BestScore
from thinkctl.stopping import AdaptiveConsistency, EValue, Margin, ThinkingCap, Threshold, all_of, any_of
from thinkctl.testing import ScriptedEngine, history_of, sample_of
from thinkctl.types import Budget


def pool_of(*questions, scores=None):
    """Each question is a list of answers; R is right, None abstains. A sample has 10 tokens."""
    recorded = tuple(
        Recorded(
            f"q{row}",
            "",
            tuple(
                RecordedSample(answer, 10, score=None if scores is None else scores[place])
                for place, answer in enumerate(answers)
            ),
        )
        for row, answers in enumerate(questions)
    )
    return Pool(
        recorded, {}, {f"q{row}": tuple(one == "R" for one in said) for row, said in enumerate(questions)}
    )


TABLE = table_of_pool(pool_of(["R", "a", "R"], ["a", "a", "R"], ["a", None], [None, "R", "R", "R"]))


def test_a_row_says_what_became_of_all_questions():
    stopped, full = replay(TABLE, [Case(Margin(1)), Case()])
    assert stopped.replayed
    assert stopped.policy == "margin(1)"
    assert (stopped.questions, stopped.permutations) == (4, 0)
    assert stopped.accuracy is not None
    assert full.accuracy is not None
    assert (stopped.accuracy.value, full.accuracy.value) == (0.5, 0.5)
    assert (stopped.agreement.value, stopped.samples.value, stopped.tokens.value) == (1.0, 1.25, 12.5)
    assert (stopped.total_tokens, stopped.thinking_tokens, stopped.probe_tokens) == (50, 12.5, 0)
    assert (stopped.oracle, stopped.stopped, stopped.walled, stopped.unanswered) == (0.75, 1.0, 0.0, 0.0)
    assert full.stopped == 0


def test_a_budget_ends_a_question_before_the_sample_that_does_not_fit():
    (row,) = replay(TABLE, [Case(Margin(3), budget=Budget(tokens=29))])
    assert row.budget == "tokens=29"
    assert (row.samples.value, row.tokens.value, row.walled) == (2.0, 20.0, 0.75)


@pytest.mark.parametrize("limit", [{"seconds": 3}, {"dollars": "0.1"}, {"thinking_tokens": 5}])
def test_a_budget_that_no_recording_knows_is_refused(limit):
    with pytest.raises(ConfigurationError, match=f"a budget of {next(iter(limit))}"):
        replay(TABLE, [Case(budget=Budget.model_validate(limit))])


def test_who_is_right_may_be_unknown_and_agreement_is_told_all_the_same():
    table = table_of_runs([history_of("4", "4", "5"), history_of("5", "4", "4", problem="another?")])
    (row,) = replay(table, [Case(samples=1)])
    assert (row.accuracy, row.change, row.oracle, row.tokens_per_correct) == (None, None, None, None)
    assert row.agreement.value == 0.5


def test_runs_are_graded_by_value_and_their_unfinished_samples_left_out():
    history = history_of("0.5", ..., "7")
    table = table_of_runs([history], gold={history.problem.id: r"\frac{1}{2}"})
    (row,) = replay(table, [Case(samples=1)])
    assert row.accuracy is not None
    assert (row.accuracy.value, int(table.sizes[0])) == (1.0, 2)


def test_runs_of_one_question_are_one_question():
    runs = [history_of("4", "5"), history_of("5", "5"), history_of("4", problem="another?")]
    table = table_of_runs(runs, gold={runs[0].problem.id: "4", runs[2].problem.id: "4"})
    (row,) = replay(table, [Case(samples=1)])
    assert row.accuracy is not None
    assert (row.questions, round(row.accuracy.value, 3)) == (2, 0.667)
    assert table.rows([2, 2]).groups.tolist() == [0, 0]


def test_samples_that_build_on_others_are_not_shuffled():
    runs = [history_of("4", sample_of("5", parent=0))]
    with pytest.raises(ConfigurationError, match="one order only"):
        replay(table_of_runs(runs), [Case()], permutations=2)


def test_a_cap_is_what_all_samples_are_and_orders_do_not_depend_on_how_many_there_are():
    (capped,) = replay(TABLE, [Case()], cap=2)
    assert (capped.samples.value, capped.agreement.value) == (2.0, 1.0)
    few, many = list(TABLE.orders(2, seed=1)), list(TABLE.orders(3, seed=1))
    assert all(np.array_equal(one, other) for one, other in zip(few, many, strict=False))
    for order in many:
        assert np.array_equal(np.sort(order, axis=1), np.broadcast_to(np.arange(4), (4, 4)))
        assert order[2, :2].max() == 1, "places after a row's last sample stay at its end"


def test_scores_outside_of_zero_to_one_keep_their_order():
    table = table_of_pool(pool_of(["R", "a"], scores=[-3.0, 800.0]))
    verdicts = [sample.verdict.score for sample in table.history(0).samples if sample.verdict]
    assert verdicts == pytest.approx([0.0474, 1.0], abs=1e-4)
    (row,) = replay(table, [Case(selector=BestScore())])
    assert row.accuracy is not None
    assert row.accuracy.value == 0


def test_a_thought_that_is_closed_where_nobody_looked_abstains_and_is_told() -> None:
    capped, full = replay(TABLE, [Case(ThinkingCap(4)), Case()])
    assert (capped.tokens.value, full.tokens.value) == (12.0, 30.0)
    assert (capped.unknown, capped.unanswered, full.unknown) == (3.0, 1.0, 0.0)


def test_a_policy_that_reads_what_was_not_recorded_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="reads verdicts, and the recordings have none"):
        replay(TABLE, [Case(Threshold(0.5))])


def test_runs_that_were_ended_before_all_samples_are_told() -> None:
    engine = ScriptedEngine([r"\boxed{4}"])
    run = asyncio.run(Controller(engine, SelfConsistency(9), policy=Margin(2)).solve("?"))
    table = table_of_runs([run])
    assert cautions(table, [Case()]) == [
        "1 of 1 runs had been ended by a policy when they were recorded: all samples are those that it left"
    ]


def test_merging_and_forms_are_for_pools(tmp_path):
    path = tmp_path / "none.jsonl"
    with pytest.raises(RunFileError, match="cannot be read"):
        open_table(path)
    path.write_text(
        '{"id": "a", "gold": "2", "samples": [{"answer": "2.0", "tokens": 1}, {"answer": "two", "tokens": 1}]}'
    )
    plain, formed = open_table(path), open_table(path, answer_form="number")
    assert [table.right for table in (plain, formed)] == [((True, False),), ((True, False),)]
    given_gold = open_table(path, gold={"a": "two"}, answer_form="text")
    assert given_gold.right == ((False, True),)


def test_labels_read_as_the_command_line_takes_them():
    parts = {
        "adaptive-consistency(0.95)": AdaptiveConsistency(0.95),
        "e-value(0.05)": EValue(),
        "e-value(0.05, 3)": EValue(rivals=3),
        "any-of(margin(2), all-of(margin(3), e-value(0.1)))": any_of(
            Margin(2), all_of(Margin(3), EValue(0.1))
        ),
    }
    for text, part in parts.items():
        assert label_of(part) == text
        assert policy(text) == part
    assert [case.label for case in fixed_cases(6)] == [
        "fixed 1",
        "fixed 2",
        "fixed 3",
        "fixed 5",
        "all samples",
    ]


@pytest.mark.parametrize("case", [Case(samples=0), Case(Margin(1), samples=-2)])
def test_no_samples_are_no_case(case):
    with pytest.raises(ConfigurationError, match="give at least 1"):
        outcomes_of(TABLE, [case])


# -- intervals -----------------------------------------------------------------------------------------------

GROUPS = np.arange(40)
SHARES = st.lists(st.sampled_from([0.0, 0.25, 1.0]), min_size=40, max_size=40).map(np.array)


@given(values=SHARES)
def test_the_interval_of_a_share_is_inside_zero_and_one_and_around_it(values):
    found = share(values, GROUPS)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high > found.low


@given(values=SHARES, times=st.integers(2, 4))
def test_repeating_every_row_of_a_question_makes_no_interval_narrower(values, times):
    once, again = share(values, GROUPS), share(np.tile(values, times), np.tile(GROUPS, times))
    assert once.low == pytest.approx(again.low)
    assert mean(values, GROUPS).high == pytest.approx(
        mean(np.tile(values, times), np.tile(GROUPS, times)).high
    )


def test_a_single_order_gives_the_textbook_errors():
    values = np.array([1.0] * 30 + [0.0] * 10)
    found = mean(values, GROUPS)
    assert found.error == pytest.approx(values.std(ddof=1) / math.sqrt(40))
    assert found.high == pytest.approx(0.75 + 2.022691 * (found.error or 0))
    assert share(values, GROUPS).low == pytest.approx(0.5935, abs=5e-3)


def test_all_right_is_not_certainly_all_right():
    found = share(np.ones(40), GROUPS)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.907, abs=2e-3)


def test_tokens_per_correct_is_a_ratio_of_sums_and_stays_above_zero():
    found = ratio(np.full(40, 10.0), np.array([1.0] * 2 + [0.0] * 38), GROUPS)
    assert found is not None
    assert found.value == 200
    assert found.low is not None
    assert 0 < found.low < 200
    assert ratio(np.ones(40), np.zeros(40), GROUPS) is None


def test_one_question_tells_no_error():
    found = mean(np.array([3.0, 4.0]), np.array([0, 0]))
    assert (found.value, found.error, found.low, found.high) == (3.5, None, None, None)


def test_intervals_of_means_hold_what_they_estimate_about_as_often_as_they_say():
    drawn, held = np.random.default_rng(0), 0
    for _ in range(400):
        ease = drawn.beta(2, 1, size=60)
        found = share((drawn.random((60, 5)) < ease[:, None]).mean(axis=1), np.arange(60))
        held += (found.low or 0) <= 2 / 3 <= (found.high or 0)
    assert 0.92 < held / 400 < 0.98
