"""``thinkctl ask`` against recorded samples."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from thinkctl.runfile import read, read_header
from thinkctl.testing import Script, ScriptedEngine

QUESTION = "What is 17*23-4?"
RIGHT = r"17*23 is 391, less 4 is 387. So \boxed{387}"
WRONG = r"17*23 is 387, less 4 is \boxed{383}"
SILENT = Script("I do not know.", conclusion="")


def labels(out):
    """The labelled lines under the answer."""
    return {line.split()[0]: line.split(maxsplit=1)[1] for line in out.splitlines()[1:8]}


def test_the_answer_comes_first_and_then_what_it_took(call, record):
    ran = call("ask", QUESTION, "--model", record(RIGHT), "--budget", "tokens=300,seconds=10")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "387"
    said = labels(ran.out)
    assert list(said) == ["confidence", "stopped", "samples", "tokens", "prompts", "time", "price"]
    assert said["confidence"] == "96.9%"
    assert said["stopped"].startswith("by the policy: 4 votes to 0")
    assert said["samples"] == "4 of 16 allowed, 4 votes counted"
    assert said["tokens"] == "40 of 300 (thinking 32, answer 8)"
    assert said["time"].endswith(" s of 10 s")
    assert said["price"] == "unknown"


def test_stdout_is_the_result_and_stderr_the_progress(call, record):
    ran = call("ask", QUESTION, "--model", record(RIGHT, WRONG))
    assert "sample 0" not in ran.out
    assert ran.err.startswith("starting scripted\nsample 0: 387, 10 tokens, ")
    assert "votes: 387 ×1   383 ×1" in ran.err
    assert ran.err.splitlines()[-1].startswith("ended: 387   (")


def test_quiet_leaves_nothing_on_stderr(call, record):
    ran = call("ask", QUESTION, "--model", record(RIGHT), "--quiet")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("387\n")


RECEIPT = [
    "generated_tokens",
    "thinking_tokens",
    "answer_tokens",
    "probe_tokens",
    "forced_tokens",
    "verifier_tokens",
    "verifier_calls",
    "verifier_seconds",
    "wasted_tokens",
    "overshoot_tokens",
    "prompt_tokens",
    "cached_tokens",
    "requests",
    "estimated",
    "seconds",
    "dollars",
    "lines",
]


def test_json_is_one_object_with_exactly_these_keys(call, record):
    found = json.loads(call("ask", QUESTION, "--model", record(RIGHT, WRONG), "--json").out)
    assert list(found) == [
        "answer",
        "key",
        "confidence",
        "stop",
        "why",
        "samples",
        "votes",
        "receipt",
        "budget",
        "model",
        "strategy",
        "policy",
        "selector",
        "verifier",
        "prices",
        "shadows",
    ]
    assert list(found["samples"][0]) == ["index", "answer", "finish", "concluded", "tokens", "seconds"]
    assert list(found["receipt"]) == RECEIPT
    assert list(found["receipt"]["lines"][0]) == [
        "role",
        "model",
        "generated_tokens",
        "thinking_tokens",
        "answer_tokens",
        "probe_tokens",
        "forced_tokens",
        "wasted_tokens",
        "prompt_tokens",
        "cached_tokens",
        "requests",
        "estimated",
        "dollars",
    ]
    assert found["votes"] == [
        {"answer": "387", "key": "387", "votes": 8},
        {"answer": "383", "key": "383", "votes": 8},
    ]
    assert (found["answer"], found["stop"], found["confidence"]) == ("387", "done", 0.5)
    assert found["model"] == "scripted"
    assert found["policy"] == {"name": "adaptive-consistency", "confidence": 0.95}
    assert found["strategy"]["n"] == len(found["samples"]) == 16
    assert found["selector"] == {"name": "majority"}
    assert found["budget"]["tokens"] == 8_000
    assert sum(sample["tokens"] for sample in found["samples"]) == found["receipt"]["generated_tokens"]


def test_a_price_that_is_not_known_is_null_and_one_that_is_is_exact(call, record):
    spec = record(RIGHT)
    free = json.loads(call("ask", QUESTION, "--model", spec, "--json").out)["receipt"]
    assert free["dollars"] is None
    assert free["lines"][0]["dollars"] is None
    price = "prompt=0.1,generated=0.4,request=0.001"
    paid = json.loads(call("ask", QUESTION, "--model", spec, "--json", "--price", price).out)["receipt"]
    exact = Decimal("0.1") * paid["prompt_tokens"] + Decimal("0.4") * paid["generated_tokens"]
    assert Decimal(paid["dollars"]) == exact / 1_000_000 + Decimal("0.001") * paid["requests"]
    assert "E" not in paid["dollars"]
    out = call("ask", QUESTION, "--model", spec, "--price", price).out
    assert labels(out)["price"] == f"${Decimal(paid['dollars']).normalize():f} (user)"


def test_a_dollar_budget_without_a_price_is_an_error_before_anything_is_asked(call, record):
    ran = call("ask", QUESTION, "--model", record(RIGHT), "--budget", "dollars=0.01")
    assert (ran.code, ran.out) == (2, "")
    assert "a dollar budget needs a price" in ran.err


def test_no_answer_is_said_and_is_no_failure(call, record):
    spec = record(SILENT)
    ran = call("ask", QUESTION, "--model", spec, "--quiet")
    assert ran.code == 0
    assert ran.out.splitlines()[0] == "no answer"
    found = json.loads(call("ask", QUESTION, "--model", spec, "--json").out)
    assert (found["answer"], found["key"], found["confidence"]) == (None, None, None)
    assert found["stop"] == "done"


def test_the_token_wall_is_a_wall_and_a_stop_reason(call, play):
    play(ScriptedEngine([RIGHT, WRONG]))
    found = json.loads(call("ask", QUESTION, "--budget", "tokens=40", "--json").out)
    assert found["stop"] == "tokens"
    assert found["receipt"]["generated_tokens"] <= 40


def test_without_a_policy_all_samples_are_asked_for(call, record):
    ran = call("ask", QUESTION, "--model", record(RIGHT), "--policy", "none", "--json")
    found = json.loads(ran.out)
    assert (len(found["samples"]), found["stop"], found["policy"]) == (16, "done", None)


def test_without_a_budget_nothing_is_limited(call, record):
    found = json.loads(call("ask", QUESTION, "--model", record(RIGHT), "--budget", "none", "--json").out)
    assert set(found["budget"].values()) == {None}


def test_the_parts_that_are_named_are_used(call, record):
    parts = ("--strategy", "self-consistency(n=5)", "--selector", "latest", "--policy", "none")
    found = json.loads(call("ask", QUESTION, "--model", record(RIGHT, RIGHT, WRONG), "--json", *parts).out)
    assert found["strategy"] == {"name": "self-consistency", "n": 5, "weight": None, "sampling": {}}
    assert found["selector"] == {"name": "latest"}
    assert found["answer"] == "387"
    assert [sample["answer"] for sample in found["samples"]] == ["387", "387", "383", "387", "387"]


def test_speculation_runs_more_samples_at_once(call, play):
    engine = play(ScriptedEngine([RIGHT]))
    call("ask", QUESTION, "--speculate", "3")
    assert engine.most_open == 7


def test_thoughts_are_shown_when_asked_for(call, record):
    spec = record(RIGHT, WRONG)
    assert "17*23 is 391" not in call("ask", QUESTION, "--model", spec).out
    shown = call("ask", QUESTION, "--model", spec, "--show-thoughts").out
    assert f"\n-- sample 0: 387 (10 tokens, stop)\n{RIGHT}\n" in shown
    assert f"\n-- sample 1: 383 (8 tokens, stop)\n{WRONG}\n" in shown
    found = json.loads(call("ask", QUESTION, "--model", spec, "--show-thoughts", "--json").out)
    assert [sample["text"] for sample in found["samples"]][:2] == [RIGHT, WRONG]


def test_saved_runs_are_appended_and_can_be_read_and_replayed(call, record, tmp_path):
    spec, path = record(RIGHT, WRONG), tmp_path / "saved.jsonl"
    first = json.loads(call("ask", QUESTION, "--model", spec, "--save", path, "--json").out)
    call("ask", QUESTION, "--model", spec, "--save", path, "--policy", "none")
    runs = list(read(path))
    assert len(runs) == 2
    assert runs[0].answer is not None
    assert runs[0].answer.text == first["answer"]
    assert runs[0].receipt.generated_tokens == first["receipt"]["generated_tokens"]
    assert read_header(path).card is not None
    again = json.loads(call("ask", QUESTION, "--model", f"replay:{path}", "--json").out)
    assert again["samples"][0]["answer"] == first["samples"][0]["answer"]
    assert again["votes"] == first["votes"]


@pytest.mark.parametrize("told", [QUESTION, f"\n  {QUESTION}\n"])
def test_the_question_may_come_from_standard_input(call, record, told):
    assert call("ask", "-", "--model", record(RIGHT), stdin=told.encode()).out.startswith("387\n")


@pytest.mark.parametrize(
    ("question", "stdin", "said"),
    [
        ("", b"", "the question is empty"),
        ("  \n", b"", "the question is empty"),
        ("-", b"", "the question is empty"),
        ("-", b"\xff\xfe?", "not valid UTF-8"),
        ("caf\udce9?", b"", "not valid UTF-8"),
    ],
)
def test_a_question_that_is_none_is_an_error(call, question, stdin, said):
    ran = call("ask", question, stdin=stdin)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_what_a_model_says_cannot_reach_the_terminal_as_commands(call, record):
    spec = record("\x1b[2J Yes, \\text{\x1b]0;owned\x07} \\boxed{\\text{a\x1b[31mb}}")
    ran = call("ask", QUESTION, "--model", spec, "--show-thoughts")
    assert "\x1b" not in ran.out + ran.err
    assert "\x07" not in ran.out + ran.err


def test_markup_in_an_answer_stays_as_it_is(call, record):
    assert call("ask", QUESTION, "--model", record(r"So \boxed{[bold]x[/bold]}")).out.startswith(
        "[bold]x[/bold]\n"
    )


def test_an_engine_that_dies_leaves_what_it_said_and_exit_code_1(call, play, tmp_path):
    play(ScriptedEngine([RIGHT, RIGHT, Script(RIGHT, die_after=5, seconds_per_token=0.01), RIGHT]))
    ran = call("ask", QUESTION, "--json", "--save", tmp_path / "saved.jsonl")
    found = json.loads(ran.out)
    assert (ran.code, found["stop"], found["answer"]) == (1, "engine", "387")
    assert ran.err.splitlines()[-1] == "error: the engine died after 5 tokens, as scripted"
    assert len(list(read(tmp_path / "saved.jsonl"))) == 1


def test_the_engine_is_shut_down_whatever_happens(call, play):
    for script in (RIGHT, Script(RIGHT, die_after=3)):
        engine = play(ScriptedEngine([script]))
        call("ask", QUESTION)
        assert engine.dead
        assert engine.open_streams == 0


def test_a_shadow_says_what_it_would_have_saved(call, record):
    engine = record(RIGHT, RIGHT, RIGHT, RIGHT, WRONG, WRONG)
    shadows = ("--shadow", "adaptive-consistency(0.8)", "--shadow", "cannot-be-overtaken(6)")
    six = ("ask", QUESTION, "--model", engine, "--strategy", "self-consistency(6)", "--policy", "none")
    ran = call(*six, *shadows)
    assert [line for line in ran.out.splitlines() if line.startswith("shadow")] == [
        "shadow      adaptive-consistency(confidence=0.8): 2 samples, 36 tokens less, answer 387 (the same)",
        "shadow      cannot-be-overtaken(n=6): 3 samples, 26 tokens less, answer 387 (the same)",
    ]
    found = json.loads(call(*six, *shadows, "--json").out)["shadows"]
    assert [(one["samples"], one["saved_tokens"], one["changed"]) for one in found] == [
        (2, 36, False),
        (3, 26, False),
    ]
    assert call(*six, "--shadow", "no-such-rule").code == 2


def test_a_verifier_checks_with_what_is_given(call, record):
    given = '{"numbers": [4, 4, 6, 8], "target": 24}'
    wrong, right = r"I try. \boxed{4 * (8 - 6) * 4}", r"I try. \boxed{(4 + 8) * (6 - 4)}"
    parts = [
        "--strategy",
        "best-of-n(8)",
        "--policy",
        "threshold",
        "--verifier",
        "arithmetic",
        "--given",
        given,
    ]
    ran = call("ask", QUESTION, "--model", record(wrong, right, wrong), *parts, "--json")
    found = json.loads(ran.out)
    assert (found["answer"], found["stop"]) == ("(4 + 8) * (6 - 4)", "policy")
    assert found["receipt"]["verifier_calls"] == 2


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (("4 * 6", "(4 + 8) * (6 - 4)"), "1 of 2 samples passed arithmetic\n"),
        (("4 * 6", "8 * 6", "4 + 6"), "0 of 3 samples passed arithmetic; the answer did not pass either"),
    ],
)
def test_it_says_how_many_samples_passed_their_check(call, record, texts, said):
    given = '{"numbers": [4, 4, 6, 8], "target": 24}'
    answers = [rf"I try. \boxed{{{text}}}" for text in texts]
    parts = ["--strategy", f"best-of-n({len(texts)})", "--policy", "threshold", "--verifier", "arithmetic"]
    ran = call("ask", QUESTION, "--model", record(*answers), *parts, "--given", given)
    assert said in ran.out + ran.err
    assert "passed" not in call("ask", QUESTION, "--model", record(RIGHT)).out


@pytest.mark.parametrize(("given", "said"), [("{", "not JSON"), ("[1]", "JSON list, not an object")])
def test_what_is_given_must_be_a_json_object(call, record, given, said):
    ran = call("ask", "Q", "--model", record(RIGHT), "--given", given)
    assert ran.code == 2
    assert said in ran.err
    assert "numbers" in ran.err
