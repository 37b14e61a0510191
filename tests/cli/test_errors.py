"""What goes wrong, as a user reads it: one line on stderr, nothing on stdout, and an exit code."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time

import pytest

from thinkctl.cli.failures import explained
from thinkctl.cli.opening import spec_from
from thinkctl.cli.options import prices_from
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.testing import ScriptedEngine
from thinkctl.types import Budget, Problem


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "tokens=0"], "budget tokens=0"),
        (["--budget", "tokens=x"], "budget tokens=x"),
        (["--budget", "cents=5"], "budget item 'cents=5' is not understood"),
        (["--budget", ""], "the budget is empty"),
        (["--budget", "tokens=5,tokens=6"], "names 'tokens' twice"),
        (["--strategy", "self-consistensy(4)"], "did you mean 'self-consistency'"),
        (["--strategy", "self-consistency(0)"], "n=0"),
        (["--strategy", "adaptive-consistency"], "there is no strategy 'adaptive-consistency'"),
        (["--strategy", "self-consistency(16"], "cannot read"),
        (["--policy", "adaptive-consistency(sureness=0.9)"], "it takes confidence=0.95"),
        (["--policy", "adaptive-consistency(2)"], "confidence"),
        (["--policy", "majority"], "there is no stopping policy 'majority'"),
        (["--selector", "best"], "there is no selector 'best'"),
        (["--form", "roman"], "unknown answer form 'roman'; known forms: boxed"),
        (["--model", "nonsense:x"], "write KIND:WHAT, where vllm:..."),
        (["--model", "replay:"], "write KIND:WHAT"),
        (["--model", "replay:missing.jsonl"], "missing.jsonl: cannot be read"),
        (["--price", "generated=1"], "the price of prompt tokens is missing"),
        (["--price", "prompt=1,generated=-1"], "price generated=-1"),
        (["--price", "prompt=1,generated=NaN"], "price generated=NaN"),
        (["--price", "prompt=1,generated=1,tip=2"], "price item 'tip=2'"),
        (["--price", "prompt=1,generated=1,prompt=2"], "names 'prompt' twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line_and_exit_code_2(call, record, arguments, said):
    if "--model" not in arguments:
        arguments = [*arguments, "--model", record("4")]
    ran = call("ask", "What is 2+2?", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: ")
    assert said in ran.err


def test_a_model_nobody_knows_names_those_that_are_known(call):
    ran = call("ask", "What is 2+2?", "--model", "smal")
    assert ran.code == 2
    assert "no model is called 'smal'" in ran.err
    assert "'small'" in ran.err


@pytest.mark.parametrize("path", ["no/such/folder/runs.jsonl", "runs.jsonl.gz", "other.txt"])
def test_a_file_that_cannot_be_written_is_found_before_anything_is_spent(call, play, tmp_path, path):
    engine = play(ScriptedEngine([r"\boxed{4}"]))
    (tmp_path / "other.txt").write_text("not a run file\n")
    ran = call("ask", "What is 2+2?", "--save", tmp_path / path)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert engine.launched == 0


def test_options_that_typer_refuses_are_exit_code_2(call):
    assert call("ask", "What is 2+2?", "--speculate", "-1").code == 2
    assert call("ask").code == 2
    assert call("asq", "What is 2+2?").code == 2
    assert call("demo", "--problems", "0").code == 2


def test_a_question_that_is_not_recorded_says_so(call, record):
    ran = call("ask", "What is 2+2?", "--model", record("4", question="What is 3+3?"))
    assert ran.code == 2
    assert "is not in the recording" in ran.err


def invalid():
    try:
        Budget.model_validate({"tokens": -1, "pence": 3})
    except ValueError as error:
        return error
    raise AssertionError


def empty():
    try:
        Problem.model_validate({"messages": " "})
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ConfigurationError("no\nsuch thing"), 2, "error: no such thing"),
        (ValueError("what"), 2, "error: what"),
        (EngineUnavailable("gone"), 1, "error: gone"),
        (
            invalid(),
            2,
            "error: tokens: Input should be greater than 0; pence: Extra inputs are not permitted",
        ),
        (empty(), 2, "error: messages: the problem is empty; give a question"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_errors_have_words_and_codes(error, code, line):
    assert explained(error) == (code, line)


def test_what_nobody_expected_keeps_its_traceback():
    assert explained(RuntimeError("a mistake of ours")) is None
    assert explained(KeyError("a mistake of ours")) is None


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        (None, "vllm:small"),
        ("small", "vllm:small"),
        (" large ", "vllm:large"),
        ("org/name", "vllm:org/name"),
        ("./folder:1", "vllm:./folder:1"),
        ("~/models/x", "vllm:~/models/x"),
        ("vllm-lockstep:small", "vllm-lockstep:small"),
        ("replay:runs.jsonl", "replay:runs.jsonl"),
        ("nonsense:x", "nonsense:x"),
    ],
)
def test_a_bare_name_is_a_model_for_vllm(written, spec):
    assert spec_from(written) == spec


def test_prices_are_read_exactly():
    prices = prices_from("prompt=0.1, generated=0.4,cached=0.01,request=0.002")
    assert prices is not None
    assert prices.model_dump(mode="json") == {
        "dollars_per_million_prompt_tokens": "0.1",
        "dollars_per_million_generated_tokens": "0.4",
        "dollars_per_million_cached_tokens": "0.01",
        "dollars_per_request": "0.002",
        "dollars_per_hour": "0",
        "source": "",
    }
    assert prices_from(None) is None


SLOW = """
import signal

import thinkctl.cli.ask
from thinkctl.cli import main
from thinkctl.testing import Script, ScriptedEngine


signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
engine = ScriptedEngine([Script("and so on ", seconds_per_token=0.05, ends=False)])
thinkctl.cli.ask.open_engine = lambda spec, seed=0: engine
try:
    main(["ask", "For ever?", "--budget", "none"])
finally:
    print("open streams:", engine.open_streams, "dead:", bool(engine.dead))
"""


def test_an_interrupt_stops_the_run_before_it_ends_the_program():
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    select.select([process.stderr], [], [], 20)  # its first line: the engine starts
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "interrupted: everything that was running has been stopped"
    assert out.decode() == "open streams: 0 dead: True\n"
