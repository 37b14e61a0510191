"""The way to a server: a client for each event loop, and what can be learnt by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, final
from weakref import WeakKeyDictionary

import httpx2 as httpx
import openai

from thinkctl.engines.openai._failures import explained
from thinkctl.engines.openai._guard import guard
from thinkctl.engines.openai._reading import items, mapping
from thinkctl.engines.openai._routes import Generate
from thinkctl.errors import EngineUnavailable

__all__ = ["Connection"]

_CONNECT: Final = 10.0
"""Seconds."""


@final
class Connection:
    """Connections to one server. ``url`` ends in ``/v1`` as a rule, ``root`` does not.

    Nothing is opened before something is asked.
    """

    def __init__(self, url: str, key: str | None, *, timeout: float, streams: int) -> None:
        self.url = url
        self.root = url.rstrip("/").removesuffix("/v1")
        self.where = f"the server at {self.root}"
        self._key = key
        self._timeout = timeout
        self._streams = streams
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, openai.AsyncOpenAI] = WeakKeyDictionary()

    def client(self) -> openai.AsyncOpenAI:
        """Return the client of the running event loop: connections belong to one."""
        if self._key is None:
            raise EngineUnavailable("there is no key for this server; give api_key=... or set OPENAI_API_KEY")
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            timeout = httpx.Timeout(self._timeout, connect=_CONNECT)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._streams)
            http = openai.DefaultAsyncHttpxClient(
                timeout=timeout, limits=limits, event_hooks={"response": [guard]}
            )
            client = openai.AsyncOpenAI(
                api_key=self._key, base_url=self.url, max_retries=0, timeout=timeout, http_client=http
            )
            self._clients[loop] = client
        return client

    async def hang_up(self) -> None:
        """Let go of the connections of the running event loop."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    async def get(self, url: str) -> httpx.Response:
        """Return what the server has at an address."""
        return await self.client().get(url, cast_to=httpx.Response)

    async def post(self, path: str, body: Mapping[str, Any]) -> openai.AsyncStream[object]:
        """Send a request whose answer is a stream of events."""
        url = path if path.startswith("/inference") else path.removeprefix("/v1")
        return await self.client().post(
            self.root + url if path.startswith("/inference") else url,
            cast_to=object,
            body=dict(body),
            stream=True,
            stream_cls=openai.AsyncStream[object],
        )

    async def ask(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request and return its whole answer. Raises ``ThinkctlError``."""
        try:
            return mapping(await self.client().post(path, cast_to=object, body=dict(body)))
        except Exception as error:
            known = explained(error, self.where, 1)
            if known is None:
                raise
            raise known from error

    async def abort(self, name: str) -> bool:
        """Have the server stop a request by its name; ``False`` if it cannot be told."""
        url = self.root + "/inference/v1/abort_requests"
        try:
            await self.client().post(url, cast_to=httpx.Response, body={"request_ids": [name]})
        except openai.OpenAIError:
            return False
        return True

    # ------------------------------------------------------------------------------- looking around
    async def models(self) -> dict[str, Mapping[str, Any]]:
        """Return what it serves, by name; nothing where it has no list. Raises ``EngineUnavailable``."""
        try:
            answer = await self.client().get("/models", cast_to=object)
        except openai.NotFoundError:
            return {}
        except Exception as error:
            known = explained(error, self.where, 1)
            if known is None:
                raise
            raise EngineUnavailable(str(known)) from error
        listed = [mapping(one) for one in items(mapping(answer).get("data"))]
        return {one["id"]: one for one in listed if isinstance(one.get("id"), str)}

    async def has_generate(self) -> bool:
        """Ask for nothing: a server that has the route says what is missing, one that has not says 404."""
        try:
            await self.client().post(self.root + Generate.path, cast_to=object, body={})
        except (openai.NotFoundError, openai.APIConnectionError):
            return False
        except openai.APIStatusError as error:
            return error.status_code in {400, 422}
        return True

    async def has_metrics(self) -> bool:
        """Whether it counts as vLLM does."""
        try:
            return "vllm:generation_tokens" in (await self.get(f"{self.root}/metrics")).text
        except (openai.OpenAIError, httpx.HTTPError):
            return False
