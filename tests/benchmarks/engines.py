"""What the engines for servers and for transformers cost, as ratios in one run.

Run: .venv/bin/python -m tests.benchmarks.engines [http] [transformers] [ROUNDS]      (both, 5 rounds)

``http`` starts a real vLLM server on loopback and alternates, on the same prompt: 32 concurrent streams of the OpenAI
SDK itself, and 32 streams of the engine by completions and by the token route. ``transformers`` alternates
``model.generate`` with 8 sequences and 8 streams of the engine, on the same weights in the same process. Every sample
has exactly the same number of tokens. Prints tokens per second and the ratio of each pair.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.engines.server import serve
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.engines.transformers import TransformersEngine
from thinkctl.models import resolve
from thinkctl.types import GenerationSpec, Message

MODEL = "smollm2-135m-instruct"
ASK = [Message(role="user", content="How many primes are there below 100? List them.")]


async def rate(work: Callable[[], Awaitable[int]], streams: int, tokens: int) -> float:
    """Return tokens per second of so many streams at once."""
    began = time.perf_counter()
    counts = await asyncio.gather(*(work() for _ in range(streams)))
    assert sum(counts) == streams * tokens, counts
    return streams * tokens / (time.perf_counter() - began)


def ours(engine: Any, prompt: list[int], tokens: int) -> Callable[[], Awaitable[int]]:
    async def work() -> int:
        stream = engine.stream(prompt, GenerationSpec(tokens, ignore_end=True))
        count = sum([len(delta.token_ids) async for delta in stream])
        await stream.close()
        return count

    return work


async def http(rounds: int, streams: int = 32, tokens: int = 64) -> None:
    import openai

    with (
        tempfile.TemporaryDirectory() as folder,
        serve(resolve(MODEL), Path(folder) / "log.txt", "--enable-scale-out") as address,
    ):
        client = openai.AsyncOpenAI(base_url=address, api_key="none", max_retries=0)
        engines = [OpenAIEngine(base_url=address, route=route) for route in ("completions", "generate")]
        for engine in engines:
            await engine.start()
        prompt = engines[0].tokenizer.chat(ASK)

        async def raw() -> int:
            stream = await client.completions.create(
                model="small",
                prompt=prompt,
                max_tokens=tokens,
                temperature=0.7,
                stream=True,
                extra_body={"ignore_eos": True, "return_token_ids": True},
            )
            count = 0
            async for chunk in stream:
                count += (
                    len((chunk.choices[0].model_extra or {}).get("token_ids") or ()) if chunk.choices else 0
                )
            return count

        works = {"SDK": raw} | {engine.route.path: ours(engine, prompt, tokens) for engine in engines}
        await compare(works, rounds, streams, tokens)
        for engine in engines:
            await engine.aclose()
        await client.close()


async def portable(rounds: int, streams: int = 8, tokens: int = 64) -> None:
    import torch

    engine = TransformersEngine(resolve(MODEL), streams=streams)
    await engine.start()
    prompt = engine.tokenizer.chat(ASK)
    decoder = engine._decoder

    def generate() -> int:
        ids = torch.tensor([prompt])
        limits = {"max_new_tokens": tokens, "min_new_tokens": tokens, "num_return_sequences": streams}
        found = decoder._model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=True, **limits)
        return int(found[:, len(prompt) :].numel())

    rows: list[tuple[float, float]] = []
    for round_ in range(rounds + 1):
        began = time.perf_counter()
        assert await asyncio.wrap_future(decoder.submit(generate)) == streams * tokens
        raw = streams * tokens / (time.perf_counter() - began)
        row = (raw, await rate(ours(engine, prompt, tokens), streams, tokens))
        if round_:
            rows.append(row)
            print("tokens/s  model.generate {:.0f}  TransformersEngine {:.0f}".format(*row), flush=True)
    show("TransformersEngine / model.generate", [mine / raw for raw, mine in rows])
    await engine.aclose()


async def compare(
    works: dict[str, Callable[[], Awaitable[int]]], rounds: int, streams: int, tokens: int
) -> None:
    first, *others = works
    rows: list[dict[str, float]] = []
    for round_ in range(rounds + 1):
        row = {name: await rate(work, streams, tokens) for name, work in works.items()}
        if round_:  # the first warms up
            rows.append(row)
            print("tokens/s  " + "  ".join(f"{name} {value:.0f}" for name, value in row.items()), flush=True)
    for name in others:
        show(f"{name} / {first}", [row[name] / row[first] for row in rows])


def show(label: str, values: list[float]) -> None:
    print(f"{label}: median {statistics.median(values):.3f} (min {min(values):.3f}, max {max(values):.3f})")


if __name__ == "__main__":
    rounds = next((int(word) for word in sys.argv[1:] if word.isdigit()), 5)
    wanted = [word for word in sys.argv[1:] if not word.isdigit()] or ["transformers", "http"]
    for name in wanted:
        asyncio.run({"http": http, "transformers": portable}[name](rounds))
