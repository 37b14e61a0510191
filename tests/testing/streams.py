"""Streams of the scripted engine: opened, read, and read as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thinkctl.protocols import Stream
from thinkctl.testing import ScriptedEngine, ScriptedStream
from thinkctl.types import Delta, GenerationSpec, Message

QUESTION = [Message(role="user", content="2+2?")]
TEXT = r"Two and two is four, so \boxed{4}."
CUE = " So \\boxed{"


def spec(max_tokens: int = 100, **more: Any) -> GenerationSpec:
    return GenerationSpec(max_tokens, **more)


async def read(stream: Stream, tokens: int | None = None, into: list[int] | None = None) -> list[Delta]:
    """Read a stream to its end, or until at least so many tokens came; ``into`` keeps them if it fails."""
    deltas: list[Delta] = []
    if tokens == 0:
        return deltas
    async for delta in stream:
        deltas.append(delta)
        if into is not None:
            into += delta.token_ids
        if tokens is not None and len(ids(deltas)) >= tokens:
            break
    return deltas


def ids(deltas: Sequence[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def ask(engine: ScriptedEngine, *after: Sequence[int], **more: Any) -> ScriptedStream:
    """Open a stream on the question and more tokens after it."""
    prompt = [*engine.tokenizer.chat(QUESTION), *(token for part in after for token in part)]
    return engine.stream(prompt, spec(**more))


async def say(engine: ScriptedEngine, *after: Sequence[int], **more: Any) -> str:
    """Return all that a new stream says."""
    return engine.tokenizer.decode(ids(await read(ask(engine, *after, **more))))
