"""The ways to ask a server for one generation, and what each of them honours."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, final

from thinkctl.engines.openai._pieces import PieceTokenizer
from thinkctl.engines.openai._reading import ChatReader, Reader, TokenReader
from thinkctl.errors import ConfigurationError
from thinkctl.types import Constraint, GenerationSpec, Message, ThinkingMarks

__all__ = ["Chat", "Completions", "Continuation", "Generate", "Holds", "Route", "Settings"]

Continuation = Literal["final-message", "turn"]
"""How a text is gone on with over chat: as the last message (``continue_final_message``), or by asking for it."""

Holds = Literal["regex", "json-schema"]
"""How a server is told what an answer is to be: ``structured_outputs`` (vLLM), or ``response_format``."""

_GO_ON: Final = "Go on exactly where you stopped. Repeat nothing of it and say nothing about it."


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """How requests to a server are written.

    ``usage_in_chunks`` asks for a running count (vLLM, SGLang). ``limit`` is the name of the field for
    ``max_tokens``. ``omit`` are fields that this server refuses. ``extra`` are further fields of the body.
    ``holds`` is what it can hold an answer to.
    """

    model: str
    usage_in_chunks: bool
    limit: str = "max_tokens"
    omit: frozenset[str] = frozenset()
    extra: Mapping[str, Any] | None = None
    native_thinking: bool = False
    holds: Holds | None = None

    def body(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return a body without what the server refuses and with what the user added."""
        kept = {name: value for name, value in fields.items() if name not in self.omit}
        return kept | dict(self.extra or {})

    @property
    def stream_options(self) -> dict[str, bool]:
        """What is asked for beside the tokens."""
        return {"include_usage": True} | ({"continuous_usage_stats": True} if self.usage_in_chunks else {})


class Route(ABC):
    """One way to ask."""

    path: str
    exact: bool
    """Whether token ids go there and back."""
    abortable: bool = False
    """Whether a stream can be ended by its id, so that what it used is known to the token."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @property
    def model(self) -> str:
        """What the server calls the model."""
        return self._settings.model

    @abstractmethod
    def ask(self, prompt: Sequence[int], spec: GenerationSpec, key: str) -> tuple[dict[str, Any], Reader]:
        """Return the body of a request and what reads its answer."""

    def _sampling(self, spec: GenerationSpec) -> dict[str, Any]:
        fields: dict[str, Any] = {"temperature": spec.temperature, "top_p": spec.top_p}
        if spec.top_k:
            fields["top_k"] = spec.top_k
        if spec.min_p:
            fields["min_p"] = spec.min_p
        if spec.seed is not None:
            fields["seed"] = spec.seed
        if spec.stop_token_ids:
            fields["stop_token_ids"] = list(spec.stop_token_ids)
        if spec.ignore_end:
            fields["ignore_eos"] = True
        if spec.thinking_tokens is not None and self._settings.native_thinking:
            fields["thinking_token_budget"] = spec.thinking_tokens
        if spec.constraint is not None:
            fields |= self._held(spec.constraint)
        return fields

    def _held(self, constraint: Constraint) -> dict[str, Any]:
        """Return what asks for a constraint: vLLM's own field, else JSON by the protocol's; nothing where neither."""
        if self._settings.holds == "regex":
            return {"structured_outputs": {"regex": constraint.regex}}
        if self._settings.holds is None or not constraint.json_schema:
            return {}
        schema = json.loads(constraint.json_schema)
        if _kind(schema) != "object":
            return {}
        asked = {"name": "answer", "schema": schema} | ({"strict": True} if _is_strict(schema) else {})
        return {"response_format": {"type": "json_schema", "json_schema": asked}}


@final
class Generate(Route):
    """vLLM's token route: ids in, ids out, and a stream that can be aborted by its id."""

    path = "/inference/v1/generate"
    exact = True
    abortable = True

    def ask(self, prompt: Sequence[int], spec: GenerationSpec, key: str) -> tuple[dict[str, Any], Reader]:
        """Return the body of a request and what reads its answer."""
        sampling = self._sampling(spec) | {"max_tokens": spec.max_tokens, "detokenize": False}
        if spec.logprobs is not None:
            sampling["logprobs"] = spec.logprobs
        body = {
            "model": self._settings.model,
            "request_id": key,
            "token_ids": list(prompt),
            "sampling_params": self._settings.body(sampling),
            "stream": True,
            "stream_options": self._settings.stream_options,
        }
        return body | ({"priority": spec.priority} if spec.priority else {}), TokenReader(spec)

    @staticmethod
    def name_of(key: str) -> str:
        """Return what the server calls a request."""
        return f"generate-tokens-{key}"


@final
class Completions(Route):
    """``/v1/completions`` with token ids for the prompt and ``return_token_ids`` for the rest."""

    path = "/v1/completions"
    exact = True

    def ask(self, prompt: Sequence[int], spec: GenerationSpec, key: str) -> tuple[dict[str, Any], Reader]:
        """Return the body of a request and what reads its answer."""
        fields = self._sampling(spec) | {
            "model": self._settings.model,
            "prompt": list(prompt),
            "max_tokens": spec.max_tokens,
            "stream": True,
            "stream_options": self._settings.stream_options,
            "return_token_ids": True,
            "add_special_tokens": False,
            "request_id": key,
        }
        if spec.logprobs is not None:
            fields["logprobs"] = spec.logprobs
        if spec.priority:
            fields["priority"] = spec.priority
        return self._settings.body(fields), TokenReader(spec)


@final
class Chat(Route):
    """``/v1/chat/completions``: messages in, text out."""

    path = "/v1/chat/completions"
    exact = False

    def __init__(
        self,
        settings: Settings,
        tokenizer: PieceTokenizer,
        marks: ThinkingMarks | None,
        continuation: Continuation,
        effort: str | None,
    ) -> None:
        super().__init__(settings)
        self._tokenizer = tokenizer
        self._marks = marks
        self._continuation = continuation
        self._effort = effort

    def ask(self, prompt: Sequence[int], spec: GenerationSpec, key: str) -> tuple[dict[str, Any], Reader]:
        """Return the body of a request and what reads its answer."""
        if spec.stop_token_ids:
            raise ConfigurationError(
                f"stop_token_ids={list(spec.stop_token_ids)}: a server that speaks text knows no token ids"
            )
        messages, said = self._tokenizer.conversation(prompt)
        fields = self._sampling(spec) | {
            "model": self._settings.model,
            "messages": self._turns(messages, said),
            self._settings.limit: spec.max_tokens,
            "stream": True,
            "stream_options": self._settings.stream_options,
        }
        if said and self._continuation == "final-message":
            fields |= {"continue_final_message": True, "add_generation_prompt": False}
        if self._effort is not None:
            fields["reasoning_effort"] = self._effort
        if spec.logprobs is not None:
            fields["logprobs"] = True
            if spec.logprobs:
                fields["top_logprobs"] = spec.logprobs
        after = said if self._continuation == "turn" else ""
        return self._settings.body(fields), ChatReader(spec, self._tokenizer, self._marks, after)

    def _turns(self, messages: Sequence[Message], said: str) -> list[dict[str, str]]:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        if said:
            turns.append({"role": "assistant", "content": said})
            if self._continuation == "turn":
                turns.append({"role": "user", "content": _GO_ON})
        return turns


def _kind(schema: Mapping[str, Any]) -> object:
    """Return the type of the values of a schema, as far as its top and one reference say."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    about = schema.get("$defs", {}).get(name, schema)
    return about.get("type") if isinstance(about, Mapping) else None


def _is_strict(part: Any) -> bool:
    """Say whether all objects in a schema name all they may have: only such a one can a server be strict about."""
    if isinstance(part, list):
        return all(map(_is_strict, part))
    if not isinstance(part, Mapping):
        return True
    if "properties" in part and isinstance(part["properties"], Mapping):
        named = set(part["properties"])
        if part.get("additionalProperties") is not False or set(part.get("required", ())) != named:
            return False
    return all(map(_is_strict, part.values()))
