"""What the loop costs on the real engine, as ratios in one run.

Run: .venv/bin/python tests/benchmarks/throughput.py [MODEL]      (default smollm2-135m-instruct)

Alternates, on the same weights, machine and minute: vLLM's own ``LLM.generate`` with ``n=32``, the raw streams of
``VllmEngine`` without a loop, and ``Controller.solve`` with 32 samples. All samples ignore the end of turn, so that
each has exactly the same number of tokens. Prints tokens per second, the ratio of each pair, and the time that the
loop takes for one decision.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from thinkctl import CannotBeOvertaken, Controller, SelfConsistency, engine_from
from thinkctl.engines.vllm import VllmEngine
from thinkctl.models import resolve
from thinkctl.types import Decision, GenerationSpec, History, Problem, Sampling

SAMPLES = 32
TOKENS = 128
ROUNDS = 5
QUESTION = "How many primes are there below 100? List them."


class EndlessEngine:
    """The engine, made to ignore the end of turn."""

    def __init__(self, inner: VllmEngine) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Any:
        return self._inner.stream(prompt, replace(spec, ignore_end=True))


@dataclass(frozen=True)
class Timed:
    """A policy that never stops and takes the time between its own calls' begin and end."""

    policy: CannotBeOvertaken = CannotBeOvertaken(10**6)

    def decide(self, history: History) -> Decision:
        return replace(self.policy.decide(history), stop=False, more=None)


def raw_llm(folder: str) -> Any:
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    from vllm import LLM

    return LLM(
        folder,
        dtype="bfloat16",
        enforce_eager=True,
        block_size=32,
        max_model_len=2048,
        max_num_seqs=64,
        kv_cache_memory_bytes=1 << 29,
        disable_log_stats=True,
    )


def generate(llm: Any, prompt: list[int]) -> float:
    from vllm import SamplingParams
    from vllm.inputs import tokens_input

    params = SamplingParams(n=SAMPLES, max_tokens=TOKENS, ignore_eos=True, temperature=0.7, detokenize=False)
    began = time.perf_counter()
    outputs = llm.generate([tokens_input(prompt)], params, use_tqdm=False)
    assert sum(len(output.token_ids) for output in outputs[0].outputs) == SAMPLES * TOKENS
    return SAMPLES * TOKENS / (time.perf_counter() - began)


async def raw_streams(engine: Any, prompt: list[int]) -> float:
    async def one() -> int:
        stream = engine.stream(prompt, GenerationSpec(max_tokens=TOKENS, temperature=0.7))
        count = sum([len(delta.token_ids) async for delta in stream])
        await stream.close()
        return count

    began = time.perf_counter()
    assert sum(await asyncio.gather(*(one() for _ in range(SAMPLES)))) == SAMPLES * TOKENS
    return SAMPLES * TOKENS / (time.perf_counter() - began)


async def solve(engine: Any) -> tuple[float, int]:
    strategy = SelfConsistency(SAMPLES, sampling=Sampling(temperature=0.7, max_tokens=TOKENS))
    controller = Controller(engine, strategy, policy=Timed())
    began = time.perf_counter()
    run = await controller.solve(Problem.of(QUESTION, form="text"))
    took = time.perf_counter() - began
    return run.receipt.generated_tokens / took, len(run.notes)


async def main(name: str) -> None:
    folder = str(resolve(name))
    llm = raw_llm(folder)
    inner = engine_from(f"vllm:{name}", context=2048, kv_cache_bytes=1 << 29, dtype="bfloat16")
    assert isinstance(inner, VllmEngine)
    engine = EndlessEngine(inner)
    await inner.start()
    strategy = SelfConsistency(1)
    prompt = inner.tokenizer.chat(strategy.propose(History(Problem.of(QUESTION, form="text")))[0].messages)
    rows: list[tuple[float, float, float]] = []
    for round_ in range(ROUNDS + 1):
        row = (
            await asyncio.to_thread(generate, llm, prompt),
            await raw_streams(engine, prompt),
            (await solve(engine))[0],
        )
        if round_:  # the first warms up
            rows.append(row)
            print("tokens/s  LLM.generate {:.0f}  raw streams {:.0f}  solve {:.0f}".format(*row), flush=True)
    await inner.aclose()
    for label, top, bottom in (("solve / LLM.generate", 2, 0), ("solve / raw streams", 2, 1)):
        ratios = [row[top] / row[bottom] for row in rows]
        print(
            f"{label}: median {statistics.median(ratios):.3f} (min {min(ratios):.3f}, max {max(ratios):.3f})"
        )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"))
