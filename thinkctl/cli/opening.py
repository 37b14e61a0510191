"""From ``--model`` to an engine that runs, and to the end of what runs on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Final, TypeVar

import typer

from thinkctl.cli.show import say, waiting
from thinkctl.engines import engine_from
from thinkctl.errors import MissingExtra
from thinkctl.protocols import Engine

__all__ = ["open_engine", "prepare", "running", "spec_from", "to_the_end"]

T = TypeVar("T")

_VLLM: Final = ("vllm", "vllm-lockstep")
_IN_PROCESS: Final = (*_VLLM, "transformers")
_CALM: Final = {"PYTHONWARNINGS": "ignore", "TORCH_CPP_LOG_LEVEL": "ERROR", "TORCH_LOGS": "-torch"}
"""What keeps the engine's process from talking into the progress; settings that are there win."""


def spec_from(model: str | None) -> str:
    """Return the engine spec that ``--model`` means: a bare name or folder is a model for vLLM."""
    if model is None:
        from thinkctl.models import DEFAULT

        return f"vllm:{DEFAULT}"
    text = model.strip()
    is_path = text.startswith((".", "/", "~"))
    return f"vllm:{text}" if is_path or ":" not in text else text


def open_engine(spec: str, *, seed: int = 0) -> Engine:
    """Make the engine of a spec. A model of the catalogue that is not here is pulled, with a notice."""
    prepare([spec])
    return engine_from(spec, seed=seed) if spec.partition(":")[0] in _VLLM else engine_from(spec)


def prepare(specs: Iterable[str]) -> None:
    """See to it that engines in this process can be opened: vLLM is installed and quiet, the models are here.

    A model of the catalogue that is not here is pulled, with a notice. Raises ``MissingExtra`` without vLLM where one
    of them needs it.
    """
    apart = [spec.partition(":") for spec in specs]
    names = dict.fromkeys(what.strip() for kind, _, what in apart if kind in _IN_PROCESS)
    if any(kind in _VLLM for kind, _, _ in apart):
        if find_spec("vllm") is None:
            raise MissingExtra(
                "no engine is installed; install thinkctl[vllm] for CUDA, or thinkctl[cpu] to compute on the "
                "processor. Recorded samples need none: --model replay:FILE"
            )
        for name, value in _CALM.items():
            os.environ.setdefault(name, value)
    for name in names:
        _pull(name)


def _pull(name: str) -> None:
    from thinkctl import models
    from thinkctl.cli.models import progress

    try:
        entry = models.entry_for(name)
    except models.UnknownModel:
        return  # a folder, a hub name or a mistake: the engine says which
    if not models.is_pulled(entry):
        size = f"{entry.bytes / 1e6:,.0f} MB"
        say(f"{entry.name} is not on this machine yet: fetching {size}, once")
        with progress(entry.name) as report:
            models.pull(entry, progress=report)


@asynccontextmanager
async def running(engine: Engine, *, quiet: bool) -> AsyncIterator[None]:
    """Start an engine before the clock of a budget runs, and shut it down whatever happens."""
    try:
        with waiting(f"starting {engine.card.name}", quiet=quiet):
            await engine.start()
        yield
    finally:
        await engine.aclose()


def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run what runs on an engine. An interrupt stops everything on the engine before it ends the program."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        say("interrupted: everything that was running has been stopped")
        raise typer.Exit(130) from None
