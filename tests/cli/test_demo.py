"""``thinkctl demo`` on recorded and scripted engines; on the real one it is run by hand."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from thinkctl.answers import form
from thinkctl.cli.demo import tasks_of_demo
from thinkctl.cli.demo_report import Contest, Outcome, Task
from thinkctl.cli.demo_study import RECORDED, claimed_points, recorded_study
from thinkctl.errors import ThinkctlError
from thinkctl.evals.report.duelling import duel_of
from thinkctl.evals.studies import run_study
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Budget, Problem

RIGHT = {task.problem.text: task.reference for task in tasks_of_demo()}


def clever(number, prompt):
    """Right with time to think, wrong at once."""
    answer = next(answer for question, answer in RIGHT.items() if question in prompt)
    return rf"It is \boxed{{{answer}}}" if "step by step" in prompt else r"\boxed{1}"


@pytest.fixture(scope="module")
def brief(tmp_path_factory):
    """A study of a few made-up answers, in place of the recorded one, which takes long to draw."""
    study = duel_of(
        "scripted:small", "scripted:large", "countdown", questions=4, samples=2, has_verifier=True
    )
    return run_study(study, tmp_path_factory.mktemp("brief"))


@pytest.fixture
def show(call, monkeypatch, tmp_path, brief):
    """Return ``show(*options)``: run the demo with a brief recorded study, into a folder that is the test's own."""
    monkeypatch.setattr("thinkctl.cli.demo.recorded_study", lambda: brief)

    def run(*options, puzzles=0):
        return call("demo", "--puzzles", puzzles, "--out", tmp_path / "demo", *options)

    return run


def test_the_problems_come_with_answers_of_their_form():
    tasks = tasks_of_demo()
    assert [task.problem.id for task in tasks] == [f"gsm8k-test-{n}" for n in range(12)]
    assert len({task.problem.text for task in tasks}) == 12
    for task in tasks:
        assert form(task.problem.form).key(task.reference) == task.reference
        assert task.reference not in task.problem.id


def test_the_demo_compares_and_reconciles(show, play):
    engine = play(ScriptedEngine(clever))
    ran = show("--problems", "3")
    assert ran.code == 0
    assert "\nzero-shot\n  1. Janet’s ducks" in ran.out
    assert ran.out.count("wrong, it is 18") == 1
    assert ran.out.count(" right\n") == 3
    assert re.findall(r"  (\d of 3) ", ran.out) == ["0 of 3", "3 of 3"]
    counted = asyncio.run(engine.counters()).generated_tokens
    assert f"the engine counted {counted:,} generated tokens, the receipts say {counted:,}\n" in ran.out
    assert "3 problems say nothing about which of the two is better" in ran.out
    assert ran.err.splitlines()[:2] == ["starting scripted", "3 problems for zero-shot"]


def test_json_is_one_object_and_agrees_with_the_engine(show, play):
    play(ScriptedEngine(clever, waste=1))
    found = json.loads(show("--problems", "2", "--samples", "5", "--json").out)
    assert list(found) == [
        "model",
        "budget",
        "strategies",
        "engine_generated_tokens",
        "receipts_generated_tokens",
        "caution",
        "recorded",
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


def test_quiet_leaves_nothing_on_stderr(show, play):
    play(ScriptedEngine(clever))
    assert show("--problems", "1", "--quiet").err == ""


def test_a_dead_engine_is_one_line_and_exit_code_1(show, play):
    play(ScriptedEngine([Script("never ends", die_after=1)]))
    ran = show("--problems", "4")
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


def test_the_recorded_study_comes_with_the_package_and_states_its_claims():
    results = recorded_study()
    assert results.folder.name == RECORDED
    assert len(results.study.claims) >= 2
    points = claimed_points(results)
    for claim in results.study.claims:
        assert {claim.small, claim.large} <= {point.arm for point in points if point.task == claim.task}
        assert all(len(point.question_ids) >= 100 for point in points if point.task == claim.task)


def test_the_demo_shows_the_recorded_study_and_ends_with_a_live_one(show, play, tmp_path):
    play(ScriptedEngine(clever))
    ran = show("--model", "scripted:small", "--large", "scripted:large", "--problems", "1", puzzles=6)
    assert ran.code == 0
    recorded, live = ran.out.index("\nRecorded before: "), ran.out.index("\nLive: ")
    assert ran.out.index("the receipts say") < recorded < live
    for part, folder in ((ran.out[recorded:live], "recorded"), (ran.out[live:], "live")):
        assert "small, best of n" in part
        assert "Claim: small, best of n reaches large at once for less" in part
        assert f"Report: {tmp_path / 'demo' / folder / 'report.html'}\n" in part
        hero = tmp_path / "demo" / folder / "figures" / "hero-countdown-teraflops.svg"
        assert f"Accuracy against compute: {hero}\n" in part
        assert hero.stat().st_size > 1_000
    assert "6 puzzles, live: into" in ran.err


def test_json_holds_both_studies(show, play, tmp_path):
    play(ScriptedEngine(clever))
    options = ("--model", "scripted:small", "--large", "scripted:large", "--problems", "1", "--json")
    found = json.loads(show(*options, puzzles=4).out)
    assert [point["questions"] for point in found["recorded"]["points"]] == [4, 4, 4, 4]
    assert found["live"]["claims"][0]["verdict"] in {"reached", "not reached", "inconclusive"}
    assert found["live"]["report"] == str(tmp_path / "demo" / "live" / "report.html")


def test_without_a_large_model_the_small_one_is_studied_alone(show, play):
    play(ScriptedEngine(clever))
    ran = show("--model", "scripted:small", "--large", "none", "--problems", "1", puzzles=4)
    assert ran.code == 0
    live = ran.out[ran.out.index("\nLive: ") :]
    assert "small at once, and thinking longer" in live
    assert "large at once" not in live
    assert "Claim" not in live


def test_a_large_model_that_cannot_be_had_is_left_out_and_it_says_why(show, play, monkeypatch):
    def refuse(specs):
        raise ThinkctlError(f"no source has {', '.join(specs)}")

    play(ScriptedEngine(clever))
    monkeypatch.setattr("thinkctl.cli.demo_study.prepare", refuse)
    ran = show("--model", "scripted:small", "--large", "scripted:large", "--problems", "1", puzzles=4)
    assert ran.code == 0
    assert "goes without scripted:large: no source has scripted:large" in ran.err
    assert "large at once" not in ran.out[ran.out.index("\nLive: ") :]
