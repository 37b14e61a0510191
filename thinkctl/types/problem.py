"""What is asked: messages, how to sample, the problem, and one request for a generation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from thinkctl.types.answer_type import AnswerType

__all__ = ["Message", "Problem", "Request", "Sampling"]


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Sampling(BaseModel):
    """How tokens are drawn.

    ``max_tokens`` bounds the whole sample, ``thinking_tokens`` its thought alone; ``None`` leaves that to the
    budget and the model's context. ``temperature`` 0 is greedy. ``top_k`` 0 keeps every token. ``logprobs``
    asks for the log-probability of each sampled token and of that many most likely alternatives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    temperature: float = Field(default=0.7, ge=0, le=10, allow_inf_nan=False)
    top_p: float = Field(default=1.0, gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    min_p: float = Field(default=0.0, ge=0, le=1)
    max_tokens: int | None = Field(default=None, gt=0)
    thinking_tokens: int | None = Field(default=None, ge=0)
    logprobs: int | None = Field(default=None, ge=0, le=20)


class Problem(BaseModel):
    """What is asked, and in which form the answer is expected.

    ``form`` names an answer form of ``thinkctl.answers`` (``boxed``, ``number``, ``choice``, ``json``, ...). With an
    ``answer_type`` it is ``typed``: the answer is held to that type, and votes are counted on its value. The type
    may be given as a Python type (``AnswerType.of`` says which): ``Problem.of(text, answer_type=Invoice)``.
    ``given`` is what a verifier may know of it besides: public tests, the numbers of a puzzle, a database; each
    verifier says which names it reads. A problem never holds the reference answer: only a grader does. ``id`` is
    derived from the content where none is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    messages: tuple[Message, ...] = Field(min_length=1)
    form: str = "boxed"
    id: str = ""
    given: Mapping[str, JsonValue] = Field(default_factory=dict)
    answer_type: AnswerType | None = None

    def model_post_init(self, context: Any, /) -> None:
        """Derive the id from the content, so that the same question has the same id in every run."""
        if not self.id:
            parts = [self.form, *(f"{turn.role}\x1f{turn.content}" for turn in self.messages)]
            parts += [json.dumps(dict(self.given), sort_keys=True)] if self.given else []
            parts += [json.dumps(self.answer_type.model_dump(mode="json"))] if self.answer_type else []
            text = "\x1e".join(parts)
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            object.__setattr__(self, "id", digest[:12])

    def __hash__(self) -> int:
        """Hash the id: what is given is a mapping."""
        return hash(self.id)

    @field_validator("answer_type", mode="before")
    @classmethod
    def _python_types_are_answer_types(cls, value: object) -> object:
        return value if value is None or isinstance(value, Mapping) else AnswerType.of(value)

    @model_validator(mode="before")
    @classmethod
    def _a_typed_answer_has_a_form_of_its_own(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        typed = value.get("answer_type") is not None
        form = value.get("form") or ("typed" if typed else None)
        if form is not None and typed != (form == "typed"):
            now = "leave form out" if typed else "give an answer_type"
            raise ValueError(f"form={form!r} and a type of the answer do not go together; {now}")
        return {**value, "form": form} if typed else value

    @field_validator("given")
    @classmethod
    def _what_is_given_can_be_written_down(cls, value: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
        json.dumps(dict(value), allow_nan=False)  # a ValueError where a number is not finite
        return value

    @field_validator("messages", mode="before")
    @classmethod
    def _text_is_one_user_message(cls, value: object) -> object:
        return ({"role": "user", "content": value},) if isinstance(value, str) else value

    @field_validator("messages")
    @classmethod
    def _something_is_asked(cls, value: tuple[Message, ...]) -> tuple[Message, ...]:
        if not any(turn.content.strip() for turn in value):
            raise ValueError("the problem is empty; give a question")
        return value

    @classmethod
    def of(
        cls, what: str | Problem, form: str | None = None, *, answer_type: object = None
    ) -> Self | Problem:
        """Take a problem as it is, or make one of a question's text; without a form it is ``boxed`` or ``typed``."""
        if isinstance(what, Problem):
            return what
        told = {"form": form, "answer_type": answer_type}
        return cls.model_validate({"messages": what} | {k: v for k, v in told.items() if v is not None})

    @property
    def text(self) -> str:
        """The last user turn, for people to read."""
        return next((turn.content for turn in reversed(self.messages) if turn.role == "user"), "")


@dataclass(frozen=True, slots=True)
class Request:
    """One generation that a strategy asks for.

    With ``parent`` (a launch index) the new sample goes on from that sample's own tokens, token-exactly: from
    its whole text without the end of turn, or, with ``reopen``, from its thought alone. ``extend`` is text
    that is forced next. Without a parent the messages are put through the model's chat template.

    ``until`` asks for one step of a longer chain: the sample ends with ``Finish.STEP`` after the token that
    completes that text among its own, or after ``sampling.max_tokens`` of them, and is not made to conclude.

    ``think=False`` asks for the answer at once: the whole sample counts as answer. ``model`` names an engine
    where the controller has several; ``None`` is the first.

    ``tag`` is a note that a strategy makes to itself, such as which part of a composed strategy asked; it is kept
    with the sample and never shown to a model.
    """

    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    parent: int | None = None
    reopen: bool = False
    extend: str = ""
    until: str | None = None
    think: bool = True
    model: str | None = None
    tag: str = ""
