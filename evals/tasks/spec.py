"""A task as it is written: ``name?key=value&key=value``, with ``name:what`` where the name is that of a kind.

``countdown?numbers=4``, ``generated:arithmetic?level=2&size=100&seed=1``, ``file:mine.jsonl?form=number``. A value may
hold ``%26`` for ``&`` and so on, as in a web address. What is written is read as text and never evaluated.
"""

from __future__ import annotations

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final
from urllib.parse import unquote

from thinkctl.errors import ConfigurationError

__all__ = ["Spec", "arguments", "known", "parse", "slug"]

_LONGEST: Final = 4_000
_NAME: Final = re.compile(r"[A-Za-z][\w-]*")
_KEY: Final = re.compile(r"[A-Za-z]\w*")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")
_WORDS: Final[Mapping[type, str]] = {int: "a whole number", float: "a number", bool: "true or false"}
_TRUTH: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@final
@dataclass(frozen=True, slots=True)
class Spec:
    """A task in its parts: its name or kind, what of that kind, and options, all as text."""

    name: str
    what: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


def parse(text: str) -> Spec:
    """Read ``name[:what][?key=value[&key=value...]]``.

    Raises ``ConfigurationError`` for what is not written so, and for a key that is written twice.
    """
    if len(text) > _LONGEST:
        raise ConfigurationError(f"a task is written in at most {_LONGEST} characters; this has {len(text)}")
    head, mark, tail = text.strip().partition("?")
    name, _, what = head.partition(":")
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"{text!r} is no task; write name, or name?key=value&key=value")
    options: dict[str, str] = {}
    for part in tail.split("&") if mark else ():
        key, equals, value = part.partition("=")
        if not equals or not _KEY.fullmatch(key):
            raise ConfigurationError(
                f"{part!r} in the task {text!r} is no key=value; write key=value&key=value"
            )
        if key in options:
            raise ConfigurationError(f"{key!r} is written twice in the task {text!r}; write it once")
        options[key] = unquote(value)
    return Spec(name, what, options)


def arguments(make: Callable[..., Any], spec: Spec, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of a function that makes a task: what was written, and ``given`` from Python.

    A parameter ``what`` takes what stands after the colon. Texts become what the parameter's type says. Raises
    ``ConfigurationError`` for a key that the function does not know, listing those it does, and for a wrong value.
    """
    parameters = inspect.signature(make).parameters
    keys = [name for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD and name != "what"]
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    found: dict[str, Any] = {**spec.options, **given}
    for key in found:
        if key == "what" or (key not in keys and not takes_any):
            raise ConfigurationError(f"task {spec.name!r} has no option {key!r}; {known(keys, key)}")
    if "what" in parameters:
        found["what"] = spec.what
    elif spec.what:
        raise ConfigurationError(f"task {spec.name!r} takes nothing after a colon; leave {spec.what!r} out")
    hints = typing.get_type_hints(make)
    return {
        key: _value(f"{spec.name}: {key}", value, hints.get(key, Any) if key in parameters else Any)
        for key, value in found.items()
    }


def known(names: Iterable[str], wrong: str = "") -> str:
    """Say which names there are, and which of them may have been meant."""
    names = sorted(names)
    close = difflib.get_close_matches(wrong, names, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return f"{meant}known: {', '.join(names) or 'none'}"


def slug(*parts: object) -> str:
    """Make a name that is safe in a file's name out of the parts that are not empty."""
    joined = "-".join(str(part) for part in parts if str(part))
    return _UNSAFE.sub("-", joined).strip("-.")[:100] or "task"


def _value(where: str, value: Any, hint: Any) -> Any:
    if not isinstance(value, str):
        return value
    types = [each for each in typing.get_args(hint) or (hint,) if isinstance(each, type)]
    for kind in types:
        if kind is bool and value.lower() in _TRUTH:
            return _TRUTH[value.lower()]
        if kind in (int, float):
            try:
                return kind(value)
            except ValueError:
                continue
        if kind is Path:
            return Path(value)
    if str in types or not types or not any(kind in _WORDS for kind in types):
        return value
    wanted = " or ".join(_WORDS[kind] for kind in types if kind in _WORDS)
    raise ConfigurationError(f"{where}={value!r} is wrong; give {wanted}")
