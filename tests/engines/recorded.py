"""Small recordings, and how a replay engine is asked about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from thinkctl.errors import RequestFailed
from thinkctl.protocols import Engine
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.testing import run
from thinkctl.types import (
    Finish,
    GenerationSpec,
    History,
    Message,
    ModelCard,
    Origin,
    Problem,
    Receipt,
    Request,
    Run,
    Sample,
    Segment,
    StopReason,
    StreamUsage,
    ThinkingMarks,
)

MANY = GenerationSpec(max_tokens=1000)

PLAIN = ModelCard(name="m")
THINKER = ModelCard(name="m", thinking=ThinkingMarks(start="<think>", end="</think>"))


def sample(
    index: int,
    text: str,
    *tokens: tuple[int, Origin],
    question: str = "2+2?",
    finish: Finish | None = Finish.STOP,
    prompt: int = 5,
    **told: Any,
) -> Sample:
    """A sample of the model "m" whose segments have so many tokens; its last one is the end of turn."""
    segments = tuple(
        Segment(tuple(range(100 * place, 100 * place + count)), origin)
        for place, (count, origin) in enumerate(tokens)
    )
    if finish is Finish.STOP:
        segments = (*segments[:-1], replace(segments[-1], token_ids=(*segments[-1].token_ids[:-1], 99_999)))
    messages = (Message(role="user", content=question),)
    told.setdefault("request", Request(messages))
    return Sample(
        index, model="m", prompt_ids=tuple(range(prompt)), segments=segments, text=text, finish=finish, **told
    )


def run_of(*samples: Sample, question: str = "2+2?") -> Run:
    problem = Problem.model_validate({"messages": question, "id": question})
    return Run(History(problem, samples=samples), None, None, StopReason.DONE, "", Receipt())


def pool_of(*answers: str | None, id: str = "a", question: str = "2+2?", tokens: int = 3) -> Recorded:  # noqa: A002
    return Recorded(id, question, tuple(RecordedSample(answer, tokens) for answer in answers))


def prompt_of(engine: Engine, question: str = "2+2?") -> list[int]:
    return engine.tokenizer.chat((Message(role="user", content=question),))


async def play(
    engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY
) -> tuple[tuple[int, ...], Finish | None, StreamUsage]:
    stream = engine.stream(prompt, spec)
    deltas = [delta async for delta in stream]
    ids = tuple(token for delta in deltas for token in delta.token_ids)
    return ids, deltas[-1].finish, await stream.close()


def text_of(engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY) -> str:
    return engine.tokenizer.decode(run(play(engine, prompt, spec))[0])


def refusal(engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY) -> str:
    async def used() -> tuple[str, StreamUsage]:
        stream = engine.stream(prompt, spec)
        with pytest.raises(RequestFailed) as error:
            _ = [delta async for delta in stream]
        return str(error.value), await stream.close()

    why, usage = run(used())
    assert usage == StreamUsage()  # nothing was played
    return why
