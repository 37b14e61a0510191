"""What the loop costs on the real engine, as ratios in one run.

Run: .venv/bin/python tests/benchmarks/throughput.py [MODEL] [ROUNDS]      (default smollm2-135m-instruct 5)

Alternates, on the same weights, machine and minute: vLLM's own ``LLM.generate`` with ``n=32``, the raw streams of
``VllmEngine`` without a loop, and ``Controller.solve`` with 32 samples. All samples ignore the end of turn and none
is made to conclude, so that each has exactly the same number of tokens. Prints tokens per second and the ratio of
each pair; and the loop's own time for a decision (history, policy, orders): on the real engine, where every
decision reads 32 texts that have grown, and on a scripted one, where each decision is about one sample that ended.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from thinkctl import AdaptiveConsistency, Controller, Majority, SelfConsistency, engine_from
from thinkctl.controller.loop import Loop
from thinkctl.engines.vllm import VllmEngine
from thinkctl.models import resolve
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.testing import run as run_virtual
from thinkctl.types import (
    Decision,
    Delta,
    Finish,
    GenerationSpec,
    History,
    Message,
    Problem,
    Request,
    Sampling,
)

SAMPLES = 32
TOKENS = 128
QUESTION = "How many primes are there below 100? List them."


class ExactEngine:
    """The engine, made to say exactly ``TOKENS`` tokens and then to end its turn."""

    def __init__(self, inner: VllmEngine) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Any:
        assert spec.max_tokens >= TOKENS
        return EndsItsTurn(self._inner.stream(prompt, replace(spec, ignore_end=True, max_tokens=TOKENS)))


class EndsItsTurn:
    """A stream whose limit looks like the end of a turn, so that nobody concludes it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __aiter__(self) -> EndsItsTurn:
        return self

    async def __anext__(self) -> Delta:
        delta = await anext(self._inner)
        return delta if delta.finish is None else replace(delta, finish=Finish.STOP)


@dataclass(frozen=True)
class Samples:
    """So many answers of exactly so many tokens: nothing is concluded, nothing ends early."""

    selector: Majority = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        sampling = Sampling(temperature=0.7)
        request = Request((Message(role="user", content=QUESTION),), sampling, think=False)
        return [request] * (SAMPLES - history.bought)


class Looks:
    """A policy that looks at every sample and never stops."""

    def decide(self, history: History) -> Decision:
        return Decision(confidence=1 / (1 + sum(len(sample.text) for sample in history.samples)))


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


class Stopwatch:
    """Adds up what the loop itself does for a decision: the history, the policy's answer, the orders."""

    seconds = 0.0
    decisions = 0

    def __enter__(self) -> Self:
        self._kept = [(owner, name, getattr(owner, name)) for owner, name in self.PARTS]
        for owner, name, function in self._kept:
            setattr(owner, name, self._timed(function, counts=name == "_decide"))
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, function in self._kept:
            setattr(owner, name, function)

    PARTS = ((Loop, "_history"), (Loop, "_decide"), (Loop, "_steer"))

    def _timed(self, function: Any, *, counts: bool) -> Any:
        def timed(*args: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.seconds += time.perf_counter() - began
                self.decisions += counts

        return timed

    @property
    def microseconds(self) -> float:
        return 1e6 * self.seconds / self.decisions


async def raw_streams(engine: Any, prompt: list[int]) -> float:
    async def one() -> int:
        stream = engine.stream(prompt, GenerationSpec(max_tokens=TOKENS, temperature=0.7))
        count = sum([len(delta.token_ids) async for delta in stream])
        await stream.close()
        return count

    began = time.perf_counter()
    assert sum(await asyncio.gather(*(one() for _ in range(SAMPLES)))) == SAMPLES * TOKENS
    return SAMPLES * TOKENS / (time.perf_counter() - began)


async def solve(engine: Any) -> tuple[float, float]:
    """Return tokens per second, and microseconds of the loop for each decision."""
    controller = Controller(engine, Samples(), policy=Looks())
    with Stopwatch() as watch:
        began = time.perf_counter()
        run = await controller.solve(Problem.of(QUESTION, form="text"))
        took = time.perf_counter() - began
    assert run.receipt.generated_tokens == SAMPLES * TOKENS, run.receipt
    return SAMPLES * TOKENS / took, watch.microseconds


def one_at_a_time() -> float:
    """Return microseconds for a decision about one sample that ended while 31 others grow, on a scripted engine."""
    lengths = [20 + 7 * place for place in range(200)]
    engine = ScriptedEngine(
        [Script("word " * length + "\\boxed{4}", seconds_per_token=0.01) for length in lengths]
    )
    votes = SelfConsistency(200)
    controller = Controller(engine, votes, policy=AdaptiveConsistency(1 - 1e-12), decide_every=10**6)
    with Stopwatch() as watch:
        run_virtual(controller.solve(QUESTION))
    return watch.microseconds


async def main(name: str, rounds: int) -> None:
    folder = str(resolve(name))
    llm = raw_llm(folder)
    inner = engine_from(f"vllm:{name}", context=2048, kv_cache_bytes=1 << 29, dtype="bfloat16")
    assert isinstance(inner, VllmEngine)
    engine = ExactEngine(inner)
    await inner.start()
    prompt = inner.tokenizer.chat([Message(role="user", content=QUESTION)])
    rows: list[tuple[float, float, float, float]] = []
    for round_ in range(rounds + 1):
        row = (
            await asyncio.to_thread(generate, llm, prompt),
            await raw_streams(engine, prompt),
            *await solve(engine),
        )
        if round_:  # the first warms up
            rows.append(row)
            print("tokens/s  LLM.generate {:.0f}  raw streams {:.0f}  solve {:.0f}".format(*row), flush=True)
    await inner.aclose()
    show("solve / LLM.generate", [row[2] / row[0] for row in rows])
    show("solve / raw streams", [row[2] / row[1] for row in rows])
    show(f"microseconds a decision that reads {SAMPLES} texts", [row[3] for row in rows])


def show(label: str, values: list[float]) -> None:
    print(f"{label}: median {statistics.median(values):.3f} (min {min(values):.3f}, max {max(values):.3f})")


if __name__ == "__main__":
    model, rounds = [*sys.argv[1:], *["smollm2-135m-instruct", "5"][len(sys.argv) - 1 :]]
    show("microseconds a decision about one sample", [one_at_a_time() for _ in range(5)])
    asyncio.run(main(model, int(rounds)))
