"""A query on DuckDB runs in a process of its own, reads one file and nothing else, and is killed in time."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkctl import Problem, registry
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.testing import history_of, sample_of
from thinkctl.types import Verdict, spec_of
from thinkctl.verifiers import DuckdbExecution, SqlExecution

duckdb = pytest.importorskip("duckdb", reason="needs thinkctl[sql]")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("duck") / "staff.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE staff (id INTEGER, name VARCHAR, boss INTEGER)")
        connection.execute("INSERT INTO staff VALUES (1, 'Ada', NULL), (2, 'Bob', 1), (3, 'Cy', 2)")
    return str(path)


def judged(database: str, *queries: str | None, seconds: float = 5.0, **settings: object) -> list[Verdict]:
    verifier = DuckdbExecution(database, seconds=seconds, **settings)  # type: ignore[arg-type]
    samples = [sample_of(query) for query in queries]

    async def all_judged() -> list[Verdict]:
        history = history_of(*samples)
        return await asyncio.gather(*(verifier.judge(history, sample, {}) for sample in samples))

    return asyncio.run(all_judged())


def test_a_query_that_runs_passes_with_a_preview_of_its_result(database) -> None:
    (verdict,) = judged(database, "SELECT name, boss FROM staff ORDER BY id", rows=2)
    assert (verdict.score, verdict.passed) == (1.0, True)
    assert verdict.feedback == "The query returned:\nname | boss\nAda | NULL\nBob | 1\n(3 rows)"


def test_queries_that_return_the_same_have_the_same_mark_also_as_sqlite_has_it(database, tmp_path) -> None:
    (tmp_path / "empty.db").touch()
    same = judged(
        database,
        "SELECT id, name FROM staff WHERE boss > 0",
        "SELECT name, id::DECIMAL(10, 3) FROM staff WHERE boss IS NOT NULL ORDER BY id DESC",
        "SELECT 2.0, 'Bob' UNION SELECT 3, 'Cy'",
    )
    sample = sample_of("SELECT 'Cy', 3 UNION SELECT 'Bob', 2")
    sqlite = SqlExecution(str(tmp_path / "empty.db")).judge(history_of(sample), sample, {})
    assert {verdict.marks for verdict in same} == {asyncio.run(sqlite).marks} != {()}


def test_values_of_every_kind_come_over_as_they_are(database) -> None:
    (verdict,) = judged(
        database,
        "SELECT 1e300 * 1e10, 'x'::BLOB, DATE '2024-02-20', [1, NULL], 12345678901234567890.5::DECIMAL(30, 1), TRUE",
    )
    values = "inf | 78 | 2024-02-20 | [1, None] | 12345678901234567890.5 | True"
    assert verdict.feedback.splitlines()[-1] == values


def test_what_does_not_run_fails_with_the_reason(database) -> None:
    said = {
        "SELECT nme FROM staff": 'column "nme" not found',
        "SELECT * FORM staff": "syntax error",
        "SELECT name FROM staff WHERE id = 9": "returned no rows",
        "SELECT 1; SELECT 2": "one statement, not 2",
        "": "one statement, not 0",
        "x" * 30_000: "longer than 20000 characters",
        "SELECT '\ud800'": "Error",
    }
    for verdict, says in zip(judged(database, *said), said.values(), strict=True):
        assert (verdict.score, verdict.passed, verdict.marks) == (0.0, False, ())
        assert says in verdict.feedback
    assert "no query" in judged(database, None)[0].feedback


def test_no_rows_may_be_an_answer_where_that_is_said(database) -> None:
    (verdict,) = judged(database, "SELECT name FROM staff WHERE id = 9", empty_fails=False)
    assert verdict.passed is True
    assert verdict.marks


# -- hostile queries ---------------------------------------------------------------------------------------------


def test_a_query_may_only_read_its_database(database, tmp_path) -> None:
    secret, loot = tmp_path / "secret.csv", tmp_path / "loot"
    secret.write_text("word\nhunter2\n")
    before = Path(database).read_bytes()
    hostile = [
        f"SELECT * FROM read_csv('{secret}')",
        f"SELECT * FROM '{secret}'",
        "SELECT * FROM read_blob('/proc/self/environ')",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"COPY staff TO '{loot}'",
        f"EXPORT DATABASE '{loot}'",
        f"ATTACH '{loot}' AS loot",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '100GB'",
        "SET enable_external_access = true",
        "SELECT getenv('HOME')",
        "INSERT INTO staff VALUES (9, 'Eve', 1)",
        "CREATE TEMP TABLE loot AS SELECT 1",
        "SELECT * FROM verifier",  # a variable of the process
        f"SELECT 1; COPY staff TO '{loot}'",
    ]
    for query, verdict in zip(hostile, judged(database, *hostile), strict=True):
        assert verdict.passed is False, query
        assert "hunter2" not in verdict.feedback
    assert Path(database).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.csv"]


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
        "SELECT count(*) FROM range(1000000000) a, range(1000000000) b",
        "SELECT repeat('x', 3000000000)",  # takes no interrupt
        "SELECT lpad('x', 1000000000, 'y')",
        "SELECT list(x) FROM range(1000000000) t(x)",
        "SELECT string_agg(repeat('x', 1000000)) FROM range(100000)",
        "SELECT repeat('x', 1000000) FROM range(10000)",
        "SELECT sleep_ms(60000)",
    ],
)
def test_endless_and_huge_queries_end_in_time(database, query) -> None:
    began = time.monotonic()
    assert judged(database, query, seconds=0.3)[0].passed is False
    assert time.monotonic() - began < 8  # most of it is the process that starts


def test_endless_rows_are_counted_to_an_end(database) -> None:
    (verdict,) = judged(database, "SELECT * FROM range(1000000000)", rows=1, seconds=30)
    assert verdict.feedback == "The query returned:\nrange\n0\n(100000 or more rows)"
    assert verdict.marks == ()


def test_a_run_that_ends_leaves_no_process_behind(database) -> None:
    async def cancelled() -> None:
        sample = sample_of("SELECT sleep_ms(60000)")
        judging = asyncio.ensure_future(
            DuckdbExecution(database, seconds=60).judge(history_of(sample), sample, {})
        )
        for _ in range(2_000):  # until the process is there
            await asyncio.sleep(0.01)
            if workers():
                break
        judging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await judging

    began = time.monotonic()
    asyncio.run(cancelled())
    assert not workers()
    assert time.monotonic() - began < 20


def workers() -> list[str]:
    """Return the worker processes that this one started and that still live."""
    found: list[str] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = stat.with_name("cmdline").read_text()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[1]) == os.getpid() and "duckdb_worker" in command:
            found.append(command)
    return found


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=60), min_size=4, max_size=4))
def test_any_text_is_judged(database, queries) -> None:
    assert all(verdict.passed in (True, False) for verdict in judged(database, *queries))


# -- as a part ---------------------------------------------------------------------------------------------------


def test_it_is_a_verifier_and_refuses_what_cannot_be(database) -> None:
    assert isinstance(DuckdbExecution(database), Verifier)
    assert registry.build(spec_of(DuckdbExecution(database, threads=2))) == DuckdbExecution(
        database, threads=2
    )
    for settings_, says in [
        ({"database": "none.duckdb"}, r"none\.duckdb"),
        ({"seconds": 0}, "seconds=0"),
        ({"memory_mib": 1}, "memory_mib=1"),
        ({"threads": 0}, "threads=0"),
    ]:
        with pytest.raises(ConfigurationError, match=says):
            DuckdbExecution(**settings_)  # type: ignore[arg-type]


def test_each_problem_may_name_its_database(database, tmp_path) -> None:
    sample = sample_of("SELECT count(*) FROM staff")
    asked = Problem.model_validate({"messages": "How many?", "given": {"database": database}})
    assert asyncio.run(DuckdbExecution().judge(history_of(sample, problem=asked), sample, {})).passed
    with pytest.raises(ConfigurationError, match="is no file"):
        asyncio.run(DuckdbExecution().judge(history_of(sample), sample, {}))
    (tmp_path / "no.duckdb").write_text(
        "not a database, but a text that is long enough to be read as one" * 100
    )
    with pytest.raises(ConfigurationError, match="cannot open"):
        judged(str(tmp_path / "no.duckdb"), "SELECT 1")
