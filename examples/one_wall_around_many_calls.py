"""An application wraps its model calls: one wall around everything a request does, and a bill that is right.

Run: python examples/one_wall_around_many_calls.py [ENGINE]
"""

import asyncio
import sys
from decimal import Decimal

import thinkctl
from thinkctl import Budget, ChainOfThought, Controller, Prices, engine_from

PRICES = Prices(
    dollars_per_million_prompt_tokens=Decimal("0.10"), dollars_per_million_generated_tokens=Decimal("0.40")
)
QUESTIONS = ("What is 12*12?", "What is 7*8+5?", "A pen costs 3 dollars. What do 4 pens cost?")


async def main(spec: str) -> None:
    engine = engine_from(spec)
    await engine.start()  # starting an engine is not thinking: do it before the clock runs
    controller = Controller(engine, ChainOfThought(), prices=PRICES)
    with thinkctl.budget(tokens=600, seconds=120, dollars="0.01") as purse:
        for question in QUESTIONS:
            run = await controller.solve(question, Budget(thinking_tokens=150))
            said = run.answer.text if run.answer else None
            print(f"{question} -> {said} ({run.stop}, {run.receipt.generated_tokens} tokens)")
        receipt = purse.receipt
        print(f"together: {receipt.generated_tokens} of 600 tokens, {receipt.dollars} dollars")
        print(f"left: {purse.tokens_left} tokens, {purse.seconds_left:.0f} seconds")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "vllm:small"))
