"""JSON values and the schema they are to have: checked, and written the one way that votes are counted on.

It reads what pydantic writes of a type. Whoever states a number as text, or leaves out what has a default, says the
same as who does not.
"""

# JSON of any shape: what an isinstance finds has no known parts.
# pyright: standard

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, final

from thinkctl.answers.automaton import automaton, without_anchors
from thinkctl.errors import ConfigurationError

__all__ = ["Schema", "Unfit"]

_DEEPEST: Final = 60
_CHECKED: Final = frozenset(
    "$ref $defs definitions allOf anyOf oneOf const enum type properties required additionalProperties items "
    "prefixItems minItems maxItems uniqueItems minimum maximum exclusiveMinimum exclusiveMaximum multipleOf "
    "minLength maxLength pattern".split()
)
_SAID: Final = frozenset(
    "$schema $id $comment title description default examples format discriminator deprecated readOnly writeOnly "
    "contentMediaType contentEncoding contentSchema".split()
)
"""What says something of a value and refuses none."""
_NUMBERS: Final[Sequence[tuple[str, Callable[[Any, Any], bool]]]] = (
    ("minimum", lambda value, bound: value >= bound),
    ("maximum", lambda value, bound: value <= bound),
    ("exclusiveMinimum", lambda value, bound: value > bound),
    ("exclusiveMaximum", lambda value, bound: value < bound),
    ("multipleOf", lambda value, step: math.isclose(value / step, round(value / step), abs_tol=1e-9)),
)
_LENGTHS: Final[Mapping[type[str | list[Any]], tuple[str, str]]] = {
    str: ("minLength", "maxLength"),
    list: ("minItems", "maxItems"),
}
_LONGEST_NUMBER: Final = 40
_EXACT: Final = 2**53
"""Integers below it are floats without loss."""


class Unfit(ValueError):
    """A value is not what the schema says."""


@final
class Schema:
    """One JSON schema. Raises ``ConfigurationError`` for one with rules that are not read here."""

    def __init__(self, text: str) -> None:
        self._root: Mapping[str, Any] = json.loads(text)
        for part in _parts(self._root, 0):
            if unknown := sorted(part.keys() - _CHECKED - _SAID):
                raise ConfigurationError(
                    f"the schema of the answer has {unknown[0]!r}, which is not read; say it with types, "
                    "properties, items, choices, bounds and anyOf"
                )

    def fitted(self, value: object) -> Any:
        """Return a value as the schema has it: numbers that were texts, defaults filled in. Raises ``Unfit``."""
        return self._fit(value, self._root, 0)

    @property
    def shown(self) -> str:
        """The schema as a model is to read it: its titles only repeat its names."""
        return json.dumps(_untitled(self._root), ensure_ascii=False)

    @property
    def kinds(self) -> frozenset[str]:
        """The JSON types that a value may be of, as far as the schema says at its top."""
        return frozenset(_kinds(self._resolved(self._root, 0)))

    def _resolved(self, part: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        if "$ref" not in part or depth > _DEEPEST:
            return part
        found: Any = self._root
        for step in str(part["$ref"]).removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise ConfigurationError(
                    f"the schema of the answer refers to {part['$ref']!r}, which it does not have"
                )
            found = found[name]
        return self._resolved(found, depth + 1)

    def _fit(self, value: Any, part: Any, depth: int) -> Any:
        if part is True:
            return value
        if part is False or depth > _DEEPEST:
            raise Unfit("nothing fits here, or it is nested too deeply")
        if "$ref" in part:
            value = self._fit(value, self._resolved(part, 0), depth + 1)
        for also in part.get("allOf", ()):
            value = self._fit(value, also, depth + 1)
        for name in ("anyOf", "oneOf"):
            if name in part:
                value = self._first_fit(value, part[name], depth)
        value = _of_type(value, part.get("type"))
        _check_listed(value, part)
        _check_bounds(value, part)
        if isinstance(value, dict):
            return self._fit_object(value, part, depth)
        return self._fit_list(value, part, depth) if isinstance(value, list) else value

    def _first_fit(self, value: Any, options: Sequence[Any], depth: int) -> Any:
        """Take the option that takes the value as it is, else the first that can read it."""
        found: list[Any] = []
        for option in options:
            try:
                fitted = self._fit(value, option, depth + 1)
            except Unfit:
                continue
            if type(fitted) is type(value):
                return fitted
            found.append(fitted)
        if not found:
            raise Unfit("it is none of the options")
        return found[0]

    def _fit_object(self, value: dict[str, Any], part: Mapping[str, Any], depth: int) -> dict[str, Any]:
        named: Mapping[str, Any] = part.get("properties", {})
        others = part.get("additionalProperties", True)
        fitted = {
            name: self._fit(item, named.get(name, others), depth + 1)
            for name, item in value.items()
            if name in named
            or not (named and others is True)  # as pydantic: what was not asked for is passed over
        }
        for name in part.get("required", ()):
            if name not in value:
                raise Unfit(f"{name!r} is missing")
        for name, about in named.items():
            if name not in fitted and isinstance(about, Mapping) and "default" in about:
                fitted[name] = about["default"]
        return fitted

    def _fit_list(self, value: list[Any], part: Mapping[str, Any], depth: int) -> list[Any]:
        first: Sequence[Any] = part.get("prefixItems", ())
        rest = part.get("items", True)
        fitted = [
            self._fit(item, first[place] if place < len(first) else rest, depth + 1)
            for place, item in enumerate(value)
        ]
        if part.get("uniqueItems") and len({json.dumps(item, sort_keys=True) for item in fitted}) < len(
            fitted
        ):
            raise Unfit("an item is there twice")
        return fitted


def _parts(part: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and all schemas in it."""
    if not isinstance(part, Mapping):
        return
    if depth > _DEEPEST:
        raise ConfigurationError("the schema of the answer is nested too deeply")
    yield part
    for name in ("items", "additionalProperties"):
        yield from _parts(part.get(name), depth + 1)
    for name in ("properties", "$defs", "definitions"):
        for inner in part.get(name, {}).values():
            yield from _parts(inner, depth + 1)
    for name in ("allOf", "anyOf", "oneOf", "prefixItems"):
        for inner in part.get(name, ()):
            yield from _parts(inner, depth + 1)


def _untitled(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return part
    shown: dict[str, Any] = {}
    for name, inner in part.items():
        if name in {"properties", "$defs", "definitions"}:
            shown[name] = {key: _untitled(item) for key, item in inner.items()}
        elif name in {"allOf", "anyOf", "oneOf", "prefixItems"}:
            shown[name] = [_untitled(item) for item in inner]
        elif name != "title":
            shown[name] = _untitled(inner) if name in {"items", "additionalProperties"} else inner
    return shown


def _kinds(part: Mapping[str, Any]) -> Sequence[str]:
    kind = part.get("type", ())
    return [kind] if isinstance(kind, str) else list(kind)


def _of_type(value: Any, kind: Any) -> Any:
    if kind is None:
        return value
    for wanted in [kind] if isinstance(kind, str) else kind:
        try:
            return _READ[wanted](value)
        except (KeyError, Unfit):
            continue
    raise Unfit(f"it is no {kind}")


def _exactly(*kinds: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) not in kinds:
            raise Unfit("it is of another type")
        return value

    return read


def _number(value: Any) -> int | float:
    read: Any = value
    if isinstance(value, str) and len(value) <= _LONGEST_NUMBER:
        try:
            read = json.loads(value)
        except ValueError:
            raise Unfit("it is no number") from None
    if type(read) not in {int, float} or not math.isfinite(read):
        raise Unfit("it is no number")
    whole = type(read) is float and read.is_integer() and abs(read) < _EXACT
    return int(read) if whole else read


def _integer(value: Any) -> int:
    if type(number := _number(value)) is not int:
        raise Unfit("it is no integer")
    return number


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "string": _exactly(str),
    "boolean": _exactly(bool),
    "null": _exactly(type(None)),
    "object": _exactly(dict),
    "array": _exactly(list),
    "integer": _integer,
    "number": _number,
}


def _check_listed(value: Any, part: Mapping[str, Any]) -> None:
    listed = [part["const"]] if "const" in part else part.get("enum")
    if listed is not None and not any(type(value) is type(item) and value == item for item in listed):
        raise Unfit(f"it is none of {listed}")


def _check_bounds(value: Any, part: Mapping[str, Any]) -> None:
    if type(value) in {int, float}:
        for name, holds in _NUMBERS:
            if name in part and not holds(value, part[name]):
                raise Unfit(f"{name} is {part[name]}")
    for kind, (least, most) in _LENGTHS.items():
        if isinstance(value, kind) and not part.get(least, 0) <= len(value) <= part.get(most, math.inf):
            raise Unfit("its length is out of bounds")
    pattern = part.get("pattern")
    if isinstance(value, str) and pattern is not None:
        start = "" if pattern.startswith(("^", r"\A")) else r"(?s:.*)"
        bare = without_anchors(pattern)
        end = r"(?s:.*)" if bare.removeprefix("^") == pattern.removeprefix("^") else ""
        if not automaton(f"{start}({bare}){end}").matches(value):
            raise Unfit(f"it does not match {pattern!r}")
