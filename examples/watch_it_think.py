"""Follow a run while it happens: thoughts, finished samples, decisions and their reasons, better answers.

Run: python examples/watch_it_think.py [ENGINE]
"""

import asyncio
import sys
from contextlib import aclosing

from thinkctl import AdaptiveConsistency, Budget, Controller, SelfConsistency, engine_from
from thinkctl.types import AnswerImproved, Decided, Finished, SampleFinished, Thought

QUESTION = "A train travels 60 km in 45 minutes. How many km does it travel in 3 hours?"


async def main(spec: str) -> None:
    engine = engine_from(spec)
    controller = Controller(engine, SelfConsistency(8), policy=AdaptiveConsistency(0.9))
    async with aclosing(controller.stream(QUESTION, Budget(tokens=900))) as events:
        async for event in events:
            match event:
                case Thought(sample=0, text=text):
                    print(text, end="", flush=True)
                case SampleFinished(sample=sample):
                    print(
                        f"\n[sample {sample.index}: {sample.answer.text if sample.answer else 'no answer'}]"
                    )
                case AnswerImproved(answer=answer, confidence=confidence):
                    print(f"[so far {answer.text}, confidence {confidence or 0:.2f}]")
                case Decided(note=note):
                    print(f"[{note.settled} votes: {note.decision.why}]")
                case Finished(run=run):
                    print(f"answer {run.answer.text if run.answer else None}: {run.why}")
                case _:
                    pass
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "vllm:small"))
