"""``thinkctl eval`` and ``thinkctl plan``."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from thinkctl.cli.studying import eval_, plan
from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.types import Run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "studies"
STUDY = """
title = "Sums"
budgets = [1, 2]
at_once = 2
[[tasks]]
name = "generated:arithmetic?level=1&size=6"
label = "sums"
questions = 4
[models.small]
engine = "scripted:small"
options = {{ seconds_per_token = {pace} }}
[[arms]]
name = "at once"
model = "small"
strategy = "zero-shot"
[[arms]]
name = "votes"
model = "small"
strategy = "self-consistency(2)"
"""

app = typer.Typer()
app.command("eval")(eval_)
app.command("plan")(plan)


def call(*arguments: object):
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "sums.toml"
    path.write_text(STUDY.format(pace=0), encoding="utf-8")
    return path


def test_a_study_is_run_and_its_points_are_printed(study: Path, tmp_path: Path) -> None:
    called = call("eval", study, "--out", tmp_path / "out")
    assert called.exit_code == 0
    assert "sums, 4 questions" in called.stdout
    assert "2 samples r" in called.stdout
    assert "no latency is claimed" in called.stdout
    assert max(len(line) for line in called.stdout.splitlines() if "─" in line) <= 100
    assert "sums_votes: 4 of 4, " in called.stderr
    assert study.read_text("utf-8") == (tmp_path / "out" / "study.toml").read_text("utf-8")


def test_json_is_one_value_on_stdout_and_quiet_says_nothing(study: Path, tmp_path: Path) -> None:
    called = call("eval", study, "--out", tmp_path / "out", "--json", "--quiet")
    found = json.loads(called.stdout)
    assert called.stderr == ""
    assert [(row["arm"], row["budget"], row["replayed"]) for row in found["points"]] == [
        ("at once", 1.0, False),
        ("votes", 1.0, True),
        ("votes", 2.0, True),
    ]
    assert found["points"][0]["costs"]["generated_tokens"] > 0
    assert json.loads(call("eval", study, "--out", tmp_path / "out", "--json").stdout) == found


def test_without_a_folder_results_go_beside_their_name(study: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("eval", study).exit_code == 0
    assert (tmp_path / "results" / "sums" / "points.jsonl").exists()


def test_a_dry_run_prints_the_exact_first_requests_and_runs_nothing(study: Path, tmp_path: Path) -> None:
    called = call("eval", study, "--out", tmp_path / "out", "--dry-run")
    assert "== sums_votes: question " in called.stdout
    assert "-- small, 2 times, thinks, temperature=0.7" in called.stdout
    assert "[user]\nStart with" in called.stdout
    assert not (tmp_path / "out").exists()
    told = json.loads(call("eval", study, "--dry-run", "--json").stdout)
    assert [len(each["requests"]) for each in told] == [1, 1]
    assert told[1]["requests"][0]["times"] == 2
    assert told[1]["requests"][0]["sampling"]["temperature"] == 0.7


def test_a_plan_says_what_is_left_to_do(study: Path, tmp_path: Path) -> None:
    before = json.loads(
        call("plan", study, "--out", tmp_path / "out", "--rate", "small=100", "--json").stdout
    )
    assert [(line["runs"], line["samples"]) for line in before["lines"]] == [(4, 4), (4, 8)]
    assert before["seconds"] == pytest.approx(before["expected_tokens"] / 100)
    assert "no difference" in call("plan", study, "--out", tmp_path / "out").stdout
    call("eval", study, "--out", tmp_path / "out")
    after = json.loads(call("plan", study, "--out", tmp_path / "out", "--json").stdout)
    assert (after["expected_tokens"], after["seconds"]) == (0, 0)
    assert "found four times in five" in call("plan", EXAMPLES / "small-thinks-longer.toml").stdout


def test_a_plan_for_a_folder_of_something_else_is_refused(study: Path, tmp_path: Path) -> None:
    call("eval", study, "--out", tmp_path / "out")
    study.write_text(STUDY.format(pace=0.5), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"seconds_per_token was 0, is now 0\.5"):
        call("plan", study, "--out", tmp_path / "out")


@pytest.mark.parametrize("rate", ["small", "small=0", "small=x", "large=3", "small=inf"])
def test_a_rate_that_is_none_is_an_error(study: Path, rate: str) -> None:
    with pytest.raises(ConfigurationError, match="write MODEL=TOKENS_PER_SECOND with one of small"):
        call("plan", study, "--rate", rate)


def test_an_interrupt_keeps_what_has_ended_and_the_same_command_goes_on(study: Path, tmp_path: Path) -> None:
    study.write_text(STUDY.format(pace=0.005), encoding="utf-8")
    program = "import typer\nfrom thinkctl.cli.studying import eval_\ntyper.run(eval_)"
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(study), "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100"},
        text=True,
    ) as running:
        until = time.monotonic() + 60
        while not any(file.read_bytes().count(b"\n") > 1 for file in out.glob("runs/*.jsonl")):
            assert time.monotonic() < until
            assert running.poll() is None
            time.sleep(0.01)
        running.send_signal(signal.SIGINT)
        printed, said = running.communicate(timeout=60)
    assert (running.returncode, printed) == (130, "")
    assert "the same command goes on" in said
    assert "Traceback" not in said
    study.write_text(STUDY.format(pace=0.005), encoding="utf-8")
    left = json.loads(call("plan", study, "--out", out, "--json").stdout)
    assert 0 < sum(line["done"] for line in left["lines"]) < 8
    assert call("eval", study, "--out", out, "--quiet").exit_code == 0


def test_a_full_disk_is_said_and_the_same_command_goes_on(study: Path, tmp_path: Path, monkeypatch) -> None:
    from thinkctl.runfile import RunFile

    append, written = RunFile.append, list[object]()

    def until_full(file: RunFile, run: Run) -> None:
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(run)
        append(file, run)

    with monkeypatch.context() as patch:
        patch.setattr(RunFile, "append", until_full)
        called = call("eval", study, "--out", tmp_path / "out")
    assert called.exit_code == 1
    assert "No space left on device; what had ended is recorded: make room" in called.stderr
    left = json.loads(call("plan", study, "--out", tmp_path / "out", "--json").stdout)
    assert sum(line["done"] for line in left["lines"]) == 3
    again = call("eval", study, "--out", tmp_path / "out")
    assert again.exit_code == 0
    assert "cut off and run again from the beginning" in again.stdout


def test_the_options_load_nothing_heavy() -> None:
    program = (
        "import sys, thinkctl.cli.studying\n"
        "heavy = {'numpy', 'scipy', 'matplotlib', 'rich.table'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_models_that_are_not_here_are_fetched_once_before_the_first_engine_starts(
    study: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    from thinkctl import models
    from thinkctl.cli import opening
    from thinkctl.cli.study_progress import run_watched
    from thinkctl.evals.studies import load_study, running
    from thinkctl.evals.studies.rehearsal import Rehearsal

    small, large = list(models.catalogue().values())[:2]
    told: list[str] = []

    def opened(spec: str, **options: object) -> Rehearsal:
        told.append(f"open {spec} {options}")
        return Rehearsal(spec.partition(":")[2])

    text = study.read_text("utf-8").replace("scripted:small", f"vllm:{small.name}")
    text = text.replace("seconds_per_token = 0", 'dtype = "float32"')
    text += f'[models.large]\nengine = "vllm:{large.name}"\n[[arms]]\nname = "large"\nmodel = "large"\n'
    study.write_text(text + 'strategy = "zero-shot"\n', encoding="utf-8")
    for name in opening._CALM:
        monkeypatch.setenv(name, "")  # so that it is taken back after the test
        monkeypatch.delenv(name)
    monkeypatch.setattr(opening, "find_spec", lambda _: object())
    monkeypatch.setattr(models, "is_pulled", lambda entry: False)
    monkeypatch.setattr(models, "pull", lambda entry, progress: told.append(f"pull {entry.name}"))
    monkeypatch.setattr(running, "engine_from", opened)
    for _ in range(2):
        run_watched(load_study(study), tmp_path / "out", quiet=False)
        assert told == [
            f"pull {small.name}",
            f"pull {large.name}",
            f"open vllm:{small.name} {{'dtype': 'float32'}}",
            f"open vllm:{large.name} {{}}",
        ]  # and the second time, when nothing is left to run, nothing more
    said = capsys.readouterr().err
    assert f"{large.name} is not on this machine yet: fetching" in said
    assert f"starting large (vllm:{large.name})" in said
    for name, value in opening._CALM.items():
        assert os.environ[name] == value


def test_without_vllm_a_study_that_needs_it_says_so_before_it_runs(
    study: Path, tmp_path: Path, monkeypatch
) -> None:
    from thinkctl.cli import opening

    study.write_text(
        study.read_text("utf-8")
        + '[models.other]\nengine = "vllm:x"\n[[arms]]\nname = "other"\nmodel = "other"\n'
        'strategy = "zero-shot"\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(opening, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"thinkctl\[cpu\]"):
        call("eval", study, "--out", tmp_path / "out")
    assert not list(tmp_path.rglob("*.jsonl"))
