"""A verifier that is a model is paid for: what a judge generates is on every axis, whoever asks it and however run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.evals.studies.conftest import study_of
from thinkctl.evals.axes import Axis
from thinkctl.evals.costs import operations
from thinkctl.evals.studies import Study, StudyResults
from thinkctl.evals.studies.sessions import read_sessions
from thinkctl.types import Run
from thinkctl.types.usage import Role

MODELS: dict[str, Any] = {
    "small": {"engine": "scripted:small", "options": {"right": 0.4}, "prices": "prompt=1,generated=2"},
    "critic": {
        "engine": "scripted:critic",
        "options": {"parameters": 50_000_000},
        "prices": "prompt=100,generated=200",
    },
}
JUDGES: dict[str, dict[str, Any]] = {
    "itself": {"verifier": "judge"},
    "another": {"verifier": "judge(model='critic')", "models": ["critic"]},
    "that reasons": {"verifier": "judge(model='critic', thinking_tokens=8)", "models": ["critic"]},
}
judges = pytest.mark.parametrize("judge", JUDGES.values(), ids=JUDGES)
measured = pytest.mark.parametrize("measured", [True, False], ids=["measured", "replayed"])


def judged(judge: dict[str, Any], *, measured: bool = True, **changes: Any) -> Study:
    """Four samples, the best by a judge."""
    arm = {"name": "judged", "model": "small", "strategy": "best-of-n(4)", **judge}
    return study_of(
        models=MODELS, arms=[{**arm, "measured": measured}], orders=0, **{"budgets": [4], **changes}
    )


def tokens_of(run: Run, *roles: Role) -> int:
    return sum(line.usage.generated_tokens for line in run.receipt.lines if line.role in roles)


def runs_of(results: StudyResults) -> list[Run]:
    return list(results.runs("sums", "judged"))


@measured
@judges
def test_the_generated_tokens_are_those_of_the_samples_and_of_the_judge(
    go, judge: dict[str, Any], measured: bool
) -> None:
    results = go(judged(judge, measured=measured))
    runs, (point,) = runs_of(results), results.points
    assert point.replayed is not measured
    by_samples = [tokens_of(run, Role.SAMPLE, Role.CONCLUSION) for run in runs]
    by_judge = [tokens_of(run, Role.VERIFIER) for run in runs]
    assert by_samples == [sum(sample.usage.generated_tokens for sample in run.samples) for run in runs]
    assert all(by_judge)
    assert point.costs[Axis.GENERATED_TOKENS].tolist() == pytest.approx(
        [mine + its for mine, its in zip(by_samples, by_judge, strict=True)]
    )


@measured
@judges
def test_its_requests_its_prompts_its_price_and_its_size_count_too(
    go, judge: dict[str, Any], measured: bool
) -> None:
    """The other model is priced a hundred times and has fifty times the parameters."""
    results = go(judged(judge, measured=measured))
    (point,) = results.points
    lines = [run.receipt.lines for run in runs_of(results)]
    asked = {line.model for each in lines for line in each if line.role is Role.VERIFIER}
    assert asked == ({"critic"} if "models" in judge else {"small"})
    wanted = {
        Axis.REQUESTS: [sum(line.usage.requests for line in each) for each in lines],
        Axis.ALL_TOKENS: [
            sum(line.usage.prompt_tokens + line.usage.generated_tokens for line in each) for each in lines
        ],
        Axis.DOLLARS: [sum(float(line.dollars or 0) for line in each) for each in lines],
    }
    for axis, values in wanted.items():
        assert point.costs[axis].tolist() == pytest.approx(values)
    spent_judging = [
        sum(operations(line.usage, results.cards[line.model]) for line in each if line.role is Role.VERIFIER)
        for each in lines
    ]
    of_samples = [
        sum(operations(sample.usage, results.cards["small"]) for sample in run.samples)
        for run in runs_of(results)
    ]
    assert point.costs[Axis.TERAFLOPS].tolist() == pytest.approx(
        [(mine + its) / 1e12 for mine, its in zip(of_samples, spent_judging, strict=True)], rel=1e-6
    )


@judges
def test_what_the_engines_generated_is_what_the_runs_are_billed(go, judge: dict[str, Any]) -> None:
    results = go(judged(judge))
    (session,) = read_sessions(results.folder)
    billed = sum(run.receipt.generated_tokens for run in runs_of(results))
    assert (session["generated_tokens"], session["lost_tokens"]) == (billed, 0)
    assert results.points[0].costs[Axis.GENERATED_TOKENS].sum() == pytest.approx(billed)


@judges
def test_a_budget_of_tokens_is_the_wall_of_the_judge_too(go, judge: dict[str, Any]) -> None:
    results = go(judged(judge, limit="tokens", budgets=[60]))
    runs = runs_of(results)
    assert any(tokens_of(run, Role.VERIFIER) for run in runs)
    assert all(run.receipt.generated_tokens <= 60 for run in runs)
    assert results.points[0].costs[Axis.GENERATED_TOKENS].max() <= 60


def test_the_same_samples_without_a_judge_cost_less_by_what_it_generated(go, tmp_path) -> None:
    """Its tokens are all that makes the difference: the samples are the same ones."""
    with_judge = go(judged(JUDGES["another"]), tmp_path / "with")
    alone = {"name": "judged", "model": "small", "strategy": "self-consistency(4)"}
    without = go(
        study_of(models=MODELS, arms=[{**alone, "measured": True}], orders=0, budgets=[4]),
        tmp_path / "without",
    )
    assert [[sample.text for sample in run.samples] for run in runs_of(with_judge)] == [
        [sample.text for sample in run.samples] for run in runs_of(without)
    ]
    more = with_judge.points[0].costs[Axis.GENERATED_TOKENS] - without.points[0].costs[Axis.GENERATED_TOKENS]
    assert more.tolist() == [tokens_of(run, Role.VERIFIER) for run in runs_of(with_judge)]
