"""Ask a hosted model under a cap in dollars, and see what each question really cost.

Run: python examples/dollar_cap.py [ENGINE]      (default openai:gpt-4o-mini, which needs OPENAI_API_KEY)
"""

import asyncio
import sys
from decimal import Decimal

from thinkctl import AdaptiveConsistency, Budget, Controller, Prices, SelfConsistency, budget, engine_from

QUESTIONS = ["What is 17*23-4?", "What is 12*12?"]
PRICES = Prices(
    dollars_per_million_prompt_tokens=Decimal("0.15"),
    dollars_per_million_generated_tokens=Decimal("0.60"),
    dollars_per_million_cached_tokens=Decimal("0.075"),
)


async def main(spec: str) -> None:
    engine = engine_from(spec)
    controller = Controller(engine, SelfConsistency(8), policy=AdaptiveConsistency(0.95), prices=PRICES)
    with budget(dollars="0.02") as purse:  # one wall around everything in here
        for question in QUESTIONS:
            run = await controller.solve(question, Budget(dollars=Decimal("0.01"), seconds=60))
            answer = run.answer.text if run.answer else None
            print(f"{question} -> {answer} ({run.stop}, {run.receipt.dollars:.6f} dollars)")
    print(f"together {purse.receipt.dollars:.6f} dollars, {purse.dollars_left:.6f} left")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "openai:gpt-4o-mini"))
