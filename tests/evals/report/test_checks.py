"""How far a study's checks can be trusted."""

from __future__ import annotations

import pytest

from thinkctl.evals.report.checks import checks_of
from thinkctl.evals.report.duelling import duel_of
from thinkctl.evals.report.writing import write_report
from thinkctl.evals.studies import run_study


@pytest.fixture(scope="module")
def duel(tmp_path_factory):
    """A duel of made-up models on puzzles, whose check is exact."""
    study = duel_of(
        "scripted:small", "scripted:large", "countdown", questions=10, samples=4, has_verifier=True
    )
    return run_study(study, tmp_path_factory.mktemp("checks"))


class Regraded:
    """A study whose hidden references say something else."""

    def __init__(self, results, right):
        self.study, self.folder, self.points = results.study, results.folder, results.points
        self.runs, self._results, self._right = results.runs, results, right

    def grades(self, task, arm):
        found = self._results.grades(task, arm)
        return {name: tuple(self._right(told) for told in rows) for name, rows in found.items()}


def rates(found):
    wrong, right = found.judging.false_positive_rate, found.judging.true_positive_rate
    return wrong and wrong.value, right and right.value


def test_an_exact_check_passes_all_that_is_right_and_nothing_else(duel):
    (found,) = checks_of(duel)
    assert (found.task, found.arm) == ("countdown", "small, best of n")
    assert rates(found) == (0, 1)
    assert found.judging.samples == sum(
        sample.answer is not None for run in duel.runs("countdown", found.arm) for sample in run.samples
    )
    assert found.words.startswith(
        "The check of small, best of n on countdown: tells right from wrong (AUROC 1.00"
    )


def test_what_passes_against_the_references_counts_as_wrong(duel):
    (found,) = checks_of(Regraded(duel, lambda told: not told))
    assert rates(found) == (1, 0)
    assert "passes 100%" in found.words


def test_arms_without_a_check_have_no_row(duel):
    assert all(each.arm != "small at once" for each in checks_of(duel))


def test_the_report_says_how_far_each_check_can_be_trusted(duel, tmp_path):
    (found,) = checks_of(duel)
    page = write_report(duel, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f">{found.words}</li>" in page
