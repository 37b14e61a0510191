"""The spec of a part: its registered name and its parameters, as plain data."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel

__all__ = ["name_of", "spec_of"]


def name_of(part: type | object) -> str:
    """Return the registered name of a part: ``SelfConsistency`` is ``self-consistency``."""
    cls = part if isinstance(part, type) else type(part)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()


def spec_of(part: object) -> dict[str, Any]:
    """Return ``{"name": ..., **parameters}`` of a strategy, policy, selector or verifier.

    Parameters are the dataclass fields; nested parts become nested specs. A part that is no dataclass has
    only its name. Specs are kept in run files, so a field with ``repr=False`` (a key, a connection) is left out.
    """
    spec: dict[str, Any] = {"name": name_of(part)}
    if dataclasses.is_dataclass(part):
        spec |= {
            field.name: _plain(getattr(part, field.name)) for field in dataclasses.fields(part) if field.repr
        }
    return spec


def _plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return str(value)
    return spec_of(value) if dataclasses.is_dataclass(value) else name_of(value)
