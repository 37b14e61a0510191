"""``thinkctl runs``: run files listed, shown, exported and imported."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from thinkctl.cli.failures import explained
from thinkctl.cli.runs import app as runs
from thinkctl.cli.runs_show import visible
from thinkctl.evals.tasks import task
from thinkctl.runfile import write
from thinkctl.testing import history_of
from thinkctl.types import (
    Decision,
    ModelCard,
    Note,
    Problem,
    Receipt,
    ReceiptLine,
    Role,
    Run,
    StopReason,
    Usage,
    Verdict,
)

ROOT = Path(__file__).resolve().parents[2]
SVAMP = next((ROOT / "evals" / "runs").glob("svamp_*.jsonl.gz"))
GOLD = ROOT / "evals" / "runs" / "svamp_gold.jsonl"


@pytest.fixture
def call(capsys):
    """Return ``call(*arguments)``: exit code, stdout and stderr of ``thinkctl`` with these arguments."""
    app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
    app.add_typer(runs, name="runs")

    def run(*arguments):
        code = 0
        try:
            app(args=["runs", *map(str, arguments)], prog_name="thinkctl", standalone_mode=False)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except (Exception, typer.Exit) as error:
            told = explained(error)
            if told is None:
                raise
            code, message = told
            typer.echo(message, err=True)
        out, err = capsys.readouterr()
        return code, out, err

    return run


def run_of(question="What is 2+2?", *answers, **fields):
    problem = Problem.of(question, "number")
    history = history_of(*(answers or ("4", "5", "4")), problem=problem)
    line = ReceiptLine(Role.SAMPLE, "small", sum((each.usage for each in history.samples), Usage()), None)
    note = Note(1.5, 2, Decision(stop=True, confidence=0.9, why="4:1"))
    known = {
        "history": history,
        "answer": history.answers[0],
        "confidence": 0.75,
        "stop": StopReason.POLICY,
        "why": "sure enough",
        "receipt": Receipt((line,), 2.0, verifier_calls=1, verifier_seconds=0.5),
        "strategy": {"name": "self-consistency", "n": 3},
        "notes": (note,),
    }
    return Run(**{**known, **fields})


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.jsonl"
    write(path, [run_of(), run_of("What is 3+4?", "7", None, "7")], card=ModelCard(name="small"))
    return path


# -- ls ------------------------------------------------------------------------------------------------------


def test_files_are_listed_with_what_they_hold(call, file):
    code, out, _ = call("ls", file.parent)
    assert code == 0
    (row,) = [line.split() for line in out.splitlines() if "a.jsonl" in line]
    assert row[:7] == ["a.jsonl", "small", "self-consistency(3)", "none", "2", "6", "unknown"]
    assert "give --gold FILE" in out


def test_accuracy_is_known_with_references(call):
    code, out, _ = call("ls", SVAMP, "--gold", GOLD, "--json")
    (row,) = json.loads(out)
    assert (code, row["problems"], row["samples"], row["graded"]) == (0, 53, 848, 53)
    assert row["accuracy"] == row["right"] / 53
    assert row["dollars"] is None


def test_a_broken_file_is_a_row_and_exit_code_1(call, file):
    (file.parent / "b.jsonl").write_bytes(file.read_bytes().replace(b'"history"', b'"histroy"', 1))
    code, out, err = call("ls", file.parent)
    assert code == 1
    assert "broken, see below" in out
    assert "b.jsonl: line 2 is not a run" in err
    assert "self-consistency(3)" in out


def test_among_several_files_what_is_no_run_file_is_passed_over(call, file):
    other = file.parent / "rows.jsonl"
    other.write_text("{}\n", encoding="utf-8")
    code, out, err = call("ls", file, other, file)
    assert (code, out.count("a.jsonl")) == (0, 1)
    assert f"passed over: {other} is not a run file" in err
    for path in (other, file.parent / "none"):
        assert call("ls", path)[0] == 2


# -- show ----------------------------------------------------------------------------------------------------


def test_several_runs_are_listed_first(call, file):
    code, out, _ = call("show", file)
    assert code == 0
    assert "What is 2+2?" in out
    assert "--problem ID" in out
    assert len(json.loads(call("show", file, "--json")[1])) == 2


def test_one_run_can_be_read(call, file):
    name = Problem.of("What is 2+2?", "number").id
    code, out, _ = call("show", file, "--problem", name)
    assert code == 0
    for words in (
        "user        What is 2+2?",
        "answer      4",
        "confidence  75.0%",
        "stopped     by the policy: sure enough",
        "votes       2 × 4\n            1 × 5",
        "decisions   1.5 s, 2 votes: stop, sure 90.0%: 4:1",
        "sample 1: 5",
        "receipt     sample, small:",
        "overshoot: 0 tokens",
    ):
        assert words in out


def test_long_texts_are_cut_and_a_sample_alone_is_whole(call, tmp_path):
    run = run_of()
    first = replace(run.samples[0], text="word " * 500 + "END")
    path = tmp_path / "long.jsonl"
    write(path, [replace(run, history=run.history.received(first))])
    out = call("show", path)[1]
    assert "END" not in out
    assert "--sample 0 shows all" in out
    whole = call("show", path, "--sample", 0)[1]
    assert "END" in whole
    assert "sample 1" not in whole
    assert "END" in call("show", path, "--chars", 0)[1]


HOSTILE = "[bold red]no[/] :boom: \x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe \r hidden <script>"


def test_what_a_model_said_is_printed_as_text(call, tmp_path):
    run = run_of(HOSTILE)
    verdict = Verdict(0.5, passed=False, feedback=HOSTILE)
    first = replace(run.samples[0], text=HOSTILE, verdict=verdict, model=HOSTILE)
    line = ReceiptLine(Role.SAMPLE, HOSTILE, Usage(), None)
    history = replace(run.history.received(first))
    evil = replace(run, history=history, why=HOSTILE, receipt=Receipt((line,)), strategy={"name": HOSTILE})
    path = tmp_path / "evil.jsonl"
    write(path, [evil, evil])
    name = run.history.problem.id
    for arguments in (["show", path], ["show", path, "--problem", name], ["ls", path]):
        code, out, _ = call(*arguments)
        assert code == 0
        assert all(sign.isprintable() or sign == "\n" for sign in out)
    out = call("show", path, "--problem", name)[1]
    assert "[bold red]no[/] :boom: ␛[2J␛]0;title␇ \\u009b31m \\u202egnp.exe ␍ hidden <script>" in out


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("\x1b", "␛"),
        ("\x7f", "␡"),
        ("\u200b", "\\u200b"),
        ("\U000e0001", "\\U000e0001"),
        ("é", "é"),
    ],
)
def test_every_character_can_be_seen(text, seen):
    assert visible(text) == seen


def test_json_of_a_run_has_what_people_are_shown(call, file):
    name = Problem.of("What is 2+2?", "number").id
    found = json.loads(call("show", file, "--problem", name, "--json")[1])
    assert found["problem"]["messages"] == [{"role": "user", "content": "What is 2+2?"}]
    assert (found["answer"], found["stop"], found["decisions"][0]["why"]) == ("4", "policy", "4:1")
    assert [sample["answer"] for sample in found["samples"]] == ["4", "5", "4"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--problem", "none"], "has no problem 'none'"),
        (["--sample", "0"], "say which problem's sample"),
        (["--problem", Problem.of("What is 2+2?", "number").id, "--sample", "9"], "there is no 9"),
    ],
)
def test_what_is_not_there_is_said(call, file, arguments, said):
    code, out, err = call("show", file, *arguments)
    assert (code, out) == (2, "")
    assert said in err


# -- export --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rows", "count"), [("samples", 6), ("runs", 2)])
def test_a_table_of_samples_or_of_runs(call, file, tmp_path, rows, count):
    out = tmp_path / "table.csv"
    code, said, _ = call("export", file, "--out", out, "--rows", rows)
    with out.open(encoding="utf-8", newline="") as table:
        assert len(list(csv.DictReader(table))) == count
    assert code == 0
    assert f"{count} {rows} of 1 run file written to" in said


def test_the_kind_is_told_by_the_ending_or_by_to(call, file, tmp_path):
    assert json.loads(call("export", file, "--out", tmp_path / "a.eval", "--json")[1])["kind"] == "inspect"
    assert zipfile.is_zipfile(tmp_path / "a.eval")
    assert (
        json.loads(call("export", file, "--out", tmp_path / "a.txt", "--to", "jsonl", "--json")[1])["count"]
        == 6
    )
    pytest.importorskip("pyarrow")
    assert call("export", file, "--out", tmp_path / "a.parquet")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give --out FILE"),
        (["--out", "a.xls"], "known: parquet, csv, jsonl, inspect"),
        (["--out", "a.csv", "--rows", "votes"], "known: samples, runs"),
        (["--sft", "b.jsonl", "--gold", "g", "--task", "t"], "give one of them"),
        (["--sft", "b.jsonl", "--order", "longest"], "known: shortest, diverse"),
        (["--sft", "b.jsonl", "--near", "0"], "0.8 is usual"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_exit_code_2(call, file, monkeypatch, arguments, said):
    monkeypatch.chdir(file.parent)
    code, out, err = call("export", file, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert [each.name for each in file.parent.iterdir()] == ["a.jsonl"]


def test_a_run_file_that_is_read_is_never_written_over(call, file):
    before = file.read_bytes()
    for arguments in (["--out", file], ["--sft", file]):
        code, _, err = call("export", file, *arguments)
        assert code == 2
        assert "write to another file" in err
    assert file.read_bytes() == before


@pytest.fixture
def of_a_task(tmp_path):
    """A run file on problems of an evaluation task: of two samples each, the second passed its check."""
    path, runs = tmp_path / "countdown.jsonl", []
    for problem in task("countdown").problems[:3]:
        history = history_of("1 + 1", "2 + 2", problem=problem)
        verdicts = (Verdict(0.0, passed=False), Verdict(1.0, passed=True))
        judged = (replace(each, verdict=said) for each, said in zip(history.samples, verdicts, strict=True))
        history = replace(history, samples=tuple(judged))
        runs.append(run_of(history=history, verifier={"name": "arithmetic", "partial": False}))
    write(path, runs)
    return path


def test_samples_that_passed_become_training_data(call, of_a_task, tmp_path):
    out = tmp_path / "sft.jsonl"
    code, said, err = call("export", "--sft", out, of_a_task)
    assert (code, said) == (2, "")
    assert "3 of 3 problems are those of an evaluation task (countdown 3)" in err
    assert not out.exists()
    code, said, _ = call("export", "--sft", out, of_a_task, "--allow-evaluation-problems")
    records = [json.loads(line) for line in out.read_text(encoding="ascii").splitlines()]
    assert (code, len(records)) == (0, 3)
    assert "3 records of 6 samples written" in said
    assert "judged wrong" in said
    assert "do not report on it" in said
    for record in records:
        assert [turn["role"] for turn in record["messages"]][-2:] == ["user", "assistant"]
        assert record["metadata"]["verdict"]["passed"] is True
        assert record["metadata"]["verifier"]["name"] == "arithmetic"


def test_references_decide_where_they_are_given(call, file, tmp_path):
    gold, out = tmp_path / "gold.txt", tmp_path / "sft.jsonl"
    names = [Problem.of(question, "number").id for question in ("What is 2+2?", "What is 3+4?")]
    gold.write_text(json.dumps({"id": names[0], "answer": 5}) + "\n", encoding="utf-8")
    found = json.loads(call("export", "--sft", out, file, "--gold", gold, "--json")[1])
    assert (found["records"], found["check_strengths"]) == (1, {"reference": 1})
    assert found["dropped"] == {"unanswered": 1, "unknown": 2, "failed": 2}


# -- import --------------------------------------------------------------------------------------------------


def test_an_exported_log_is_imported_and_replays_alike(call, tmp_path):
    log, out = tmp_path / "a.eval", tmp_path / "back.jsonl"
    assert call("export", SVAMP, "--gold", GOLD, "--out", log)[0] == 0
    code, said, _ = call("import", log, "--out", out)
    assert code == 0
    assert "53 problems, 848 samples" in said
    assert f"Next: thinkctl replay {out} --gold" in said
    (before,), (after,) = (
        json.loads(call("ls", *arguments, "--json")[1]) for arguments in ([SVAMP, "--gold", GOLD], [out])
    )
    for name in ("problems", "samples", "accuracy", "generated_tokens", "prompt_tokens"):
        assert after[name] == before[name]


@pytest.mark.parametrize(
    ("name", "content", "arguments", "said"),
    [
        ("a.txt", "", [], "known: inspect, lm-eval"),
        ("a.json", "{}", [], "has no samples"),
        ("a.jsonl", "{}", [], "not a sample of lm-eval"),
        ("a.json", "{}", ["--from", "helm"], "known: inspect, lm-eval"),
        ("a.json", "{}", ["--model", "m"], "leave --model out"),
        ("a.eval", "{}", [], "not a whole zip archive"),
    ],
)
def test_what_is_no_log_is_one_line_and_exit_code_2(call, tmp_path, name, content, arguments, said):
    (tmp_path / name).write_text(content, encoding="utf-8")
    code, out, err = call("import", tmp_path / name, "--out", tmp_path / "runs.jsonl", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert not (tmp_path / "runs.jsonl").exists()


def test_no_heavy_library_is_imported_to_list_runs():
    code = (
        "import sys\nfrom thinkctl.cli.runs import app\n"
        "early = {name.partition('.')[0] for name in sys.modules}\n"
        f"try: app(['ls', {str(SVAMP)!r}])\nexcept SystemExit: pass\n"
        "late = {name.partition('.')[0] for name in sys.modules}\n"
        "print('loaded', 'rich' in early, sorted(late & {'numpy', 'scipy', 'pyarrow', 'matplotlib', 'zstandard'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.splitlines()[-1] == "loaded False []"
