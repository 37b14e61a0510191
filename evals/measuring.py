"""Run arms over the problems of a task, live, grade them, and compare them question by question.

Every arm is run on the same problems. What it spent is everything that was generated for it, and every prompt token
that had to be computed: samples that lost, probes and the verifier's own calls included.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np

from thinkctl.controller import Controller
from thinkctl.evals.intervals import Estimate, mean, share
from thinkctl.evals.judging import Judging, trust
from thinkctl.evals.tasks import Task
from thinkctl.protocols import Engine, StoppingPolicy, Strategy, Verifier
from thinkctl.runfile import RunFile, read, read_header, write
from thinkctl.types import Budget, ModelCard, Problem, Run

__all__ = [
    "Arm",
    "Job",
    "Result",
    "compare",
    "dump",
    "file_of",
    "grade",
    "judged",
    "missing",
    "pack",
    "run_jobs",
    "teraflops",
]

_EACH: Final = Budget(tokens=6_000)


@final
@dataclass(frozen=True)
class Arm:
    """One way to answer a task's problems: a model, a strategy, and what goes with it.

    ``verified`` gives the strategy the task's public check, or ``verifier`` another one. ``models`` are further
    models that the strategy asks.
    """

    name: str
    model: str
    strategy: Strategy
    policy: StoppingPolicy | None = None
    verified: bool = False
    verifier: Callable[[], Verifier] | None = None
    models: tuple[str, ...] = ()
    budget: Budget = _EACH


@final
@dataclass(frozen=True, slots=True)
class Result:
    """What an arm came to on each problem, in the order of the problems."""

    arm: str
    model: str
    right: tuple[bool, ...]
    generated_tokens: tuple[int, ...]
    computed_prompt_tokens: tuple[int, ...]
    verifier_calls: tuple[int, ...]
    teraflops: tuple[float, ...]
    overshoot_tokens: int

    @property
    def accuracy(self) -> Estimate:
        """The share of problems that were answered right."""
        return share(np.asarray(self.right, float), np.arange(len(self.right)))


def teraflops(run: Run, cards: Mapping[str, ModelCard]) -> float:
    """Return the floating-point operations of a run in units of 10^12; NaN where a model's size is not known.

    Two for each active parameter and token, prompt tokens that were computed and generated ones alike; attention
    over the context is left out (at these lengths a few per cent). Source: Kaplan et al. 2020 (arXiv:2001.08361),
    section 2.1.
    """
    total = 0.0
    for line in run.receipt.lines:
        card = cards.get(line.model)
        if card is None or card.active_parameters is None:
            return math.nan
        tokens = line.usage.generated_tokens + _computed(line.usage.prompt_tokens, line.usage.cached_tokens)
        total += 2 * card.active_parameters * tokens / 1e12
    return total


def _computed(prompt: int, cached: int | None) -> int:
    return prompt - (cached or 0)


def file_of(folder: Path, task: str, arm: Arm) -> Path:
    """Return the run file of an arm."""
    return folder / f"{task}_{arm.name.replace(' ', '-')}.jsonl"


def missing(problems: Sequence[Problem], file: Path) -> list[Problem]:
    """Return the problems that have no run yet, in the file or in what was packed of it before."""
    done = _recorded(file)
    return [problem for problem in problems if problem.id not in done]


def _recorded(file: Path) -> dict[str, Run]:
    """Return the runs by problem, of ``NAME.jsonl`` and of ``NAME.jsonl.gz``."""
    both = [path for path in (file.with_name(f"{file.name}.gz"), file) if path.exists()]
    return {run.history.problem.id: run for path in both for run in read(path)}


def pack(job: Job, folder: Path) -> Path:
    """Write the runs of a job, in the order of its problems, to ``NAME.jsonl.gz`` in place of ``NAME.jsonl``."""
    file = file_of(folder, job.task.name, job.arm)
    runs, packed = _recorded(file), file.with_name(f"{file.name}.gz")
    source = file if file.exists() else packed
    card = read_header(source).card
    write(packed, [runs[problem.id] for problem in job.problems], card=card)
    file.unlink(missing_ok=True)
    return packed


@final
@dataclass(frozen=True, slots=True)
class Job:
    """An arm that is to be run on problems of a task."""

    arm: Arm
    task: Task
    problems: tuple[Problem, ...]


async def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    open_engine: Callable[[str], Engine],
    *,
    at_once: int = 16,
    tell: Callable[[Job, Run], None] | None = None,
) -> None:
    """Run every arm on the problems that its run file does not hold yet, and append each run as it ends.

    Jobs with the same models run at the same time, so that the engine's batch is full; engines are opened one group
    after the other, and closed whatever happens. ``at_once`` is for each job. May be broken off at any moment: the
    next call goes on where it was.
    """
    for models in dict.fromkeys(_models(job.arm) for job in jobs):
        group = [job for job in jobs if _models(job.arm) == models]
        left: list[tuple[Job, list[Problem], Path]] = []
        for job in group:
            file = file_of(folder, job.task.name, job.arm)
            left.append((job, await asyncio.to_thread(missing, job.problems, file), file))
        if not any(todo for _, todo, _ in left):
            continue
        engines = {name: open_engine(name) for name in models}
        try:
            async with asyncio.TaskGroup() as running:
                for job, todo, file in left:
                    running.create_task(_run(job, todo, engines, file, at_once, tell))
        finally:
            for engine in engines.values():
                await engine.aclose()


def _models(arm: Arm) -> tuple[str, ...]:
    return (arm.model, *arm.models)


async def _run(
    job: Job,
    problems: Sequence[Problem],
    engines: Mapping[str, Engine],
    file: Path,
    at_once: int,
    tell: Callable[[Job, Run], None] | None,
) -> None:
    arm = job.arm
    make = job.task.verifier if arm.verified else arm.verifier
    controller = Controller(
        engines, arm.strategy, policy=arm.policy, verifier=None if make is None else make()
    )
    with RunFile.open(file, card=engines[arm.model].card) as written:
        async for run in controller.solve_many(problems, each=arm.budget, at_once=at_once):
            written.append(run)
            if tell is not None:
                tell(job, run)


async def grade(job: Job, folder: Path, cards: Mapping[str, ModelCard]) -> Result:
    """Grade the runs of a job. Raises ``KeyError`` for a problem that was not run."""
    arm, problems, file = job.arm, job.problems, file_of(folder, job.task.name, job.arm)
    runs = await asyncio.to_thread(_recorded, file)
    chosen = [runs[problem.id] for problem in problems]
    answers = [
        (problem, None if run.answer is None else run.answer.text)
        for problem, run in zip(problems, chosen, strict=True)
    ]
    right = await job.task.grades(answers)
    usages = [run.receipt.usage for run in chosen]
    return Result(
        arm.name,
        arm.model,
        tuple(right),
        tuple(usage.generated_tokens for usage in usages),
        tuple(_computed(usage.prompt_tokens, usage.cached_tokens) for usage in usages),
        tuple(run.receipt.verifier_calls for run in chosen),
        tuple(teraflops(run, cards) for run in chosen),
        sum(run.receipt.overshoot_tokens for run in chosen),
    )


async def judged(job: Job, folder: Path) -> Judging | None:
    """Grade every judged sample of a job, and return how far its verdicts agree; ``None`` where nothing was judged.

    Verdicts of a verifier that sees what is public, against the task's hidden references: what passes and is wrong
    is what best-of-n will find.
    """
    runs = await asyncio.to_thread(_recorded, file_of(folder, job.task.name, job.arm))
    chosen = [runs[problem.id] for problem in job.problems]
    samples = [
        (run.history.problem, sample.answer)
        for run in chosen
        for sample in run.samples
        if sample.verdict is not None and sample.answer is not None
    ]
    if not samples:
        return None
    right: dict[tuple[str, str], bool] = {}
    for problem, answer in samples:
        if (problem.id, answer.text) not in right:
            right[problem.id, answer.text] = await job.task.grade(problem, answer.text)
    return trust(chosen, lambda history, answer: right[history.problem.id, answer.text])


def compare(results: Iterable[Result], baseline: str) -> list[dict[str, object]]:
    """Return one row an arm: accuracy and spending with 95 % intervals, and the paired difference to the baseline.

    Means are over problems. ``difference`` is in percentage points; ``better`` and ``worse`` count the problems that
    only one of both got right. ``flops_ratio`` is what the arm computed for each operation of the baseline.
    """
    results = list(results)
    base = next(result for result in results if result.arm == baseline)
    rows: list[dict[str, object]] = []
    for result in results:
        groups = np.arange(len(result.right))
        difference = mean(100 * (np.asarray(result.right, float) - np.asarray(base.right, float)), groups)
        accuracy = result.accuracy
        better = sum(one and not other for one, other in zip(result.right, base.right, strict=True))
        worse = sum(other and not one for one, other in zip(result.right, base.right, strict=True))
        rows.append(
            {
                "arm": result.arm,
                "model": result.model,
                "questions": len(result.right),
                "accuracy": round(100 * accuracy.value, 1),
                "accuracy_low": _percent(accuracy.low),
                "accuracy_high": _percent(accuracy.high),
                "generated_tokens": round(float(np.mean(result.generated_tokens)), 1),
                "computed_prompt_tokens": round(float(np.mean(result.computed_prompt_tokens)), 1),
                "verifier_calls": round(float(np.mean(result.verifier_calls)), 2),
                "teraflops": float(f"{np.mean(result.teraflops):.4g}"),
                "flops_ratio": round(float(np.sum(result.teraflops) / np.sum(base.teraflops)), 2),
                "difference": round(difference.value, 1),
                "difference_low": _rounded(difference.low),
                "difference_high": _rounded(difference.high),
                "better": better,
                "worse": worse,
                "overshoot_tokens": result.overshoot_tokens,
            }
        )
    return rows


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def dump(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as JSON lines."""
    return "".join(json.dumps(dict(row)) + "\n" for row in rows)
