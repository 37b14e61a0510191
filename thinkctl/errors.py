"""What can go wrong. A stop is not an error: a run that hits its budget returns normally."""

from __future__ import annotations

from thinkctl.types import Run

__all__ = [
    "ConfigurationError",
    "ContextExceeded",
    "EngineUnavailable",
    "MissingExtra",
    "RequestFailed",
    "RunFileError",
    "ThinkctlError",
]


class ThinkctlError(Exception):
    """Base of all errors that thinkctl raises on purpose."""


class ConfigurationError(ThinkctlError, ValueError):
    """Something was asked for that cannot be: the message says what, which value, and what now."""


class MissingExtra(ThinkctlError, ImportError):
    """A library is needed that is not installed; the message names the extra that brings it."""


class RequestFailed(ThinkctlError):
    """One request failed; others go on. In a run it becomes a sample with finish ``error``."""


class ContextExceeded(RequestFailed, ValueError):
    """The prompt leaves no room in the model's context."""


class RunFileError(ThinkctlError, ValueError):
    """A run file cannot be read; the message says which line and what now."""


class EngineUnavailable(ThinkctlError):
    """The engine is dead or cannot be reached. ``run`` holds what there was until then."""

    def __init__(self, message: str, run: Run | None = None) -> None:
        super().__init__(message)
        self.run = run
