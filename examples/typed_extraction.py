"""Extract facts of a type from a text with a small model: several samples, a vote on each field.

Run: python examples/typed_extraction.py [ENGINE]      (default vllm:small, pulled on first use)
"""

import asyncio
import sys
from typing import Literal

from pydantic import BaseModel

from thinkctl import Budget, Controller, Problem, Run, Sampling, SelfConsistency, engine_from
from thinkctl.protocols import Engine
from thinkctl.selectors import FieldwiseMajority


class Order(BaseModel):
    """What is to be found in the letter."""

    customer: str
    pens: int
    shipping: Literal["post", "courier"]


LETTER = "Dear shop, please send me 12 blue pens by courier. The last parcel came in 3 days. Yours, Ann Lee"
PROBLEM = Problem.of(f"Extract the order from this letter:\n\n{LETTER}", answer_type=Order)


async def extract(engine: Engine) -> Run:
    samples = SelfConsistency(5, sampling=Sampling(temperature=0.7, max_tokens=120))
    controller = Controller(engine, samples, selector=FieldwiseMajority())
    return await controller.solve(PROBLEM, Budget(tokens=1_500))


async def main(spec: str) -> None:
    engine = engine_from(spec)
    run = await extract(engine)
    for sample in run.samples:
        print(f"sample {sample.index}:", sample.answer.key if sample.answer else f"abstains {sample.error}")
    if run.answer is not None:
        order = Order.model_validate_json(run.answer.text)  # it is of the type, whatever the model said
        print("order:", order)
    print("tokens:", run.receipt.generated_tokens, "of 1500")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "vllm:small"))
