"""What would another threshold have cost? Replay a recording under several, without a model.

Run: python examples/try_another_policy.py FILE      (a run file that was recorded without a policy)

Every line is over the same recorded samples; "as all" counts the problems with the answer that all samples give.
"""

import asyncio
import sys
from collections.abc import Sequence

from thinkctl import AdaptiveConsistency, Controller, Run, registry
from thinkctl.engines.replay import ReplayEngine
from thinkctl.protocols import StoppingPolicy
from thinkctl.runfile import read, read_header

THRESHOLDS = (0.7, 0.8, 0.9, 0.95, 0.99)


async def replay(engine: ReplayEngine, recorded: Sequence[Run], policy: StoppingPolicy | None) -> list[Run]:
    """Solve every problem again with the strategy and budget of its recording, from its first sample on."""
    engine.reset()
    return [
        await Controller(engine, registry.strategy(run.strategy), policy=policy).solve(
            run.history.problem, run.history.budget
        )
        for run in recorded
    ]


def summary(runs: Sequence[Run], everything: Sequence[Run]) -> str:
    tokens = sum(run.receipt.generated_tokens for run in runs)
    share = tokens / sum(run.receipt.generated_tokens for run in everything)
    samples = sum(len(run.samples) for run in runs) / len(runs)
    pairs = zip(runs, everything, strict=True)
    same = sum((one.answer and one.answer.key) == (other.answer and other.answer.key) for one, other in pairs)
    return f"{samples:7.1f} {tokens:9} {share:8.1%} {same:8} of {len(runs)}"


async def main(path: str) -> None:
    recorded = tuple({run.history.problem.id: run for run in read(path)}.values())
    engine = ReplayEngine(recorded, card=read_header(path).card)
    everything = await replay(engine, recorded, None)
    print("threshold  samples    tokens    share   as all")
    print(f"{'none':9} {summary(everything, everything)}")
    for confidence in THRESHOLDS:
        runs = await replay(engine, recorded, AdaptiveConsistency(confidence))
        print(f"{confidence:<9} {summary(runs, everything)}")
    failed = [sample.error for run in everything for sample in run.samples if sample.error]
    if failed:
        print(f"{len(failed)} samples could not be replayed, the first because of this: {failed[0]}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("name a run file: python examples/try_another_policy.py FILE")
    asyncio.run(main(sys.argv[1]))
