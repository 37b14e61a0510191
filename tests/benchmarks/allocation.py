"""An allocation through the live loop, on a recorded pool: accuracy, samples and seconds for each width.

Run: .venv/bin/python tests/benchmarks/allocation.py POOL [SAMPLES_PER_QUESTION] [WIDTH ...]      (default 4 1 16 64)
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from thinkctl import Budget, Controller, Run, SelfConsistency
from thinkctl.engines.replay import ReplayEngine
from thinkctl.runfile import Pool, read_pool
from thinkctl.stopping import FlipProbability
from thinkctl.testing import run


def solved(pool: Pool, samples: float, width: int) -> list[Run]:
    async def batch() -> list[Run]:
        most = max(len(recorded.samples) for recorded in pool)
        controller = Controller(ReplayEngine(pool), SelfConsistency(most))
        problems = [recorded.problem() for recorded in pool]
        budget = Budget(requests=int(samples * len(pool)))
        runs = controller.solve_many(problems, budget, at_once=width, allocation=FlipProbability())
        return [done async for done in runs]

    return run(batch())


def main() -> None:
    pool = read_pool(Path(sys.argv[1]))
    samples = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    for width in map(int, sys.argv[3:] or ["1", "16", "64"]):
        began = time.perf_counter()
        runs = solved(pool, samples, width)
        right = sum(
            each.answer is not None and pool.correct[each.history.problem.id][each.answer.sample]
            for each in runs
        )
        bought = sum(each.history.bought for each in runs)
        print(
            f"{width:4} in flight: {100 * right / len(pool):.2f} % right, {bought / len(pool):.3f} samples a question, "
            f"{time.perf_counter() - began:.1f} s"
        )


if __name__ == "__main__":
    main()
