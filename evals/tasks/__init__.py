"""Tasks: problems, how they are put, what a verifier may know of them, and a grader that knows the rest.

A task is written as ``name?key=value&key=value`` (``thinkctl.evals.tasks.spec``). Other packages bring tasks as entry
points of the group ``thinkctl.tasks``: a function that takes the options as keyword arguments and returns a ``Task``.
Our names cannot be taken over. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, cast

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.spec import arguments, known, parse
from thinkctl.evals.tasks.task import Card, Grader, Task

__all__ = ["KINDS", "TASKS", "Card", "Grader", "Task", "names", "task"]

TASKS: Final = {
    "aime2024": "mathematics",
    "aime2025": "mathematics",
    "bbh": "bbh",
    "chinook": "databases",
    "countdown": "puzzles",
    "game24": "puzzles",
    "gsm8k": "words",
    "humaneval": "code",
    "math500": "mathematics",
    "mbpp": "code",
    "multiarith": "mathematics",
    "simpleqa": "facts",
    "spider": "databases",
    "sql_recursive": "sql",
    "svamp": "words",
}
"""Every task by its name, and the module whose function of this name makes it."""

KINDS: Final = {
    "file": ("files", "from_file"),
    "generated": ("generated", "generated"),
    "hub": ("files", "from_hub"),
    "reasoning-gym": ("gym", "reasoning_gym"),
}
"""Every kind of tasks, ``kind:what``, and the module and the function that make them."""

_GROUP: Final = "thinkctl.tasks"


def names() -> tuple[str, ...]:
    """Return the names of all tasks and kinds, those of other packages included; nothing is loaded."""
    return tuple(sorted({*TASKS, *KINDS, *entry_points(group=_GROUP).names}))


def task(spec: str, **options: Any) -> Task:
    """Return a task: ``task("gsm8k")``, ``task("countdown?numbers=4")``, ``task("math500", folder=...)``.

    ``options`` are those that could be written after the question mark. Raises ``ConfigurationError`` for a name or
    an option that is not known, listing those that are, and for data that is not there, saying what to put where.
    """
    written = parse(spec)
    make = _maker(written.name)
    return make(**arguments(make, written, options))


def _maker(name: str) -> Callable[..., Task]:
    if name in TASKS or name in KINDS:
        module, function = (TASKS[name], name) if name in TASKS else KINDS[name]
        return cast("Callable[..., Task]", getattr(import_module(f"thinkctl.evals.tasks.{module}"), function))
    points = {point.value: point for point in entry_points(group=_GROUP, name=name)}
    if not points:
        raise ConfigurationError(f"task {name!r} is not known; {known(names(), name)}")
    if len(points) > 1:
        raise ConfigurationError(
            f"task {name!r} comes from {' and from '.join(sorted(points))}; uninstall one of them"
        )
    (point,) = points.values()
    try:
        made = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"task {name!r} ({point.value}) cannot be loaded: {error}") from error
    if not callable(made):
        raise ConfigurationError(f"task {name!r} ({point.value}) is no function that makes a task")
    return cast("Callable[..., Task]", made)
