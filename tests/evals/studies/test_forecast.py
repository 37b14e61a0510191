"""What a study will take is said before it runs."""

from __future__ import annotations

import pytest

from tests.evals.studies.conftest import study_of, sums
from thinkctl.evals.statistics.paired import detectable_share
from thinkctl.evals.studies import plan_study
from thinkctl.evals.studies.forecast import DISCORDANCE, detectable, forecast, measured_rates

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


def test_what_is_done_is_left_out_and_a_length_can_be_told() -> None:
    found = forecast(
        plan_study(study_of(arms=ARMS), sums), sample_tokens=10, done={"sums_votes": 5, "sums_large": 6}
    )
    assert [(line.runs, line.expected_tokens) for line in found.lines] == [(0, 0), (1, 40), (6, 240)]


def test_the_rate_is_that_of_the_runs_before(go, tmp_path) -> None:
    assert measured_rates(tmp_path / "results") == {}
    go(study_of())
    assert measured_rates(tmp_path / "results").keys() == {"large", "small"}


def test_the_smallest_difference_is_that_of_a_paired_comparison() -> None:
    found = detectable(100)
    assert found == pytest.approx(100 * (detectable_share(100, DISCORDANCE) or 0))
    assert found == pytest.approx(15.2, abs=0.2)
    assert detectable(2) is None
