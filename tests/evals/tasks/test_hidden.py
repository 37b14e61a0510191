"""What only the grader knows stands in no problem: neither in what a model sees nor in what a verifier is given."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.evals.tasks.test_sets import REAL, SETS, shared
from thinkctl.evals.tasks import TASKS, Task, generators, gym, task
from thinkctl.evals.tasks.data import rows
from thinkctl.types import Problem

MARK = "hidden-7f3a9c"
BUNDLED = {"gsm8k": "words", "svamp": "words", "humaneval": "code", "mbpp": "code", "sql_recursive": "sql"}
PUZZLES = ("countdown?numbers=2", "countdown", "countdown?numbers=4", "game24")
IN_THE_QUESTION = {
    "gsm8k": "a small number that the story may use too",
    "svamp": "a small number that the story may use too",
    "multiarith": "a small number that the story may use too",
    "math500": "often one digit or one letter, which the question may use too",
    "aime2024": "a whole number, which the question may use too",
    "aime2025": "a whole number, which the question may use too",
    "bbh": "one of the choices, true or false, or a number",
    "simpleqa": "a name or a date, one of which its own question gives away",
}
"""Tasks whose gold answer may stand in the question as its authors wrote it, and why. It stands nowhere else."""
HIDDEN_COLUMNS = {
    "answer",
    "gold_sqls",
    "gold_solution",
    "gold_result",
    "columns",
    "result_sha256",
    "n_rows",
    "ordered",
    "equation",
}
shared_sets = pytest.mark.parametrize("name", [pytest.param(name, marks=shared) for name in REAL])
each_task = pytest.mark.parametrize("name", [*BUNDLED, *(pytest.param(name, marks=shared) for name in REAL)])


@pytest.fixture(autouse=True)
def _folder_of_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THINKCTL_TASKS", str(SETS))


def public(problem: Problem) -> str:
    """All texts of a problem: every message, and all that is given."""
    return "\n".join([*(turn.content for turn in problem.messages), *_texts(problem.given)])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)
    else:
        yield str(value)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def told(name: str) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the questions as their authors wrote them, and the rows with what is hidden, by id."""
    if name in BUNDLED:
        questions, hidden = rows(f"{name}.jsonl.gz"), rows(f"{name}_references.jsonl.gz")
    else:
        questions = hidden = [row for file in REAL[name][1] for row in read(SETS / file)]
    return {row["id"]: row["question"] for row in questions}, {row["id"]: row for row in hidden}


def golds(row: Mapping[str, Any]) -> Iterator[str]:
    """What is hidden of a problem: its answer, other right ones, a solution, and each check of its hidden tests."""
    yield str(row["answer"])
    yield from (str(each) for key in ("alternatives", "gold_sqls") for each in row.get(key) or ())
    if "gold_solution" in row:
        yield str(row["gold_solution"])
    for line in str(row.get("test_code", "")).splitlines():
        if line.strip().startswith("assert "):
            yield line


def stands_in(gold: str, text: str) -> bool:
    """Whether a text has these words in it, however they are spaced."""
    words = r"\s+".join(map(re.escape, gold.split()))
    return re.search(rf"(?<!\w){words}(?!\w)", text) is not None


def test_all_tasks_are_looked_at_here() -> None:
    assert {*BUNDLED, *REAL, *(spec.partition("?")[0] for spec in PUZZLES)} == set(TASKS)
    assert set(IN_THE_QUESTION) <= {*BUNDLED, *REAL}


@each_task
def test_no_gold_answer_query_or_test_stands_in_a_problem(name: str) -> None:
    questions, hidden = told(name)
    leaks = []
    for problem in task(name).problems:
        text, question = public(problem), questions[problem.id].strip("\n")
        shown = problem.given.get("tests") if name == "mbpp" else None
        if name in IN_THE_QUESTION:
            assert question.strip() in text
            text = text.replace(question.strip(), "")
        for gold in golds(hidden[problem.id]):
            if isinstance(shown, list | tuple) and gold in shown:
                continue  # the first of its tests is public
            if gold in text if gold.strip().startswith("assert ") else stands_in(gold, text):
                leaks.append((problem.id, gold))
    assert leaks == []


@pytest.mark.parametrize(("name", "module"), BUNDLED.items())
def test_with_other_references_the_problems_are_the_same(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a reference can come into a problem by any way, however it would be written there."""

    def marked(file: str) -> list[dict[str, Any]]:
        found = rows(file)
        if "_references" not in file:
            return found
        return [{key: value if key == "id" else MARK for key, value in row.items()} for row in found]

    before = task(name).problems
    monkeypatch.setattr(f"thinkctl.evals.tasks.{module}.rows", marked)
    assert task(name).problems == before


@shared_sets
def test_with_the_answers_of_other_rows_the_problems_are_the_same(name: str, tmp_path: Path) -> None:
    before, files = task(name), [SETS / file for file in REAL[name][1]]
    for path in files[0].parent.iterdir():
        if path not in files:
            (tmp_path / path.name).symlink_to(path)
    for path in files:
        turned = read(path)
        moved = [
            {key: (other if key in HIDDEN_COLUMNS else row).get(key) for key in row}
            for row, other in zip(turned, [*turned[1:], turned[0]], strict=True)
        ]
        text = "".join(json.dumps(row) + "\n" for row in moved)
        (tmp_path / path.name).write_text(text, encoding="utf-8")
        assert moved != turned
    after = task(name, folder=tmp_path)
    assert after.problems == before.problems
    assert after.version != before.version


@pytest.mark.parametrize("kind", generators.GENERATORS)
def test_what_a_generator_computed_is_not_in_its_problems(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own answer may stand in a question (a colour, true, a number of the story); it is not put there."""
    before = task(f"generated:{kind}?size=20").problems
    known = generators.GENERATORS[kind]
    marked = replace(known, make=lambda dice, level: (known.make(dice, level)[0], MARK))
    monkeypatch.setitem(generators.GENERATORS, kind, marked)
    found = task(f"generated:{kind}?size=20").problems
    assert found == before
    assert not any(MARK in public(problem) for problem in found)


def test_of_reasoning_gym_no_entry_s_answer_is_in_its_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("reasoning_gym") is None:
        pytest.skip("reasoning-gym is not installed")
    monkeypatch.setattr(gym, "generators", lambda: {"made_up": ()})
    for answer in (MARK, f"{MARK}\nand more"):
        made = {"questions": ["One?", "Two?"], "answers": [answer, answer]}
        monkeypatch.setattr(gym, "_ask", lambda *_, made=made: made)
        found = task("reasoning-gym:made_up?size=2")
        assert [problem.text for problem in found.problems] == ["One?", "Two?"]
        assert not any(MARK in problem.model_dump_json() for problem in found.problems)


@pytest.mark.parametrize("choices", [None, ["one", "two", MARK]])
def test_of_a_user_s_row_only_the_question_and_the_choices_are_put(
    tmp_path: Path, choices: list[str] | None
) -> None:
    row = {
        "question": "What?",
        "answer": MARK,
        "solution": f"so {MARK}",
        "tests": [MARK],
        "given": {"a": MARK},
    }
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({**row, "choices": choices}), encoding="utf-8")
    (problem,) = task(f"file:{path}").problems
    assert problem.given == {}
    assert problem.text == ("What?" if choices is None else f"What?\n(A) one\n(B) two\n(C) {MARK}")


@pytest.mark.parametrize("spec", PUZZLES)
def test_no_puzzle_is_among_its_solved_examples(spec: str) -> None:
    for problem in task(spec).problems:
        *shown, asked = (turn for turn in problem.messages if turn.role == "user")
        assert set(problem.given) == {"numbers", "target"}
        assert _puzzle(asked.content) not in [_puzzle(turn.content) for turn in shown], problem.id


def _puzzle(text: str) -> tuple[list[int], int]:
    *numbers, target = map(int, re.findall(r"\d+", text))
    return sorted(numbers), target


def carded(name: str) -> Task:
    if name.startswith("file:"):
        path = Path(name.removeprefix("file:"))
        path.write_text('{"question": "?", "answer": 1}\n', encoding="utf-8")
        return task(f"{name}?licence=CC0")
    return task(name)


@pytest.mark.parametrize(
    "name",
    [
        *BUNDLED,
        *PUZZLES,
        *(f"generated:{kind}?size=5" for kind in (*generators.GENERATORS, "countdown")),
        *(pytest.param(name, marks=shared) for name in REAL),
        "file:mine.jsonl",
    ],
)
def test_every_card_names_a_source_a_licence_and_a_checksum_of_what_is_put(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = carded(name)
    card = found.card()
    assert all(text.strip() for text in (card.source, card.licence, card.version, card.hidden, card.public))
    assert re.fullmatch(r"[0-9a-f]{64}", card.checksum)
    first, *others = found.problems
    other = Problem(
        messages=(*first.messages[:-1], first.messages[-1].model_copy(update={"content": "?!"})),
        id=first.id,
        form=first.form,
        given=first.given,
    )
    assert replace(found, problems=(other, *others)).card().checksum != card.checksum
    assert replace(found, source="elsewhere").card().checksum == card.checksum
