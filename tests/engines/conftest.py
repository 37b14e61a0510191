"""One real engine at a time: starting takes seconds, and the machine has two cores."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from tests.engines.server import serve
from thinkctl import engine_from, models
from thinkctl.engines.vllm import VllmEngine, VllmLockstep
from thinkctl.protocols import Engine
from thinkctl.types import GenerationSpec, Message

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is first imported, by whichever test

T = TypeVar("T")

DRIVERS: dict[str, type[VllmEngine | VllmLockstep]] = {"lockstep": VllmLockstep, "async": VllmEngine}
SETTINGS: dict[str, Any] = {"dtype": "float32", "context": 2048, "streams": 16, "kv_cache_bytes": 1 << 28}


@dataclass
class Bench:
    """A running engine, the event loop it runs in, and something to ask."""

    engine: VllmEngine | VllmLockstep
    runner: asyncio.Runner

    @property
    def prompt(self) -> list[int]:
        return self.engine.tokenizer.chat([Message(role="user", content="Count from one to twenty.")])

    @staticmethod
    def spec(tokens: int = 200, **changes: Any) -> GenerationSpec:
        """Sampling that does not end before ``tokens``."""
        return GenerationSpec(max_tokens=tokens, ignore_end=True, **changes)

    def run(self, coroutine):
        return self.runner.run(coroutine)


@contextmanager
def running(engine: Engine) -> Iterator[asyncio.Runner]:
    """Start an engine in an event loop of its own; shut it down afterwards."""
    with asyncio.Runner() as runner:
        try:
            runner.run(engine.start())
            yield runner
        finally:
            runner.run(engine.aclose())


def opened(kind: type[VllmEngine | VllmLockstep], **changes: Any) -> Iterator[Bench]:
    """Start an engine of the smallest model; shut it down afterwards."""
    pytest.importorskip("vllm")
    engine = kind(models.resolve("smollm2-135m-instruct"), **(SETTINGS | changes))
    with running(engine) as runner:
        yield Bench(engine, runner)


@pytest.fixture(scope="module", params=DRIVERS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Each driver after the other."""
    yield from opened(DRIVERS[str(request.param)])


@pytest.fixture(scope="module")
def lockstep() -> Iterator[Bench]:
    yield from opened(VllmLockstep, patience=0.5)


@pytest.fixture(scope="session")
def lived() -> Iterator[Bench]:
    """An engine in a process of its own, for all modules that gather what happened on one."""
    pytest.importorskip("vllm")
    engine = engine_from("vllm:smollm2-135m-instruct", context=2048, streams=32)
    assert isinstance(engine, VllmEngine)
    with running(engine) as runner:
        yield Bench(engine, runner)


def gathered(
    request: pytest.FixtureRequest, work: Callable[[Engine], Coroutine[Any, Any, T]], streams: int
) -> T:
    """Do some work on the engine in its process, or on the server, as the fixture's parameter says."""
    if request.param == "in process":
        bench: Bench = request.getfixturevalue("lived")
        return bench.runner.run(work(bench.engine))
    engine = engine_from(f"openai:{request.getfixturevalue('served')}", streams=streams)

    async def closing() -> T:
        try:
            await engine.start()
            return await work(engine)
        finally:
            await engine.aclose()

    return asyncio.run(closing())


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real vLLM server with the smallest model, its token route included."""
    pytest.importorskip("vllm")
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with serve(models.resolve("smollm2-135m-instruct"), log, "--enable-scale-out") as address:
        yield address
