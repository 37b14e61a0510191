"""Write a function until its public tests pass: many samples, and the first that passes ends it.

Run: python examples/code_with_public_tests.py [ENGINE]      (default vllm:qwen2.5-coder-0.5b-instruct)

What the model writes runs in a sandbox (bubblewrap), never in this program. The tests below are all that the check
knows; the two hidden ones stand for what your users will try.
"""

import asyncio
import sys

from thinkctl import Budget, Controller, Problem, engine_from
from thinkctl.stopping import Threshold
from thinkctl.strategies import BestOfN
from thinkctl.verifiers import Sandbox, UnitTests, run_tests

TESTS = ["assert runs('aab') == [('a', 2), ('b', 1)]", "assert runs('') == []"]
HIDDEN = ["assert runs('abba') == [('a', 1), ('b', 2), ('a', 1)]", "assert runs('zzz') == [('z', 3)]"]
PROBLEM = Problem.model_validate(
    {
        "messages": "Write a Python function `runs(text)` that returns a list of pairs of each run of equal characters "
        f"and its length. It should pass:\n\n```python\n{chr(10).join(TESTS)}\n```",
        "form": "code",
        "given": {"tests": TESTS, "entry_point": "runs"},
    }
)


async def main(spec: str) -> None:
    engine = engine_from(spec)
    sandbox = Sandbox(seconds=10)
    controller = Controller(
        engine, BestOfN(8, think=False), policy=Threshold(1.0), verifier=UnitTests(sandbox), speculate=3
    )
    run = await controller.solve(PROBLEM, Budget(tokens=4_000, seconds=300))
    for sample in run.samples:
        if sample.verdict is not None:
            first = (sample.verdict.feedback or "all public tests passed").splitlines()[0]
            print(f"sample {sample.index}: {sample.verdict.score:.2f} {first}")
    if run.answer is not None:
        print(run.answer.text)
        tested = await run_tests(run.answer.text, HIDDEN, sandbox, entry_point="runs")
        print(f"hidden tests passed: {sum(tested.passed)} of {len(HIDDEN)}")
    spent = run.receipt
    print(f"{run.stop}: {run.why}; {spent.generated_tokens} tokens, {spent.verifier_calls} checks")
    await engine.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "vllm:qwen2.5-coder-0.5b-instruct"))
