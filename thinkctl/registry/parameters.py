"""The parameters of a part, and a part written as text."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from thinkctl.types import name_of

__all__ = ["default_of", "fields_of", "hints_of", "in_words", "is_required", "is_variadic", "write"]


def write(part: Any) -> str:
    """Write a part as text, parameters with their defaults left out; ``parse(write(part)) == part``."""
    if isinstance(part, tuple | list):
        return f"[{', '.join(write(item) for item in part)}]"
    if isinstance(part, BaseModel):
        parameters = {name: getattr(part, name) for name in part.model_dump(exclude_defaults=True)}
    elif dataclasses.is_dataclass(part):
        parameters = {
            field.name: getattr(part, field.name)
            for field in fields_of(type(part))
            if is_required(field) or getattr(part, field.name) != default_of(field)
        }
    else:
        return repr(part)
    return f"{name_of(part)}({', '.join(f'{name}={write(value)}' for name, value in parameters.items())})"


def fields_of(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    """Return the parameters of a part: the fields of its dataclass."""
    if not dataclasses.is_dataclass(cls):
        return ()
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def hints_of(cls: type) -> Mapping[str, Any]:
    """Return the types of its parameters, as far as they can be known."""
    try:
        return typing.get_type_hints(cls)
    except (NameError, AttributeError, TypeError):  # names that only a type checker sees
        return {}


def is_variadic(hint: Any) -> bool:
    """Say whether a parameter takes any number of values."""
    return typing.get_origin(hint) is tuple and typing.get_args(hint)[-1:] == (Ellipsis,)


def is_required(field: dataclasses.Field[Any]) -> bool:
    """Say whether a parameter has no default."""
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Return the default of a parameter."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def in_words(cls: type) -> str:
    """Say what parameters a part takes."""
    required = [field.name for field in fields_of(cls) if is_required(field)]
    optional = [
        f"{field.name}={write(default_of(field))}" for field in fields_of(cls) if not is_required(field)
    ]
    return f"it takes {', '.join([*required, *optional]) or 'no parameters'}"
