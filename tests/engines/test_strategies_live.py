"""Strategies with a verifier on the real engine: inside their budget, and billed as the engine counts."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass

import pytest

from thinkctl import Budget, Controller, Problem, Run, engine_from
from thinkctl.protocols import Strategy
from thinkctl.stopping import Threshold
from thinkctl.strategies import BestOfN, SelfCorrection
from thinkctl.verifiers import SqlExecution

pytestmark = pytest.mark.engine

PROBLEM = Problem.model_validate(
    {
        "messages": "There is a SQLite table staff(id, name, boss). Write one SQL query for the names of all staff.",
        "form": "code",
    }
)
STRATEGIES: dict[str, Strategy] = {"best of 4": BestOfN(4), "self-correction": SelfCorrection(3)}
WALLS = [60, 200, 600]


@dataclass
class Found:
    run: Run
    counted: int
    running: int | None


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Found]:
    pytest.importorskip("vllm")
    path = tmp_path_factory.mktemp("database") / "staff.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE staff (id INTEGER, name TEXT, boss INTEGER)")
        connection.execute("INSERT INTO staff VALUES (1, 'Ada', NULL)")
    connection.close()

    async def gather() -> dict[tuple[str, int], Found]:
        engine = engine_from("vllm:smollm2-135m-instruct", context=2048)
        seen: dict[tuple[str, int], Found] = {}
        try:
            await engine.start()
            for name, strategy in STRATEGIES.items():
                controller = Controller(
                    engine, strategy, policy=Threshold(1.0), verifier=SqlExecution(str(path))
                )
                for wall in WALLS:
                    before = (await engine.counters()).generated_tokens or 0
                    run = await controller.solve(PROBLEM, Budget(tokens=wall))
                    after = await engine.counters()
                    seen[name, wall] = Found(run, (after.generated_tokens or 0) - before, after.running)
        finally:
            await engine.aclose()
        return seen

    return asyncio.run(gather())


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_budget_is_passed_and_the_bill_is_the_engine_s_count(found, name) -> None:
    for wall in WALLS:
        one = found[name, wall]
        assert one.run.receipt.generated_tokens == one.counted <= wall
        assert one.running == 0


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_whole_sample_is_judged_by_running_its_query(found, name) -> None:
    verdicts = [
        sample.verdict for sample in found[name, 600].run.samples if sample.finish in {"stop", "length"}
    ]
    assert verdicts
    assert all(verdict is not None and verdict.feedback for verdict in verdicts)


def test_a_correction_follows_a_failed_check_and_shows_what_it_said(found) -> None:
    run = found["self-correction", 600].run
    for before, after in zip(run.samples, run.samples[1:], strict=False):
        assert before.verdict is not None
        assert before.verdict.passed is False
        assert (
            len(after.request.messages) == len(before.request.messages) + 2
            or len(after.request.messages) == 3
        )
    assert all(sample.verdict is None or not sample.verdict.passed for sample in run.samples[:-1])
