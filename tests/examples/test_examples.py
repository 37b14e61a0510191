"""Every file in ``examples/`` runs and prints what it is for: on a recording, and one on a real model."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thinkctl import Controller, Problem, SelfConsistency
from thinkctl.runfile import read, read_header, write
from thinkctl.testing import ScriptedEngine, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
RECORDINGS = sorted((EXAMPLES / "recordings").glob("*.jsonl*"))
NAMES = {path.stem: runpy.run_path(str(path), run_name="example") for path in sorted(EXAMPLES.glob("*.py"))}
"""What each example defines."""

PROBLEMS: list[Problem | str] = [
    "What is 17*23-4?",
    *NAMES["one_wall_around_many_calls"]["QUESTIONS"],
    NAMES["watch_it_think"]["QUESTION"],
    *NAMES["many_problems"]["PROBLEMS"],
]
"""What the examples ask."""

Call = Callable[..., str]


def says(number: int, prompt: str) -> str:
    """Answer at different lengths, and two of a problem's 16 samples wrongly."""
    wrong = number % 16 in {2, 9}
    return "Let me see. " * (1 + number % 4) + rf"That makes \boxed{{{4 if wrong else 387}}}."


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run file in which every problem of the examples has 16 samples."""
    engine = ScriptedEngine(says)
    path = tmp_path_factory.mktemp("recording") / "runs.jsonl.gz"
    controller = Controller(engine, SelfConsistency(16))

    async def record() -> None:
        write(path, [await controller.solve(problem) for problem in PROBLEMS], card=engine.card)

    run(record())
    return path


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    """Return ``call(name, *arguments)``: run an example as a program in an empty folder; what it prints."""

    def run_example(name: str, *arguments: object) -> str:
        path = str(EXAMPLES / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        runpy.run_path(path, run_name="__main__")
        out, err = capsys.readouterr()
        assert not err
        return out

    monkeypatch.chdir(tmp_path)
    return run_example


PRINTS = {
    "quickstart": (
        r"answer: 387",
        r"confidence: 0\.9\d+ \| stop: policy \| \d+ votes to \d+: the lead is real with 9\d\.\d%",
        r"samples: \d+ \| tokens: \d+ of 1000",
        r"seconds: \d+\.\d \| dollars: None",
    ),
    "one_wall_around_many_calls": (
        r"What is 12\*12\? -> \d+ \(done, \d+ tokens\)",
        r"What is 7\*8\+5\? -> \d+ \(done, \d+ tokens\)",
        r"A pen costs 3 dollars\. What do 4 pens cost\? -> \d+ \(done, \d+ tokens\)",
        r"together: \d+ of 600 tokens, 0\.0000\d+ dollars",
        r"left: \d+ tokens, 1[12]\d seconds",
    ),
    "watch_it_think": (
        r"Let me see\. .*",
        r"\[sample 0: 387\]",
        r"\[so far 387, confidence 0\.\d\d\]",
        r"\[\d votes: \d votes to \d: the lead is real with 9\d\.\d%\]",
        r"answer 387: \d votes to \d: the lead is real with 9\d\.\d%",
    ),
    "dollar_cap": (
        r"What is 17\*23-4\? -> 387 \((policy|done), 0\.00\d+ dollars\)",
        r"What is 12\*12\? -> \d+ \((policy|done), 0\.00\d+ dollars\)",
        r"together 0\.00\d+ dollars, 0\.01\d+ left",
    ),
    "local_server": (
        r"answer: 387 \| stop: (policy|done)",
        r"continuation is exact: True",
        r"the receipt says (\d+) tokens, the server \1",
    ),
    "many_problems": (
        r"0 of 6 problems are in problems\.jsonl, 6000 of 6000 tokens are left",
        r"(product|square|pens|train|eggs|change): 387 \((policy|done), \d samples, \d+ tokens\)",
    ),
    "one_budget_many_problems": (
        r"(product|square|pens|train): 387 from \d samples \(.+\)",
        r"\d+ of 4000 tokens; stopping where nothing can change would have saved \d+ more",
    ),
}
"""For each example that takes an engine, lines that it prints in this order, perhaps with others between them."""


@pytest.mark.parametrize("name", PRINTS)
def test_an_example_prints_what_it_is_for(name: str, call: Call, recording: Path) -> None:
    printed = iter(call(name, f"replay:{recording}").splitlines())
    for line in PRINTS[name]:
        assert any(re.fullmatch(line, found) for found in printed), f"no line is {line!r}"


def test_every_example_is_run() -> None:
    elsewhere = {"record_samples", "try_another_policy", "sql_self_correction", "code_with_public_tests"}
    assert {*PRINTS, *elsewhere} == NAMES.keys() - {"typed_extraction"}


def test_samples_are_recorded_once_and_replayed(call: Call, recording: Path, tmp_path: Path) -> None:
    asked = [
        {"id": "product", "question": "What is 17*23-4?"},
        {"id": "square", "question": "What is 12*12?"},
    ]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    arguments = [f"replay:{recording}", "asked.jsonl", "recorded.jsonl", 6]
    printed = call("record_samples", *arguments).splitlines()
    assert sorted(line.split(",")[0] for line in printed) == ["product: 387", "square: 387"]
    assert not call("record_samples", *arguments), "what is recorded is not asked again"
    assert [len(one.samples) for one in read("recorded.jsonl")] == [6, 6]
    assert call("try_another_policy", "recorded.jsonl").splitlines()[1].split()[:2] == ["none", "6.0"]


def test_many_problems_go_on_where_they_stopped(call: Call, recording: Path, tmp_path: Path) -> None:
    engine, file = f"replay:{recording}", tmp_path / "mine.jsonl"
    call("many_problems", engine, file)
    runs = list(read(file))
    assert sorted(one.history.problem.id for one in runs) == sorted(NAMES["many_problems"]["QUESTIONS"])

    write(file, runs[:2], card=read_header(file).card)  # as if it had been interrupted there
    spent = sum(one.receipt.generated_tokens for one in runs[:2])
    again = call("many_problems", engine, file).splitlines()
    assert again[0] == f"2 of 6 problems are in {file}, {6000 - spent} of 6000 tokens are left"
    assert len(again) == 1 + 4
    assert len(call("many_problems", engine, file).splitlines()) == 1
    assert len(list(read(file))) == 6


@pytest.mark.parametrize("file", [None, *RECORDINGS], ids=lambda file: file.name if file else "scripted")
def test_other_policies_are_tried_on_the_recorded_samples(
    file: Path | None, call: Call, recording: Path
) -> None:
    rows = [line.split() for line in call("try_another_policy", file or recording).splitlines()[1:]]
    assert [row[0] for row in rows] == ["none", "0.7", "0.8", "0.9", "0.95", "0.99"], (
        "or not all was replayed"
    )
    tokens = [int(row[2]) for row in rows]
    assert tokens[1:] == sorted(tokens[1:])
    assert max(tokens) == tokens[0]
    assert rows[0][4] == rows[0][6], "all samples agree with all samples"


def test_a_policy_is_not_tried_on_nothing(call: Call) -> None:
    with pytest.raises(SystemExit, match="name a run file"):
        call("try_another_policy")


@pytest.mark.engine
def test_the_quickstart_runs_on_a_real_model(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "quickstart.py"), "vllm:smollm2-135m-instruct"],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["answer", "confidence", "samples", "seconds"]
    counted = re.fullmatch(r"samples: (\d+) \| tokens: (\d+) of 1000", lines[2])
    assert counted is not None
    assert 1 <= int(counted[1]) <= 16
    assert 1 <= int(counted[2]) <= 1000
