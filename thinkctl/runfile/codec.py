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
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

from thinkctl.runfile._values import (
    BadValue,
    Codec,
    check_integer,
    check_object,
    check_text,
    check_truth,
    dump_decimal,
    dump_integers,
    dump_logprobs,
    dump_number,
    dump_spec,
    each,
    enum_codec,
    load_decimal,
    load_integers,
    load_logprobs,
    load_number,
    load_spec,
    model_codec,
    within,
    wrong,
)
from thinkctl.types import History, ModelCard, Request, Run, Sample, TokenLogprob

__all__ = ["BadValue", "dump_card", "dump_run", "load_card", "load_run"]

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
            raise wrong(f"a {self._kind.__name__}", value)
        assumed = assumed or {}
        record: dict[str, Any] = {}
        for name, codec, default in self._parts:
            item = getattr(value, name)
            usual = assumed.get(name, default)
            if item is not usual and item != usual:
                record[name] = within(name, codec.dump, item)
        return record

    def load(self, value: object, assumed: Mapping[str, object] | None = None) -> Any:
        record = check_object(value)
        given: dict[str, Any] = {} if assumed is None else dict(assumed)
        for name, codec, default in self._parts:
            if name in record:
                given[name] = within(name, codec.load, record[name])
            elif default is MISSING and name not in given:
                raise BadValue(f"the field {name!r} is missing")
        return self._kind(**given)


def _codec_of(hint: Any) -> Codec:
    """Return the codec of a type as it is written in the dataclasses."""
    if hint in _KNOWN:
        return _KNOWN[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        (some,) = (kind for kind in inner if kind is not types.NoneType)
        return _optional(_codec_of(some))
    if origin is tuple and inner[1:] == (Ellipsis,):
        item = _codec_of(inner[0])
        return Codec(lambda values: each(values, item.dump), lambda values: tuple(each(values, item.load)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return enum_codec(hint)
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return model_codec(hint)
    if is_dataclass(hint) and isinstance(hint, type):
        record = _record(hint)
        return Codec(record.dump, record.load)
    raise TypeError(f"a run file cannot hold a {hint}; give it a codec in {__name__}")


def _optional(some: Codec) -> Codec:
    return Codec(
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
        raise wrong("a History", value)
    record = _record(History).dump(value, {"samples": value.samples})
    usual: dict[str, Any] = {"request": Request(value.problem.messages)}

    def dump(sample: object) -> dict[str, Any]:
        item = _record(Sample).dump(sample, usual)
        if "request" in item and item["request"]["messages"] == messages:
            del item["request"]["messages"]
        usual.update((name, getattr(sample, name)) for name in _CARRIED)
        return item

    messages = _record(Request).dump(usual["request"])["messages"]
    written = within("samples", lambda items: each(items, dump), value.samples)
    return {**record, "samples": written} if written else record


def _load_history(value: object) -> History:
    record = dict(check_object(value))
    written = record.pop("samples", ())
    history: History = _record(History).load(record)
    usual: dict[str, Any] = {"request": Request(history.problem.messages)}

    def load(item: object) -> Sample:
        given = dict(check_object(item))
        assumed = dict(usual)
        if "request" in given:
            assumed["request"] = within("request", load_request, given.pop("request"))
        sample: Sample = _record(Sample).load(given, assumed)
        usual.update((name, getattr(sample, name)) for name in _CARRIED)
        return sample

    def load_request(item: object) -> Request:
        return typing.cast("Request", _record(Request).load(item, {"messages": history.problem.messages}))

    samples = within("samples", lambda items: tuple(each(items, load)), written)
    return replace(history, samples=samples)


_KNOWN: Final[Mapping[Any, Codec]] = {
    bool: Codec(check_truth, check_truth),
    int: Codec(check_integer, check_integer),
    float: Codec(dump_number, load_number),
    str: Codec(check_text, check_text),
    Decimal: Codec(dump_decimal, load_decimal),
    Mapping[str, object]: Codec(dump_spec, load_spec),
    tuple[int, ...]: Codec(dump_integers, load_integers),
    tuple[TokenLogprob, ...]: Codec(dump_logprobs, load_logprobs),
    History: Codec(_dump_history, _load_history),
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


_CARD: Final = model_codec(ModelCard)


def _flat(convert: Callable[[Any], Any], value: object) -> Any:
    try:
        return convert(value)
    except RecursionError:
        raise BadValue("it is nested too deeply") from None
