"""Solve many problems inside one wall, and record every run; started again, it goes on where it stopped.

Run: python examples/many_problems.py [ENGINE] [FILE]      (default vllm:small, problems.jsonl)
"""

import asyncio
import sys

from thinkctl import AdaptiveConsistency, Budget, Controller, Problem, SelfConsistency, engine_from
from thinkctl.runfile import RunFile
from thinkctl.types import Message

TOKENS = 6_000
QUESTIONS = {
    "product": "What is 17*23-4?",
    "square": "What is 12*12?",
    "pens": "A pen costs 3 dollars. What do 4 pens cost?",
    "train": "A train travels 60 km in 45 minutes. How many km does it travel in 3 hours?",
    "eggs": "A hen lays 5 eggs a week. How many eggs do 8 hens lay in 3 weeks?",
    "change": "You pay 7 dollars and 35 cents with a 20 dollar note. How many cents do you get back?",
}
PROBLEMS = [
    Problem(messages=(Message(role="user", content=question),), form="number", id=name)
    for name, question in QUESTIONS.items()
]


async def main(spec: str, path: str) -> None:
    engine = engine_from(spec)
    controller = Controller(engine, SelfConsistency(8), policy=AdaptiveConsistency(0.95))
    with RunFile.open(path, card=engine.card) as file:
        recorded = list(file)
        done = {run.history.problem.id for run in recorded if run.answer is not None}
        left = TOKENS - sum(run.receipt.generated_tokens for run in recorded)
        todo = [problem for problem in PROBLEMS if problem.id not in done]
        print(f"{len(done)} of {len(PROBLEMS)} problems are in {path}, {left} of {TOKENS} tokens are left")
        if todo and left > 0:
            async for run in controller.solve_many(todo, Budget(tokens=left), at_once=4):
                file.append(run)  # on disk when this returns
                said = run.answer.text if run.answer else None
                tokens = run.receipt.generated_tokens
                print(
                    f"{run.history.problem.id}: {said} ({run.stop}, {len(run.samples)} samples, {tokens} tokens)"
                )
    await engine.aclose()


if __name__ == "__main__":
    arguments = [*sys.argv[1:], *("vllm:small", "problems.jsonl")[len(sys.argv) - 1 :]]
    asyncio.run(main(*arguments))
