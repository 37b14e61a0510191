"""Tasks: what is public stays apart from what is hidden, graders know right from wrong, draws are the same for all."""

from __future__ import annotations

from asyncio import run

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks import KINDS, TASKS, Card, names, task
from thinkctl.evals.tasks.data import FOLDER, path_of, rows
from thinkctl.verifiers.given import texts_of
from thinkctl.verifiers.sandbox.jail import bubblewrap_trouble

HIDDEN = ("gsm8k", "humaneval", "mbpp", "sql_recursive", "svamp")
NUMBERS = {
    "gsm8k": 1219,
    "svamp": 999,
    "humaneval": 164,
    "mbpp": 420,
    "sql_recursive": 53,
    "countdown": 500,
    "game24": 1362,
}
WRONG = {
    "humaneval": "def {entry_point}(*given):\n    return None",
    "mbpp": "def {entry_point}(*given):\n    return None",
    "sql_recursive": "SELECT 1",
    "gsm8k": "-17",
    "svamp": "-17",
}
needs_sandbox = pytest.mark.skipif(
    bubblewrap_trouble() is not None, reason="there is no bubblewrap to run code in"
)


def references(name: str) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in rows(f"{name}_references.jsonl.gz")}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_task_has_its_problems_and_a_card(name: str) -> None:
    found = task(name)
    assert len({problem.id for problem in found.problems}) == len(found.problems) == NUMBERS[name]
    assert found.name == name
    card = found.card()
    assert all(
        (card.about, card.source, card.licence, card.contamination, card.public, card.hidden, card.metric)
    )
    assert card.public_since is not None
    assert card.version.startswith("sha256 ")
    assert card.problems == NUMBERS[name]
    assert (found.verifier is None) == (card.public == "nothing")
    assert Card.model_validate_json(card.model_dump_json()) == card


def test_every_task_that_comes_along_has_a_name() -> None:
    assert set(NUMBERS) < set(TASKS)
    assert {*TASKS, *KINDS} <= set(names())


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("gsm8k", "8600568fa373cf49"),
        ("svamp", "049fcb2aec2d3ae2"),
        ("humaneval", "4fc50e5b0fc06159"),
        ("mbpp", "55e6b658375ded0a"),
        ("sql_recursive", "5e75b69f1cfaef65"),
        ("countdown", "a99412de58cb0ba1"),
        ("game24", "89495bff21b55db3"),
    ],
)
def test_what_is_recorded_was_put_as_it_is_now(name: str, checksum: str) -> None:
    """Recordings lie in the project: a prompt that changes makes them recordings of something else."""
    assert task(name).checksum.startswith(checksum)


def test_countdown_has_2_to_4_numbers() -> None:
    assert [task(f"countdown?numbers={number}").name for number in (2, 3, 4)] == [
        "countdown2",
        "countdown",
        "countdown4",
    ]
    with pytest.raises(ConfigurationError, match="numbers=5: countdown has puzzles with 2, 3 and 4"):
        task("countdown?numbers=5")


@pytest.mark.parametrize("name", HIDDEN)
def test_no_problem_holds_its_reference(name: str) -> None:
    """Neither what the model sees nor what a verifier may know has the answer or a hidden test in it."""
    hidden = references(name)
    for problem in task(name).problems:
        row, public = hidden[problem.id], problem.model_dump_json()
        assert not {"answer", "test_code", "rows"} & problem.given.keys()
        for part in ("test_code",) if "test_code" in row else ("answer",) if name == "sql_recursive" else ():
            assert str(row[part]).strip() not in public
    assert {problem.id for problem in task(name).problems} == hidden.keys()


def test_of_mbpp_one_test_is_public_and_the_others_are_not() -> None:
    hidden = references("mbpp")
    for problem in task("mbpp").problems:
        (shown,) = texts_of(problem, "tests")
        others = [
            line for line in str(hidden[problem.id]["test_code"]).splitlines() if line.startswith("assert")
        ]
        assert not any(line in problem.model_dump_json() for line in others if line != shown)


@pytest.mark.parametrize("name", ["gsm8k", "svamp", "sql_recursive"])
def test_a_grader_takes_every_reference_and_no_wrong_answer(name: str) -> None:
    found, hidden = task(name), references(name)
    answers = [(problem, str(hidden[problem.id]["answer"])) for problem in found.problems]
    assert all(run(found.grades(answers)))
    assert not any(run(found.grades([(problem, WRONG[name]) for problem in found.problems[:20]])))
    assert run(found.grades([(found.problems[0], None)])) == [False]


@needs_sandbox
@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_a_grader_of_code_takes_reference_code_and_no_stub(name: str) -> None:
    found, hidden = task(name), references(name)
    for problem in found.problems[:6]:
        assert run(found.grade(problem, str(hidden[problem.id]["answer"]))), problem.id
        stub = WRONG[name].format(**problem.given)
        assert not run(found.grade(problem, stub)), problem.id


@pytest.mark.parametrize(("text", "right"), [("(57 + 49) - 96", True), ("57 + 49", False), ("10", False)])
def test_a_puzzle_is_graded_by_the_exact_check(text: str, right: bool) -> None:
    found = task("countdown")
    (problem,) = [each for each in found.problems if each.id == "countdown3-432"]
    assert run(found.grade(problem, text)) is right


def test_what_is_tuned_on_is_never_reported_on_and_draws_are_nested() -> None:
    found = task("svamp")
    tune, report = found.split(20, 50)
    more = found.split(20, 100)
    assert (tune, report) == (more[0], more[1][:50])
    assert not {each.id for each in tune} & {each.id for each in more[1]}
    assert tune != found.problems[:20]


@pytest.mark.parametrize(("tune", "report"), [(-1, 5), (0, 0), (40, 14)])
def test_more_than_there_is_cannot_be_drawn(tune: int, report: int) -> None:
    with pytest.raises(ConfigurationError, match="sql_recursive has 53 problems"):
        task("sql_recursive").split(tune, report)


def test_a_task_that_is_not_known_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(
        ConfigurationError, match=r"'gsm8' is not known; did you mean 'gsm8k'. known: aime2024, "
    ):
        task("gsm8")


def test_data_that_has_changed_is_refused(tmp_path, monkeypatch) -> None:
    for name in ("SHA256SUMS", "svamp.jsonl.gz"):
        (tmp_path / name).write_bytes((FOLDER / name).read_bytes())
    monkeypatch.setattr("thinkctl.evals.tasks.data.FOLDER", tmp_path)
    assert len(rows("svamp.jsonl.gz")) == NUMBERS["svamp"]
    (tmp_path / "svamp.jsonl.gz").write_bytes(b"other")
    with pytest.raises(ConfigurationError, match="has changed: its SHA-256 is"):
        path_of("svamp.jsonl.gz")
    with pytest.raises(ConfigurationError, match=r"'gsm8k\.jsonl\.gz' is not among"):
        path_of("gsm8k.jsonl.gz")
