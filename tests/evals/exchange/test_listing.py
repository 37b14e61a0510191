"""Run files in numbers, and where they are found."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange import find_run_files, listed
from thinkctl.types import Problem, Receipt, ReceiptLine, Role, Usage


def test_a_file_is_counted(recorded, run_of):
    line = ReceiptLine(Role.SAMPLE, "scripted", Usage(2, 30, thinking_tokens=11), Decimal("0.10"))
    one = run_of("one?", "it is 1", "it is 2", receipt=Receipt((line,), 1.0, overshoot_tokens=3))
    two = run_of("two?", "it is 2", receipt=Receipt((replace(line, usage=Usage(1, 5, answer_tokens=4)),)))
    found = listed(recorded(one, two, one))
    assert (found.problems, found.runs, found.samples) == (2, 3, 5)
    assert (found.generated_tokens, found.prompt_tokens, found.overshoot_tokens) == (26, 65, 6)
    assert found.dollars == Decimal("0.30")
    assert found.models == ("scripted",)
    assert found.strategies == ("self-consistency(2)", "self-consistency(1)")
    assert (found.graded, found.accuracy, found.error) == (0, None, "")


def test_one_unknown_price_makes_the_sum_unknown(recorded, run_of):
    priced = ReceiptLine(Role.SAMPLE, "m", Usage(thinking_tokens=1), Decimal(1))
    unknown = replace(priced, dollars=None)
    runs = [run_of("one?", "it is 1", receipt=Receipt((each,))) for each in (priced, unknown, priced)]
    assert listed(recorded(*runs)).dollars is None


def test_accuracy_is_of_the_runs_with_a_reference_and_no_answer_is_wrong(recorded, run_of):
    right, wrong, unknown = (run_of(Problem.of(name, "number"), "it is 4") for name in "abc")
    silent = run_of(Problem.of("d", "number"))
    gold = {run.history.problem.id: "4.0" for run in (right, silent)} | {wrong.history.problem.id: "5"}
    found = listed(recorded(right, wrong, unknown, silent), gold)
    assert (found.graded, found.right, found.accuracy) == (3, 1, 1 / 3)


def test_references_beside_a_file_are_taken_where_none_are_given(recorded, run_of, tmp_path):
    run = run_of("one?", "it is 4")
    path = recorded(run, name="a.jsonl.gz")
    (tmp_path / "a.gold.jsonl").write_text(
        f'{{"id": "{run.history.problem.id}", "answer": 4}}\n', encoding="utf-8"
    )
    assert listed(path).accuracy == 1.0
    assert listed(path, {}).accuracy is None


def test_a_header_s_date_goes_before_the_file_s(recorded, run_of):
    run = run_of("one?", "it is 4")
    assert listed(recorded(run, created="2026-01-02")).date == "2026-01-02"
    plain = listed(recorded(run, name="b.jsonl"))
    assert (plain.dated_by, len(plain.date)) == ("file", len("2026-01-02T00:00:00+00:00"))


def test_a_broken_file_has_an_error_and_a_torn_line_a_warning(recorded, run_of):
    path = recorded(run_of("one?", "it is 4"), run_of("two?", "it is 5"))
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    torn = listed(path)
    assert (torn.runs, torn.error, len(torn.warnings)) == (1, "", 1)
    path.write_bytes(whole.replace(b'"history"', b'"histroy"', 1))
    assert "line 2 is not a run" in listed(path).error


def test_folders_are_searched_and_what_is_no_run_file_is_passed_over(recorded, run_of, tmp_path):
    (tmp_path / "in").mkdir()
    run = run_of("one?", "it is 4")
    inner, outer = recorded(run, name="in/b.jsonl.gz"), recorded(run, name="a.jsonl")
    (tmp_path / "gold.jsonl").write_text("{}\n", encoding="utf-8")
    (tmp_path / "note.txt").write_text("hi", encoding="utf-8")
    assert list(find_run_files([tmp_path])) == [outer, inner]
    assert list(find_run_files([outer, tmp_path, outer])) == [outer, inner]


def test_what_was_named_and_is_no_run_file_is_an_error(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="is not a run file"):
        list(find_run_files([path]))
    with pytest.raises(ConfigurationError, match="there is no"):
        list(find_run_files([tmp_path / "none"]))
