"""Plain values as bytes and back, so that two processes that do not trust each other can compare them.

Only data crosses: what comes out is made of Python's own types, whatever the sender's types were. An object that is
no data stays with its owner, and the other side holds a number for it.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import fractions
import itertools
import json
import numbers
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, cast

__all__ = ["LONGEST", "Opaque", "decode", "encode", "receive", "send"]

LONGEST = 8_000_000
"""Bytes of a message."""
_DEEPEST = 60
_MOST = 10_000
_MOST_SECONDS = 0.5
"""How many items are taken of an iterator, which may be endless, and for how long."""
_SMALL = 1 << 53
_TIMES: dict[str, Any] = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}
_EMPTY: dict[Any, Any] = {}

Inner = Callable[[Any], Any]
Encoder = Callable[[Any, Inner], Any]


class Opaque:
    """An object that stays with its owner, who knows it by ``number``."""

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind


def _whole(value: Any, _: Inner) -> Any:
    whole = int(value)
    return whole if -_SMALL < whole < _SMALL else ["int", hex(whole)]


def _items(name: str) -> Encoder:
    return lambda value, inner: [name, [inner(item) for item in value]]


def _pairs(name: str) -> Encoder:
    return lambda value, inner: [name, [[inner(key), inner(item)] for key, item in value.items()]]


def _drawn(value: Any, inner: Inner) -> Any:
    until = time.monotonic() + _MOST_SECONDS
    found: list[Any] = []
    for item in itertools.islice(value, _MOST):
        found.append(inner(item))
        if time.monotonic() > until:
            break
    return ["iterator", found]


_EXACT: dict[Any, Encoder] = {
    type(_EMPTY.keys()): _items("keys"),
    type(_EMPTY.values()): _items("values"),
    type(_EMPTY.items()): _items("items"),
    datetime.timedelta: lambda value, _: ["timedelta", value.days, value.seconds, value.microseconds],
    re.Match: lambda value, _: [
        "match",
        value.re.pattern,
        value.re.flags,
        value.string,
        value.start(),
        value.endpos,
    ],
    type(Ellipsis): lambda _, __: ["constant", "Ellipsis"],
    type(NotImplemented): lambda _, __: ["constant", "NotImplemented"],
}
"""How values of these very types are told."""
_KINDS: tuple[tuple[Any, Encoder], ...] = (
    (numbers.Integral, _whole),
    (str, lambda value, _: str.__str__(value)),
    (decimal.Decimal, lambda value, _: ["Decimal", str(value)]),
    (fractions.Fraction, lambda value, _: ["Fraction", str(value)]),
    (numbers.Real, lambda value, _: float(value)),
    (complex, lambda value, _: ["complex", value.real, value.imag]),
    (bytes, lambda value, _: ["bytes", value.hex()]),
    (bytearray, lambda value, _: ["bytearray", value.hex()]),
    (collections.deque, _items("deque")),
    (list, _items("list")),
    (tuple, _items("tuple")),
    (set, _items("set")),
    (frozenset, _items("frozenset")),
    (collections.Counter, _pairs("Counter")),
    (collections.OrderedDict, _pairs("OrderedDict")),
    (dict, _pairs("dict")),
    (range, lambda value, _: ["range", value.start, value.stop, value.step]),
)
"""How values of these types, or of types made from them, are told; the first that fits."""


def encode(value: Any, keep: Callable[[Any], Opaque], depth: int = 0) -> Any:
    """Return a value as JSON has it; ``keep`` is asked for an ``Opaque`` for what is no data."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if value is None or value is True or value is False or type(value) in (str, float):
        return value
    kind = cast("Any", type(value))

    def inner(item: Any) -> Any:
        return encode(item, keep, depth + 1)

    if kind in _EXACT:
        return _EXACT[kind](value, inner)
    for known, told in _KINDS:
        if isinstance(value, known):
            return told(value, inner)
    if kind.__name__ in _TIMES and kind.__module__ == "datetime" and getattr(value, "tzinfo", None) is None:
        return ["time", kind.__name__, value.isoformat()]
    if (kind.__module__, kind.__name__) in (("numpy", "bool"), ("numpy", "bool_")):
        return bool(value)
    if isinstance(value, type) and value.__module__ == "builtins" and not issubclass(value, BaseException):
        return ["type", value.__name__]
    if isinstance(value, Iterator) and not hasattr(kind, "__len__"):
        return _drawn(value, inner)
    kept = keep(value)
    return ["opaque", kept.number, kept.kind]


def decode(data: Any, find: Callable[[int, str], Any], depth: int = 0) -> Any:
    """Return the value again; ``find`` gives what stands for an opaque object's number. Raises ``ValueError``."""
    if depth > _DEEPEST:
        raise ValueError("it is nested too deeply")
    if data is None or isinstance(data, bool | int | float | str):
        return data

    def inner(item: Any) -> Any:
        return decode(item, find, depth + 1)

    try:
        if data[0] == "opaque":
            return find(int(data[1]), str(data[2]))
        return _DECODERS[data[0]](data, inner)
    except (
        AttributeError,
        LookupError,
        OverflowError,
        TypeError,
        re.error,
        decimal.DecimalException,
    ) as error:
        raise ValueError(f"this is no value: {error}") from None


def _list(data: Any, inner: Inner) -> list[Any]:
    return [inner(item) for item in data[1]]


def _dict(data: Any, inner: Inner) -> dict[Any, Any]:
    return {inner(key): inner(item) for key, item in data[1]}


def _of_pairs(pairs: list[Any]) -> dict[Any, Any]:
    return dict(pairs)


def _type(data: Any, _: Inner) -> type:
    found = getattr(builtins, data[1])
    if not isinstance(found, type):
        raise TypeError("it is no type")
    return found


_DECODERS: dict[str, Encoder] = {
    "int": lambda data, _: int(data[1], 16),
    "Decimal": lambda data, _: decimal.Decimal(data[1]),
    "Fraction": lambda data, _: fractions.Fraction(data[1]),
    "complex": lambda data, _: complex(float(data[1]), float(data[2])),
    "bytes": lambda data, _: bytes.fromhex(data[1]),
    "bytearray": lambda data, _: bytearray.fromhex(data[1]),
    "deque": lambda data, inner: collections.deque(_list(data, inner)),
    "list": _list,
    "tuple": lambda data, inner: tuple(_list(data, inner)),
    "set": lambda data, inner: set(_list(data, inner)),
    "frozenset": lambda data, inner: frozenset(_list(data, inner)),
    "Counter": lambda data, inner: collections.Counter(_dict(data, inner)),
    "OrderedDict": lambda data, inner: collections.OrderedDict(_dict(data, inner)),
    "dict": _dict,
    "range": lambda data, _: range(*data[1:4]),
    "keys": lambda data, inner: dict.fromkeys(_list(data, inner)).keys(),
    "values": lambda data, inner: dict(enumerate(_list(data, inner))).values(),
    "items": lambda data, inner: _of_pairs(_list(data, inner)).items(),
    "iterator": lambda data, inner: iter(_list(data, inner)),
    "time": lambda data, _: _TIMES[data[1]].fromisoformat(data[2]),
    "timedelta": lambda data, _: datetime.timedelta(*data[1:4]),
    "match": lambda data, _: cast("Any", re.compile(data[1], data[2]).match(data[3], data[4], data[5])),
    "type": _type,
    "constant": lambda data, _: {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented}[data[1]],
}
"""How what was told becomes a value again."""


def send(peer: socket.socket, message: Any) -> None:
    """Send one message. Raises ``ValueError`` if it is too long, ``OSError`` if nobody listens."""
    body = json.dumps(message).encode()
    if len(body) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} bytes")
    peer.sendall(struct.pack("!I", len(body)) + body)


def receive(peer: socket.socket) -> Any:
    """Return the next message. Raises ``EOFError`` at the end, ``ValueError`` for what is no message."""
    (length,) = struct.unpack("!I", _exactly(peer, 4))
    if length > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} bytes")
    try:
        return json.loads(_exactly(peer, length))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _exactly(peer: socket.socket, length: int) -> bytes:
    parts: list[bytes] = []
    while length:
        try:
            part = peer.recv(min(length, 1 << 20))
        except ConnectionError:
            part = b""
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
