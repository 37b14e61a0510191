"""What is given with a problem, read as what a verifier needs it to be."""

from __future__ import annotations

from thinkctl.errors import ConfigurationError
from thinkctl.types import Problem

__all__ = ["text_of", "texts_of"]


def text_of(problem: Problem, name: str) -> str:
    """Return a text that is given with a problem, or an empty one. Raises ``ConfigurationError`` if it is no text."""
    value = problem.given.get(name)
    if value is not None and not isinstance(value, str):
        raise ConfigurationError(
            f"problem {problem.id!r}: given[{name!r}] is {str(value)[:60]!r}; give a text"
        )
    return value or ""


def texts_of(problem: Problem, name: str) -> tuple[str, ...]:
    """Return texts that are given with a problem, or none. Raises ``ConfigurationError`` for what is no such list."""
    value = problem.given.get(name)
    texts = [text for text in value if isinstance(text, str)] if isinstance(value, list | tuple) else []
    if value is not None and (not isinstance(value, list | tuple) or len(texts) < len(value)):
        raise ConfigurationError(
            f"problem {problem.id!r}: given[{name!r}] is {str(value)[:60]!r}; give a list of texts"
        )
    return tuple(texts)
