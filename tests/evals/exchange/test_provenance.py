"""Who judged the samples of a run file, when it was begun and of which task it is: recorded, told, or unknown."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import zipfile
from dataclasses import replace

import pytest

from thinkctl.evals.exchange import (
    SAMPLE_COLUMNS,
    choose,
    evaluation_problems,
    listed,
    read_inspect,
    rows_of_runs,
    rows_of_samples,
    write_csv,
    write_inspect,
)
from thinkctl.evals.exchange.checks import Strength, check_of, shown_by
from thinkctl.evals.tasks import task
from thinkctl.testing import sample_of
from thinkctl.types import Problem, Verdict

QUESTION = Problem.of("How many?", "number")
PASSED = Verdict(1.0, passed=True, marks=("assert f(1) == 2",))
TESTS = {"name": "unit-tests", "sandbox": {"name": "sandbox", "seconds": 5.0}}
THEN = "2026-01-02T03:04:05+00:00"


def said(text, verdict=PASSED):
    return replace(sample_of("4", problem=QUESTION, thought=text), text=text, verdict=verdict)


# -- listed --------------------------------------------------------------------------------------------------


def test_the_verifiers_that_runs_name_are_listed_once(recorded, run_of):
    runs = [run_of(QUESTION, said("4"), verifier={"name": name}) for name in ("judge", "matches", "judge")]
    found = listed(recorded(*runs))
    assert (found.verifiers, found.checks) == (("judge", "matches"), ())


@pytest.mark.parametrize(
    ("verdict", "checks"),
    [
        (None, ()),
        (PASSED, ("tests",)),
        (Verdict(0.5, passed=False, marks=("assert f(1) == 2",)), ("tests",)),
        (Verdict(1.0, passed=True, marks=("rows 3f",)), ("a query's rows",)),
        (Verdict(1.0, passed=True, feedback="The program gave: 4"), ("a program's result",)),
        (Verdict(0.7, feedback="The judge's score is 0.70 of 1."), ("a judging model",)),
        (Verdict(0.7), ("unknown",)),
    ],
)
def test_where_runs_name_no_verifier_it_is_told_by_the_verdicts(recorded, run_of, verdict, checks):
    found = listed(recorded(run_of(QUESTION, said("4", verdict), said("5", verdict))))
    assert (found.verifiers, found.checks) == ((), checks)


def test_one_verdict_that_shows_what_judged_it_is_enough(recorded, run_of):
    silent = Verdict(0.0, passed=False, feedback="There is no code in the answer.")
    assert listed(recorded(run_of(QUESTION, said("4", silent), said("5")))).checks == ("tests",)


def test_a_game_of_numbers_is_told_by_its_problem():
    problem = Problem.of("Make 24", "text").model_copy(update={"given": {"numbers": [1], "target": 24}})
    assert shown_by(problem, Verdict(0.0, passed=False)) == "an exact check"


def test_when_a_file_was_begun_goes_before_its_last_change(recorded, run_of):
    run = run_of(QUESTION, "it is 4")
    begun = listed(recorded(run, created=THEN))
    assert (begun.date, begun.dated_by) == (THEN, "header")
    path = recorded(run, name="old.jsonl")
    os.utime(path, (0, 86_400))
    assert (listed(path).date, listed(path).dated_by) == ("1970-01-02T00:00:00+00:00", "file")
    nonsense = recorded(run, name="nonsense.jsonl", created="yesterday")
    assert listed(nonsense).dated_by == "file"


@pytest.mark.parametrize(
    "fields", [{"identity": {"task": "sums"}}, {"imported": {"task": "sums"}}, {"task": "sums"}]
)
def test_the_task_is_the_header_s(recorded, run_of, fields):
    assert listed(recorded(run_of(QUESTION, "it is 4"), **fields)).tasks == ("sums",)


def test_where_the_header_names_no_task_the_problems_tell_it(recorded, run_of):
    known = evaluation_problems(["countdown"])
    path = recorded(run_of(QUESTION, "it is 4"), run_of(task("countdown").problems[0], "it is 4"))
    assert listed(path).tasks == ()
    assert listed(path, evaluation=known).tasks == ("countdown",)
    named = recorded(run_of(task("countdown").problems[0], "it is 4"), name="b.jsonl", task="mine")
    assert listed(named, evaluation=known).tasks == ("mine",)


# -- what passing is worth -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verifier", "name", "strength"),
    [
        (None, "1 public test", Strength.TESTS),
        (TESTS, "1 public test", Strength.TESTS),
        ({"name": "arithmetic", "partial": False}, "exact check of the expression", Strength.TESTS),
        ({"name": "matches", "pattern": "4"}, "the answer matches a pattern", Strength.WEAK),
        ({"name": "schema"}, "the answer fits a schema", Strength.WEAK),
        ({"name": "judge"}, "a judging model passed it", Strength.WEAK),
        ({"name": "program-result"}, "the program ran and gave a result", Strength.WEAK),
        ({"name": "sql-execution", "empty_fails": True}, "the query ran and returned rows", Strength.WEAK),
        ({"name": "duckdb-execution", "empty_fails": False}, "the query ran", Strength.WEAK),
        ({"name": "mine"}, "the verifier mine", Strength.WEAK),
    ],
)
def test_what_passed_is_what_the_run_says_whatever_the_verdict_looks_like(verifier, name, strength):
    found = check_of(QUESTION, said("4"), verifier)
    assert found is not None
    assert (found.name, found.strength) == (name, strength)


def test_training_data_say_which_verifier_passed_them(recorded, run_of):
    path = recorded(run_of(QUESTION, said("It is 4"), verifier=TESTS), created=THEN)
    (record,) = asyncio.run(choose([path])).records
    told = record["metadata"]
    assert (told["verifier"], told["run_file_created"]) == (TESTS, THEN)
    assert told["verdict"]["passed"] is True


# -- exported --------------------------------------------------------------------------------------------------


def test_every_row_has_the_verifier_and_when_its_file_was_begun(recorded, run_of, tmp_path):
    path = recorded(run_of(QUESTION, said("It is 4"), verifier=TESTS), created=THEN)
    old = recorded(run_of(QUESTION, "it is 4"), name="old.jsonl")
    for make in (rows_of_runs, rows_of_samples):
        new_row, old_row = make([path, old], {})
        assert json.loads(new_row["verifier"]) == TESTS
        assert (new_row["created"], old_row["verifier"], old_row["created"]) == (THEN, None, None)
    write_csv(tmp_path / "out.csv", rows_of_samples([path], {}), SAMPLE_COLUMNS)
    (row,) = csv.DictReader((tmp_path / "out.csv").read_text("utf-8").splitlines())
    assert row["created"] == THEN


def test_a_log_of_inspect_says_when_it_was_recorded_and_who_judged(recorded, run_of, tmp_path):
    path = recorded(run_of(QUESTION, said("It is 4"), verifier=TESTS), created="2026-01-02T05:04:05+02:00")
    write_inspect(tmp_path / "out.eval", [path], {})
    with zipfile.ZipFile(tmp_path / "out.eval") as log:
        header = json.loads(log.read("header.json"))
        (name,) = [name for name in log.namelist() if name.startswith("samples/")]
        sample = json.loads(log.read(name))
    assert header["eval"]["created"] == header["stats"]["started_at"] == THEN
    assert header["eval"]["metadata"]["verifiers"] == ["unit-tests"]
    assert sample["metadata"]["thinkctl"]["run"]["verifier"] == TESTS


def test_a_log_that_was_exported_and_imported_again_still_names_the_verifier(recorded, run_of, tmp_path):
    silent = Verdict(1.0, passed=True)
    path = recorded(
        run_of(QUESTION, said("It is 4", silent), verifier=TESTS), run_of(Problem.of("Why?"), "no 4")
    )
    write_inspect(tmp_path / "out.eval", [path], {})
    judged, unjudged = read_inspect(tmp_path / "out.eval").runs
    assert (judged.verifier, unjudged.verifier) == (TESTS, None)
    found = check_of(QUESTION, judged.samples[0], judged.verifier)
    assert found is not None
    assert (found.name, found.strength) == ("public tests", Strength.TESTS)
