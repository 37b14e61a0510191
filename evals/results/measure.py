"""Measure a small model that thinks longer against a large one that answers at once.

Run: .venv/bin/python evals/results/measure.py TASK ... [--questions N] [--arm NAME ...] [--tune] [--out FOLDER]

Writes one run file for each arm of a task, TASK.jsonl with one row an arm, and prints that as a table, with how far
each arm's own check agrees with the hidden references. It may be interrupted: the same command goes on where it was.
Prompts are chosen (--tune) on other questions than those that are reported on.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from thinkctl import Budget, engine_from
from thinkctl.evals.arms_figure import draw_arms
from thinkctl.evals.measuring import Arm, Job, compare, dump, grade, judged, pack, run_jobs
from thinkctl.evals.tasks import task as task_of
from thinkctl.models import entry_for
from thinkctl.protocols import Engine, StoppingPolicy, Strategy
from thinkctl.stopping import Margin, Threshold
from thinkctl.strategies import (
    UCT,
    AdaptiveBranching,
    BestOfN,
    ChainOfThought,
    ProgramOfThought,
    SelfCorrection,
    ZeroShot,
)
from thinkctl.types import Run, Sampling
from thinkctl.verifiers import Arithmetic, ProgramResult

SMALL: Final = "qwen2.5-coder-0.5b-instruct"
LARGE: Final = "qwen2.5-coder-1.5b-instruct"
TUNE: Final = 12
RECORDED: Final = "qwen2.5-coder-0.5b-1.5b_2026-11-22"
"""Where what is recorded already lies."""
SAMPLES: Final = 0.7, 400
"""Temperature and most tokens of one sample."""


def arms_of(name: str) -> list[Arm]:
    """Return the arms of a task; the first is the one that all are compared with."""
    temperature, longest = SAMPLES
    warm = Sampling(temperature=temperature, max_tokens=longest)
    cold = Sampling(temperature=0, max_tokens=longest)
    large, small = Arm("1.5B zero-shot", LARGE, ZeroShot(cold)), Arm("0.5B zero-shot", SMALL, ZeroShot(cold))
    if name in {"humaneval", "mbpp"}:
        return [large, small, *checked("0.5B", SMALL, warm, 8)]
    if name == "sql_recursive":
        correct = SelfCorrection(2, 2, think=False, sampling=warm, drafts=2)
        best = BestOfN(6, think=False, sampling=warm)
        return [
            large,
            small,
            Arm("0.5B best-of-6", SMALL, best, Threshold(1.0), verified=True),
            Arm("0.5B self-correction", SMALL, correct, verified=True),
            Arm("1.5B self-correction", LARGE, correct, verified=True),
        ]
    if name in {"countdown", "game24"}:
        return [large, *searching(SMALL)]
    return [
        large,
        Arm("1.5B chain of thought", LARGE, ChainOfThought(sampling=cold)),
        small,
        Arm("0.5B chain of thought", SMALL, ChainOfThought(sampling=cold)),
        Arm("0.5B program", SMALL, ProgramOfThought(1, cold), verifier=ProgramResult),
        Arm("0.5B 5 programs", SMALL, ProgramOfThought(5, warm), Margin(2), verifier=ProgramResult),
    ]


def checked(size: str, model: str, sampling: Sampling, n: int) -> list[Arm]:
    """Return best-of-n and self-correction by the public check, both without reasoning: code explains itself."""
    best = BestOfN(n, think=False, sampling=sampling)
    correct = SelfCorrection(n - 1, patience=n, think=False, sampling=sampling)
    return [
        Arm(f"{size} best-of-{n}", model, best, Threshold(1.0), verified=True),
        Arm(f"{size} self-correction", model, correct, verified=True),
    ]


def searching(model: str) -> list[Arm]:
    """Return best-of-n and two tree searches with the same exact check, score, prompt and tokens."""
    short, budget = Sampling(temperature=1.0, max_tokens=48), Budget(tokens=200)
    parts: dict[str, tuple[Strategy, StoppingPolicy | None]] = {
        "best-of-n": (BestOfN(200, think=False, sampling=short), Threshold(1.0)),
        "UCT": (UCT(200, think=False, sampling=short), None),
        "adaptive branching": (AdaptiveBranching(200, think=False, sampling=short), None),
    }
    return [
        Arm(f"0.5B {name}", model, strategy, policy, verifier=partial_arithmetic, budget=budget)
        for name, (strategy, policy) in parts.items()
    ]


def partial_arithmetic() -> Arithmetic:
    return Arithmetic(partial=True)


async def measure(arguments: argparse.Namespace) -> None:
    jobs: list[Job] = []
    for name in arguments.task:
        task = task_of(name)
        problems = task.split(TUNE, arguments.questions)[0 if arguments.tune else 1]
        wanted = [arm for arm in arms_of(name) if not arguments.arm or arm.name in arguments.arm]
        jobs += [Job(arm, task, problems) for arm in wanted]
    began, tokens, counts = time.monotonic(), 0, Counter[str]()

    def tell(job: Job, run: Run) -> None:
        nonlocal tokens
        tokens += run.receipt.generated_tokens
        name = f"{job.task.name}, {job.arm.name}"
        counts[name] += 1
        speed = tokens / (time.monotonic() - began)
        print(f"{name}: {counts[name]} more, {speed:.0f} tokens/s", file=sys.stderr)

    def opened(name: str) -> Engine:
        return engine_from(f"vllm:{name}", dtype="float32")

    folder: Path = arguments.out
    await run_jobs(jobs, folder, opened, at_once=arguments.at_once, tell=tell)
    cards = {name: entry_for(name).card for name in (SMALL, LARGE)}
    for name in arguments.task:
        for job in jobs:
            if job.task.name == name:
                pack(job, folder)
        results = [await grade(job, folder, cards) for job in jobs if job.task.name == name]
        rows = compare(results, results[0].arm)
        (folder / f"{name}.jsonl").write_text(dump(rows), encoding="utf-8")
        draw_arms(rows, folder / f"{name}.svg", f"{name}, {rows[0]['questions']} questions, 95 % intervals")
        print(name)
        for row in rows:
            print(
                f"{row['arm']:<28} {row['accuracy']:5.1f} [{row['accuracy_low']}, {row['accuracy_high']}]  "
                f"{row['generated_tokens']:7.1f} tokens  {row['flops_ratio']:5.2f} x FLOPs  difference "
                f"{row['difference']:+.1f} [{row['difference_low']}, {row['difference_high']}]"
            )
        for job in (job for job in jobs if job.task.name == name):
            if (found := await judged(job, folder)) is not None:
                print(f"  the check of {job.arm.name}: {found.verdict}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", nargs="+")
    parser.add_argument("--questions", type=int, default=50)
    parser.add_argument("--arm", action="append", default=[])
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / RECORDED)
    given = parser.parse_args()
    given.out = given.out / "tune" if given.tune else given.out
    given.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(measure(given))
