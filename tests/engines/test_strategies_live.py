"""Strategies with a verifier on the real engine: inside their budget, and billed as the engine counts."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import pytest

from tests.engines.conftest import Bench
from thinkctl import Budget, Controller, Problem, Run
from thinkctl.protocols import Engine, Engines, Strategy
from thinkctl.stopping import AdaptiveConsistency, Threshold
from thinkctl.strategies import (
    DVTS,
    REBASE,
    UCT,
    AdaptiveBranching,
    BeamSearch,
    BestOfN,
    Cascade,
    Portfolio,
    SelfConsistency,
    SelfCorrection,
    Using,
)
from thinkctl.types import Finish, History, Sample, Verdict
from thinkctl.verifiers import SqlExecution

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(1_200),
]  # the first test waits for all runs of all strategies

PROBLEM = Problem.model_validate(
    {
        "messages": "There is a SQLite table staff(id, name, boss). Write one SQL query for the names of all staff.",
        "form": "code",
    }
)
STRATEGIES: dict[str, Strategy] = {"best of 4": BestOfN(4), "self-correction": SelfCorrection(3)}
QUESTION = (
    "Tom has 3 boxes with 4 pens each, and gives 5 pens away. How many are left? Answer in three short steps."
)
SEARCHES: dict[str, Strategy] = {
    "beam search": BeamSearch(8, 4, rounds=4, step_tokens=24, until="."),
    "dvts": DVTS(8, 4, rounds=4, step_tokens=24, until="."),
    "rebase": REBASE(6, rounds=4, step_tokens=24, until="."),
    "uct": UCT(8, at_once=3),
    "adaptive branching": AdaptiveBranching(8, models=("small", "large"), prices=(1.0, 3.0), at_once=3),
    "cascade": Cascade(SelfConsistency(5), Using(SelfConsistency(3), "large"), AdaptiveConsistency(0.95)),
    "portfolio": Portfolio((BestOfN(4), BeamSearch(4, 2, rounds=3, step_tokens=24), UCT(4)), at_once=4),
}
TIGHT, WIDE = WALLS = [60, 400]


@dataclass
class Found:
    run: Run
    counted: int
    running: int | None


@dataclass(frozen=True)
class Short:
    """Score the shorter text higher: a verifier that needs no model and is never sure."""

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        return Verdict(1 / (1 + len(sample.text) / 200), feedback="Be shorter.")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, lived: Bench) -> dict[tuple[str, int], Found]:
    path = tmp_path_factory.mktemp("database") / "staff.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE staff (id INTEGER, name TEXT, boss INTEGER)")
        connection.execute("INSERT INTO staff VALUES (1, 'Ada', NULL)")
    connection.close()

    async def gather(engine: Engine) -> dict[tuple[str, int], Found]:
        seen: dict[tuple[str, int], Found] = {}
        tasks = [
            (name, PROBLEM, Controller(engine, each, policy=Threshold(1.0), verifier=SqlExecution(str(path))))
            for name, each in STRATEGIES.items()
        ]
        two = {"small": engine, "large": engine}  # the same one twice: what matters is whose bill it is
        tasks += [
            (name, Problem.of(QUESTION), Controller(two, each, verifier=Short()))
            for name, each in SEARCHES.items()
        ]
        for name, problem, controller in tasks:
            for wall in WALLS:
                before = (await engine.counters()).generated_tokens or 0
                run = await controller.solve(problem, Budget(tokens=wall))
                after = await engine.counters()
                seen[name, wall] = Found(run, (after.generated_tokens or 0) - before, after.running)
        return seen

    return lived.run(gather(lived.engine))


@pytest.mark.parametrize("name", [*STRATEGIES, *SEARCHES])
def test_no_budget_is_passed_and_the_bill_is_the_engine_s_count(found, name) -> None:
    for wall in WALLS:
        one = found[name, wall]
        assert one.run.receipt.generated_tokens == one.counted <= wall
        assert one.running == 0


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_whole_sample_is_judged_by_running_its_query(found, name) -> None:
    verdicts = [
        sample.verdict for sample in found[name, WIDE].run.samples if sample.finish in {"stop", "length"}
    ]
    assert verdicts
    assert all(verdict is not None and verdict.feedback for verdict in verdicts)


def test_a_correction_follows_a_failed_check_and_shows_what_it_said(found) -> None:
    run = found["self-correction", WIDE].run
    for before, after in zip(run.samples, run.samples[1:], strict=False):
        assert before.verdict is not None
        assert before.verdict.passed is False
        assert (
            len(after.request.messages) == len(before.request.messages) + 2
            or len(after.request.messages) == 3
        )
    assert all(sample.verdict is None or not sample.verdict.passed for sample in run.samples[:-1])


@pytest.mark.parametrize("name", ["beam search", "dvts", "rebase", "portfolio"])
def test_steps_of_a_chain_go_on_token_exactly(found, name) -> None:
    steps = 0
    for wall in WALLS:
        for sample in found[name, wall].run.samples:
            if (index := sample.request.parent) is not None:
                parent = found[name, wall].run.samples[index]
                assert parent.finish is Finish.STEP
                assert sample.prompt_ids == parent.prompt_ids
                assert sample.token_ids[: len(parent.token_ids)] == parent.token_ids
                steps += 1
            if sample.request.until == "." and sample.finish is Finish.STEP:
                own = (
                    sample.text
                    if index is None
                    else sample.text[len(found[name, wall].run.samples[index].text) :]
                )
                assert "." in own or sample.usage.generated_tokens >= 24
    assert steps > 0 or name == "portfolio"  # which may give beam search no second sample


@pytest.mark.parametrize("name", SEARCHES)
def test_a_search_that_the_wall_ended_has_an_answer_all_the_same(found, name) -> None:
    assert all(found[name, wall].run.answer is not None for wall in WALLS)
    assert found[name, TIGHT].run.receipt.overshoot_tokens == 0


@pytest.mark.parametrize("name", ["uct", "adaptive branching"])
def test_a_revision_shows_the_answer_that_it_starts_from(found, name) -> None:
    samples = found[name, WIDE].run.samples
    for sample in samples:
        if sample.request.tag:
            assert sample.request.messages[-2].content == samples[int(sample.request.tag)].text
            assert "Be shorter." in sample.request.messages[-1].content


def test_each_model_of_a_cascade_has_its_own_lines_on_the_bill(found) -> None:
    run = found["cascade", WIDE].run
    for model in ("small", "large"):
        used = sum(sample.usage.generated_tokens for sample in run.samples if sample.model == model)
        assert sum(line.usage.generated_tokens for line in run.receipt.lines if line.model == model) == used
