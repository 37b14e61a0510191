"""What a report shows of a replayed arm is what the arm would have taken, not the whole pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.evals.statistics.known import known
from thinkctl.errors import ConfigurationError
from thinkctl.evals.report.explorer import explorer_of
from thinkctl.evals.report.pictures import draw_all
from thinkctl.evals.report.seen import seen_runs
from thinkctl.evals.studies import Study
from thinkctl.types import ReceiptLine, Role, Usage


def study(**arm):
    """Make a study of one pooled arm of up to 4 samples."""
    arm = {"name": "votes", "model": "small", "strategy": "self-consistency(4)", "budgets": (1, 2, 4), **arm}
    return Study.model_validate(
        {
            "title": "t",
            "tasks": ({"name": "gsm8k"},),
            "models": {"small": {"engine": "scripted:small"}},
            "arms": ({"name": "at once", "model": "small", "strategy": "zero-shot"}, arm),
        }
    )


@pytest.fixture
def results(made, tmp_path):
    """Return results in whose pools the samples of each question answer x, 17, x, x."""
    points = [
        made.point("at once", 1, 0.5, 100, questions=6),
        *made.curve("votes", (0.5, 0.6, 0.7), questions=6, replayed=True, oracles=(0.5, 0.6, 0.8)),
    ]
    return made.Results(tuple(points), tmp_path, study())


def test_an_arm_with_a_policy_shows_the_samples_up_to_where_it_stops(results):
    stops = replace(results, study=study(policy="margin(1)"))
    for run, whole in zip(seen_runs(stops, "gsm8k", "votes"), results.runs("gsm8k", "votes"), strict=True):
        assert run.samples == whole.samples[:1]
        assert run.receipt.generated_tokens == whole.samples[0].usage.generated_tokens
        assert run.answer == whole.samples[0].answer
        assert (run.stop, run.notes[0].settled, run.notes[0].decision.stop) == ("policy", 1, True)


def test_an_arm_shows_no_more_samples_than_its_largest_budget(results):
    fewer = replace(results, study=study(budgets=(1, 2), pool=4))
    for run in seen_runs(fewer, "gsm8k", "votes"):
        assert [known(sample.answer).text for sample in run.samples][1:] == ["17"]
        assert (run.stop, run.confidence, run.notes) == ("done", 0.5, ())


def test_the_verifier_of_a_pool_is_shared_by_its_samples(results, monkeypatch):
    used = ReceiptLine(Role.VERIFIER, "judge", Usage(requests=4, prompt_tokens=80, answer_tokens=40), None)
    whole = list(results.runs("gsm8k", "votes"))
    judged = [replace(run, receipt=replace(run.receipt, lines=(*run.receipt.lines, used))) for run in whole]
    monkeypatch.setattr(type(results), "runs", lambda *_: iter(judged))
    fewer = replace(results, study=study(budgets=(1, 2), pool=4))
    for run in seen_runs(fewer, "gsm8k", "votes"):
        assert run.receipt.verifier_tokens == 20
        assert run.receipt.lines[-1].usage.prompt_tokens == 40


def test_what_was_measured_is_shown_as_it_was_recorded(results):
    assert list(seen_runs(results, "gsm8k", "at once")) == list(results.runs("gsm8k", "at once"))


def test_an_arm_that_the_study_has_not_is_an_error(results):
    with pytest.raises(ConfigurationError, match="no arm 'other'; run the study again"):
        next(seen_runs(results, "gsm8k", "other"))


def test_figures_and_questions_count_what_the_arm_took(results, tmp_path):
    stops = replace(results, study=study(policy="margin(1)"))
    one = next(results.runs("gsm8k", "votes")).samples[0].usage.generated_tokens
    _, _, data = explorer_of(stops)
    assert [len(each["arms"]["1"]["samples"]) for each in data["questions"]] == [1] * 6
    draw_all(stops, stops.points, {}, {}, tmp_path)
    rows = (tmp_path / "tokens.csv").read_text(encoding="utf-8").splitlines()
    taken = [row.split(",") for row in rows if ",votes," in row]
    assert [sum(map(float, row[4:])) for row in taken] == [one] * 3
