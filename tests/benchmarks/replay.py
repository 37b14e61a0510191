"""How fast recorded samples are replayed, beside asking the policy sample by sample.

Run: .venv/bin/python -m tests.benchmarks.replay [POOL] [PERMUTATIONS]

The pool is 1318 questions of 40 samples that are drawn here unless one is given. "All thresholds" are those of
Adaptive-Consistency that differ within 40 samples: no other threshold stops anywhere else. Seconds of the processor,
the best of three.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from thinkctl.evals.allocating import Share, allocate
from thinkctl.evals.loading import open_table, table_of_pool
from thinkctl.evals.outcomes import Case, outcomes_of
from thinkctl.evals.replaying import replay
from thinkctl.evals.table import VoteTable
from thinkctl.runfile import Pool, Recorded, RecordedSample
from thinkctl.stopping import AdaptiveConsistency, FlipProbability
from thinkctl.stopping.boundary import lead_probability

QUESTIONS, SAMPLES = 1318, 40


def drawn() -> VoteTable:
    random_ = random.Random(0)
    recorded, correct = [], {}
    for number in range(QUESTIONS):
        ease = random_.betavariate(3, 0.5)
        answers = ["right" if random_.random() < ease else str(random_.randrange(8)) for _ in range(SAMPLES)]
        recorded.append(Recorded(str(number), "", tuple(RecordedSample(answer, 130) for answer in answers)))
        correct[str(number)] = tuple(answer == "right" for answer in answers)
    return table_of_pool(Pool(tuple(recorded), {}, correct), "drawn")


def seconds(what: Callable[[], object], rounds: int = 3) -> float:
    best = float("inf")
    for _ in range(rounds):
        begun = time.process_time()
        what()
        best = min(best, time.process_time() - begun)
    return best


def thresholds(samples: int) -> list[float]:
    pairs = [
        (leader, rest)
        for leader in range(1, samples + 1)
        for rest in range(min(leader, samples - leader + 1))
    ]
    return sorted(
        {float(lead_probability(*pair)) for pair in pairs if 0.5 < float(lead_probability(*pair)) < 1}
    )


def main() -> None:
    table = open_table(sys.argv[1]) if len(sys.argv) > 1 else drawn()
    permutations = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    every = [Case(AdaptiveConsistency(threshold)) for threshold in thresholds(table.width)]
    grid = [Case(AdaptiveConsistency(threshold)) for threshold in (0.8, 0.9, 0.95, 0.99)]
    one = grid[2]
    replay(table, every)  # boundaries are tabulated once in a process
    by_event = seconds(lambda: outcomes_of(table, [one], vectorised=False), rounds=1)
    rows = [
        ("1 threshold, sample by sample", 1, 1, by_event),
        ("1 threshold", 1, 1, seconds(lambda: replay(table, [one]))),
        (f"all {len(every)} thresholds", len(every), 1, seconds(lambda: replay(table, every))),
        (
            f"4 thresholds x {permutations} shuffles",
            4,
            permutations,
            seconds(lambda: replay(table, grid, permutations=permutations), rounds=1),
        ),
        (
            f"flip probability at 4 samples x {permutations} shuffles",
            1,
            permutations,
            seconds(
                lambda: allocate(table, [Share(FlipProbability(), 4)], permutations=permutations), rounds=1
            ),
        ),
    ]
    print(f"{table.name}: {len(table)} questions of {table.width} samples\n")
    print("| | seconds | faster than sample by sample, for each policy and order |\n|---|---|---|")
    for name, policies, orders, spent in rows:
        print(f"| {name} | {spent:.3f} | {by_event * policies * orders / spent:,.0f} |")


if __name__ == "__main__":
    main()
