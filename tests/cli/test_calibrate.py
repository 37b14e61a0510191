"""``thinkctl calibrate``: the policy ready to be used, or how many questions it would take."""

from __future__ import annotations

import asyncio
import json

import pytest

from thinkctl import AdaptiveConsistency, Controller, SelfConsistency, registry
from thinkctl.runfile import RunFile
from thinkctl.testing import ScriptedEngine


def pool(folder, good, bad=0, *, gold: str | None = "a", name="pool.jsonl"):
    """Questions on which all eight samples agree, and some on which the first four are wrong."""
    path = folder / name
    rows = [
        {
            "id": f"q{place}",
            "gold": gold,
            "samples": [
                {"answer": said, "tokens": 10} for said in ("aaaaaaaa" if place < good else "bbbbaaaaa")
            ],
        }
        for place in range(good + bad)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_first_line_is_the_policy_as_it_is_written(call, tmp_path):
    ran = call("calibrate", pool(tmp_path, 60), "--policy", "adaptive-consistency(0.95)")
    assert (ran.code, ran.err) == (0, "replaying 60 recordings\n")
    first, *lines = ran.out.splitlines()
    assert first == "adaptive-consistency(confidence=0.55)"
    assert registry.policy(first) == AdaptiveConsistency(0.55)
    assert "stopped wrong where full thinking is right: 0 of 60 questions, at most 3.76%" in lines[0]
    assert any(line.startswith("0.999999") and line.endswith("passed") for line in lines)
    assert any(line.endswith("calibrated") for line in lines)


@pytest.mark.parametrize(("width", "longest"), [("80", 100), ("200", 100)])
def test_what_is_printed_fits_and_has_no_colours_in_a_pipe(call, tmp_path, monkeypatch, width, longest):
    monkeypatch.setenv("COLUMNS", width)
    ran = call("calibrate", pool(tmp_path, 60, 2), "--policy", "margin", "--epsilon", "0.2")
    assert "\x1b" not in ran.out
    assert max(map(len, ran.out.splitlines())) <= longest


def test_where_nothing_passes_it_thinks_fully_and_ends_with_4(call, tmp_path):
    ran = call("calibrate", pool(tmp_path, 30), "--policy", "margin", "-q")
    assert (ran.code, ran.err) == (4, "")
    first, *lines = ran.out.splitlines()
    assert first == "none"
    assert "not feasible  it takes 45 questions, even without a loss; think fully" in lines


def test_as_json_it_is_one_value_with_the_walk(call, tmp_path):
    ran = call(
        "calibrate", pool(tmp_path, 60, 5), "--policy", "margin(4)", "--json", "-q", "--epsilon", "0.08"
    )
    assert ran.code == 0
    found = json.loads(ran.out)
    assert found["policy"] == {"name": "margin", "votes": 5}
    assert found["written"] == "margin(votes=5)"
    assert (found["feasible"], found["threshold"], found["n"], found["replayed"]) == (True, 5, 65, True)
    assert [(step["value"], step["losses"], step["passed"]) for step in found["walk"]][-2:] == [
        (5, 0, True),
        (4, 5, False),
    ]
    assert found["full_tokens"] == 60 * 80 + 5 * 90
    nothing = call("calibrate", pool(tmp_path, 30), "--policy", "margin", "--json", "-q")
    assert nothing.code == 4
    assert json.loads(nothing.out)["policy"] is None
    assert json.loads(nothing.out)["needed"] == 45


def test_a_changed_answer_needs_no_gold(call, tmp_path):
    path = pool(tmp_path, 60, gold=None)
    refused = call("calibrate", path, "--policy", "margin")
    assert (refused.code, refused.out) == (2, "")
    assert "--loss harm needs to know what is right in every recording; give --gold FILE" in refused.err
    assert call("calibrate", path, "--policy", "margin", "--loss", "changed").code == 0


def test_gold_is_read_from_a_file(call, tmp_path):
    path, gold = pool(tmp_path, 60, gold=None), tmp_path / "gold.jsonl"
    gold.write_text("".join(json.dumps({"id": f"q{place}", "answer": "a"}) + "\n" for place in range(60)))
    ran = call("calibrate", path, "--policy", "margin", "--gold", gold, "--loss", "wrong")
    assert ran.code == 0
    assert "answered wrong: 0 of 60 questions" in ran.out
    assert "100.00%, full thinking 100.00%" in ran.out


def test_a_run_file_is_calibrated_on_too(call, tmp_path):
    engine, path = ScriptedEngine([r"\boxed{4}"]), tmp_path / "runs.jsonl"

    async def record():
        with RunFile.open(path, card=engine.card) as file:
            for place in range(50):
                file.append(await Controller(engine, SelfConsistency(6)).solve(f"Question {place}"))

    asyncio.run(record())
    ran = call("calibrate", path, "--policy", "margin", "--loss", "changed", "--grid", "5,3,2")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "margin(votes=2)")
    again = call("calibrate", path, "--policy", "margin", "--loss", "changed", "--form", "number")
    assert again.code == 2
    assert "runs know the form of their answers" in again.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policy", "none"], "there is nothing to calibrate in no policy"),
        (["--policy", "margim"], "did you mean 'margin'"),
        (["--policy", "cannot-be-overtaken(8)"], "it never changes the answer"),
        (["--policy", "answer-confidence"], "reads probes, and the recordings have none"),
        (
            ["--policy", "margin", "--loss", "regret"],
            "there is no loss 'regret'; known: harm, wrong, changed",
        ),
        (["--policy", "margin", "--epsilon", "0"], "epsilon=0.0 is not between 0 and 1"),
        (["--policy", "margin", "--epsilon", "5"], "epsilon=5.0 is not between 0 and 1"),
        (["--policy", "margin", "--delta", "1"], "delta=1.0 is not between 0 and 1"),
        (["--policy", "margin", "--grid", "a,b"], "the grid 'a,b' is not understood"),
        (["--policy", "margin", "--grid", "2,3"], "must begin with the most careful value"),
        (["--policy", "margin", "--knob", "depth"], "margin has no 'depth'"),
        (["--policy", "margin", "--gold", "missing.jsonl"], "missing.jsonl: cannot be read"),
        (["--policy", "margin", "--budget", "seconds=3"], "cannot tell what a budget of seconds buys"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line_and_exit_code_2(call, tmp_path, arguments, said):
    ran = call("calibrate", pool(tmp_path, 60), "-q", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert said in ran.err


def test_a_recording_and_a_policy_must_be_given(call, tmp_path):
    assert call("calibrate", "--policy", "margin").code == 2
    assert call("calibrate", pool(tmp_path, 60)).code == 2
    assert "cannot be read" in call("calibrate", tmp_path / "no.jsonl", "--policy", "margin").err


@pytest.mark.parametrize(
    ("flags", "policy"), [([], "margin(votes=3)"), (["--budget", "requests=3"], "margin(votes=2)")]
)
def test_a_smaller_budget_is_that_of_full_thinking_too(call, tmp_path, flags, policy):
    path = tmp_path / "pool.jsonl"
    said = [{"answer": each, "tokens": 10} for each in "bbaaaaaa"]
    path.write_text(
        "".join(json.dumps({"id": f"q{n}", "gold": "a", "samples": said}) + "\n" for n in range(60))
    )
    ran = call("calibrate", path, "--policy", "margin", "-q", "--grid", "3,2", *flags)
    assert ran.out.splitlines()[0] == policy
