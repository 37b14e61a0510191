"""Errors in a user's words, with the exit code."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from thinkctl.cli.text import one_line
from thinkctl.errors import EngineUnavailable, ThinkctlError

__all__ = ["explained"]


def explained(error: Exception) -> tuple[int, str] | None:
    """Return the exit code and the line that says what is wrong; ``None`` for what nobody expected."""
    match error:
        case EngineUnavailable():
            return 1, f"error: {one_line(str(error))}"
        case ValidationError():
            return 2, f"error: {one_line('; '.join(_in_words(item) for item in error.errors()))}"
        case ThinkctlError() | ValueError():
            return 2, f"error: {one_line(str(error))}"
        case _:
            return None


def _in_words(item: Mapping[str, object]) -> str:
    place, message = item.get("loc"), str(item.get("msg", "")).removeprefix("Value error, ")
    where = ".".join(map(str, place)) if isinstance(place, tuple) else ""
    return f"{where}: {message}" if where else message
