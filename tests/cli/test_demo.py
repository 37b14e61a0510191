"""``thinkctl demo`` on recorded and scripted engines; on the real one it is run by hand."""

from __future__ import annotations

import json
import re

import pytest

from thinkctl.answers import form
from thinkctl.cli.demo import tasks_of_demo
from thinkctl.cli.demo_report import Contest, Outcome, Task
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Budget, Problem

RIGHT = {task.problem.text: task.reference for task in tasks_of_demo()}


def clever(number, prompt):
    """Right with time to think, wrong at once."""
    answer = next(answer for question, answer in RIGHT.items() if question in prompt)
    return rf"It is \boxed{{{answer}}}" if "step by step" in prompt else r"\boxed{1}"


def test_the_problems_come_with_answers_of_their_form():
    tasks = tasks_of_demo()
    assert [task.problem.id for task in tasks] == [f"gsm8k-test-{n}" for n in range(12)]
    assert len({task.problem.text for task in tasks}) == 12
    for task in tasks:
        assert form(task.problem.form).key(task.reference) == task.reference
        assert task.reference not in task.problem.id


def test_the_demo_compares_and_reconciles(call, play):
    engine = play(ScriptedEngine(clever))
    ran = call("demo", "--problems", "3")
    assert ran.code == 0
    assert "\nzero-shot\n  1. Janet’s ducks" in ran.out
    assert ran.out.count("wrong, it is 18") == 1
    assert ran.out.count(" right\n") == 3
    assert re.findall(r"  (\d of 3) ", ran.out) == ["0 of 3", "3 of 3"]
    counted = engine._generated
    assert f"the engine counted {counted:,} generated tokens, the receipts say {counted:,}\n" in ran.out
    assert "3 problems say nothing about which of the two is better" in ran.out
    assert ran.err.splitlines()[:2] == ["starting scripted", "3 problems for zero-shot"]


def test_json_is_one_object_and_agrees_with_the_engine(call, play):
    play(ScriptedEngine(clever, waste=1))
    found = json.loads(call("demo", "--problems", "2", "--samples", "5", "--json").out)
    assert list(found) == [
        "model",
        "budget",
        "strategies",
        "engine_generated_tokens",
        "receipts_generated_tokens",
        "caution",
    ]
    assert found["engine_generated_tokens"] == found["receipts_generated_tokens"] > 0
    once, thought = found["strategies"]
    assert (once["correct"], thought["correct"]) == (0, 2)
    assert thought["name"] == "self-consistency(5) with adaptive-consistency(0.95)"
    assert thought["stops"] == {"policy": 2}
    assert thought["receipt"]["generated_tokens"] == sum(
        run["receipt"]["generated_tokens"] for run in thought["runs"]
    )
    assert [run["id"] for run in thought["runs"]] == ["gsm8k-test-0", "gsm8k-test-1"]
    assert found["budget"]["tokens"] == 2_000


def test_quiet_leaves_nothing_on_stderr(call, play):
    play(ScriptedEngine(clever))
    assert call("demo", "--problems", "1", "--quiet").err == ""


def test_a_dead_engine_is_one_line_and_exit_code_1(call, play):
    play(ScriptedEngine([Script("never ends", die_after=1)]))
    ran = call("demo", "--problems", "4")
    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "error: the engine died after 1 tokens, as scripted"


def test_an_engine_that_does_not_count_is_told():
    outcome = Outcome("m", Budget(), (), None)
    assert outcome.reconciled == "the engine does not count its tokens; the receipts say 0"


@pytest.mark.parametrize(("said", "correct"), [(r"\boxed{70,000}", 1), (r"\boxed{\$70000.00}", 1), ("no", 0)])
def test_right_is_a_matter_of_value(said, correct):
    import asyncio

    from thinkctl import Controller, ZeroShot

    task = Task(Problem.model_validate({"messages": "?", "form": "number"}), "70000")
    run = asyncio.run(Controller(ScriptedEngine([said]), ZeroShot()).solve(task.problem))
    assert Contest("zero-shot", (task,), (run,)).correct == correct
