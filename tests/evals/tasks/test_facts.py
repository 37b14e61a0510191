"""Facts: what says the same is right, what does not know abstains, and a judge decides what words cannot."""

from __future__ import annotations

import json
from asyncio import run
from pathlib import Path

import pytest

from thinkctl.evals.tasks import Task, task
from thinkctl.evals.tasks.facts import declines, says
from thinkctl.testing import ScriptedEngine


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Tanzan Ishibashi", "Tanzan Ishibashi"),
        ("tanzan ishibashi.", "Tanzan Ishibashi"),
        ("It was Tanzan Ishibashi, in 1956.", "Tanzan Ishibashi"),
        ("Francois de Malherbe", "François de Malherbe."),
        ("1972", "1972."),
        ("October 24th, 1922", "October 24, 1922"),
        ("1922-10-24", "October 24, 1922"),
        ("1093", "1,093"),
        ("about $250,000", "$250,000"),
        ("Cold Blooded Horror", '"Cold Blooded Horror"'),
        ("The Tricot Line", "Tricot line"),
    ],
)
def test_what_says_the_same_is_right(text: str, gold: str) -> None:
    assert says(text, gold)


@pytest.mark.parametrize(
    ("text", "gold"),
    [
        ("Ishibashi", "Tanzan Ishibashi"),
        ("1932", "32"),
        ("132", "32"),
        ("October 25, 1922", "October 24, 1922"),
        ("1922", "October 24, 1922"),
        ("", "Ada"),
        (".", "Ada"),
        ("Adamant", "Ada"),
        (" ".join(["Ada", *(f"name{place}" for place in range(30))]), "Ada"),
        ("1,0934", "1,093"),
    ],
)
def test_what_says_something_else_is_wrong(text: str, gold: str) -> None:
    assert not says(text, gold)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know",
        "I don\u2019t know.",
        "i do not know",
        "'I don't know'",
        "I'm not sure.",
        "I am not certain about that.",
        "Unknown",
        "Sorry, I cannot find that",
        "I have no idea",
        "I couldn't find it.",
        "There is no information on that.",
    ],
)
def test_a_text_that_does_not_know_abstains(text: str) -> None:
    assert declines(text)


@pytest.mark.parametrize(
    "text", ["Ada", "The Unknown Soldier", "Unknown Pleasures", "I, Robot", "No", "Sure", "Not I", ""]
)
def test_an_answer_does_not_abstain(text: str) -> None:
    assert not declines(text)


def facts(folder: Path, **options: object) -> Task:
    rows = [{"id": "q", "question": "Who was it?", "answer": "Ada Lovelace"}]
    (folder / "data.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return task("simpleqa", folder=folder, **options)


def test_correct_wrong_and_abstained_are_three_things(tmp_path: Path) -> None:
    found = facts(tmp_path)
    (problem,) = found.problems
    texts = ["Ada Lovelace", "Charles Babbage", "I don't know", None]
    assert run(found.grades([(problem, text) for text in texts])) == [True, False, False, False]
    assert [found.abstained(text) for text in texts] == [False, False, True, True]
    assert found.card().abstention
    assert "I don't know" in problem.text


def test_where_nothing_else_is_known_only_no_answer_abstains() -> None:
    found = task("svamp")
    assert [found.abstained(text) for text in ("I don't know", None)] == [False, True]
    assert not found.card().abstention


def test_a_judge_that_is_shown_the_reference_decides_what_words_cannot(tmp_path: Path) -> None:
    asked: set[str] = set()

    def score(prompt: str, token: str) -> float:
        asked.add(prompt)
        return 0.0 if (token.strip() == "yes") == ("Countess" in prompt) else -99.0

    engine = ScriptedEngine(["unused"], scores=score)
    found = facts(tmp_path, engines={"judge": engine})
    (problem,) = found.problems
    texts = ["Ada Lovelace", "The Countess of L.", "Babbage", "I don't know"]
    assert run(found.grades([(problem, text) for text in texts])) == [True, True, False, False]
    assert len(asked) == 2, "what matches, and what does not know, needs no judge"
    assert all("Ada Lovelace" in prompt for prompt in asked)
