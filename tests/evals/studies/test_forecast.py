"""What a study will take is said before it runs."""

from __future__ import annotations

import pytest

from tests.evals.studies.conftest import study_of, sums
from thinkctl.evals.statistics.paired import detectable_share
from thinkctl.evals.studies import plan_study
from thinkctl.evals.studies.forecast import DISCORDANCE, detectable, forecast, measured_rates
from thinkctl.evals.studies.records import Recorded

LIMITED = {"sampling": {"temperature": 0.7, "max_tokens": 100}}
ARMS = [
    {"name": "large", "model": "large", "strategy": "zero-shot"},
    {"name": "votes", "model": "small", "strategy": "self-consistency(4)", **LIMITED},
    {
        "name": "walled",
        "model": "small",
        "strategy": "self-consistency(4)",
        "limit": "tokens",
        "budgets": [50],
        "measured": True,
    },
]


def test_runs_samples_tokens_time_and_dollars_follow_from_the_study() -> None:
    found = forecast(plan_study(study_of(arms=ARMS, seeds=[0, 1]), sums), rates={"small": 100})
    large, votes, walled = found.lines
    assert (large.runs, large.samples, large.most_tokens, large.seconds) == (12, 12, None, None)
    assert (votes.runs, votes.samples, votes.expected_tokens) == (12, 48, 48 * 50)
    assert votes.most_tokens == 48 * (100 + 64)
    assert votes.seconds == 24.0
    assert (walled.expected_tokens, walled.most_tokens) == (600, 600)
    assert votes.dollars == pytest.approx((votes.prompt_tokens * 1 + 2400 * 2) / 1e6)
    assert (found.most_tokens, found.seconds) == (None, None)


def known(runs: int, *, samples: int = 0, prompt_tokens: int = 0, tokens: int = 0) -> Recorded:
    jobs = frozenset((f"sum{number}", 0) for number in range(runs))
    return Recorded(jobs, samples, prompt_tokens, tokens)


def test_what_is_done_is_left_out_and_a_length_can_be_told() -> None:
    found = forecast(
        plan_study(study_of(arms=ARMS), sums),
        sample_tokens=10,
        recorded={"sums_votes": known(5), "sums_large": known(6)},
    )
    assert [(line.runs, line.expected_tokens) for line in found.lines] == [(0, 0), (1, 40), (6, 240)]


def test_what_is_left_goes_on_as_what_is_recorded_did() -> None:
    found = forecast(
        plan_study(study_of(arms=ARMS), sums),
        rates={"small": 10},
        recorded={"sums_votes": known(2, samples=6, prompt_tokens=40, tokens=90)},
    )
    votes = found.lines[1]
    assert (votes.runs, votes.samples, votes.expected_tokens, votes.prompt_tokens) == (4, 12, 180, 80)
    assert (votes.measured, votes.is_upper, votes.seconds) == (True, False, 18)
    assert votes.dollars == pytest.approx((80 * 1 + 180 * 2) / 1e6)


def test_a_recording_without_runs_takes_samples_as_long_as_those_of_its_model_on_its_task() -> None:
    arms = [
        {"name": "one", "model": "small", "strategy": "zero-shot"},
        {"name": "votes", "model": "small", "strategy": "self-consistency(4)"},
        {"name": "large", "model": "large", "strategy": "zero-shot"},
    ]
    tasks = [{"name": "sums", "label": "these"}, {"name": "sums", "label": "those"}]
    plan = plan_study(study_of(arms=arms, tasks=tasks), sums)
    lengths = {"these_one": known(2, samples=2, tokens=20), "those_one": known(1, samples=1, tokens=40)}
    found = {line.recording: line for line in forecast(plan, recorded=lengths).lines}
    assert found["these_votes"].expected_tokens == 6 * 4 * 10
    assert found["those_votes"].expected_tokens == 6 * 4 * 40
    assert found["these_votes"].measured
    assert (found["these_large"].expected_tokens, found["these_large"].measured) == (6 * 256, False)
    only_these = forecast(plan, recorded={"these_one": known(2, samples=2, tokens=20)})
    assert {line.recording: line for line in only_these.lines}["those_votes"].expected_tokens == 6 * 4 * 10


@pytest.mark.parametrize(
    "strategy", ["uct(200)", "adaptive-branching(200)", "self-correction(2, patience=2, drafts=2)"]
)
def test_a_search_with_a_limit_in_tokens_is_expected_to_use_all_of_it_at_most(strategy: str) -> None:
    arm = {
        "name": "search",
        "model": "small",
        "strategy": strategy,
        "verifier": "arithmetic(partial=True)",
        "limit": "tokens",
        "budgets": [300, 900],
        "sampling": {"max_tokens": 50},
    }
    few, many = forecast(plan_study(study_of(arms=[arm]), sums)).lines
    assert (few.expected_tokens, few.most_tokens, few.samples) == (6 * 300, 6 * 300, 6 * 12)
    assert (many.expected_tokens, many.is_upper, many.replayed) == (6 * 900, True, False)


def test_each_budget_in_samples_of_a_search_counts_its_own_samples() -> None:
    arm = {
        "name": "search",
        "model": "small",
        "strategy": "adaptive-branching(200)",
        "verifier": "arithmetic(partial=True)",
        "budgets": [3, 9],
    }
    found = forecast(plan_study(study_of(arms=[arm]), sums)).lines
    assert [line.samples for line in found] == [6 * 3, 6 * 9]


def test_the_rate_is_that_of_the_runs_before(go, tmp_path) -> None:
    assert measured_rates(tmp_path / "results") == {}
    go(study_of())
    assert measured_rates(tmp_path / "results").keys() == {"large", "small"}
    row = '{"models": ["huge"], "generated_tokens": 50, "lost_tokens": 30, "seconds": 4}\n'
    (tmp_path / "results" / "sessions.jsonl").write_text(row, encoding="utf-8")
    assert measured_rates(tmp_path / "results") == {"huge": 20}  # lost ones were generated too


def test_the_smallest_difference_is_that_of_a_paired_comparison() -> None:
    found = detectable(100)
    assert found == pytest.approx(100 * (detectable_share(100, DISCORDANCE) or 0))
    assert found == pytest.approx(15.2, abs=0.2)
    assert detectable(2) is None
