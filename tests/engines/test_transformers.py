"""The portable engine with a real model."""

# These engines count everything.
# pyright: reportOperatorIssue=false

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.engines.conftest import Bench
from thinkctl import Budget, Controller, SelfConsistency, models
from thinkctl.engines import engine_from
from thinkctl.errors import ConfigurationError, EngineUnavailable, ThinkctlError
from thinkctl.testing.conformance import CHECKS, Check, Trial
from thinkctl.types import GenerationSpec

if TYPE_CHECKING:
    from thinkctl.engines.transformers import TransformersEngine

pytestmark = pytest.mark.engine


def transformers_engine(folder: Path, **options: Any) -> TransformersEngine:
    """Import the engine where it runs: torch takes seconds, also where these tests are only collected."""
    from thinkctl.engines.transformers import TransformersEngine

    return TransformersEngine(folder, **options)


@pytest.fixture(scope="module")
def portable() -> Iterator[Bench]:
    engine = transformers_engine(models.resolve("smollm2-135m-instruct"), context=1024)
    with asyncio.Runner() as runner:
        try:
            runner.run(engine.start())
            yield Bench(engine, runner)  # type: ignore[arg-type]
        finally:
            runner.run(engine.aclose())


async def read(stream) -> list[int]:
    try:
        return [token async for delta in stream for token in delta.token_ids]
    finally:
        await stream.close()


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_it_conforms(portable: Bench, check: Check) -> None:
    portable.run(asyncio.wait_for(check(Trial(portable.engine, portable.prompt, 24, True, 8)), 120))


def test_it_says_what_generate_says(portable: Bench) -> None:
    """Greedy, against transformers' own loop."""
    decoder: Any = portable.engine._decoder  # type: ignore[union-attr]
    ids = portable.prompt

    def generate() -> list[int]:
        import torch

        model = decoder._model
        found = model.generate(torch.tensor([ids]), max_new_tokens=32, min_new_tokens=32, do_sample=False)
        return found[0, len(ids) :].tolist()

    async def both() -> tuple[list[int], list[int]]:
        expected = await asyncio.wrap_future(decoder.submit(generate))
        spec = GenerationSpec(32, temperature=0.0, ignore_end=True)
        return expected, await read(portable.engine.stream(ids, spec))

    expected, said = portable.run(both())
    ends = decoder._ends  # min_new_tokens forbids the end of turn where ignore_end lets it through
    until = next((place for place, token in enumerate(said) if token in ends), 32)
    assert said[:until] == expected[:until]
    assert until > 4


def test_a_seed_repeats_a_sample_whatever_runs_beside_it(portable: Bench) -> None:
    spec = GenerationSpec(24, temperature=1.0, seed=7, ignore_end=True)

    async def draw() -> tuple[list[int], list[int]]:
        alone = await read(portable.engine.stream(portable.prompt, spec))
        others = [read(portable.engine.stream(portable.prompt, GenerationSpec(24))) for _ in range(3)]
        together, *_ = await asyncio.gather(read(portable.engine.stream(portable.prompt, spec)), *others)
        return alone, together

    alone, together = portable.run(draw())
    assert alone == together


@pytest.mark.parametrize(
    "changes", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}], ids=["top_k", "top_p", "min_p"]
)
def test_cuts_that_leave_one_token_are_greedy(portable: Bench, changes) -> None:
    greedy = GenerationSpec(8, temperature=0.0, ignore_end=True)
    cut = GenerationSpec(8, temperature=1.5, ignore_end=True, **changes)
    said = [portable.run(read(portable.engine.stream(portable.prompt, spec))) for spec in (greedy, cut)]
    assert said[0] == said[1]


def test_a_whole_run_reconciles(portable: Bench) -> None:
    async def solve():
        before = await portable.engine.counters()
        run = await Controller(portable.engine, SelfConsistency(4)).solve("What is 2+2?", Budget(tokens=300))
        return run, before, await portable.engine.counters()

    run, before, after = portable.run(solve())
    receipt = run.receipt
    assert run.answer is not None
    assert receipt.generated_tokens == after.generated_tokens - before.generated_tokens <= 300
    assert receipt.cached_tokens == after.cached_tokens - before.cached_tokens
    assert receipt.prompt_tokens - receipt.cached_tokens == after.prompt_tokens - before.prompt_tokens


def test_scores_are_those_of_all_tokens(portable: Bench) -> None:
    everything = range(portable.engine._vocabulary)  # type: ignore[arg-type]
    scores = portable.run(portable.engine.score(portable.prompt, everything))
    assert math.isclose(sum(map(math.exp, scores.values())), 1, abs_tol=1e-3)


def test_what_is_no_model_is_said_so(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        transformers_engine(tmp_path / "none")
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(ThinkctlError, match="no tokenizer"):
        transformers_engine(tmp_path)


def test_a_model_that_cannot_be_loaded_is_an_engine_that_is_not_there(tmp_path) -> None:
    for file in Path(models.resolve("smollm2-135m-instruct")).iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EngineUnavailable, match="could not run"):
        asyncio.run(transformers_engine(tmp_path).start())


def test_after_it_was_closed_it_refuses_and_streams_end() -> None:
    async def use() -> None:
        engine = engine_from("transformers:smollm2-135m-instruct")
        await engine.start()
        stream = engine.stream([1, 2, 3], GenerationSpec(500, ignore_end=True))
        await anext(aiter(stream))
        await engine.aclose()
        with pytest.raises(EngineUnavailable, match="was closed"):
            await read(stream)
        with pytest.raises(EngineUnavailable, match="was closed"):
            engine.stream([1], GenerationSpec(1))

    asyncio.run(use())
