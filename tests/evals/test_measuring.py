"""Arms are run on the same problems, go on where they were broken off, and are compared problem by problem."""

from __future__ import annotations

import math
from asyncio import run
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from thinkctl.errors import EngineUnavailable
from thinkctl.evals.arms_figure import draw_arms
from thinkctl.evals.judging import Judging
from thinkctl.evals.measuring import (
    Arm,
    Job,
    Result,
    compare,
    file_of,
    grade,
    judged,
    missing,
    pack,
    run_jobs,
    teraflops,
)
from thinkctl.evals.tasks import Task
from thinkctl.runfile import read
from thinkctl.stopping import Threshold
from thinkctl.strategies import BestOfN, ZeroShot
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import GenerationSpec, ModelCard, Problem, Run
from thinkctl.verifiers import Arithmetic

NUMBERS = [[4, 4, 6, 8], [1, 2, 3, 4], [2, 3, 6, 6]]
RIGHT = ["(4 + 8) * (6 - 4)", "1 * 2 * 3 * 4", "6 * (2 + 3) - 6"]


async def by_the_book(problem: Problem, text: str) -> bool:
    return text in RIGHT


PROBLEMS = tuple(
    Problem.model_validate(
        {
            "id": f"p{place}",
            "messages": f"Make 24 of {given}.",
            "form": "text",
            "given": {"numbers": given, "target": 24},
        }
    )
    for place, given in enumerate(NUMBERS)
)
TASK = Task("24", "a", "b", "c", PROBLEMS, by_the_book, Arithmetic)


def scripts(number: int, prompt: str) -> Script:
    """Know the second puzzle at once, the first after four guesses, and the third never."""
    known = {str(NUMBERS[1]): RIGHT[1]} | ({str(NUMBERS[0]): RIGHT[0]} if number >= 4 else {})
    return Script(f"Final answer: {next((known[name] for name in known if name in prompt), '24')}")


def engine(name: str) -> ScriptedEngine:
    card = ModelCard(name=name, parameters=1_000_000, active_parameters=1_000_000)
    return ScriptedEngine(scripts, card=card)


ARMS = [
    Arm("large at once", "large", ZeroShot()),
    Arm("small best", "small", BestOfN(8), Threshold(1.0), verified=True),
]
JOBS = [Job(arm, TASK, PROBLEMS) for arm in ARMS]


def test_arms_are_run_graded_and_compared(tmp_path: Path) -> None:
    """The small one solves what the large one solves, and one more; all that it spent is in its row."""
    told: list[str] = []

    def tell(job: Job, found: Run) -> None:
        told.append(f"{job.arm.name} {found.history.problem.id}")

    run(run_jobs(JOBS, tmp_path, engine, tell=tell))
    assert len(told) == 6
    cards = {name: engine(name).card for name in ("small", "large")}
    results = [run(grade(job, tmp_path, cards)) for job in JOBS]
    assert [result.right for result in results] == [(False, True, False), (True, True, False)]
    large, small = compare(results, "large at once")
    assert (large["difference"], small["difference"]) == (0.0, pytest.approx(33.3))
    assert (small["better"], small["worse"], small["overshoot_tokens"]) == (1, 0, 0)
    runs = list(read(file_of(tmp_path, "24", ARMS[1])))
    assert small["generated_tokens"] == pytest.approx(
        sum(each.receipt.generated_tokens for each in runs) / 3, abs=0.1
    )
    assert small["verifier_calls"] == pytest.approx(sum(each.history.bought for each in runs) / 3, abs=0.01)


def test_an_arm_that_was_broken_off_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    opened: list[str] = []

    def counted(name: str) -> ScriptedEngine:
        opened.append(name)
        return engine(name)

    run(run_jobs([Job(ARMS[0], TASK, PROBLEMS[:1])], tmp_path, counted))
    file = file_of(tmp_path, "24", ARMS[0])
    before = file.read_bytes()
    assert [problem.id for problem in missing(PROBLEMS, file)] == ["p1", "p2"]
    run(run_jobs(JOBS[:1], tmp_path, counted))
    assert file.read_bytes().startswith(before)
    assert sorted(each.history.problem.id for each in read(file)) == ["p0", "p1", "p2"]
    run(run_jobs(JOBS[:1], tmp_path, counted))
    assert opened == ["large", "large"]


def test_the_engine_is_closed_when_an_arm_fails(tmp_path: Path) -> None:
    made: list[ScriptedEngine] = []

    def opened(name: str) -> ScriptedEngine:
        made.append(engine(name))
        return made[-1]

    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        run(run_jobs([Job(Arm("no check", "small", BestOfN(2)), TASK, PROBLEMS)], tmp_path, opened))

    async def read_on() -> None:
        async for _ in made[0].stream([1], GenerationSpec(1)):
            pass

    with pytest.raises(EngineUnavailable):
        run(read_on())


def test_operations_count_every_computed_token_of_every_model(tmp_path: Path) -> None:
    """Two for each parameter and token; a model of unknown size makes the sum unknown."""
    run(run_jobs(JOBS[1:], tmp_path, engine))
    found = next(iter(read(file_of(tmp_path, "24", ARMS[1]))))
    usage = found.receipt.usage
    tokens = usage.generated_tokens + usage.prompt_tokens - (usage.cached_tokens or 0)
    assert teraflops(found, {"small": engine("small").card}) == pytest.approx(2 * 1e6 * tokens / 1e12)
    assert math.isnan(teraflops(found, {"small": ModelCard(name="small")}))


def test_differences_are_paired_by_problem() -> None:
    """As the t-test of the differences has it, not as that of two groups."""
    one = Result("a", "m", (True, True, False, True) * 5, (1,) * 20, (1,) * 20, (0,) * 20, (1.0,) * 20, 0)
    two = Result("b", "m", (True, False, False, True) * 5, (1,) * 20, (1,) * 20, (0,) * 20, (2.0,) * 20, 0)
    row = compare([one, two], "a")[1]
    interval = ttest_1samp(
        100.0 * (np.array(two.right, int) - np.array(one.right, int)), 0
    ).confidence_interval()
    assert (row["difference_low"], row["difference_high"]) == (
        round(interval.low, 1),
        round(interval.high, 1),
    )
    assert (row["better"], row["worse"], row["flops_ratio"]) == (0, 5, 2.0)


def test_the_figure_has_every_arm_and_is_the_same_file_each_time(tmp_path: Path) -> None:
    run(run_jobs(JOBS, tmp_path, engine))
    cards = {name: engine(name).card for name in ("small", "large")}
    rows = compare([run(grade(job, tmp_path, cards)) for job in JOBS], "large at once")
    for name in ("one.svg", "two.svg"):
        draw_arms(rows, tmp_path / name, "24")
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert drawn == (tmp_path / "two.svg").read_text(encoding="utf-8")
    assert all(f">{arm.name}<" in drawn for arm in ARMS)


def test_packed_runs_are_graded_as_before_and_nothing_is_run_again(tmp_path: Path) -> None:
    run(run_jobs(JOBS, tmp_path, engine))
    cards = {name: engine(name).card for name in ("small", "large")}
    before = run(grade(JOBS[1], tmp_path, cards))
    packed = pack(JOBS[1], tmp_path)
    assert not file_of(tmp_path, "24", ARMS[1]).exists()
    assert [each.history.problem.id for each in read(packed)] == ["p0", "p1", "p2"]
    assert missing(PROBLEMS, file_of(tmp_path, "24", ARMS[1])) == []
    again = pack(JOBS[1], tmp_path)
    assert (again, run(grade(JOBS[1], tmp_path, cards))) == (packed, before)


def test_the_check_of_an_arm_is_measured_against_the_references(tmp_path: Path) -> None:
    """An exact check passes what is right and nothing else; an arm without a check has nothing to measure."""

    async def found() -> list[Judging | None]:
        await run_jobs(JOBS, tmp_path, engine)
        return [await judged(job, tmp_path) for job in JOBS]

    nothing, exact = run(found())
    assert nothing is None
    assert exact is not None
    assert (exact.right, exact.unjudged) == (2, 0)
    assert exact.samples > 2
    assert exact.false_positive_rate is not None
    assert exact.true_positive_rate is not None
    assert (exact.false_positive_rate.value, exact.true_positive_rate.value) == (0, 1)


def test_a_check_that_passes_what_is_wrong_shows(tmp_path: Path) -> None:
    """The task's references call nothing right here: every pass of the check is a false one."""

    async def nothing_is_right(problem: Problem, text: str) -> bool:
        return False

    job = Job(ARMS[1], replace(TASK, grade=nothing_is_right), PROBLEMS)

    async def found() -> Judging | None:
        await run_jobs([job], tmp_path, engine)
        return await judged(job, tmp_path)

    fooled = run(found())
    assert fooled is not None
    assert fooled.false_positive_rate is not None
    assert fooled.right == 0
    assert fooled.false_positive_rate.value == pytest.approx(2 / fooled.samples)
