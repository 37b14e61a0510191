"""Servers that misbehave, and what our engine makes of one stream or of one run with them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.engines.fake_server import Behaviour, FakeServer, Reply, delta, usage
from thinkctl import Budget, Controller, Prices, SelfConsistency
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.errors import RequestFailed
from thinkctl.types import GenerationSpec, Message

T = TypeVar("T")
ASK = [Message(role="user", content="What is 2+2?")]
ANSWER = [delta("It "), delta("is "), delta("\\boxed{"), delta("4}."), delta(finish="stop"), usage(4)]


async def leaves_nothing(server: FakeServer, work: Coroutine[Any, Any, T]) -> T:
    """Await work, and see that no task of ours and no generation of the server's outlives it."""
    try:
        return await work
    finally:
        assert await server.idle(), "the server still generates"


def against(*behaviours: Behaviour, tokens: int = 10, owner: str = "somebody", **options: Any):
    """Read one stream to its end; return text, finish, error, usage, and the server."""

    async def read():
        async with FakeServer(*behaviours, owner=owner) as server:
            engine = OpenAIEngine(base_url=server.address, **options)
            async with engine:
                stream = engine.stream(engine.tokenizer.chat(ASK), GenerationSpec(tokens))
                text, finish, error = "", None, None
                try:
                    async for part in stream:
                        text += engine.tokenizer.decode(part.token_ids)
                        finish = part.finish
                except RequestFailed as failed:
                    error = failed
                used = await leaves_nothing(server, stream.close())
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not [task for task in others if "thinkctl/engines" in str(task.get_coro())]
            return text, finish, error, used, server

    return asyncio.run(asyncio.wait_for(read(), 30))


def plays(*bodies: Any, done: bool = True) -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.events(*bodies, done=done)

    return behave


def answers(status: int, message: str = "no", **headers: str) -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.json({"error": {"message": message}}, status, **headers)

    return behave


def sends(data: bytes, kind: str = "text/event-stream") -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.head(kind=kind)
        await reply.raw(data)

    return behave


def solved(*behaviours: Behaviour, budget: Budget, n: int = 1, prices: Prices | None = None, **options: Any):
    """Solve a problem; return the run and the server."""

    async def solve():
        async with FakeServer(*behaviours) as server:
            engine = OpenAIEngine(base_url=server.address, **options)
            async with engine:
                controller = Controller(engine, SelfConsistency(n), prices=prices)
                run = await leaves_nothing(server, controller.solve("What is 2+2?", budget))
            return run, server

    return asyncio.run(asyncio.wait_for(solve(), 30))
