"""Spend one budget over a batch where it helps most, while a stopping policy watches what it would have saved.

Run: python examples/one_budget_many_problems.py [ENGINE]      (default vllm:small)
"""

import asyncio
import sys

from thinkctl import Budget, CannotBeOvertaken, Controller, Problem, SelfConsistency, engine_from
from thinkctl.stopping import FlipProbability
from thinkctl.types import Message

TOKENS = 4_000
QUESTIONS = {
    "product": "What is 17*23-4?",
    "square": "What is 12*12?",
    "pens": "A pen costs 3 dollars. What do 4 pens cost?",
    "train": "A train travels 60 km in 45 minutes. How many km does it travel in 3 hours?",
}
PROBLEMS = [
    Problem(messages=(Message(role="user", content=question),), form="number", id=name)
    for name, question in QUESTIONS.items()
]


async def main(spec: str) -> None:
    engine = engine_from(spec)
    controller = Controller(engine, SelfConsistency(8), shadows=[CannotBeOvertaken(8)])
    batch = controller.solve_many(PROBLEMS, Budget(tokens=TOKENS), at_once=8, allocation=FlipProbability())
    spent = saved = 0
    async for run in batch:
        (shadow,) = run.shadows
        answer = run.answer.text if run.answer else None
        print(f"{run.history.problem.id}: {answer} from {len(run.samples)} samples ({run.why})")
        spent += run.receipt.generated_tokens
        saved += shadow.saved_tokens
    print(f"{spent} of {TOKENS} tokens; stopping where nothing can change would have saved {saved} more")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(*(sys.argv[1:] or ["vllm:small"])))
