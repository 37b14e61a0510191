"""``thinkctl replay``: what other policies make of a recording."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GAME24 = ROOT / "evals" / "pools" / "game24_gpt4_cot_100x100.jsonl.gz"


@pytest.fixture
def pool(tmp_path):
    """Three questions, of 4, 4 and 2 samples; the first answer of the second is wrong."""
    path = tmp_path / "small.jsonl"
    said: dict[str, list[str | None]] = {
        "a": ["4", "4", "4", "5"],
        "b": ["1", "2", "2", "2"],
        "c": ["7", None],
    }
    right = {"a": "4", "b": "2", "c": "8"}
    lines = [
        json.dumps(
            {
                "id": name,
                "gold": right[name],
                "samples": [
                    {"answer": each, "correct": each == right[name], "tokens": 10} for each in answers
                ],
            }
        )
        for name, answers in said.items()
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def rows_of(called):
    assert called.code == 0, called.err
    return json.loads(called.out)["rows"]


def test_without_a_policy_fixed_numbers_of_samples_are_compared(call, pool):
    rows = rows_of(call("replay", pool, "--json"))
    assert [row["policy"] for row in rows] == ["fixed 1", "fixed 2", "fixed 3", "all samples"]
    assert [round(row["accuracy"]["value"], 3) for row in rows] == [0.333, 0.333, 0.667, 0.667]
    assert [row["total_tokens"] for row in rows] == [30, 60, 80, 100]


def test_policies_are_compared_with_all_samples_in_the_order_given(call, pool):
    rows = rows_of(call("replay", pool, "--policy", "margin(2)", "--policy", "window(2)", "--json"))
    assert [(row["policy"], row["total_tokens"]) for row in rows] == [
        ("margin(2)", 80),
        ("window(2)", 80),
        ("all samples", 100),
    ]
    assert all(row["replayed"] for row in rows)


def test_a_policy_that_reads_more_than_votes_is_asked_sample_by_sample(call, pool):
    (row, _) = rows_of(call("replay", pool, "--policy", "any-of(margin(2), thinking-cap(4))", "--json"))
    assert row["thinking_tokens"] == pytest.approx(40 / 3)


def test_a_sweep_tries_all_thresholds_from_careless_to_careful(call, pool):
    rows = rows_of(call("replay", pool, "--policy", "margin(2)", "--sweep", "--json"))
    samples = [row["samples"]["value"] for row in rows]
    assert [row["policy"] for row in rows[:3]] == ["margin(1)", "margin(2)", "margin(3)"]
    assert samples == sorted(samples)
    assert len(rows) == 21


def test_shuffles_are_seeded(call, pool):
    def found(*arguments):
        return json.loads(call("replay", pool, "--policy", "margin(1)", "--json", *arguments).out)

    assert found("--permutations", 3) == found("--order", "shuffled", "--permutations", 3)
    assert found("--order", "shuffled")["permutations"] == 20
    assert found()["order"] == "recorded"
    assert found("--permutations", 3) != found("--permutations", 3, "--seed", 5)


def test_an_allocation_shares_samples_and_is_compared_with_equal_shares(call, pool):
    called = call(
        "replay", pool, "--allocation", "flip-probability", "--samples-per-question", "2,3", "--json"
    )
    rows = rows_of(called)
    assert [(row["policy"], row["budget"]) for row in rows] == [
        ("flip-probability", "2 samples each"),
        ("flip-probability", "3 samples each"),
        ("uniform", "2 samples each"),
        ("uniform", "3 samples each"),
        ("all samples", ""),
    ]
    assert rows[0]["samples"]["value"] == 2
    tokens = rows_of(call("replay", pool, "--allocation", "uniform", "--tokens-per-question", "15", "--json"))
    assert tokens[0]["total_tokens"] == 40


def test_a_budget_is_of_each_question_and_beside_no_budget(call, pool):
    rows = rows_of(call("replay", pool, "--policy", "margin(3)", "--budget", "tokens=25", "--json"))
    assert [(row["policy"], row["budget"], row["total_tokens"]) for row in rows] == [
        ("margin(3)", "tokens=25", 60),
        ("all samples", "tokens=25", 60),
        ("all samples", "", 100),
    ]


def test_run_files_are_graded_by_reference_answers(call, record, tmp_path):
    path = record(r"So \boxed{387}.", r"So \boxed{387}.", r"So \boxed{3}.", n=3).removeprefix("replay:")
    unknown = call("replay", path, "--policy", "margin(2)")
    assert "Nobody knows which answers are right: give --gold FILE" in unknown.out
    (row, _) = rows_of(call("replay", path, "--policy", "margin(2)", "--json"))
    assert (row["accuracy"], row["oracle"], row["agreement"]["value"]) == (None, None, 1.0)
    name = json.loads(call("replay", path, "--json").out)
    assert name["graded"] is False
    run = json.loads(Path(path).read_text(encoding="utf-8").splitlines()[1])
    gold = tmp_path / "gold.jsonl"
    gold.write_text(json.dumps({"id": run["history"]["problem"]["id"], "answer": 387.0}), encoding="utf-8")
    (row, full) = rows_of(call("replay", path, "--policy", "margin(2)", "--gold", gold, "--json"))
    assert (row["accuracy"]["value"], row["samples"]["value"], full["samples"]["value"]) == (1.0, 2.0, 3.0)


def test_the_table_fits_a_hundred_columns_and_claims_no_latency(call):
    called = call(
        "replay", GAME24, "--policy", "any-of(margin(4), cannot-be-overtaken(100))", "--permutations", 3
    )
    lines = called.out.splitlines()
    assert max(len(line) for line in lines if "─" in line) <= 100
    assert "all samples" in called.out
    assert "Replayed: nothing was generated, and no latency is claimed." in called.out
    assert "Tokens are estimates" in called.out
    assert "replaying 100 questions" in called.err


def test_the_cap_is_what_all_samples_are(call):
    rows = rows_of(call("replay", GAME24, "--cap", 10, "--json"))
    assert [row["samples"]["value"] for row in rows] == [1, 2, 3, 5, 10]
    assert rows[-1]["agreement"]["value"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sweep"], "give --policy as well"),
        (["--policy", "cannot-be-overtaken(4)", "--sweep"], "no threshold"),
        (["--policy", "margn(2)"], "did you mean 'margin'"),
        (["--samples-per-question", "4"], "give one"),
        (["--allocation", "uniform"], "nothing to share"),
        (["--allocation", "uniform", "--samples-per-question", "four"], "write numbers above 0"),
        (["--allocation", "uniform", "--samples-per-question", "-1"], "write numbers above 0"),
        (
            ["--allocation", "uniform", "--samples-per-question", "1", "--sweep", "--policy", "margin(2)"],
            "leave out",
        ),
        (["--order", "random"], "known: recorded, shuffled"),
        (["--order", "recorded", "--permutations", "2"], "the recorded order is one"),
        (["--budget", "seconds=3"], "a budget of seconds"),
        (["--gold", "missing.jsonl"], "cannot be read"),
        (["--form", "riddle"], "unknown answer form"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(call, pool, arguments, said):
    called = call("replay", pool, *arguments)
    assert (called.code, called.out) == (2, "")
    assert said in called.err
    assert called.err.strip().splitlines()[-1].startswith("error: ")


def test_a_file_that_is_no_recording_is_named(call, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    called = call("replay", path)
    assert called.code == 2
    assert f"{path}: line 1 is not a pool's problem" in called.err
