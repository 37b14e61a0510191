"""A query is checked by running it: read-only, for a limited time, with the database's own words as feedback."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.controller.rig import solve
from thinkctl import Budget, Problem
from thinkctl.agreement import Agreement
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.strategies import SelfConsistency, SelfCorrection
from thinkctl.testing import Script, ScriptedEngine, history_of, sample_of
from thinkctl.types import Verdict
from thinkctl.verifiers import SqlExecution

CODE = Problem.model_validate({"messages": "Who reports to Ada?", "form": "code"})


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "staff.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, boss INTEGER)")
        connection.executemany(
            "INSERT INTO staff VALUES (?, ?, ?)", [(1, "Ada", None), (2, "Bob", 1), (3, "Cy", 2)]
        )
    connection.close()
    return str(path)


def judged(database: str, query: str | None, **settings: object) -> Verdict:
    sample = sample_of(query)
    verifier = SqlExecution(database, **settings)  # type: ignore[arg-type]
    return asyncio.run(verifier.judge(history_of(sample), sample, {}))


def test_a_query_that_runs_passes_with_a_preview_of_its_result(database) -> None:
    verdict = judged(database, "SELECT name, boss FROM staff ORDER BY id", rows=2)
    assert (verdict.score, verdict.passed) == (1.0, True)
    assert verdict.feedback == "The query returned:\nname | boss\nAda | NULL\nBob | 1\n(3 rows)"


def test_a_recursive_query_runs(database) -> None:
    query = """WITH RECURSIVE below(id) AS (SELECT 1 UNION SELECT staff.id FROM staff JOIN below ON boss = below.id)
               SELECT count(*) FROM below"""
    assert judged(database, query).feedback.endswith("count(*)\n3")


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("SELECT nme FROM staff", "Error: no such column: nme"),
        ("SELECT * FORM staff", "syntax error"),
        ("SELECT name FROM staff WHERE id = 9", "returned no rows"),
        (None, "no query in the answer"),
        ("", "returned no rows"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("x" * 30_000, "longer than 20000 characters"),
        ("SELECT '\ud800'", "Error"),
        ("SELECT 1\x00", "Error"),
    ],
)
def test_what_does_not_run_fails_with_the_reason(database, query, says) -> None:
    verdict = judged(database, query)
    assert (verdict.score, verdict.passed) == (0.0, False)
    assert says in verdict.feedback


def test_no_rows_may_be_an_answer_where_that_is_said(database) -> None:
    assert judged(database, "SELECT name FROM staff WHERE id = 9", empty_fails=False).passed


# -- agreement of results ----------------------------------------------------------------------------------------

SAME = (
    "SELECT id, name FROM staff WHERE boss = 1 OR boss = 2",
    "SELECT name, id FROM staff WHERE boss NOT NULL ORDER BY id DESC",
    "SELECT s.name AS who, s.id * 1.0 FROM staff s JOIN staff b ON s.boss = b.id",
)
OTHER = "SELECT id, name FROM staff"


def test_queries_that_return_the_same_have_the_same_mark(database) -> None:
    marks = {judged(database, query).marks for query in SAME}
    assert len(marks) == 1
    assert marks != {()}
    assert judged(database, OTHER).marks not in marks
    assert judged(database, "SELECT nme FROM staff").marks == ()


def test_a_result_too_long_to_compare_has_no_mark(database) -> None:
    many = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT {}) SELECT x FROM n"
    assert judged(database, many.format(10_000), seconds=20).marks
    verdict = judged(database, many.format(10_001), seconds=20)
    assert (verdict.passed, verdict.marks) == (True, ())


def test_the_largest_group_of_equal_results_wins(database) -> None:
    queries = [OTHER, "SELECT nme FROM staff", *SAME[:2], "SELECT 1"]
    samples = [replace(sample_of(query), verdict=judged(database, query)) for query in queries]
    chosen = Agreement().select(history_of(*samples))
    assert chosen is not None
    assert chosen.text == SAME[0]


def test_votes_may_be_counted_on_results(database) -> None:
    keys = [judged(database, query, vote_by_result=True).answer for query in (*SAME, OTHER)]
    assert [answer and answer.text for answer in keys] == [*SAME, OTHER]
    assert len({answer and answer.key for answer in keys}) == 2
    assert judged(database, OTHER).answer is None


def test_queries_that_fail_agree_with_none(database) -> None:
    samples = [sample_of("SELECT nme FROM staff", index=index) for index in range(2)]
    verifier = SqlExecution(database, vote_by_result=True)
    verdicts = [asyncio.run(verifier.judge(history_of(*samples), sample, {})) for sample in samples]
    one, other = [verdict.answer for verdict in verdicts]
    assert one is not None
    assert other is not None
    assert one.key != other.key


def test_adaptive_stopping_sees_agreement_of_results(database) -> None:
    def says(number: int, prompt: str) -> Script:
        return Script(f"```sql\n{SAME[number % 3]}\n```")

    found = solve(
        ScriptedEngine(says),
        SelfConsistency(40),
        Budget(tokens=5_000),
        verifier=SqlExecution(database, vote_by_result=True),
        policy=AdaptiveConsistency(0.95),
        problem=CODE,
    )
    assert len(found.samples) < 10
    assert found.answer is not None
    assert found.answer.text == SAME[0]


# -- the problem's own database ------------------------------------------------------------------------------------


def test_each_problem_may_name_its_database(database) -> None:
    sample = sample_of("SELECT count(*) FROM staff")
    asked = CODE.model_copy(update={"given": {"database": database}})
    verdict = asyncio.run(SqlExecution().judge(history_of(sample, problem=asked), sample, {}))
    assert verdict.passed is True


@pytest.mark.parametrize("given_", [{}, {"database": "none.db"}, {"database": 3}, {"database": ""}])
def test_a_problem_without_a_database_is_refused(given_) -> None:
    sample = sample_of("SELECT 1")
    asked = CODE.model_copy(update={"given": given_})
    with pytest.raises(ConfigurationError, match="is no file"):
        asyncio.run(SqlExecution().judge(history_of(sample, problem=asked), sample, {}))


# -- hostile queries ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM staff",
        "INSERT INTO staff VALUES (9, 'Eve', 1)",
        "UPDATE staff SET name = 'Eve'",
        "DROP TABLE staff",
        "CREATE TABLE loot AS SELECT * FROM staff",
        "CREATE TEMP TABLE loot AS SELECT * FROM staff",
        "ATTACH '/etc/passwd' AS loot",
        "ATTACH ':memory:' AS loot",
        "PRAGMA query_only = OFF",
        "PRAGMA database_list",
        "VACUUM INTO 'copy.db'",
        "BEGIN EXCLUSIVE",
        "SELECT load_extension('evil')",
        "SELECT writefile('loot', 'x')",
        "SELECT readfile('/etc/passwd')",
    ],
)
def test_a_query_may_only_read(database, query, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = Path(database).read_bytes()
    assert judged(database, query).passed is False
    assert Path(database).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["staff.db"]


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n ORDER BY x DESC",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 3000) SELECT count(*) FROM n a, n b, n c",
        "SELECT hex(zeroblob(1000000000))",
        (
            "SELECT group_concat(a.name || b.name) FROM staff a, staff b, staff c, staff d, staff e, staff f, staff g, "
            "staff h, staff i, staff j, staff k, staff l, staff m, staff n, staff o, staff p, staff q, staff r"
        ),
    ],
)
def test_endless_and_huge_queries_end_in_time(database, query) -> None:
    began = time.monotonic()
    verdict = judged(database, query, seconds=0.3)
    assert verdict.passed is False
    assert time.monotonic() - began < 3


def test_endless_rows_are_counted_to_an_end(database) -> None:
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
    verdict = judged(database, endless, rows=1)
    assert verdict.passed is True or "took longer" in verdict.feedback


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60))
def test_any_text_is_judged(database, query) -> None:
    assert judged(database, query, seconds=0.5).passed in (True, False)


# -- as a part ---------------------------------------------------------------------------------------------------


def test_it_is_a_verifier_and_refuses_what_cannot_be(database) -> None:
    assert isinstance(SqlExecution(database), Verifier)
    with pytest.raises(ConfigurationError, match=r"none\.db"):
        SqlExecution("none.db")
    with pytest.raises(ConfigurationError, match="seconds=0"):
        SqlExecution(database, seconds=0)


def test_a_model_sees_the_error_and_corrects_its_query(database) -> None:
    def learns(number: int, prompt: str) -> Script:
        name = "name" if "no such column: nme" in prompt else "nme"
        return Script(f"```sql\nSELECT {name} FROM staff WHERE boss = 1\n```")

    found = solve(
        ScriptedEngine(learns),
        SelfCorrection(),
        Budget(tokens=500),
        verifier=SqlExecution(database),
        problem=CODE,
    )
    assert [sample.verdict and sample.verdict.passed for sample in found.samples] == [False, True]
    assert found.answer is not None
    assert "SELECT name" in found.answer.text
