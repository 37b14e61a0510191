"""Record samples of a model once, to replay stopping policies on them for ever.

Run: python examples/record_samples.py ENGINE PROBLEMS FILE [SAMPLES]

PROBLEMS is JSON lines with "id" and "question". What was recorded before is not asked again.
"""

import asyncio
import json
import sys
from pathlib import Path

from thinkctl import Controller, Problem, SelfConsistency, engine_from
from thinkctl.runfile import RunFile
from thinkctl.types import Message, Sampling


def read_problems(path: str) -> list[Problem]:
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Problem(messages=(Message(role="user", content=row["question"]),), id=row["id"]) for row in rows]


async def main(spec: str, problems: str, path: str, samples: int) -> None:
    engine = engine_from(spec)
    strategy = SelfConsistency(samples, sampling=Sampling(temperature=0.7, max_tokens=512))
    with RunFile.open(path, card=engine.card) as file:
        done = {run.history.problem.id for run in file}
        todo = [problem for problem in read_problems(problems) if problem.id not in done]
        async for run in Controller(engine, strategy).solve_many(todo, at_once=4):
            file.append(run)
            said = run.answer.text if run.answer else None
            print(
                f"{run.history.problem.id}: {said}, {run.receipt.generated_tokens} tokens, {run.seconds:.0f} s"
            )
    await engine.aclose()


if __name__ == "__main__":
    if len(sys.argv) not in {4, 5}:
        sys.exit(__doc__)
    _, engine_spec, problems_file, run_file, *rest = sys.argv
    asyncio.run(main(engine_spec, problems_file, run_file, int(rest[0]) if rest else 8))
