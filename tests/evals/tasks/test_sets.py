"""Sets that do not come with thinkctl: found in a folder, read as their authors have them, graded as they should be."""

from __future__ import annotations

import json
import os
import sqlite3
from asyncio import run
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks import Task, task
from thinkctl.evals.tasks.bbh import FIVE
from thinkctl.types import Answer, History, Request, Sample
from thinkctl.verifiers import SqlExecution

ROOT = Path(__file__).resolve().parents[3]
SETS = Path(os.environ.get("THINKCTL_SHARED", ROOT.parent / "shared"), "data", "sets")
shared = pytest.mark.skipif(
    not SETS.is_dir(), reason=f"the sets are not in {SETS} and may not be copied; set THINKCTL_SHARED"
)

REAL = {
    "math500": (500, ["math500/data.jsonl"]),
    "aime2024": (30, ["aime2024/data.jsonl"]),
    "aime2025": (30, ["aime2025/data.jsonl"]),
    "multiarith": (600, ["multiarith/data.jsonl"]),
    "bbh": (1250, [f"bbh/{name}.jsonl" for name in FIVE]),
    "simpleqa": (400, ["simpleqa/sample_400.jsonl"]),
    "spider": (289, ["sql_spider_dev/data.jsonl"]),
    "chinook": (78, ["sql_chinook/data.jsonl"]),
}
ONE = {"question": "?", "query": "SELECT 1"}
NEVER = {"spider": "SELECT 'none of it'", "chinook": "SELECT 'none of it'"}


def put(folder: Path, name: str, rows: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    lines = (
        [json.dumps(row) for row in rows]
        if isinstance(rows, list) and name.endswith("l")
        else [json.dumps(rows)]
    )
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def references(files: list[str]) -> Mapping[str, str]:
    lines = [line for file in files for line in (SETS / file).read_text(encoding="utf-8").splitlines()]
    return {row["id"]: row["answer"] for row in map(json.loads, lines)}


@shared
@pytest.mark.parametrize("name", REAL)
def test_of_a_real_set_every_reference_is_right_and_no_other_answer(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THINKCTL_TASKS", str(SETS))
    number, files = REAL[name]
    found, answers = task(name), references(files)
    assert len(found.problems) == number
    assert all(run(found.grades([(problem, answers[problem.id]) for problem in found.problems])))
    wrong = NEVER.get(name, "-17.25")
    assert not any(run(found.grades([(problem, wrong) for problem in found.problems[:40]])))
    card = found.card()
    assert "sha256" in card.version
    assert card.public_since is not None
    assert all((card.licence, card.source, card.contamination))
    assert not any(
        "gold" in problem.model_dump_json() for problem in found.problems if "gold" not in problem.text
    )


@shared
def test_mathematics_is_graded_by_what_it_says_and_not_by_its_spelling() -> None:
    pytest.importorskip("math_verify")
    found = task("math500", folder=SETS / "math500")
    answers = references(REAL["math500"][1])
    respelled = [
        (
            problem,
            answers[problem.id].replace(r"\frac", r"\dfrac").replace(r"\left", "").replace(r"\right", ""),
        )
        for problem in found.problems
    ]
    assert all(run(found.grades(respelled)))
    by_id = {problem.id: problem for problem in found.problems}
    others = [
        ("math500-precalculus-807", r"(3, \pi/2)", True),
        ("math500-precalculus-807", r"(\pi/2, 3)", False),
        ("math500-algebra-1031", "5.5", True),
        ("math500-algebra-1031", r"\frac{1}{2} + 5", True),
        ("math500-algebra-1031", "5", False),
    ]
    assert run(found.grades([(by_id[name], text) for name, text, _ in others])) == [
        right for *_, right in others
    ]


@shared
@pytest.mark.parametrize(
    ("subset", "form", "chance"),
    [
        ("boolean_expressions", "boxed", 0.5),
        ("date_understanding", "choice", 0.17),
        ("multistep_arithmetic_two", "number", 0.0),
        ("object_counting", "number", 0.0),
        ("tracking_shuffled_objects_three_objects", "choice", 1 / 3),
    ],
)
def test_a_subset_of_bbh_has_the_form_of_its_answers(subset: str, form: str, chance: float) -> None:
    found = task(f"bbh?subset={subset}", folder=SETS / "bbh")
    assert found.card().forms == (form,)
    assert found.chance == pytest.approx(chance, abs=0.02)
    assert found.name == f"bbh-{subset}"


@shared
def test_letters_are_graded_as_letters() -> None:
    found = task("bbh?subset=date_understanding", folder=SETS / "bbh")
    first = found.problems[0]
    graded = run(
        found.grades([(first, text) for text in ("B", "(b)", "(B) 12/25/1937", "A", "(A) or (B)", "")])
    )
    assert graded == [True, True, True, False, False, False]


def test_the_files_of_the_authors_and_of_the_hub_are_read_as_they_are(tmp_path: Path) -> None:
    put(
        tmp_path / "bbh",
        "word_sorting.json",
        {"canary": "x", "examples": [{"input": "Sort: b a", "target": "a b"}]},
    )
    bbh = task("bbh?subset=word_sorting", folder=tmp_path / "bbh")
    assert (bbh.problems[0].id, bbh.problems[0].form) == ("bbh-word_sorting-1", "text")
    assert run(bbh.grades([(bbh.problems[0], text) for text in ("a  b", "A b", "b a")])) == [
        True,
        True,
        False,
    ]

    put(
        tmp_path / "m",
        "test.jsonl",
        [{"problem": "1 + 1?", "answer": "2", "unique_id": "test/1", "level": 1}],
    )
    assert task("math500", folder=tmp_path / "m").problems[0].id == "test/1"

    put(tmp_path / "a", "MultiArith.json", [{"iIndex": 1, "sQuestion": " Two and two?", "lSolutions": [4.0]}])
    multi = task("multiarith", folder=tmp_path / "a")
    assert run(multi.grade(multi.problems[0], "4"))

    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "data.csv").write_text("metadata,problem,answer\n{},Who?,Ada\n", encoding="utf-8")
    assert task("simpleqa", folder=tmp_path / "q").problems[0].text.startswith("Who?")


def test_a_set_that_is_missing_says_what_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("THINKCTL_TASKS", raising=False)
    monkeypatch.setenv("THINKCTL_CACHE", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=r"does not come with thinkctl\. Put .*HuggingFaceH4/MATH-500"
    ) as caught:
        task("math500")
    for part in (str(tmp_path / "tasks" / "math500"), "data.jsonl", "folder=FOLDER", "THINKCTL_TASKS"):
        assert part in str(caught.value)
    put(tmp_path / "tasks" / "math500", "data.jsonl", [{"problem": "?", "answer": "2"}])
    assert len(task("math500").problems) == 1

    monkeypatch.setenv("THINKCTL_TASKS", str(tmp_path / "mine"))
    put(
        tmp_path / "mine" / "math500",
        "data.jsonl",
        [{"problem": "?", "answer": "2"}, {"problem": "!", "answer": "2"}],
    )
    assert len(task("math500").problems) == 2, "what is asked for goes before the cache"


@pytest.mark.parametrize(
    ("spec", "files", "error"),
    [
        ("math500?folder={0}/none", {}, "folder='.*none' of the task 'math500' is no folder"),
        ("math500?folder={0}", {}, "has no file of the task 'math500': put the 500 problems .* there: none"),
        ("math500?folder={0}", {"a.jsonl": [], "b.jsonl": []}, r"files of data there: a\.jsonl, b\.jsonl"),
        ("aime2024?folder={0}&sha256=00000000", {"data.jsonl": [{"problem": "?", "answer": 2}]}, "is it the file"),
        ("bbh?folder={0}", {"snarks.json": {}}, r"has no boolean_expressions\.jsonl .*; known: snarks; put"),
        ("bbh?folder={0}&subset=../x", {}, "has no "),
        ("spider?folder={0}", {"data.jsonl": [{**ONE, "db_id": "no"}]}, "no question with a database"),
        ("spider?folder={0}", {"data.jsonl": [{**ONE, "db_id": "../x"}]}, r"line 1: .*'\.\./x'"),
        ("spider?folder={0}", {"data.jsonl": [{**ONE, "db_id": 3}]}, "line 1: expected the name of a database"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_folder_is_said(
    tmp_path: Path, spec: str, files: Mapping[str, object], error: str
) -> None:
    for name, rows in files.items():
        put(tmp_path, name, rows)
    with pytest.raises(ConfigurationError, match=error):
        task(spec.format(tmp_path))


@pytest.fixture
def shop(tmp_path: Path) -> Task:
    """Spider as its authors have it: dev.json, and a folder for each database."""
    folder = tmp_path / "database" / "shop"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "shop.sqlite")) as database, database:
        database.execute("CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, price REAL)")
        database.executemany(
            "INSERT INTO items VALUES (?, ?, ?)", [(1, "pen", 2.0), (2, "ink", 5.5), (3, "nib", 0.5)]
        )
    rows = [
        {
            "db_id": "shop",
            "question": "Which are dearer than 1?",
            "query": "SELECT name FROM items WHERE price > 1",
        },
        {
            "db_id": "shop",
            "question": "All names by price?",
            "query": "SELECT name FROM items ORDER BY price",
        },
        {"db_id": "shop", "question": "Which cost 100?", "query": "SELECT name FROM items WHERE price = 100"},
        {
            "db_id": "shop",
            "question": "How many cost 100?",
            "query": "SELECT count(*) FROM items WHERE price = 100",
        },
        {"db_id": "other", "question": "?", "query": "SELECT 1"},
    ]
    put(tmp_path, "dev.json", rows)
    put(tmp_path, "tables.json", [])
    return task("spider", folder=tmp_path)


def test_questions_whose_result_says_nothing_are_left_out(shop: Task) -> None:
    assert [problem.id for problem in shop.problems] == ["spider-1", "spider-2"]
    assert "CREATE TABLE items" in shop.problems[0].text
    assert "SELECT" not in shop.problems[0].text


def test_a_query_is_right_by_its_result_in_its_order_where_that_was_asked(shop: Task) -> None:
    first, second = shop.problems
    graded = [
        (first, "SELECT name FROM items WHERE price >= 2 ORDER BY name DESC", True),
        (first, "SELECT name FROM items", False),
        (first, "SELEC name", False),
        (first, "DROP TABLE items", False),
        (second, "SELECT name FROM items ORDER BY price, name", True),
        (second, "SELECT name FROM items ORDER BY price DESC", False),
        (
            second,
            "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT count(*) FROM x",
            False,
        ),
    ]
    assert run(shop.grades([(problem, text) for problem, text, _ in graded])) == [
        right for *_, right in graded
    ]


def test_the_verifier_finds_the_database_of_each_problem_and_knows_no_reference(shop: Task) -> None:
    assert shop.verifier is not None
    verifier, problem = shop.verifier(), shop.problems[0]
    assert verifier == SqlExecution()
    query = "SELECT name FROM items WHERE price > 1"
    assert query not in problem.model_dump_json()
    sample = Sample(0, Request(problem.messages), answer=Answer(query, query, 0))
    assert run(verifier.judge(History(problem), sample, {})).passed


def test_the_checksum_is_the_same_where_the_databases_lie_elsewhere(tmp_path: Path, shop: Task) -> None:
    moved = tmp_path.rename(tmp_path.with_name("elsewhere"))
    again = task("spider", folder=moved)
    assert again.problems != shop.problems
    assert again.checksum == shop.checksum
