"""A server on loopback that misbehaves as its script says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Self

__all__ = ["Behaviour", "FakeServer", "Reply", "delta", "usage"]


class Reply:
    """One answer in the making. ``asked`` is the request's body."""

    def __init__(self, asked: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = asked
        self._reader = reader
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Send the head of an answer whose body ends with the connection."""
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("\r\n".join([*lines, "", ""]).encode())

    async def json(self, body: Any, status: int = 200, **headers: str) -> None:
        """Send a whole answer."""
        await self.head(status, "application/json", **headers)
        await self.raw(json.dumps(body).encode())

    async def event(self, body: Any) -> None:
        """Send one event of a stream."""
        await self.raw(b"data: " + (body if isinstance(body, str) else json.dumps(body)).encode() + b"\n\n")

    async def events(self, *bodies: Any, done: bool = True) -> None:
        """Send a whole stream."""
        await self.head()
        for body in bodies:
            await self.event(body)
        if done:
            await self.event("[DONE]")

    async def until_left(self) -> None:
        """Wait until the client hangs up."""
        with suppress(ConnectionError):
            await self._reader.read()


Behaviour = Callable[[Reply], Awaitable[None]]


class FakeServer:
    """Serves one model. Each generation is answered by the next behaviour, the last one over and over."""

    def __init__(self, *behaviours: Behaviour, owner: str = "somebody") -> None:
        self.asked: list[Any] = []
        self.open = 0
        self.address = ""
        self._behaviours = list(behaviours)
        self._owner = owner
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening; whoever is still being answered is cut off."""
        assert self._server is not None
        self._server.close()
        for handler in list(self._handlers):
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)

    async def idle(self) -> bool:
        """Say whether, within two seconds, every generation was ended by somebody."""
        for _ in range(200):
            if not self.open:
                return True
            await asyncio.sleep(0.01)
        return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
        finally:
            self._handlers.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = head[0].split(" ")[1]
        length = next(
            (int(line.split(":")[1]) for line in head if line.lower().startswith("content-length")), 0
        )
        body = await reader.readexactly(length)
        reply = Reply(json.loads(body) if body else None, reader, writer)
        if path == "/v1/models":
            await reply.json({"data": [{"id": "fake", "owned_by": self._owner}]})
        elif path == "/v1/chat/completions":
            self.asked.append(reply.asked)
            behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            self.open += 1
            try:
                await behaviour(reply)
            finally:
                self.open -= 1
        else:
            await reply.json({"error": {"message": f"no {path} here"}}, 404)


def delta(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """Return a chunk of a chat."""
    said = {} if text is None else {"content": text}
    return {"choices": [{"index": index, "delta": said, "finish_reason": finish}], **more}


def usage(generated: Any, prompt: Any = 7) -> dict[str, Any]:
    """Return the chunk that says what was used."""
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": generated}}
