"""Check that an answer is JSON of a given shape, and say by path what is not."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, final

from pydantic import BaseModel, PydanticUserError, TypeAdapter, ValidationError

from thinkctl.answers import form
from thinkctl.answers.schemas import Schema as JsonSchema
from thinkctl.answers.schemas import Unfit
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.types import History, Problem, Sample, Verdict

__all__ = ["Schema"]

_LONGEST: Final = 200_000
_MOST_ERRORS: Final = 8
_LONGEST_INPUT: Final = 60


@final
@dataclasses.dataclass(frozen=True)
class Schema:
    """Pass an answer that is JSON and fits: a pydantic model, or the JSON schema that the problem gives.

    ``model`` names a pydantic model or a dataclass as ``"package.module:Class"``; the module is imported, so take it
    from people who may run code here. Where it is empty, the schema is ``problem.given["json_schema"]``, an object,
    else that of the problem's ``answer_type``. What the class checks by Python code of its own is checked too, which
    no schema tells.

    The feedback lists what is wrong by its path ("items.0.price: Input should be a valid number"); of a JSON schema it
    is the first thing found. That an answer has the right shape says nothing of whether it is right.

    Raises ``ConfigurationError`` for a class that is not there or that pydantic cannot check, and when it judges a
    problem without any schema.
    """

    model: str = ""

    def __post_init__(self) -> None:
        if self.model:
            _adapter(self.model)

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        schema = None if self.model else _json_schema(history.problem)
        if sample.answer is None:
            return _failed("There is no answer.")
        text = _json_in(sample.answer.text)
        if len(text) > _LONGEST:
            return _failed(f"The answer is longer than {_LONGEST} characters.")
        try:
            if schema is None:
                _adapter(self.model).validate_json(text)
            else:
                schema.fitted(json.loads(text))
        except ValidationError as error:
            return _failed(_by_path(error))
        except (Unfit, ValueError, RecursionError, OverflowError) as error:
            what = "it does not fit the schema" if isinstance(error, Unfit) else "it is no JSON"
            return _failed(f"The answer is wrong: {what}: {error}")
        return Verdict(1.0, passed=True)


@lru_cache(maxsize=64)
def _adapter(name: str) -> TypeAdapter[Any]:
    module, colon, attribute = name.partition(":")
    if not colon or not attribute:
        raise ConfigurationError(f"model={name!r} names no class; write 'package.module:Class'")
    try:
        found: Any = importlib.import_module(module)
        for step in attribute.split("."):
            found = getattr(found, step)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"model={name!r} cannot be found: {error}") from None
    is_shape = inspect.isclass(found) and (issubclass(found, BaseModel) or dataclasses.is_dataclass(found))
    if not is_shape:  # of a function pydantic would make a call
        raise ConfigurationError(f"model={name!r} is no pydantic model and no dataclass")
    try:
        return TypeAdapter(found)
    except PydanticUserError as error:
        raise ConfigurationError(f"model={name!r} cannot be checked: {error.message}") from None


def _json_schema(problem: Problem) -> JsonSchema:
    given = problem.given.get("json_schema")
    if isinstance(given, dict):
        return _schema_of(json.dumps(given))
    if problem.answer_type is not None and problem.answer_type.json_schema:
        return _schema_of(problem.answer_type.json_schema)
    raise ConfigurationError(
        f"problem {problem.id!r} gives no schema; give the verifier a model=, or the problem its own: "
        'Problem(given={"json_schema": {...}})'
    )


@lru_cache(maxsize=64)
def _schema_of(text: str) -> JsonSchema:
    return JsonSchema(text)


def _json_in(text: str) -> str:
    """Return the JSON of an answer: the answer, or what stands in it, such as in a fence."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return form("json").extract(text) or text
    return text


def _failed(feedback: str) -> Verdict:
    return Verdict(0.0, passed=False, feedback=feedback)


def _by_path(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    lines = [f"{_path(one['loc'])}: {one['msg']}, not {_shown(one['input'])}" for one in found[:_MOST_ERRORS]]
    more = [f"and {len(found) - _MOST_ERRORS} more"] if len(found) > _MOST_ERRORS else []
    return "\n".join(["The answer does not fit:", *lines, *more])


def _path(steps: Sequence[int | str]) -> str:
    return ".".join(map(str, steps)) or "as a whole"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_INPUT else f"{text[:_LONGEST_INPUT]}..."
