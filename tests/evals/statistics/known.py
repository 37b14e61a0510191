"""What a test knows to be there."""

from __future__ import annotations

from typing import Any


def known(value: Any) -> Any:
    """Return a value, or an object whose parts a type says may be missing; fail where it is ``None``."""
    assert value is not None
    return value
