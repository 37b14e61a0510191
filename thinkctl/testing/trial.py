"""An engine on trial, and what checks of engines are made of. ``conformance`` has the checks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar, final

from thinkctl.protocols import Engine, Stream
from thinkctl.types import (
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    Message,
    StreamUsage,
    TokenLogprob,
)

__all__ = ["Read", "Trial", "claim", "close", "idle", "read", "reconcile", "say", "soon"]

T = TypeVar("T")

_QUESTION: Final = "Count slowly from one to one hundred and say why you like each number."
_PATIENCE: Final = 120.0
"""Seconds that any one step of a check may take before it counts as a hang."""


@final
@dataclass(frozen=True)
class Trial:
    """An engine on trial.

    ``prompt`` are the ids it is asked to continue (default: a chat question). ``tokens`` is how long
    generations are; the model must have that much to say with its end of turn ignored. ``repeats`` says that
    the same prompt at temperature 0 has the same continuation every time (not so for engines that play
    different samples, or compute in less than float32). ``at_once`` is how many streams run concurrently.
    """

    engine: Engine
    prompt: Sequence[int] = ()
    tokens: int = 24
    repeats: bool = True
    at_once: int = 16

    def __post_init__(self) -> None:
        if not self.prompt:
            ids = self.engine.tokenizer.chat([Message(role="user", content=_QUESTION)])
            object.__setattr__(self, "prompt", tuple(ids))

    def greedy(self, tokens: int | None = None, **changes: Any) -> GenerationSpec:
        """Return a spec without randomness and without an end of its own."""
        spec = GenerationSpec(max_tokens=tokens or self.tokens, temperature=0.0, ignore_end=True)
        return replace(spec, **changes)

    def stream(self, spec: GenerationSpec | None = None, after: Sequence[int] = ()) -> Stream:
        """Open a stream on the prompt and tokens after it."""
        return self.engine.stream([*self.prompt, *after], spec or self.greedy())


def claim(truth: bool, message: str) -> None:
    """Raise ``AssertionError`` unless it is true; also under ``python -O``."""
    if not truth:
        raise AssertionError(message)


async def soon(work: Awaitable[T], what: str) -> T:
    """Await with patience. Raises ``AssertionError`` where it hangs."""
    try:
        return await asyncio.wait_for(work, _PATIENCE)
    except TimeoutError:
        raise AssertionError(f"{what} does not come back within {_PATIENCE:g} s") from None


@final
@dataclass
class Read:
    """What was read of a stream."""

    deltas: list[Delta] = field(default_factory=list[Delta])

    @property
    def token_ids(self) -> list[int]:
        """The ids of all deltas."""
        return [token for delta in self.deltas for token in delta.token_ids]

    @property
    def finish(self) -> Finish | None:
        """The finish of the last one."""
        return self.deltas[-1].finish if self.deltas else None

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """The log-probabilities of all deltas that have some."""
        return [entry for delta in self.deltas for entry in delta.logprobs or ()]


async def read(stream: Stream, least: int | None = None) -> Read:
    """Read to the end, or until there are at least so many tokens."""
    got = Read()

    async def follow() -> None:
        async for delta in stream:
            claim(got.finish is None, "a delta came after the one with a finish")
            got.deltas.append(delta)
            if least is not None and len(got.token_ids) >= least:
                return

    if least != 0:
        await soon(follow(), "a stream")
    return got


async def close(stream: Stream) -> StreamUsage:
    """Close a stream and look whether its bill makes sense."""
    usage = await soon(stream.close(), "close()")
    claim(
        0 <= usage.wasted_tokens <= usage.generated_tokens and usage.prompt_tokens >= 0,
        f"usage makes no sense: {usage}",
    )
    claim(
        usage.cached_tokens is None or 0 <= usage.cached_tokens <= usage.prompt_tokens,
        f"more of the prompt is cached than there is: {usage}",
    )
    return usage


async def say(trial: Trial, spec: GenerationSpec | None = None, after: Sequence[int] = ()) -> list[int]:
    """Return all that a new stream says."""
    stream = trial.stream(spec, after)
    got = await read(stream)
    await close(stream)
    return got.token_ids


async def idle(trial: Trial) -> EngineCounters:
    """Return the counters of an engine that says it does nothing."""
    counters = await soon(trial.engine.counters(), "counters()")
    claim(counters.running in (0, None), f"{counters.running} streams run though all were closed")
    return counters


def reconcile(before: EngineCounters, after: EngineCounters, bills: Sequence[StreamUsage]) -> None:
    """Compare the bills with the engine's own counters, as far as both know."""
    if any(bill.estimated for bill in bills):
        return
    if before.generated_tokens is not None and after.generated_tokens is not None:
        counted = after.generated_tokens - before.generated_tokens
        billed = sum(bill.generated_tokens for bill in bills)
        claim(counted == billed, f"the engine decoded {counted} tokens, the bills say {billed}: {bills}")
    cached = [bill.cached_tokens for bill in bills]
    known = sum(amount for amount in cached if amount is not None)
    if None not in cached and before.cached_tokens is not None and after.cached_tokens is not None:
        counted = after.cached_tokens - before.cached_tokens
        claim(counted == known, f"the engine had {counted} prompt tokens cached, the bills say {known}")
    if None not in cached and before.prompt_tokens is not None and after.prompt_tokens is not None:
        counted = after.prompt_tokens - before.prompt_tokens
        billed = sum(bill.prompt_tokens for bill in bills) - known
        claim(
            counted == billed, f"the engine computed {counted} prompt tokens, the bills say {billed}: {bills}"
        )
