"""Of which type an answer is to be: a small value that a problem carries and a run file keeps."""

from __future__ import annotations

import inspect
import json
import re
import sys
import typing
from collections.abc import Hashable
from enum import Enum
from typing import Any, Final, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, PydanticUserError, TypeAdapter, model_validator
from pydantic.errors import PydanticInvalidForJsonSchema

__all__ = ["AnswerType"]

_WORDS: Final = (
    "a pydantic model, a Literal, an Enum, int, float, bool, a compiled pattern, or a type of outlines"
)
_LONGEST: Final = 50_000
"""Characters of a schema or a pattern."""
_PLAIN: Final[dict[object, str]] = {int: "integer", float: "number", bool: "boolean"}
_ANY: Final = (str, bytes, object, Any, type(None))
Choice = str | int | float | bool


class AnswerType(BaseModel):
    """The type of an answer, as plain data: :meth:`of` makes one from a Python type.

    ``kind`` says what the answer's text is: an ``integer``, a decimal ``number``, a ``boolean`` (``true``, ``false``),
    one of ``choices``, text that ``pattern`` matches as a whole, or a value of ``json_schema`` (a JSON schema as text).
    What a pydantic class checks by Python code of its own is not in its schema, and so not in this value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    kind: Literal["integer", "number", "boolean", "choice", "pattern", "json"]
    choices: tuple[Choice, ...] = ()
    pattern: str = Field(default="", max_length=_LONGEST)
    json_schema: str = Field(default="", max_length=_LONGEST)

    @model_validator(mode="after")
    def _says_what_its_kind_needs(self) -> Self:
        needed = {"choice": "choices", "pattern": "pattern", "json": "json_schema"}.get(self.kind)
        for name in ("choices", "pattern", "json_schema"):
            if bool(getattr(self, name)) != (name == needed):
                lacks = "needs" if name == needed else "has no"
                raise ValueError(f"an answer type of kind {self.kind!r} {lacks} {name}")
        if len({str(choice) for choice in self.choices}) < len(self.choices):
            raise ValueError(f"choices={self.choices!r}: two of them are written alike")
        if self.json_schema and not isinstance(_json_of(self.json_schema), dict):
            raise ValueError(f"json_schema={self.json_schema[:60]!r} is no JSON object")
        return self

    def __hash__(self) -> int:
        """Hash all there is."""
        return hash((self.kind, self.choices, self.pattern, self.json_schema))

    @classmethod
    def of(cls, what: object) -> Self:
        """Return the type that ``what`` describes.

        That is a pydantic model, a dataclass, ``list[...]`` or whatever else pydantic has a JSON schema of; ``int``,
        ``float``, ``bool``, ``Literal[...]``, an ``Enum``; a compiled pattern without flags; or a value of
        ``outlines.types`` (``Regex``, ``JsonSchema``, ``Choice``, a term made of these). Raises ``ValueError`` for
        what is none of these, and for types that every text has.
        """
        if isinstance(what, cls):
            return what
        if isinstance(what, re.Pattern):
            return cls._of_pattern(what)
        if type(what).__module__.startswith("outlines."):
            return cls._of_outlines(what)
        if not isinstance(what, Hashable):
            raise ValueError(f"answer_type={what!r} is not understood; give {_WORDS}")
        if what in _ANY:
            raise ValueError(f"answer_type={what!r}: every text is one; leave the type out")
        if (kind := _PLAIN.get(what)) is not None:
            return cls.model_validate({"kind": kind})
        if typing.get_origin(what) is Literal:
            return cls._of_choices(what, typing.get_args(what))
        if inspect.isclass(what) and issubclass(what, Enum):
            return cls._of_choices(what, tuple(member.value for member in what))
        if inspect.isclass(what) or typing.get_origin(what) is not None:
            return cls._of_python(what)
        raise ValueError(f"answer_type={what!r} is not understood; give {_WORDS}")

    @classmethod
    def _of_choices(cls, what: object, values: tuple[object, ...]) -> Self:
        if not values or not all(isinstance(value, str | int | float) for value in values):
            raise ValueError(
                f"answer_type={what!r}: choices are texts, numbers, True and False; there is another, or none"
            )
        return cls.model_validate({"kind": "choice", "choices": values})

    @classmethod
    def _of_pattern(cls, what: re.Pattern[Any]) -> Self:
        if not isinstance(what.pattern, str) or what.flags & ~re.UNICODE:
            raise ValueError(
                f"answer_type={what!r}: a pattern is of text and has no flags; write them into the pattern"
            )
        return cls.model_validate({"kind": "pattern", "pattern": what.pattern})

    @classmethod
    def _of_python(cls, what: object) -> Self:
        try:
            adapter = TypeAdapter[Any](cast("Any", what))
            schema = adapter.json_schema(mode="validation")
        except (PydanticUserError, PydanticInvalidForJsonSchema) as error:
            raise ValueError(
                f"answer_type={what!r} has no JSON schema ({error.message}); give {_WORDS}"
            ) from None
        return cls.model_validate({"kind": "json", "json_schema": json.dumps(schema)})

    @classmethod
    def _of_outlines(cls, what: object) -> Self:
        """Read a value of outlines by its own module, which is loaded where there is such a value."""
        name = type(what).__name__
        if name == "JsonSchema":
            schema = _json_of(getattr(what, "schema", ""))
            return cls.model_validate({"kind": "json", "json_schema": json.dumps(schema)})
        if name == "Choice":
            return cls._of_choices(what, tuple(getattr(what, "items", ())))
        if name == "Regex":
            return cls.model_validate({"kind": "pattern", "pattern": getattr(what, "pattern", "")})
        to_regex = getattr(sys.modules.get("outlines.types.dsl"), "to_regex", None)
        try:
            pattern = None if to_regex is None or name == "CFG" else to_regex(what)
        except (TypeError, ValueError, NotImplementedError):
            pattern = None
        if not isinstance(pattern, str):
            raise ValueError(
                f"answer_type={what!r}: of outlines' types, those that a regular expression or a schema describes"
            )
        return cls.model_validate({"kind": "pattern", "pattern": pattern})


def _json_of(text: object) -> object:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError as error:
        raise ValueError(f"the schema is no JSON: {error}") from None
