"""What is replayed from a pool is what a live run of the smaller budget comes to."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from tests.evals.studies.conftest import study_of
from thinkctl.evals.axes import Axis
from thinkctl.evals.studies import plan_study, run_study
from thinkctl.evals.tasks import task

MODELS = {
    "small": {
        "engine": "scripted:small",
        "options": {"right": 0.4},
        "prices": "prompt=1,generated=2,request=1",
    }
}
ARMS: list[dict[str, Any]] = [
    {"strategy": "self-consistency(4)"},
    {"strategy": "self-consistency(4)", "policy": "margin(2)"},
    {"strategy": "self-consistency(4, weight='confidence')"},
    {"strategy": "best-of-n(4)", "verifier": "task"},
    {"strategy": "best-of-n(4)", "verifier": "task", "policy": "threshold(1.0)"},
    {"strategy": "self-consistency(4)", "selector": "latest"},
]


def with_cache(block: int) -> dict[str, Any]:
    """The models with a prefix cache of such blocks, whose tokens cost a tenth."""
    options = {"right": 0.4, "block": block}
    return {
        "small": {
            "engine": "scripted:small",
            "options": options,
            "prices": "prompt=1,cached=0.1,generated=2,request=1",
        }
    }


@pytest.mark.parametrize("block", [0, 16])
@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: " ".join(map(str, arm.values())))
def test_a_replayed_point_is_the_live_run_of_that_budget(arm: dict[str, Any], block: int, tmp_path) -> None:
    """In the recorded order: same answers, tokens, requests, dollars, operations, and what is known of its votes.

    With a prefix cache too, where the runs of one budget find what those of the others left there.
    """
    named = {"name": "arm", "model": "small", **arm}
    common = {
        "tasks": [{"name": "countdown", "questions": 6}],
        "models": with_cache(block),
        "budgets": [1, 2, 4],
        "orders": 0,
    }
    replayed = run_study(study_of(**common, arms=[named]), tmp_path / "replayed").points
    measured = run_study(study_of(**common, arms=[{**named, "measured": True}]), tmp_path / "measured").points
    assert [(point.budget, point.replayed) for point in replayed] == [(n, True) for n in (1, 2, 4)]
    for pooled, live in zip(replayed, measured, strict=True):
        assert not live.replayed
        assert pooled.right.tolist() == live.right.tolist()
        assert pooled.abstained.tolist() == live.abstained.tolist()
        assert pooled.oracle is not None
        assert live.oracle is not None
        assert pooled.oracle.tolist() == live.oracle.tolist()
        for axis in (Axis.GENERATED_TOKENS, Axis.ALL_TOKENS, Axis.REQUESTS, Axis.DOLLARS, Axis.TERAFLOPS):
            np.testing.assert_allclose(pooled.costs[axis], live.costs[axis], rtol=1e-9)
        assert pooled.health.samples == live.health.samples


def test_an_arm_is_not_cheaper_for_coming_after_another_one(tmp_path) -> None:
    """An arm alone, and on an engine that an arm before it has given the same prompts to read."""
    task = {"name": "countdown", "questions": 6}
    votes = {"name": "votes", "model": "small", "strategy": "self-consistency(4)"}
    checked = {"name": "checked", "model": "small", "strategy": "best-of-n(4)", "verifier": "task"}
    alone, after = (
        run_study(
            study_of(tasks=[task], models=with_cache(16), arms=arms, budgets=[1, 4], orders=0, at_once=1),
            tmp_path / str(len(arms)),
        )
        for arms in ([checked], [votes, checked])
    )
    found = [
        [run.samples[0].usage.cached_tokens or 0 for run in results.runs("countdown", "checked")]
        for results in (alone, after)
    ]
    assert sum(found[1]) > sum(found[0])
    one, other = (
        {point.budget: point.costs for point in results.points if point.arm == "checked"}
        for results in (alone, after)
    )
    for axis in (Axis.DOLLARS, Axis.TERAFLOPS):
        for budget in (1, 4):
            np.testing.assert_allclose(one[budget][axis], other[budget][axis], rtol=1e-9)
    assert (one[4][Axis.TERAFLOPS] < 4 * one[1][Axis.TERAFLOPS]).all()  # its samples read the prompt once


def test_a_token_budget_is_replayed_sample_by_sample(tmp_path) -> None:
    arm = {
        "name": "arm",
        "model": "small",
        "strategy": "self-consistency(6)",
        "limit": "tokens",
        "budgets": [40, 90],
    }
    study = study_of(tasks=[{"name": "countdown", "questions": 5}], models=MODELS, arms=[arm], orders=0)
    results = run_study(study, tmp_path)
    runs = list(results.runs("countdown", "arm"))
    for point in results.points:
        assert point.limit == "tokens"
        fit = [
            max(
                total
                for total in itertools.accumulate((s.usage.generated_tokens for s in run.samples), initial=0)
                if total <= point.budget
            )
            for run in runs
        ]
        assert point.costs[Axis.GENERATED_TOKENS].tolist() == fit


def test_shuffled_orders_estimate_the_expectation_of_fewer_samples(go) -> None:
    """One sample of a pool is right as often as its samples are; all samples need no order."""
    results = go(study_of(orders=400, budgets=[1, 4]))
    one, every = results.points[1], results.points[2]
    grades = results.grades("sums", "votes")
    share = [sum(grades[name]) / 4 for name in one.question_ids]
    assert one.right.tolist() == pytest.approx(share, abs=0.1)
    assert set(every.right.tolist()) <= {0.0, 1.0}
    exact = [
        run.answer is not None and results.is_right("sums", run) for run in results.runs("sums", "votes")
    ]
    assert every.right.tolist() == exact


@pytest.mark.parametrize("orders", [2, 6, 48])
def test_what_is_always_so_is_exactly_one(go, orders: int) -> None:
    """Means over orders are no sum of rounded parts: a share above 1 is none."""
    models = {"small": {"engine": "scripted:small", "options": {"right": 1.0}}}
    arms = [{"name": "votes", "model": "small", "strategy": "self-consistency(4)"}]
    for point in go(study_of(models=models, arms=arms, orders=orders, budgets=[1, 3, 4])).points:
        assert point.right.tolist() == [1.0] * 6
        assert point.abstained.tolist() == [0.0] * 6


def test_what_a_verifier_spent_is_divided_among_the_samples_of_a_pool(tmp_path) -> None:
    judged = {
        "name": "judged",
        "model": "small",
        "strategy": "best-of-n(4)",
        "verifier": "judge",
        "think": False,
    }
    study = study_of(
        tasks=[{"name": "countdown", "questions": 3}], models=MODELS, arms=[judged], budgets=[2, 4], orders=0
    )
    results = run_study(study, tmp_path)
    runs = list(results.runs("countdown", "judged"))
    half, whole = results.points
    assert all(run.receipt.verifier_tokens for run in runs)
    for axis, total in (
        (Axis.GENERATED_TOKENS, [run.receipt.generated_tokens for run in runs]),
        (Axis.REQUESTS, [run.receipt.requests for run in runs]),
    ):
        assert whole.costs[axis].tolist() == pytest.approx(total)
    shares = [
        sum(s.usage.generated_tokens for s in run.samples[:2]) + run.receipt.verifier_tokens / 2
        for run in runs
    ]
    assert half.costs[Axis.GENERATED_TOKENS].tolist() == pytest.approx(shares)


def test_an_answer_that_declines_abstains_replayed_and_measured(tmp_path) -> None:
    from dataclasses import replace

    from tests.evals.studies.conftest import sums

    def polite(_: str):
        return replace(sums(), abstains=lambda text: int(text) % 2 == 0)

    arms = [
        {"name": "pool", "model": "small", "strategy": "self-consistency(2)"},
        {"name": "live", "model": "small", "strategy": "chain-of-thought", "sampling": {"temperature": 0.7}},
    ]
    results = run_study(study_of(arms=arms, budgets=[2], orders=0), tmp_path, task_of=polite)
    for arm, point in zip(("pool", "live"), results.points, strict=True):
        even = [run.answer is not None and int(run.answer.text) % 2 == 0 for run in results.runs("sums", arm)]
        assert 0 < sum(even) < 6
        assert point.abstained.tolist() == even


def test_a_pool_is_recorded_without_its_policy() -> None:
    study = study_of(
        arms=[{"name": "a", "model": "small", "strategy": "self-consistency(4)", "policy": "margin(1)"}]
    )
    (recording,) = plan_study(study, lambda _: task("countdown")).recordings
    assert recording.policy is None
