"""Ask a vLLM server on this machine, and compare the receipt with what the server itself has counted.

Start a server first:
    python -m vllm.entrypoints.openai.api_server --model MODEL --enable-scale-out --enable-prompt-tokens-details
Run: python examples/local_server.py [ENGINE]      (default openai:http://127.0.0.1:8000/v1)
"""

import asyncio
import sys

from thinkctl import AdaptiveConsistency, Budget, Controller, SelfConsistency, engine_from


async def main(spec: str) -> None:
    engine = engine_from(spec)
    await engine.start()
    before = await engine.counters()
    controller = Controller(engine, SelfConsistency(8), policy=AdaptiveConsistency(0.95))
    run = await controller.solve("What is 17*23-4?", Budget(tokens=600, seconds=60))
    after = await engine.counters()
    print("answer:", run.answer.text if run.answer else None, "| stop:", run.stop)
    print("continuation is exact:", engine.caps.token_prompts)
    if before.generated_tokens is None or after.generated_tokens is None:
        print(f"the receipt says {run.receipt.generated_tokens} tokens, the server does not count")
    else:
        counted = after.generated_tokens - before.generated_tokens
        print(f"the receipt says {run.receipt.generated_tokens} tokens, the server {counted}")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "openai:http://127.0.0.1:8000/v1"))
