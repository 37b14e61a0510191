"""Single values and lists of them as JSON values and back, exactly. Reading trusts nothing.

What is of the wrong type is a ``BadValue`` with its path; dataclasses are in ``thinkctl.runfile.codec``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from thinkctl.types import TokenLogprob

__all__ = [
    "BadValue",
    "Codec",
    "check_integer",
    "check_list",
    "check_object",
    "check_text",
    "check_truth",
    "dump_decimal",
    "dump_integers",
    "dump_logprobs",
    "dump_number",
    "dump_spec",
    "each",
    "enum_codec",
    "load_decimal",
    "load_integers",
    "load_logprobs",
    "load_number",
    "load_spec",
    "model_codec",
    "within",
    "wrong",
]

_NOT_FINITE: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SHOWN: Final = 40
"""At most so many characters of a wrong value are quoted in a message."""


class BadValue(ValueError):
    """A value is missing or of the wrong type; ``path`` leads to it."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(f"{path.removeprefix('.')}: {problem}" if path else problem)
        self.problem, self.path = problem, path

    def inside(self, step: str | int) -> BadValue:
        """Return the same error as seen from one level further out."""
        name = f"[{step}]" if isinstance(step, int) else f".{step}"
        return BadValue(self.problem, name + self.path)


def wrong(expected: str, value: object) -> BadValue:
    if isinstance(value, list | tuple | dict):
        return BadValue(f"expected {expected}, got a {type(value).__name__} of {len(value)}")
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return BadValue(f"expected {expected}, got an integer of more than {_SHOWN} digits")
    return BadValue(f"expected {expected}, got {repr(value)[:_SHOWN]} ({type(value).__name__})")


@dataclass(frozen=True, slots=True)
class Codec:
    """Two functions: a value to what JSON can hold, and what JSON held to the value."""

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


# ---------------------------------------------------------------------------------------------- single values


def check_integer(value: object) -> int:
    if type(value) is not int:
        raise wrong("an integer", value)
    return value


def check_text(value: object) -> str:
    if not isinstance(value, str):
        raise wrong("a text", value)
    return value


def check_truth(value: object) -> bool:
    if type(value) is not bool:
        raise wrong("true or false", value)
    return value


def dump_number(value: object) -> float | str:
    if isinstance(value, str):
        raise wrong("a number", value)
    number = value if isinstance(value, float) else load_number(value)
    return number if math.isfinite(number) else _name_of_number(number)


def _name_of_number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def load_number(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise wrong("a number that fits a float", value) from None
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    raise wrong("a number", value)


def dump_decimal(value: object) -> str:
    if not isinstance(value, Decimal) or value.is_snan():
        raise wrong("a decimal number", value)
    return str(value)


def load_decimal(value: object) -> Decimal:
    try:
        number = Decimal(check_text(value))
    except InvalidOperation:
        raise wrong("a decimal number", value) from None
    if number.is_snan():
        raise wrong("a decimal number", value)
    return number


def enum_codec(kind: type[Enum]) -> Codec:
    known = {member.value: member for member in kind}

    def dump(value: object) -> object:
        if not isinstance(value, kind):
            raise wrong(f"a {kind.__name__}", value)
        return value.value

    def load(value: object) -> Enum:
        if not isinstance(value, str) or value not in known:
            raise wrong(f"one of {', '.join(known)}", value)
        return known[value]

    return Codec(dump, load)


def model_codec(kind: type[BaseModel]) -> Codec:
    def dump(value: object) -> object:
        if type(value) is not kind:
            raise wrong(f"a {kind.__name__}", value)
        return value.model_dump(mode="json", exclude_defaults=True)

    def load(value: object) -> BaseModel:
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            unknown = [item["loc"] for item in error.errors() if item["type"] == "extra_forbidden"]
            if not unknown:
                first = error.errors()[0]
                path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
                raise BadValue(first["msg"], path) from None
        for loc in unknown:
            value = _without(value, loc)
        return load(value)

    return Codec(dump, load)


def _without(value: Any, path: tuple[str | int, ...]) -> Any:
    """Return a copy of a JSON value in which the field at ``path`` is left out."""
    step, rest = path[0], path[1:]
    if not rest:
        return {name: item for name, item in value.items() if name != step}
    copy = value.copy()
    copy[step] = _without(value[step], rest)
    return copy


def _dump_plain(value: object) -> Any:
    """Check that a value is made of what JSON knows; that is what a spec is made of."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"$float": _name_of_number(value)}
    if isinstance(value, list):
        return each(value, _dump_plain)
    if isinstance(value, Mapping):
        return dump_spec(value)
    raise wrong("plain data as spec_of() makes it", value)


def _dump_name(name: object) -> str:
    """A leading ``$`` is ours, so one that was there is doubled."""
    return f"${name}" if check_text(name).startswith("$") else check_text(name)


def _load_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_load_plain(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return load_number(value["$float"])
        return {name.removeprefix("$"): _load_plain(item) for name, item in value.items()}
    return value


def dump_spec(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise wrong("a spec as spec_of() makes it", value)
    return {_dump_name(name): within(name, _dump_plain, item) for name, item in value.items()}


def load_spec(value: object) -> Any:
    return {name.removeprefix("$"): _load_plain(item) for name, item in check_object(value).items()}


def check_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong("an object", value)
    return value


def check_list(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise wrong("a list", value)
    return value


def within(step: str | int, convert: Callable[[Any], Any], value: object) -> Any:
    """Convert a value; an error then says that it was inside ``step``."""
    try:
        return convert(value)
    except BadValue as error:
        raise error.inside(step) from None


def each(values: object, convert: Callable[[Any], Any]) -> list[Any]:
    """Convert each item of a list; an error then says which item it was."""
    items = check_list(values)
    done: list[Any] = []
    try:
        done.extend(convert(item) for item in items)
    except BadValue as error:
        raise error.inside(len(done)) from None
    return done


# --------------------------------------------------------------------------------------------- tuples of many


def dump_integers(values: object) -> list[int] | tuple[int, ...]:
    items = check_list(values)
    return items if set(map(type, items)) <= {int} else each(items, check_integer)


def load_integers(values: object) -> tuple[int, ...]:
    return tuple(dump_integers(values))


def dump_logprobs(values: object) -> list[Any]:
    return each(values, _dump_logprob)


def _dump_logprob(value: object) -> list[Any]:
    if not isinstance(value, TokenLogprob):
        raise wrong("a TokenLogprob", value)
    row = [value.sampled, *value.top]
    plain = set(map(type, row)) == {float} and math.isfinite(sum(row))
    return row if plain else each(row, dump_number)


def load_logprobs(values: object) -> tuple[TokenLogprob, ...]:
    done: list[TokenLogprob] = []
    for row in check_list(values):
        numbers = row if type(row) is list else within(len(done), check_list, row)
        if set(map(type, numbers)) != {float}:  # the usual case is quick: there may be millions of rows
            numbers = within(len(done), lambda items: each(items, load_number), numbers)
        if not numbers:
            raise BadValue("expected a log-probability, got an empty row", f"[{len(done)}]")
        done.append(TokenLogprob(numbers[0], tuple(numbers[1:])))
    return tuple(done)
