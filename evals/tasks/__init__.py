"""Tasks: problems, how they are put, what a verifier may know of them, and a grader that knows the rest."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.task import Grader, Task

__all__ = ["TASKS", "Grader", "Task", "task"]

TASKS: Final = {
    "countdown": "puzzles",
    "game24": "puzzles",
    "gsm8k": "words",
    "humaneval": "code",
    "mbpp": "code",
    "sql_recursive": "sql",
    "svamp": "words",
}
"""Every task by its name, and the module that makes it."""


def task(name: str) -> Task:
    """Return the task of this name; an unknown name is a ``ConfigurationError`` that lists the known ones."""
    if name not in TASKS:
        raise ConfigurationError(f"task {name!r} is not known; known: {', '.join(TASKS)}")
    make: Callable[[], Task] = getattr(import_module(f"thinkctl.evals.tasks.{TASKS[name]}"), name)
    return make()
