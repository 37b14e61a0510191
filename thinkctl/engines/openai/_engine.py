"""Any OpenAI-compatible server as an engine: token-exact where it takes token ids, by text elsewhere."""

from __future__ import annotations

import asyncio
import itertools
import os
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, final
from urllib.parse import urlsplit
from weakref import WeakSet

import openai

from thinkctl.engines.life import LiveEngine
from thinkctl.engines.openai._connection import Connection
from thinkctl.engines.openai._metrics import counters_from
from thinkctl.engines.openai._pieces import PieceTokenizer
from thinkctl.engines.openai._routes import Chat, Completions, Continuation, Generate, Holds, Route, Settings
from thinkctl.engines.openai._served import RUNNING_COUNTS, card_of, folder_of, lists_all, tokenizer_in
from thinkctl.engines.openai._stream import ServerStream
from thinkctl.engines.tokenizer import FolderTokenizer
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.protocols import Tokenizer
from thinkctl.types import Capabilities, EngineCounters, GenerationSpec, Message, ModelCard

__all__ = ["OpenAIEngine"]

RouteName = Literal["auto", "generate", "completions", "chat"]

_ROUTES: Final = ("auto", "generate", "completions", "chat")
_VLLM: Final = "vllm"
_CHARS_PER_TOKEN: Final = 4
_SETTLES: Final = 1.0
_LOOK_AGAIN: Final = 0.02
"""Seconds."""


@final
class OpenAIEngine(LiveEngine):
    """An engine around a server that speaks OpenAI's protocol. Its first stream looks at the server, or ``start``.

    Where the server is vLLM's and the model's tokenizer is at hand, prompts and samples are token ids and
    continuation is exact. Elsewhere they are text: every piece of text has an id that means nothing to others,
    and a continuation is asked for as text.

    Args:
        model: The model's name there. Default: the only one it serves.
        base_url: Where it is, with ``/v1``. Default: ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: Default: ``OPENAI_API_KEY``; a server on this machine may need none.
        route: ``generate`` (vLLM's token route), ``completions`` (token ids there), ``chat`` (text); ``auto``
            takes the first that works.
        tokenizer: Folder with the model's tokenizer. Default: where the server says its model is, if that is a
            folder of this machine.
        continuation: How a text is gone on with over chat. Default: ``final-message`` with vLLM, else ``turn``.
        card: What is known of the model. Default: read from its folder, if that is here.
        attempts: How often a request is sent at most, while the server is busy or does not answer. A budget
            that limits requests allows one.
        timeout: Seconds without a sign of life after which a request has failed.
        streams: How many run at once.
        effort: ``reasoning_effort`` of every request over chat: a hint to the model, no limit.
        native_thinking: Send the thinking cap along as vLLM's ``thinking_token_budget``. It saves a request where
            it works; whether it did is counted, and what it let pass is closed as without it.
        holds: What the server can hold an answer to: ``regex`` (vLLM), ``json-schema`` (``response_format``, objects
            alone), ``nothing``. Default: ``regex`` with vLLM, ``json-schema`` with SGLang and OpenAI's own, else
            ``nothing``. Every answer of a type is checked whatever it is.
        omit: Fields that this server refuses, such as ``temperature``.
        extra: Further fields for every request's body.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        route: RouteName = "auto",
        tokenizer: str | Path | None = None,
        continuation: Continuation | None = None,
        card: ModelCard | None = None,
        attempts: int = 3,
        timeout: float = 120.0,
        streams: int = 64,
        effort: str | None = None,
        native_thinking: bool = False,
        holds: Holds | Literal["nothing"] | None = None,
        omit: Collection[str] = (),
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        if route not in _ROUTES:
            raise ConfigurationError(f"route={route!r} is not known; use one of {', '.join(_ROUTES)}")
        if holds not in {None, "regex", "json-schema", "nothing"}:
            raise ConfigurationError(f"holds={holds!r} is not known; use regex, json-schema or nothing")
        if attempts < 1:
            raise ConfigurationError(f"attempts={attempts}; a request is sent at least once")
        self._url = base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(f"base_url={self._url!r} is no address; write http://HOST:PORT/v1")
        local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
        key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if local else None)
        self._connection = Connection(self._url, key, timeout=timeout, streams=streams)
        self.where = self._connection.where
        self.attempts = attempts
        self.live: WeakSet[ServerStream] = WeakSet()
        self._model = model
        self._wanted: RouteName = route
        self._folder = None if tokenizer is None else Path(tokenizer).expanduser()
        self._continuation: Continuation | None = continuation
        self._given_card = card
        self._streams = streams
        self._effort = effort
        self._native_thinking = native_thinking
        self._holds: Holds | Literal["nothing"] | None = holds
        self._omit = frozenset(omit)
        self._extra = dict(extra or {})
        self._starting: asyncio.Lock | None = None
        self._route: Route | None = None
        self._tokenizer: Tokenizer | None = None
        self._card = card or ModelCard(name=model or self._url)
        self._counts = False
        self._owner = ""
        self._closed = False
        self._name = uuid.uuid4().hex[:8]
        self._numbers = itertools.count()

    # ---------------------------------------------------------------------------------------- what it is
    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer, or what stands in for it. Known once the engine was started."""
        if self._tokenizer is None:
            raise ConfigurationError(
                "what this server takes is known once the engine was started: await start()"
            )
        return self._tokenizer

    @property
    def route(self) -> Route:
        """How it is asked. Known once the engine was started."""
        if self._route is None:
            raise ConfigurationError(
                "how this server is asked is known once the engine was started: await start()"
            )
        return self._route

    @property
    def caps(self) -> Capabilities:
        """What it honours, as far as it is known; ``thinkctl doctor`` proves it."""
        exact = self._route is not None and self._route.exact
        return Capabilities(
            token_prompts=exact,
            overshoot=1 if self._route is not None and self._route.abortable else None,
            logprobs=self._logprobs(exact=exact),
            streams=self._streams,
            counters=self._counts,
            constraints=self._can_hold() is not None,
            scores=False,
        )

    def _can_hold(self) -> Holds | None:
        if self._holds == "nothing":
            return None
        if self._holds is not None:
            return self._holds
        if self._owner == _VLLM:
            return "regex"
        return "json-schema" if self._owner in RUNNING_COUNTS or "openai.com" in self._url else None

    def _logprobs(self, *, exact: bool) -> int:
        """Return how many alternatives it gives; as long as nothing is known of a server, the most."""
        if self._route is None or exact or self._owner == _VLLM:
            return 20
        return 5 if "openai.com" in self._url else -1

    # ---------------------------------------------------------------------------------- what it does
    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> ServerStream:
        """Start a generation after ``prompt``; nothing is sent before the stream is awaited.

        Raises ``ContextExceeded`` if it does not fit, ``EngineUnavailable`` after the engine's end.
        """
        self.check(prompt, spec)
        return ServerStream(self, tuple(prompt), spec, f"thinkctl-{self._name}-{next(self._numbers)}")

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Refuse: no route of these servers gives the log-probabilities of chosen tokens without disturbing others."""
        raise RequestFailed(
            "a server gives no scores of chosen tokens; have the judge answer in words, or use vllm:"
        )

    async def start(self) -> None:
        """Look at the server: what it serves, which routes it has, whether it counts. May be called again.

        Raises ``EngineUnavailable`` if it cannot be reached, refuses the key or has no such model.
        """
        self._check_open()
        if self._route is not None:
            return
        self._starting = self._starting or asyncio.Lock()
        async with self._starting:
            if self._route is None:
                try:
                    await self._look()
                except BaseException:
                    await self._connection.hang_up()
                    raise

    async def counters(self) -> EngineCounters:
        """Return the server's own counts, from its ``/metrics``; all ``None`` where it has none.

        The page tells of the last step that ended. While it says that streams run and we have none, it is read
        again for up to a second.
        """
        await self.start()
        if not self._counts:
            return EngineCounters()
        metrics = f"{self._connection.root}/metrics"
        loop = asyncio.get_running_loop()
        end = loop.time() + _SETTLES
        while True:
            counters = counters_from((await self._connection.get(metrics)).text, self.route.model)
            if not counters.running or self.live or loop.time() > end:
                return counters
            await asyncio.sleep(_LOOK_AGAIN)

    async def answer(self, messages: Sequence[Message], **fields: Any) -> Mapping[str, Any]:
        """Return the whole answer to a conversation, as the server sent it. Raises ``ThinkctlError``.

        This is for looking at a server: nothing of it is on a bill.
        """
        await self.start()
        turns = [message.model_dump() for message in messages]
        body = {"model": self.route.model, "messages": turns} | fields
        return await self._connection.ask("/chat/completions", body)

    async def aclose(self) -> None:
        """End every stream and let go of the connections. The server goes on."""
        self._closed = True
        for stream in list(self.live):
            stream.fail(EngineUnavailable("the engine was closed"))
        await asyncio.gather(*(stream.close() for stream in list(self.live)))
        await self._connection.hang_up()

    # ------------------------------------------------------------------------------- for its streams
    def check(self, prompt: Sequence[int], spec: GenerationSpec) -> None:
        """Refuse what the server would refuse late."""
        self._check_open()
        if not prompt:
            raise ConfigurationError("the prompt is empty; give at least one token id")
        if spec.max_tokens < 1:
            raise ConfigurationError(f"max_tokens={spec.max_tokens}; a generation needs room for one token")
        if (
            spec.logprobs is not None
            and not 0 <= spec.logprobs <= self.caps.logprobs
            and self._route is not None
        ):
            raise ConfigurationError(
                f"logprobs={spec.logprobs}: this server gives at most {self.caps.logprobs}"
            )
        context, used = self._card.context, self.guess(prompt)
        if context is not None and used + spec.max_tokens > context:
            raise ContextExceeded(
                f"prompt of {used} and max_tokens={spec.max_tokens} do not fit the context {context}; "
                "ask for fewer tokens"
            )

    def guess(self, prompt: Sequence[int]) -> int:
        """Return how many tokens a prompt has, at least about: a stand-in prompt is as long as its bytes."""
        if isinstance(self._tokenizer, PieceTokenizer):
            padding = prompt.count(0)
            return len(prompt) - padding + padding // _CHARS_PER_TOKEN
        return len(prompt)

    async def post(self, path: str, body: Mapping[str, Any]) -> openai.AsyncStream[object]:
        """Send a request whose answer is a stream of events."""
        return await self._connection.post(path, body)

    async def abort(self, key: str) -> bool:
        """Have the server stop a request by its name; ``False`` if it cannot be told."""
        return await self._connection.abort(Generate.name_of(key))

    # ------------------------------------------------------------------------------- looking around
    async def _look(self) -> None:
        served = await self._connection.models()
        model = self._choose(served)
        about = served.get(model, {})
        self._owner = str(about.get("owned_by", ""))
        folder = self._folder or (folder_of(about) if self._owner == _VLLM else None)
        tokenizer = tokenizer_in(folder, card_of("tokenizer", {}, self._given_card, self._folder).thinking)
        settings = Settings(
            model=model,
            usage_in_chunks=self._owner in RUNNING_COUNTS,
            limit="max_completion_tokens" if "openai.com" in self._url else "max_tokens",
            omit=self._omit,
            extra=self._extra,
            native_thinking=self._native_thinking,
            holds=self._can_hold(),
        )
        self._card = card_of(model, about, self._given_card, self._folder)
        self._counts = await self._connection.has_metrics()
        route, self._tokenizer = await self._find_route(settings, tokenizer)
        self._route = route

    def _choose(self, served: Mapping[str, Any]) -> str:
        names = ", ".join(itertools.islice(served, 12)) or "nothing"
        if self._model is not None:
            if served and lists_all(served) and self._model not in served:
                raise EngineUnavailable(f"{self.where} does not serve {self._model!r}; it serves {names}")
            return self._model
        if len(served) != 1:
            raise ConfigurationError(f"say which model: {self.where} serves {names}")
        self._model = next(iter(served))
        return self._model

    async def _find_route(
        self, settings: Settings, tokenizer: FolderTokenizer | None
    ) -> tuple[Route, Tokenizer]:
        wanted = self._wanted
        if wanted in {"generate", "completions"} and tokenizer is None:
            raise ConfigurationError(
                f"route={wanted!r} speaks token ids and needs the model's tokenizer; give tokenizer=FOLDER"
            )
        if wanted == "auto":
            wanted = "chat"
            if tokenizer is not None and self._owner == _VLLM:
                wanted = "generate" if await self._connection.has_generate() else "completions"
        if tokenizer is not None and wanted != "chat":
            return (Generate(settings) if wanted == "generate" else Completions(settings)), tokenizer
        pieces = PieceTokenizer()
        continuation = self._continuation or ("final-message" if self._owner == _VLLM else "turn")
        return Chat(settings, pieces, self._card.thinking, continuation, self._effort), pieces

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("the engine was closed")
