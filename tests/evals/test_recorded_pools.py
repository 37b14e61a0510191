"""Recorded samples of real models: the figures that are known of them, to the digit where nothing is drawn.

Most pools are not part of this project. They are read from ``$THINKCTL_SHARED`` or from ``../shared``.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from thinkctl.evals.loading import open_table, table_of_pool
from thinkctl.evals.outcomes import Case, View, outcomes_of
from thinkctl.evals.replaying import Row, replay
from thinkctl.evals.table import VoteTable
from thinkctl.evals.votes import first_true, would_stop
from thinkctl.runfile import Pool, read_pool
from thinkctl.stopping import (
    AdaptiveConsistency,
    AnswerConfidence,
    CannotBeOvertaken,
    EValue,
    Margin,
    Window,
    any_of,
)

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("THINKCTL_SHARED", ROOT.parent / "shared"))

GSM8K = "gsm8k_gpt4omini_1318x40"
LETTERS = "last_letters_gpt35_500x40"
DATE = "date_gpt35_369x40_raw"
PADDED_DATE = "date_gpt35_369x40_normalised"
MATH = "math100_r1_llama8b_100x16"
GAME24 = ROOT / "evals" / "pools" / "game24_gpt4_cot_100x100.jsonl.gz"


def path_of(name: str) -> Path:
    path = SHARED / "data" / "pools" / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"the pool {path.name} is not there; set THINKCTL_SHARED to the folder with data/pools")
    return path


@cache
def table(name: str, *, empty_votes: bool = False) -> VoteTable:
    """As the published figures count: every right spelling is one value; and an empty text is a vote, if asked."""
    pool = read_pool(path_of(name))
    return table_of_pool(voting(pool, "") if empty_votes else pool, name, merge_right=name == MATH)


def voting(pool: Pool, text: str) -> Pool:
    """Return a pool whose samples without an answer answer this."""
    mended = tuple(
        replace(
            each,
            samples=tuple(
                replace(sample, answer=text if sample.answer is None else sample.answer)
                for sample in each.samples
            ),
        )
        for each in pool
    )
    return Pool(mended, pool.gold, pool.correct)


def accuracy_of(row: Row) -> float:
    """In percent."""
    assert row.accuracy is not None
    return round(100 * row.accuracy.value, 2)


def figures(row: Row) -> tuple[float, float, int]:
    return accuracy_of(row), round(row.samples.value, 3), round(row.total_tokens)


@pytest.mark.parametrize(
    ("name", "confidence", "accuracy", "samples", "tokens"),
    [
        (GSM8K, None, 94.23, 40.0, 7_004_327),
        (GSM8K, 0.80, 93.78, 2.770, 506_635),
        (GSM8K, 0.90, 94.39, 4.652, 881_853),
        (GSM8K, 0.95, 94.23, 6.266, 1_181_304),
        (GSM8K, 0.99, 94.23, 9.272, 1_741_813),
        (LETTERS, None, 83.00, 40.0, None),
        (LETTERS, 0.80, 82.60, 2.612, None),
        (LETTERS, 0.90, 82.80, 4.694, None),
        (LETTERS, 0.95, 82.80, 6.326, None),
        (LETTERS, 0.99, 83.00, 9.418, None),
        (DATE, None, 65.04, 40.0, None),
        (DATE, 0.80, 64.77, 4.260, None),
        (DATE, 0.90, 64.77, 7.740, None),
        (DATE, 0.95, 65.04, 10.103, None),
        (DATE, 0.99, 65.04, 14.108, None),
        (PADDED_DATE, None, 77.78, 40.0, None),
        (PADDED_DATE, 0.80, 77.24, 3.003, None),
        (PADDED_DATE, 0.90, 76.96, 5.295, None),
        (PADDED_DATE, 0.95, 77.51, 7.225, None),
        (PADDED_DATE, 0.99, 77.78, 10.501, None),
        (MATH, None, 90.00, 16.0, None),
        (MATH, 0.80, 89.00, 4.210, None),
        (MATH, 0.90, 90.00, 5.870, None),
        (MATH, 0.95, 90.00, 7.000, None),
        (MATH, 0.99, 90.00, 9.430, None),
    ],
)
def test_adaptive_consistency_reproduces_the_published_replays(
    name, confidence, accuracy, samples, tokens
) -> None:
    policy = None if confidence is None else AdaptiveConsistency(confidence)
    (row,) = replay(table(name, empty_votes=name == LETTERS), [Case(policy)])
    assert row.replayed
    assert figures(row)[:2] == (accuracy, samples)
    assert tokens is None or figures(row)[2] == tokens


@pytest.mark.parametrize("name", [GSM8K, PADDED_DATE, MATH])
def test_asked_sample_by_sample_the_policy_gives_the_same_figures(name) -> None:
    some = table(name).rows(range(100))
    case = Case(any_of(AdaptiveConsistency(0.95), CannotBeOvertaken(40)))
    fast, slow = (outcomes_of(some, [case], vectorised=vectorised)[0] for vectorised in (True, False))
    assert fast.right is not None
    assert slow.right is not None
    assert np.array_equal(fast.right, slow.right)
    assert np.array_equal(fast.tokens, slow.tokens)


@pytest.mark.parametrize("name", [GSM8K, LETTERS, DATE, PADDED_DATE, MATH])
def test_the_exact_stop_gives_the_answers_of_all_samples_for_fewer(name) -> None:
    width = table(name).width
    for permutations in (None, 3):
        (row,) = replay(table(name), [Case(CannotBeOvertaken(width))], permutations=permutations)
        assert row.agreement.value == 1
        assert row.samples.value < 0.75 * width


def test_both_rules_together_cost_no_more_than_either() -> None:
    rule = AdaptiveConsistency()
    both, alone = replay(table(PADDED_DATE), [Case(any_of(rule, CannotBeOvertaken(40))), Case(rule)])
    assert both.samples.value < alone.samples.value
    assert both.agreement == alone.agreement
    assert accuracy_of(both) == 77.51


def test_answers_that_nobody_can_read_must_not_vote() -> None:
    pool = voting(read_pool(path_of(MATH)), "invalid")
    (row,) = replay(table_of_pool(pool, merge_right=True), [Case()])
    assert accuracy_of(row) == 86.00


@pytest.mark.parametrize(
    ("name", "case", "accuracy", "samples", "agreement"),
    [
        (GSM8K, Case(samples=1), 88.96, 1.00, 92.0),
        (GSM8K, Case(samples=5), 92.90, 5.00, 96.8),
        (GSM8K, Case(), 94.18, 40.00, 100.0),
        (GSM8K, Case(AdaptiveConsistency(0.95)), 94.17, 6.29, 99.9),
        (GSM8K, Case(Margin(3)), 94.18, 4.00, 99.1),
        (GSM8K, Case(Margin(5)), 94.23, 6.76, 99.8),
        (GSM8K, Case(any_of(AdaptiveConsistency(0.95), CannotBeOvertaken(40))), 94.17, 6.22, 99.9),
        (LETTERS, Case(AdaptiveConsistency(0.9)), 83.03, 4.63, 99.3),
        (LETTERS, Case(Margin(4)), 83.05, 5.29, 99.3),
        (LETTERS, Case(EValue(0.05)), 83.16, 10.90, 100.0),
        (LETTERS, Case(EValue(0.2)), 83.11, 7.04, 99.9),
        (LETTERS, Case(Window(5)), 83.09, 8.88, 99.8),
        (LETTERS, Case(Window(8)), 83.14, 14.08, 100.0),
        (DATE, Case(AdaptiveConsistency(0.99)), 65.23, 14.27, 100.0),
        (DATE, Case(EValue(0.05)), 65.23, 15.77, 100.0),
        (DATE, Case(EValue(0.2)), 65.14, 11.43, 99.9),
        (DATE, Case(Window(3)), 64.93, 8.41, 97.6),
    ],
)
def test_the_published_means_of_shuffles_are_met_within_their_noise(
    name, case, accuracy, samples, agreement
) -> None:
    (row,) = replay(table(name), [case], permutations=20, seed=1)
    assert accuracy_of(row) == pytest.approx(accuracy, abs=0.3)
    assert row.samples.value == pytest.approx(samples, abs=0.1)
    assert 100 * row.agreement.value == pytest.approx(agreement, abs=0.5)


def test_the_keys_of_a_form_find_what_was_normalised_by_hand() -> None:
    """Worth 12.5 points and three samples, more than any rule."""
    rule = [Case(AdaptiveConsistency(0.95))]
    (before,), (after,) = (
        replay(each, rule) for each in (table(DATE), open_table(path_of(DATE), answer_form="date"))
    )
    assert figures(before)[:2] == (65.04, 10.103)
    assert figures(after)[:2] == (77.51, 7.187)


def test_the_game_of_24_reproduces_the_paper_s_figures() -> None:
    (row,) = replay(open_table(GAME24), [Case()])
    (first,) = replay(open_table(GAME24), [Case(samples=1)], permutations=100)
    assert accuracy_of(row) == 9.0
    assert row.oracle == 0.49
    samples = [right for each in read_pool(GAME24).correct.values() for right in each]
    assert sum(samples) / len(samples) == 0.0403
    assert accuracy_of(first) == pytest.approx(4.03, abs=0.6)


def test_merging_right_answers_lets_the_reference_vote() -> None:
    (row,) = replay(open_table(GAME24, merge_right=True), [Case()])
    assert accuracy_of(row) == 11.0


@pytest.mark.parametrize(
    ("confidence", "accuracy", "share_of_tokens"),
    [(0.95, 52.0, 0.23), (0.99, 59.1, 0.39), (0.999, 61.6, 0.66)],
)
def test_probes_reproduce_what_stopping_within_a_thought_is_worth(
    confidence, accuracy, share_of_tokens
) -> None:
    probed = open_table(path_of("gpqa198_gemma4_12b_probes"), probe_tokens=0)
    rule = Case(AnswerConfidence(confidence, every=1))
    stopped, full = replay(probed, [rule, Case()])
    assert accuracy_of(full) == 56.06
    assert round(accuracy_of(stopped), 1) == accuracy
    assert round(stopped.tokens.value / full.tokens.value, 2) == share_of_tokens


def test_a_cascade_escalates_a_quarter_and_beats_the_strong_model_alone() -> None:
    """Ten chains of thought and ten programs of a weak model, ten of which are asked; then three of a strong one."""
    weak, strong = cascade_tables()
    above = View.of(strong, next(strong.orders(None)))
    assert above.right is not None
    answered = above.right[above.row, above.full]
    assert round(100 * answered.mean(), 2) == 88.89
    accuracies, escalated, asked = [], [], []
    for order in weak.orders(40):
        below = View.of(weak, order)
        assert below.right is not None
        taken = first_true(would_stop(AdaptiveConsistency(0.99), below.votes))
        settled, taken = taken <= 10, np.minimum(taken, 10)
        right = below.right[below.row, below.votes.leading[taken, below.row]]
        accuracies.append(100 * np.where(settled, right, answered).mean())
        escalated.append(100 * (~settled).mean())
        asked.append(taken.mean())
    assert np.mean(accuracies) == pytest.approx(89.51, abs=0.2)
    assert np.std(accuracies) == pytest.approx(0.30, abs=0.1)
    assert np.mean(escalated) == pytest.approx(25.6, abs=1.5)
    assert np.mean(asked) == pytest.approx(7.2, abs=0.1)


def cascade_tables() -> tuple[VoteTable, VoteTable]:
    """Dates are compared as dates: as they were written, 41 % would be escalated."""
    chains, programs = (read_pool(path_of(f"date_gpt35_{kind}1_369x20")) for kind in ("cot", "pot"))
    mixed, correct = [], {}
    for chain, program in zip(chains, programs, strict=True):
        mixed.append(replace(chain, samples=chain.samples[:10] + program.samples[:10]))
        correct[chain.id] = chains.correct[chain.id][:10] + programs.correct[program.id][:10]
    weak = table_of_pool(Pool(tuple(mixed), chains.gold, correct), answer_form="date")
    return weak, open_table(path_of("date_gpt4_cot1_369x3"), answer_form="date")
