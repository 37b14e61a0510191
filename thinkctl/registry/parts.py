"""A part out of its text or its spec: parsed, checked against its parameters, built; never evaluated."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Allocation, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.registry.names import KINDS, PROTOCOLS, WORDS, Kind, kind_of, load, names
from thinkctl.registry.parameters import fields_of, hints_of, in_words, is_variadic
from thinkctl.types import name_of

__all__ = ["allocation", "build", "parse", "policy", "selector", "strategy", "verifier"]

_LONGEST_TEXT: Final = 2_000
_AS_IN_PYTHON: Final = {"false": "False", "true": "True", "null": "None", "none": "None"}
_TOKEN: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\d.][\w.]*|[^\W\d][\w-]*""")


def strategy(what: str | Mapping[str, Any]) -> Strategy:
    """Return the strategy that a text or a spec describes; see ``build``."""
    return typing.cast("Strategy", build(what, "strategies"))


def policy(what: str | Mapping[str, Any]) -> StoppingPolicy:
    """Return the stopping policy that a text or a spec describes; see ``build``."""
    return typing.cast("StoppingPolicy", build(what, "stopping"))


def selector(what: str | Mapping[str, Any]) -> Selector:
    """Return the selector that a text or a spec describes; see ``build``."""
    return typing.cast("Selector", build(what, "selectors"))


def verifier(what: str | Mapping[str, Any]) -> Verifier:
    """Return the verifier that a text or a spec describes; see ``build``."""
    return typing.cast("Verifier", build(what, "verifiers"))


def allocation(what: str | Mapping[str, Any]) -> Allocation:
    """Return the allocation that a text or a spec describes; see ``build``."""
    return typing.cast("Allocation", build(what, "allocations"))


def build(what: str | Mapping[str, Any], kind: Kind | None = None) -> Any:
    """Make a part from its spec (``{"name": ..., **parameters}``, nested specs included) or from its text.

    ``kind=None`` finds the name in any kind. ``build(spec_of(part)) == part``. Raises ``ConfigurationError``
    with the known names or parameters for what is not known, is missing or has a wrong value.
    """
    try:
        return _make(_parsed(what) if isinstance(what, str) else _Written.of(what), kind)
    except RecursionError:
        raise ConfigurationError(
            "the part is nested too deeply; nothing needs more than a few levels"
        ) from None


def parse(text: str, kind: Kind | None = None) -> Any:
    """Make a part from text such as ``self-consistency(16, weight='confidence')``.

    Texts stand in quotes; numbers, ``None``, ``True``, ``False``, lists and other parts do not. Settings are
    written like parts: ``sampling=sampling(temperature=1)``. Raises like ``build``.
    """
    return build(text, kind)


def _parsed(text: str) -> _Written:
    if len(text) > _LONGEST_TEXT:
        raise ConfigurationError(
            f"a part is written in at most {_LONGEST_TEXT} characters; this has {len(text)}"
        )
    python = _TOKEN.sub(lambda token: token[0] if token[0][0] in "'\"" else token[0].replace("-", "_"), text)
    try:
        tree = ast.parse(python.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigurationError(f"cannot read {text!r}: {why}; write name(parameter=value)") from None
    written = _read(tree, text)
    if not isinstance(written, _Written):
        raise ConfigurationError(f"cannot read {text!r}: it names no part; write name(parameter=value)")
    return written


@dataclasses.dataclass(frozen=True, slots=True)
class _Written:
    """A part as somebody wrote it: values may be parts again."""

    name: str
    places: tuple[Any, ...]
    parameters: Mapping[str, Any]

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> _Written:
        name = spec.get("name")
        if not isinstance(name, str):
            raise ConfigurationError(f'the spec {dict(spec)!r} has no name; write {{"name": ...}}')
        return cls(name, (), {key: value for key, value in spec.items() if key != "name"})

    def named(self) -> dict[str, Any]:
        if self.places:
            raise ConfigurationError(
                f"{self.name} takes named values only; write {self.name}(parameter=value)"
            )
        return dict(self.parameters)


def _read(node: ast.expr, text: str) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as size)):
            return -size
        case ast.Tuple(elts=items) | ast.List(elts=items):
            return tuple(_read(item, text) for item in items)
        case ast.Name(id=name):
            return _Written(name.replace("_", "-"), (), {})
        case ast.Call(func=ast.Name(id=name), args=places, keywords=keywords):
            given = [word.arg for word in keywords]
            if len(set(given)) == len(given) and None not in given:
                in_order = tuple(_read(place, text) for place in places)
                named = {word.arg or "": _read(word.value, text) for word in keywords}
                return _Written(name.replace("_", "-"), in_order, named)
    raise ConfigurationError(
        f"cannot read {text!r} from column {node.col_offset + 1}; write names, numbers, quoted texts, None, "
        "True, False, lists or name(parameter=value), each parameter once"
    )


def _make(written: _Written, kind: Kind | None) -> Any:
    kind = kind or kind_of(written.name)
    cls = load(kind, written.name)
    given = _bound(written, cls)
    hints = hints_of(cls)
    values = {name: _value(written.name, name, value, hints.get(name, Any)) for name, value in given.items()}
    part = cls(**values)
    if not isinstance(part, PROTOCOLS[kind]):
        raise ConfigurationError(
            f"{written.name!r} is registered as a {WORDS[kind]} but is none: see thinkctl.protocols"
        )
    return part


def _bound(written: _Written, cls: type) -> dict[str, Any]:
    """Return the given values by parameter name; one that takes many takes all values from its place on."""
    hints, places = hints_of(cls), written.places
    for at, field in enumerate(fields_of(cls)[: len(places)]):
        if is_variadic(hints.get(field.name)) and not isinstance(places[at], tuple):
            places = (*places[:at], places[at:])
            break
    try:
        return inspect.signature(cls).bind(*places, **written.parameters).arguments
    except TypeError as error:
        raise ConfigurationError(f"{written.name}: {error}; {in_words(cls)}") from None


def _value(part: str, name: str, value: Any, hint: Any) -> Any:
    """Turn what was written into what the parameter takes, and check it against the parameter's type."""
    value = _with_parts(value, hint)
    config = None if _has_own_config(hint) else ConfigDict(arbitrary_types_allowed=True)
    try:
        adapter = TypeAdapter[Any](hint, config=config)
    except PydanticUserError:  # a third party's type that cannot be checked
        return value
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([name, *(str(step) for step in first["loc"])])
        raise ConfigurationError(f"{part} cannot take {where}={first['input']!r}: {first['msg']}") from None


def _with_parts(value: Any, hint: Any) -> Any:
    """Build the parts within a value; ``hint`` says of which kind they are."""
    leaves = list(_leaves(hint))
    if isinstance(value, Mapping) and "name" in value and any(_holds_parts(leaf) for leaf in leaves):
        value = _Written.of(value)
    if isinstance(value, _Written):
        if any(_is_settings(leaf) and name_of(leaf) == value.name for leaf in leaves):
            return value.named()
        _check_word(value.name)
        kinds: list[Kind] = [kind for kind in KINDS if PROTOCOLS[kind] in leaves]
        return _make(value, kinds[0] if len(kinds) == 1 else None)
    if isinstance(value, list | tuple):
        return tuple(_with_parts(item, hint) for item in value)
    return value


def _check_word(name: str) -> None:
    """Refuse the words of TOML and JSON in place of a value, unless somebody named a part so."""
    meant = _AS_IN_PYTHON.get(name.lower())
    if meant is not None and not any(name in names(kind) for kind in KINDS):
        raise ConfigurationError(f"{name!r} is neither a value nor a part; write {meant} (Python's way)")


def _leaves(hint: Any) -> Iterator[Any]:
    yield hint
    for inner in typing.get_args(hint):
        yield from _leaves(inner)


def _is_settings(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _has_own_config(hint: Any) -> bool:
    return _is_settings(hint) or dataclasses.is_dataclass(hint)


def _holds_parts(hint: Any) -> bool:
    return hint is Any or hint in PROTOCOLS.values() or dataclasses.is_dataclass(hint)
