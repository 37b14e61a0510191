"""Which samples become training data, with what provenance, and which do not."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange import (
    Evaluation,
    Filter,
    Reference,
    by_task,
    choose,
    evaluation_problems,
    write_chat,
)
from thinkctl.evals.exchange.checks import check_of
from thinkctl.evals.exchange.grading import says
from thinkctl.evals.exchange.similarity import grams, resemblance, words
from thinkctl.evals.tasks import task
from thinkctl.testing import sample_of
from thinkctl.types import Answer, Finish, Message, Problem, Request, Sampling, Usage, Verdict

TESTED = Verdict(1.0, passed=True, marks=("assert f(1) == 2",))
QUESTION = Problem.of("How many?", "number")


def said(text, verdict: Verdict | None = TESTED, **fields):
    """A sample that said this, and passed its tests."""
    sample = sample_of("4", problem=QUESTION, thought=text)
    return replace(sample, **{"text": text, "verdict": verdict, **fields})


def chosen(files, wanted=Filter(), **options):
    return asyncio.run(choose(files, wanted, **options))


@pytest.fixture
def of(recorded, run_of):
    """Return ``of(*samples)``: a run file of one run with these samples."""
    return lambda *samples: [recorded(run_of(QUESTION, *samples))]


def test_a_record_is_a_chat_with_its_provenance(of):
    (file,) = of(said("It is 3", verdict=None), said("It is 4"))
    (record,) = chosen([file]).records
    assert record["messages"] == [
        {"role": "user", "content": "How many?"},
        {"role": "assistant", "content": "It is 4"},
    ]
    told = record["metadata"]
    assert told["run_file"] == "runs.jsonl"
    assert told["run_file_sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (told["problem_id"], told["sample"], told["model"]) == (QUESTION.id, 1, "scripted")
    assert (told["check"], told["check_strength"]) == ("1 public test", "tests")
    assert told["verdict"] == {"passed": True, "score": 1.0, "marks": ["assert f(1) == 2"]}
    assert (told["verifier"], told["run_file_created"]) == (None, None)
    assert told["sampling"]["temperature"] == Sampling().temperature
    content = json.dumps(record["messages"], sort_keys=True).encode()
    assert told["sha256"] == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"finish": Finish.LENGTH}, "truncated"),
        ({"finish": Finish.CUT}, "unfinished"),
        ({"finish": Finish.ERROR}, "unfinished"),
        ({"finish": None}, "unfinished"),
        ({"finish": Finish.STEP}, "step"),
        ({"text": " \n"}, "unfinished"),
        ({"concluded": True}, "forced"),
        ({"request": Request(QUESTION.messages, extend="Wait")}, "forced"),
        ({"answer": None}, "unanswered"),
        ({"verdict": None}, "unchecked"),
        ({"verdict": Verdict(0.9)}, "unchecked"),
        ({"verdict": Verdict(0.0, passed=False)}, "failed"),
    ],
)
def test_what_nobody_should_learn_from_is_left_out_and_counted(of, fields, why):
    found = chosen(of(said("It is 4"), replace(said("It is 5"), **fields)))
    assert (len(found.records), found.dropped) == (1, {why: 1})
    assert found.seen == len(found.records) + sum(found.dropped.values())


def test_text_that_the_model_did_not_write_is_not_learnt(of):
    forced = replace(sample_of("4", problem=QUESTION, concluded=True), verdict=TESTED, concluded=False)
    assert chosen(of(forced)).dropped == {"forced": 1}


def revision():
    turns = (
        *QUESTION.messages,
        Message(role="assistant", content="It is 3"),
        Message(role="user", content="That failed."),
    )
    return said("It is 4", request=Request(turns))


def test_a_revision_is_left_out_or_comes_with_its_attempts_that_are_not_learnt(of):
    assert chosen(of(revision())).dropped == {"revision": 1}
    (record,) = chosen(of(revision()), Filter(revisions=True)).records
    assert [turn.get("weight") for turn in record["messages"]] == [None, 0, None, None]


def test_examples_in_the_question_are_no_attempts(recorded, run_of):
    shown = (
        Message(role="user", content="1+1?"),
        Message(role="assistant", content="2"),
        Message(role="user", content="2+2?"),
    )
    problem = Problem(messages=shown, form="number")
    sample = said("It is 4", request=Request(shown))
    (record,) = chosen([recorded(run_of(problem, sample))]).records
    assert [turn.get("weight") for turn in record["messages"]] == [None, 0, None, None]


LONG = (
    "first we add the two numbers and then we take away three so that in the end there are four of them left"
)


def test_duplicates_are_taken_once(of):
    found = chosen(
        of(said(LONG), said(f" {LONG.replace(' ', '  ')}\n"), said(f"{LONG} now"), spending("It is 4", 1))
    )
    assert [record["messages"][-1]["content"] for record in found.records] == ["It is 4", LONG]
    assert found.dropped == {"duplicate": 1, "near": 1}


def test_without_near_duplicates_only_equal_ones_are_left_out(of):
    found = chosen(of(said(LONG), said(f"{LONG} now"), said(LONG)), Filter(near=1.0))
    assert (len(found.records), found.dropped) == (2, {"duplicate": 1})


def spending(text, tokens):
    return said(text, usage=Usage(1, answer_tokens=tokens))


def test_the_shortest_come_first_and_no_more_than_were_wanted(of):
    texts = {"a b c d e f": 30, "g h i j k l": 10, "m n o p q r": 20}
    found = chosen(of(*(spending(text, tokens) for text, tokens in texts.items())), Filter(most=2))
    assert [record["messages"][-1]["content"] for record in found.records] == ["g h i j k l", "m n o p q r"]
    assert found.dropped == {"surplus": 1}


def test_a_diverse_choice_prefers_what_resembles_least(of):
    short, like_it, other = (
        "a b c d e f g h",
        "a b c d e f g h i j k l m n",
        "z y x w v u t s r q p o n m l k j",
    )
    samples = [spending(short, 1), spending(like_it, 2), spending(other, 3)]
    for wanted, second in ((Filter(2, "shortest"), like_it), (Filter(2, "diverse"), other)):
        found = chosen(of(*samples), wanted)
        assert [record["messages"][-1]["content"] for record in found.records] == [short, second]


@given(st.text(alphabet="ab ", max_size=40), st.text(alphabet="ab ", max_size=40))
def test_resemblance_is_the_share_of_common_sequences(one, other):
    def by_hand(text):
        parts = text.split()
        return {" ".join(parts[start : start + 5]) for start in range(max(1, len(parts) - 4))}

    first, second = by_hand(one), by_hand(other)
    expected = len(first & second) / len(first | second)
    assert resemblance(grams(words(one)), grams(words(other))) == pytest.approx(expected)


# -- what passing means --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "given_", "strength"),
    [
        (TESTED, {}, "tests"),
        (Verdict(1.0, passed=True, feedback="6 * 4 = 24"), {"numbers": [6, 4], "target": 24}, "tests"),
        (Verdict(1.0, passed=True, marks=("rows 12ab",)), {}, "weak"),
        (Verdict(1.0, passed=True, feedback="The program gave: 4"), {}, "weak"),
        (Verdict(0.9, passed=True, feedback="The judge's score is 0.90 of 1."), {}, "weak"),
        (Verdict(1.0, passed=True), {}, "weak"),
        (Verdict(0.5, passed=False, marks=("assert f(1) == 2",)), {}, None),
        (Verdict(1.0), {}, None),
        (None, {}, None),
    ],
)
def test_a_check_is_known_by_its_verdict(verdict, given_, strength):
    problem = Problem(messages=QUESTION.messages, given=given_)
    found = check_of(problem, said("It is 4", verdict=verdict))
    assert (None if found is None else found.strength.value) == strength


def test_a_weak_check_is_said_or_not_enough(of):
    ran = said("It is 4", verdict=Verdict(1.0, passed=True, feedback="The program gave: 4"))
    (record,) = chosen(of(ran)).records
    assert record["metadata"]["check"] == "the program ran and gave a result"
    assert record["metadata"]["check_strength"] == "weak"
    assert chosen(of(ran), Filter(weak=False)).dropped == {"weak": 1}


def by_words(**gold):
    async def grade(problem, text):
        return says(gold, problem, text)

    return Reference("references of this test", grade)


def test_a_reference_goes_before_the_verifier(of):
    samples = [said("It is 4", verdict=Verdict(0.0, passed=False)), said("It is five", verdict=TESTED)]
    samples[1] = replace(samples[1], answer=Answer("5", "5", 1))
    found = chosen(of(*samples), reference=by_words(**{QUESTION.id: "4"}))
    (record,) = found.records
    assert record["messages"][-1]["content"] == "It is 4"
    assert (record["metadata"]["check_strength"], found.dropped) == ("reference", {"failed": 1})
    assert chosen(of(*samples), reference=by_words()).dropped == {"unknown": 2}


def test_a_task_s_grader_is_a_reference():
    grader = by_task("countdown")
    problem = task("countdown").problems[0]
    assert asyncio.run(grader.grade(problem, "1 + 1")) is False
    assert asyncio.run(grader.grade(QUESTION, "1 + 1")) is None


# -- what is reported on is not trained on -------------------------------------------------------------------


@pytest.fixture(scope="module")
def known() -> Evaluation:
    return evaluation_problems(["gsm8k", "humaneval", "no such task"])


def test_problems_of_evaluation_tasks_are_known_again(known):
    problem = task("gsm8k").problems[0]
    question = problem.text
    middle = " ".join(question.split()[2:20])
    assert known.unread == ("no such task",)
    for other in (
        problem,
        Problem.of(question),
        Problem.of(question.upper().replace(" ", "  ")),
        Problem.of(f"Think well. {middle} and so on, whatever it was."),
    ):
        assert known.task_of(other) == "gsm8k"
    assert known.task_of(QUESTION) is None


def test_the_prompt_around_a_question_is_no_sign_of_it(known):
    prompt = task("humaneval").problems[0].text.split("```")[0]
    own = f'{prompt}```python\ndef half(number: int) -> int:\n    """Half of it."""\n```'
    assert known.task_of(Problem.of(own)) is None


def test_evaluation_problems_are_refused_unless_it_is_meant(recorded, run_of, known):
    problem = task("gsm8k").problems[0]
    file = recorded(run_of(problem, said("It is 4")), run_of(QUESTION, said("It is 4")))

    async def grade(asked, text):
        assert asked != problem, "what is refused is not graded first"
        return True

    with pytest.raises(ConfigurationError, match=r"1 of 2 problems .* \(gsm8k 1\)"):
        chosen([file], evaluation=known, reference=Reference("this test", grade))
    found = chosen([file], evaluation=known, allow_evaluation=True)
    assert [record["metadata"]["evaluation_task"] for record in found.records] == ["gsm8k", None]
    assert (found.tasks, found.unread_tasks) == ({"gsm8k": 1}, ("no such task",))


@pytest.mark.parametrize("fields", [{"most": 0}, {"order": "longest"}, {"near": 0.0}, {"near": 1.1}])
def test_a_filter_that_cannot_be_is_an_error(fields):
    with pytest.raises(ConfigurationError):
        Filter(**fields)


def test_what_is_written_can_be_read_line_by_line(of, tmp_path):
    found = chosen(of(said("It is\u2028four \ud800 \x00 4")))
    path = tmp_path / "sft.jsonl"
    assert write_chat(path, found.records) == 1
    (line,) = path.read_text(encoding="ascii").splitlines()
    assert json.loads(line)["messages"] == found.records[0]["messages"]


def test_samples_whose_sampling_nobody_told_have_none(recorded, run_of):
    file = recorded(run_of(QUESTION, said("It is 4")), imported={"from": "inspect", "sampling_known": False})
    (record,) = chosen([file]).records
    assert (record["metadata"]["sampling"], record["metadata"]["imported_from"]) == (None, "inspect")
