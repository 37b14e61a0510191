"""``thinkctl runs``: who judged, when, and of which task, on the screen and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import typer

from thinkctl.cli.runs import app as runs
from thinkctl.evals.tasks import task
from thinkctl.runfile import write
from thinkctl.testing import history_of
from thinkctl.types import ModelCard, Problem, Receipt, Run, StopReason, Verdict

THEN = "2026-01-02T03:04:05+00:00"
TESTS = {"name": "unit-tests", "sandbox": {"name": "sandbox", "seconds": 5.0}}


@pytest.fixture
def call(capsys):
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    app.add_typer(runs, name="runs")

    def run(*arguments):
        app(args=["runs", *map(str, arguments)], prog_name="thinkctl", standalone_mode=False)
        return capsys.readouterr().out

    return run


def run_of(problem, **fields):
    history = history_of("4", "5", problem=problem)
    known = {"strategy": {"name": "best-of-n", "n": 2}, "policy": {"name": "threshold", "score": 1.0}}
    return Run(
        history, history.answers[0], 1.0, StopReason.DONE, "all asked", Receipt(), **{**known, **fields}
    )


@pytest.fixture
def folder(tmp_path):
    """A file of a task by its header, one by its problems, and one of nothing that is known."""
    question = Problem.of("How many?", "number")
    card = ModelCard(name="small")
    write(tmp_path / "named.jsonl", [run_of(question, verifier=TESTS)], card=card, created=THEN, task="gsm8k")
    write(tmp_path / "told.jsonl", [run_of(task("countdown").problems[0])], card=card)
    write(tmp_path / "other.jsonl", [run_of(question)], card=card)
    return tmp_path


def row_of(out, name):
    (row,) = [line.split() for line in out.splitlines() if name in line]
    return row


def test_what_is_recorded_is_listed_and_what_is_not_is_marked(call, folder):
    out = call("ls", folder)
    assert row_of(out, "named.jsonl")[3] == "unit-tests"
    assert row_of(out, "named.jsonl")[-1] == "2026-01-02"
    assert row_of(out, "other.jsonl")[3] == "none"
    assert row_of(out, "other.jsonl")[-1].startswith("~2")
    assert "the date of a last change" in out


def test_json_tells_apart_what_was_recorded_and_what_was_told(call, folder):
    (row,) = json.loads(call("ls", folder / "named.jsonl", "--json"))
    assert (row["verifiers"], row["checks_by_verdicts"], row["tasks"]) == (["unit-tests"], [], ["gsm8k"])
    assert (row["date"], row["dated_by"]) == (THEN, "header")


@pytest.mark.parametrize(("name", "file"), [("gsm8k", "named.jsonl"), ("countdown", "told.jsonl")])
def test_files_of_a_task_alone_are_listed(call, folder, name, file):
    (row,) = json.loads(call("ls", folder, "--task", name, "--json"))
    assert row["file"] == str(folder / file)


def test_a_task_that_no_file_is_of_is_said_with_those_that_there_are(call, folder):
    out = call("ls", folder, "--task", "gsm9k")
    assert "no run files of the task 'gsm9k'" in out
    assert "Other files name gsm8k" in out
    assert json.loads(call("ls", folder, "--task", "gsm9k", "--json")) == []


def test_a_run_is_shown_with_the_parts_that_made_it(call, folder):
    out = call("show", folder / "named.jsonl")
    assert "best-of-n(n=2)" in out
    assert "threshold(score=1.0)" in out
    assert "unit-tests(sandbox=sandbox(seconds=5.0))" in out
    assert json.loads(call("show", folder / "named.jsonl", "--json"))["verifier"] == TESTS


@pytest.mark.parametrize(
    ("verdict", "words"),
    [(Verdict(1.0, passed=True, marks=("assert f()",)), "tests"), (Verdict(0.5), "unknown")],
)
def test_a_verifier_that_nobody_recorded_is_shown_as_that(call, tmp_path, verdict, words):
    run = run_of(Problem.of("How many?", "number"))
    judged = tuple(replace(sample, verdict=verdict) for sample in run.samples)
    write(tmp_path / "a.jsonl", [replace(run, history=replace(run.history, samples=judged))])
    assert f"not recorded; by its verdicts: {words}" in call("show", tmp_path / "a.jsonl")


def test_the_list_of_runs_shows_the_beginning_of_an_answer_without_spaces_early_on(call, tmp_path):
    history = history_of("def first_and_only_function_of_many(numbers): return 4")
    runs = [
        Run(history, history.answers[0], 1.0, StopReason.DONE, "all asked", Receipt(), strategy={"name": "x"})
    ] * 2
    write(tmp_path / "a.jsonl", runs)
    assert "def first_and_only_func" in call("show", tmp_path / "a.jsonl")
