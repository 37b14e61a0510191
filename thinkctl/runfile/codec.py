"""A run as a JSON value and back, exactly.

The shape follows from the dataclasses themselves: a field is written under its own name, and left out where
it has its default. Four things differ from that, to keep lines short:

- a sample's ``request``, ``prompt_ids`` and ``model`` default to those of the sample launched before it;
- a request's ``messages`` default to the problem's;
- log-probabilities are rows ``[sampled, *top]``;
- a float that JSON does not know is the text ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``.

Reading trusts nothing: a value of the wrong type is a ``BadValue`` with its path. Fields that are not known
are skipped, so that a file of a later version can be read.
"""

from __future__ import annotations

import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from thinkctl.types import History, ModelCard, Request, Run, Sample, TokenLogprob

__all__ = ["BadValue", "dump_card", "dump_run", "load_card", "load_run"]

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


def _wrong(expected: str, value: object) -> BadValue:
    if isinstance(value, list | tuple | dict):
        return BadValue(f"expected {expected}, got a {type(value).__name__} of {len(value)}")
    if isinstance(value, int) and abs(value) >= 10**_SHOWN:
        return BadValue(f"expected {expected}, got an integer of more than {_SHOWN} digits")
    return BadValue(f"expected {expected}, got {repr(value)[:_SHOWN]} ({type(value).__name__})")


@dataclass(frozen=True, slots=True)
class _Codec:
    """Two functions: a value to what JSON can hold, and what JSON held to the value."""

    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


# ---------------------------------------------------------------------------------------------- single values


def _check_integer(value: object) -> int:
    if type(value) is not int:
        raise _wrong("an integer", value)
    return value


def _check_text(value: object) -> str:
    if not isinstance(value, str):
        raise _wrong("a text", value)
    return value


def _check_truth(value: object) -> bool:
    if type(value) is not bool:
        raise _wrong("true or false", value)
    return value


def _dump_number(value: object) -> float | str:
    if isinstance(value, str):
        raise _wrong("a number", value)
    number = value if isinstance(value, float) else _load_number(value)
    return number if math.isfinite(number) else _name_of_number(number)


def _name_of_number(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _load_number(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise _wrong("a number that fits a float", value) from None
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    raise _wrong("a number", value)


def _dump_decimal(value: object) -> str:
    if not isinstance(value, Decimal) or value.is_snan():
        raise _wrong("a decimal number", value)
    return str(value)


def _load_decimal(value: object) -> Decimal:
    try:
        number = Decimal(_check_text(value))
    except InvalidOperation:
        raise _wrong("a decimal number", value) from None
    if number.is_snan():
        raise _wrong("a decimal number", value)
    return number


def _enum(kind: type[Enum]) -> _Codec:
    known = {member.value: member for member in kind}

    def dump(value: object) -> object:
        if not isinstance(value, kind):
            raise _wrong(f"a {kind.__name__}", value)
        return value.value

    def load(value: object) -> Enum:
        if not isinstance(value, str) or value not in known:
            raise _wrong(f"one of {', '.join(known)}", value)
        return known[value]

    return _Codec(dump, load)


def _model(kind: type[BaseModel]) -> _Codec:
    def dump(value: object) -> object:
        if type(value) is not kind:
            raise _wrong(f"a {kind.__name__}", value)
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

    return _Codec(dump, load)


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
        return _each(value, _dump_plain)
    if isinstance(value, Mapping):
        return _dump_spec(value)
    raise _wrong("plain data as spec_of() makes it", value)


def _dump_name(name: object) -> str:
    """A leading ``$`` is ours, so one that was there is doubled."""
    return f"${name}" if _check_text(name).startswith("$") else _check_text(name)


def _load_plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_load_plain(item) for item in value]
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return _load_number(value["$float"])
        return {name.removeprefix("$"): _load_plain(item) for name, item in value.items()}
    return value


def _dump_spec(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong("a spec as spec_of() makes it", value)
    return {_dump_name(name): _within(name, _dump_plain, item) for name, item in value.items()}


def _load_spec(value: object) -> Any:
    return _load_plain(_check_object(value))


def _check_object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong("an object", value)
    return value


def _check_list(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong("a list", value)
    return value


def _within(step: str | int, convert: Callable[[Any], Any], value: object) -> Any:
    """Convert a value; an error then says that it was inside ``step``."""
    try:
        return convert(value)
    except BadValue as error:
        raise error.inside(step) from None


def _each(values: object, convert: Callable[[Any], Any]) -> list[Any]:
    """Convert each item of a list; an error then says which item it was."""
    items = _check_list(values)
    done: list[Any] = []
    try:
        done.extend(convert(item) for item in items)
    except BadValue as error:
        raise error.inside(len(done)) from None
    return done


# --------------------------------------------------------------------------------------------- tuples of many


def _dump_integers(values: object) -> list[int] | tuple[int, ...]:
    items = _check_list(values)
    return items if set(map(type, items)) <= {int} else _each(items, _check_integer)


def _load_integers(values: object) -> tuple[int, ...]:
    return tuple(_dump_integers(values))


def _dump_logprobs(values: object) -> list[Any]:
    return _each(values, _dump_logprob)


def _dump_logprob(value: object) -> list[Any]:
    if not isinstance(value, TokenLogprob):
        raise _wrong("a TokenLogprob", value)
    row = [value.sampled, *value.top]
    plain = set(map(type, row)) == {float} and math.isfinite(sum(row))
    return row if plain else _each(row, _dump_number)


def _load_logprobs(values: object) -> tuple[TokenLogprob, ...]:
    done: list[TokenLogprob] = []
    for row in _check_list(values):
        numbers = row if type(row) is list else _within(len(done), _check_list, row)
        if set(map(type, numbers)) != {float}:  # the usual case is quick: there may be millions of rows
            numbers = _within(len(done), lambda items: _each(items, _load_number), numbers)
        if not numbers:
            raise BadValue("expected a log-probability, got an empty row", f"[{len(done)}]")
        done.append(TokenLogprob(numbers[0], tuple(numbers[1:])))
    return tuple(done)


# ------------------------------------------------------------------------------------------------ dataclasses


class _Record:
    """A dataclass as an object of its fields, those left out that have their default.

    ``assumed`` are defaults that hold in this place and come before the dataclass's own.
    """

    def __init__(self, kind: type) -> None:
        hints = typing.get_type_hints(kind)
        self._kind = kind
        self._parts = [
            (
                field.name,
                _codec_of(hints[field.name]),
                field.default if field.default_factory is MISSING else field.default_factory(),
            )
            for field in fields(kind)
        ]

    def dump(self, value: object, assumed: Mapping[str, object] | None = None) -> dict[str, Any]:
        if type(value) is not self._kind:
            raise _wrong(f"a {self._kind.__name__}", value)
        assumed = assumed or {}
        record: dict[str, Any] = {}
        for name, codec, default in self._parts:
            item = getattr(value, name)
            usual = assumed.get(name, default)
            if item is not usual and item != usual:
                record[name] = _within(name, codec.dump, item)
        return record

    def load(self, value: object, assumed: Mapping[str, object] | None = None) -> Any:
        record = _check_object(value)
        given: dict[str, Any] = {} if assumed is None else dict(assumed)
        for name, codec, default in self._parts:
            if name in record:
                given[name] = _within(name, codec.load, record[name])
            elif default is MISSING and name not in given:
                raise BadValue(f"the field {name!r} is missing")
        return self._kind(**given)


def _codec_of(hint: Any) -> _Codec:
    """Return the codec of a type as it is written in the dataclasses."""
    if hint in _KNOWN:
        return _KNOWN[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (some,) = (kind for kind in inner if kind is not types.NoneType)
        return _optional(_codec_of(some))
    if origin is tuple and inner[1:] == (Ellipsis,):
        item = _codec_of(inner[0])
        return _Codec(lambda values: _each(values, item.dump), lambda values: tuple(_each(values, item.load)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _enum(hint)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return _model(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        record = _record(hint)
        return _Codec(record.dump, record.load)
    raise TypeError(f"a run file cannot hold a {hint}; give it a codec in {__name__}")


def _optional(some: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else some.dump(value),
        lambda value: None if value is None else some.load(value),
    )


@functools.cache
def _record(kind: type) -> _Record:
    return _Record(kind)


# -------------------------------------------------------------------------------- histories and their samples

_CARRIED: Final = ("request", "prompt_ids", "model")
"""What a sample takes from the one before it, unless it is written."""


def _dump_history(value: object) -> dict[str, Any]:
    if not isinstance(value, History):
        raise _wrong("a History", value)
    record = _record(History).dump(value, {"samples": value.samples})
    usual: dict[str, Any] = {"request": Request(value.problem.messages)}

    def dump(sample: object) -> dict[str, Any]:
        item = _record(Sample).dump(sample, usual)
        if "request" in item and item["request"]["messages"] == messages:
            del item["request"]["messages"]
        usual.update((name, getattr(sample, name)) for name in _CARRIED)
        return item

    messages = _record(Request).dump(usual["request"])["messages"]
    written = _within("samples", lambda items: _each(items, dump), value.samples)
    return {**record, "samples": written} if written else record


def _load_history(value: object) -> History:
    record = dict(_check_object(value))
    written = record.pop("samples", ())
    history: History = _record(History).load(record)
    usual: dict[str, Any] = {"request": Request(history.problem.messages)}

    def load(item: object) -> Sample:
        given = dict(_check_object(item))
        assumed = dict(usual)
        if "request" in given:
            assumed["request"] = _within("request", load_request, given.pop("request"))
        sample: Sample = _record(Sample).load(given, assumed)
        usual.update((name, getattr(sample, name)) for name in _CARRIED)
        return sample

    def load_request(item: object) -> Request:
        return typing.cast("Request", _record(Request).load(item, {"messages": history.problem.messages}))

    samples = _within("samples", lambda items: tuple(_each(items, load)), written)
    return replace(history, samples=samples)


_KNOWN: Final[Mapping[Any, _Codec]] = {
    bool: _Codec(_check_truth, _check_truth),
    int: _Codec(_check_integer, _check_integer),
    float: _Codec(_dump_number, _load_number),
    str: _Codec(_check_text, _check_text),
    Decimal: _Codec(_dump_decimal, _load_decimal),
    Mapping[str, object]: _Codec(_dump_spec, _load_spec),
    tuple[int, ...]: _Codec(_dump_integers, _load_integers),
    tuple[TokenLogprob, ...]: _Codec(_dump_logprobs, _load_logprobs),
    History: _Codec(_dump_history, _load_history),
}


def dump_run(run: Run) -> dict[str, Any]:
    """Return a run as a JSON value. Raises ``BadValue`` for what could not be read back."""
    return typing.cast("dict[str, Any]", _flat(_record(Run).dump, run))


def load_run(value: object) -> Run:
    """Return the run that a JSON value describes. Raises ``BadValue``."""
    return typing.cast("Run", _flat(_record(Run).load, value))


def dump_card(card: ModelCard) -> Any:
    """Return a model card as a JSON value."""
    return _CARD.dump(card)


def load_card(value: object) -> ModelCard:
    """Return the model card that a JSON value describes. Raises ``BadValue``."""
    return typing.cast("ModelCard", _flat(_CARD.load, value))


_CARD: Final = _model(ModelCard)


def _flat(convert: Callable[[Any], Any], value: object) -> Any:
    try:
        return convert(value)
    except RecursionError:
        raise BadValue("it is nested too deeply") from None
