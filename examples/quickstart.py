"""Ask a small model a question under a budget and read the receipt.

Run: python examples/quickstart.py [ENGINE]      (default vllm:small, pulled on first use)
"""

import asyncio
import sys

from thinkctl import AdaptiveConsistency, Budget, Controller, SelfConsistency, engine_from


async def main(spec: str) -> None:
    engine = engine_from(spec)
    controller = Controller(engine, SelfConsistency(16), policy=AdaptiveConsistency(0.95))
    run = await controller.solve("What is 17*23-4?", Budget(tokens=1_000, seconds=120))
    print("answer:", run.answer.text if run.answer else None)
    print("confidence:", run.confidence, "| stop:", run.stop, "|", run.why)
    print("samples:", len(run.samples), "| tokens:", run.receipt.generated_tokens, "of 1000")
    print(f"seconds: {run.receipt.seconds:.1f} | dollars: {run.receipt.dollars}")
    await engine.aclose()


if __name__ == "__main__":  # vLLM starts its engine in a second process, which imports this file again
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "vllm:small"))
