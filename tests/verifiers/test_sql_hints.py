"""An error of SQLite comes with what would mend the query; nothing but the schema is told."""

from __future__ import annotations

import sqlite3
from asyncio import run
from pathlib import Path

import pytest

from thinkctl.types import Answer, History, Problem, Request, Sample
from thinkctl.verifiers import SqlExecution
from thinkctl.verifiers.sql_hints import hint_for


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "staff.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE staff(id INTEGER PRIMARY KEY, name TEXT, manager_id INTEGER);"
        "CREATE TABLE teams(id INTEGER PRIMARY KEY, title TEXT);"
        "INSERT INTO staff VALUES (1, 'a secret name', NULL);"
    )
    connection.close()
    return str(path)


def feedback(query: str, verifier: SqlExecution) -> str:
    problem = Problem.of("?", form="code")
    sample = Sample(0, Request(problem.messages), answer=Answer(query, query, 0))
    return run(verifier.judge(History(problem), sample, {})).feedback


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELECT boss FROM staff", "There is: staff(id, name, manager_id)."),
        ("SELECT name FROM people", "There is: staff(id, name, manager_id); teams(id, title)."),
        ("SELECT id FROM staff JOIN teams ON 1", "More than one table has it: write staff.id or teams.id."),
        ("SELECT id FROM staff a JOIN staff b", "More than one table has it: write TABLE.id."),
        (
            (
                "WITH RECURSIVE under(id, up) AS (SELECT id, 1 FROM staff UNION SELECT id, 1 FROM staff JOIN under ON "
                "manager_id = under.id) SELECT id FROM under"
            ),
            "More than one table has it: write staff.id or under.id.",
        ),
        ("SELECT datediff(1, 2)", "In SQLite use julianday(a) - julianday(b)."),
        ("SELECT greatest(id, 1) FROM staff", "In SQLite use max(a, b)."),
        (
            "WITH RECURSIVE staff(id) AS (SELECT 1 UNION SELECT staff.id FROM staff JOIN staff s) SELECT * FROM staff",
            "staff is a table: give the recursive one another name.",
        ),
        (
            "WITH RECURSIVE r(i) AS (SELECT 1 UNION SELECT a.i FROM r a JOIN r b) SELECT * FROM r",
            "Name it once, in the FROM or JOIN of the part after UNION.",
        ),
        (
            (
                "WITH RECURSIVE under(i) AS (SELECT id FROM staff UNION SELECT id FROM staff WHERE id = under.i) "
                "SELECT i FROM under"
            ),
            "under(i) can be read only where it stands in FROM or JOIN",
        ),
    ],
)
def test_an_error_says_what_to_do(database: str, query: str, hint: str) -> None:
    assert hint in feedback(query, SqlExecution(database))


def test_without_hints_there_is_the_error_alone(database: str) -> None:
    assert (
        feedback("SELECT boss FROM staff", SqlExecution(database, hints=False))
        == "Error: no such column: boss"
    )


def test_a_hint_tells_no_row(database: str) -> None:
    assert "secret" not in feedback("SELECT boss FROM staff", SqlExecution(database))


@pytest.mark.parametrize("error", ["no such column: x", "no such table: x", "anything else", ""])
def test_a_database_that_cannot_be_read_gives_no_hint(tmp_path: Path, error: str) -> None:
    broken = tmp_path / "broken.db"
    broken.write_text("this is no database")
    assert hint_for(error, "SELECT x", str(broken)) == ""


def test_a_long_query_is_searched_in_no_time(database: str) -> None:
    query = "WITH under" + " " * 19_000 + "SELECT under.i"
    assert hint_for("no such column: under.i", query, database).startswith(" There is:")
    assert hint_for("ambiguous column name: i", "a (" + "b, " * 6_000, database).endswith("write TABLE.i.")
