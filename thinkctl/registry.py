"""Parts by name: strategies, stopping policies, selectors and verifiers.

A part is written as text, ``any-of(adaptive-consistency(0.95), thinking-cap(512))``, or as a spec,
``{"name": "self-consistency", "n": 32}``. Text is parsed, never evaluated. Our parts and those of other
packages are entry points alike: a package adds one by declaring ``my-rule = "my_package:MyRule"`` in the
group ``thinkctl.stopping`` (``.strategies``, ``.selectors``, ``.verifiers``); the class is then called
``MyRule``. Our names cannot be taken over. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, ValidationError

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.protocols import Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.types import name_of

__all__ = [
    "KINDS",
    "Description",
    "Kind",
    "build",
    "describe",
    "load",
    "names",
    "parse",
    "policy",
    "selector",
    "strategy",
    "verifier",
    "write",
]

Kind = Literal["strategies", "stopping", "selectors", "verifiers"]
_OURS: Final[Mapping[Kind, Mapping[str, str]]] = {
    "strategies": {
        "chain-of-thought": "thinkctl.strategies:ChainOfThought",
        "self-consistency": "thinkctl.strategies:SelfConsistency",
        "zero-shot": "thinkctl.strategies:ZeroShot",
    },
    "stopping": {
        "adaptive-consistency": "thinkctl.stopping:AdaptiveConsistency",
        "all-of": "thinkctl.stopping:AllOf",
        "any-of": "thinkctl.stopping:AnyOf",
        "cannot-be-overtaken": "thinkctl.stopping:CannotBeOvertaken",
        "thinking-cap": "thinkctl.stopping:ThinkingCap",
    },
    "selectors": {
        "best-score": "thinkctl.selectors:BestScore",
        "latest": "thinkctl.selectors:Latest",
        "majority": "thinkctl.selectors:Majority",
        "weighted-majority": "thinkctl.selectors:WeightedMajority",
    },
    "verifiers": {},
}
KINDS: Final = tuple(_OURS)
_PROTOCOLS: Final[Mapping[Kind, type]] = {
    "strategies": Strategy,
    "stopping": StoppingPolicy,
    "selectors": Selector,
    "verifiers": Verifier,
}
_WORDS: Final[Mapping[Kind, str]] = {
    "strategies": "strategy",
    "stopping": "stopping policy",
    "selectors": "selector",
    "verifiers": "verifier",
}
_LONGEST_TEXT: Final = 2_000
_TOKEN: Final = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\d.][\w.]*|[^\W\d][\w-]*""")


# -- reading -----------------------------------------------------------------------------------------------


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


# -- making ------------------------------------------------------------------------------------------------


def _make(written: _Written, kind: Kind | None) -> Any:
    kind = kind or _kind_of(written.name)
    cls = load(kind, written.name)
    given = _bound(written, cls)
    hints = _hints(cls)
    values = {name: _value(written.name, name, value, hints.get(name, Any)) for name, value in given.items()}
    part = cls(**values)
    if not isinstance(part, _PROTOCOLS[kind]):
        raise ConfigurationError(
            f"{written.name!r} is registered as a {_WORDS[kind]} but is none: see thinkctl.protocols"
        )
    return part


def _bound(written: _Written, cls: type) -> dict[str, Any]:
    """Return the given values by parameter name; one that takes many takes all values from its place on."""
    hints, places = _hints(cls), written.places
    for at, field in enumerate(_fields(cls)[: len(places)]):
        if _is_variadic(hints.get(field.name)) and not isinstance(places[at], tuple):
            places = (*places[:at], places[at:])
            break
    try:
        return inspect.signature(cls).bind(*places, **written.parameters).arguments
    except TypeError as error:
        raise ConfigurationError(f"{written.name}: {error}; {_parameters_in_words(cls)}") from None


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
        kinds: list[Kind] = [kind for kind in KINDS if _PROTOCOLS[kind] in leaves]
        return _make(value, kinds[0] if len(kinds) == 1 else None)
    if isinstance(value, list | tuple):
        return tuple(_with_parts(item, hint) for item in value)
    return value


def _leaves(hint: Any) -> Iterator[Any]:
    yield hint
    for inner in typing.get_args(hint):
        yield from _leaves(inner)


def _is_settings(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, BaseModel)


def _has_own_config(hint: Any) -> bool:
    return _is_settings(hint) or dataclasses.is_dataclass(hint)


def _holds_parts(hint: Any) -> bool:
    return hint is Any or hint in _PROTOCOLS.values() or dataclasses.is_dataclass(hint)


# -- names -------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """What a list says of a part.

    ``parameters`` maps each parameter to its default as it is written, or to ``None`` where it must be given.
    ``source`` is the distribution that brings it.
    """

    name: str
    summary: str
    parameters: Mapping[str, str | None]
    source: str = "thinkctl"


def names(kind: Kind) -> tuple[str, ...]:
    """Return the known names of a kind, sorted; nothing is loaded."""
    return tuple(sorted({*_OURS[kind], *entry_points(group=_group(kind)).names}))


def describe(kind: Kind) -> tuple[Description, ...]:
    """Describe every part of a kind, in the order of ``names``. A part that cannot be loaded says so."""
    return tuple(_describe(kind, name) for name in names(kind))


def load(kind: Kind, name: str) -> type[Any]:
    """Return the class with this name. Raises ``ConfigurationError`` with the known names if it is none."""
    point = _point(kind, name)
    try:
        part = point.load()
    except MissingExtra:
        raise
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"{_WORDS[kind]} {name!r} of {_source(point)} cannot be loaded: {error}"
        ) from error
    if not isinstance(part, type) or name_of(part) != name:
        raise ConfigurationError(
            f"{_WORDS[kind]} {name!r} of {_source(point)} is {point.value}, which is no class of that name; "
            "a part's name is its class's, with hyphens"
        )
    return part


def write(part: Any) -> str:
    """Write a part as text, parameters with their defaults left out; ``parse(write(part)) == part``."""
    if isinstance(part, tuple | list):
        return f"[{', '.join(write(item) for item in part)}]"
    if isinstance(part, BaseModel):
        parameters = {name: getattr(part, name) for name in part.model_dump(exclude_defaults=True)}
    elif dataclasses.is_dataclass(part):
        parameters = {
            field.name: getattr(part, field.name)
            for field in _fields(type(part))
            if _is_required(field) or getattr(part, field.name) != _default(field)
        }
    else:
        return repr(part)
    return f"{name_of(part)}({', '.join(f'{name}={write(value)}' for name, value in parameters.items())})"


def _describe(kind: Kind, name: str) -> Description:
    try:
        cls = load(kind, name)
    except (ConfigurationError, MissingExtra) as error:
        return Description(name, str(error), {}, "")
    summary = (inspect.getdoc(cls) or "").partition("\n")[0]
    fields = _fields(cls)
    parameters = {field.name: None if _is_required(field) else write(_default(field)) for field in fields}
    return Description(name, summary, parameters, _source(_point(kind, name)))


def _point(kind: Kind, name: str) -> EntryPoint:
    if name in _OURS[kind]:
        return EntryPoint(name, _OURS[kind][name], _group(kind))
    points = {point.value: point for point in entry_points(group=_group(kind), name=name)}
    if len(points) == 1:
        return next(iter(points.values()))
    if points:
        sources = " and ".join(sorted(_source(point) for point in points.values()))
        raise ConfigurationError(f"{_WORDS[kind]} {name!r} comes from {sources}; uninstall one of them")
    raise _unknown(_WORDS[kind], name, names(kind))


def _kind_of(name: str) -> Kind:
    ours: list[Kind] = [kind for kind in KINDS if name in _OURS[kind]]
    kinds: list[Kind] = ours or [kind for kind in KINDS if name in names(kind)]
    if len(kinds) > 1:
        raise ConfigurationError(
            f"{name!r} is the name of a {' and a '.join(_WORDS[kind] for kind in kinds)}; give the kind"
        )
    if not kinds:
        raise _unknown("part", name, [known for kind in KINDS for known in names(kind)])
    return kinds[0]


def _unknown(word: str, name: str, known: Sequence[str]) -> ConfigurationError:
    close = difflib.get_close_matches(name.lower(), known, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else "."
    return ConfigurationError(f"there is no {word} {name!r}{meant} Known: {', '.join(known) or 'none'}")


def _group(kind: Kind) -> str:
    return f"thinkctl.{kind}"


def _source(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else "thinkctl"


# -- parameters --------------------------------------------------------------------------------------------


def _fields(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    if not dataclasses.is_dataclass(cls):
        return ()
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def _hints(cls: type) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except (NameError, AttributeError, TypeError):  # names that only a type checker sees
        return {}


def _is_variadic(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple and typing.get_args(hint)[-1:] == (Ellipsis,)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _parameters_in_words(cls: type) -> str:
    required = [field.name for field in _fields(cls) if _is_required(field)]
    optional = [f"{field.name}={write(_default(field))}" for field in _fields(cls) if not _is_required(field)]
    return f"it takes {', '.join([*required, *optional]) or 'no parameters'}"
