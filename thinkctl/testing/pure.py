"""Taking the world away from pure functions: clock, randomness and files."""

from __future__ import annotations

import builtins
import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

__all__ = ["no_world"]

_CLOCKS: Final = (
    "monotonic",
    "monotonic_ns",
    "perf_counter",
    "perf_counter_ns",
    "process_time",
    "process_time_ns",
    "sleep",
    "thread_time",
    "time",
    "time_ns",
)
_RANDOM: Final = 'randomness is random.Random(f"{history.seed}:{history.bought}")'


@contextmanager
def no_world(who: str) -> Iterator[None]:
    """Let the clock, unseeded randomness and opening files raise ``AssertionError`` in this thread.

    A generator with a seed, ``random.Random("7:3")``, stays allowed. What a module took by name when it was
    imported is out of reach.
    """
    thread = threading.get_ident()

    def taken(module: Any, name: str, what: str) -> Callable[..., Any]:
        real = getattr(module, name)

        def refuse(*args: Any, **named: Any) -> Any:
            if threading.get_ident() != thread:
                return real(*args, **named)
            raise AssertionError(f"{who} used {module.__name__}.{name}; {what}")

        return refuse

    class Seeded(random.Random):
        def __init__(self, x: Any = None) -> None:
            if x is None and threading.get_ident() == thread:
                raise AssertionError(f"{who} made a random generator without a seed; {_RANDOM}")
            super().__init__(x)

    with ExitStack() as stack:
        for name in _CLOCKS:
            stack.enter_context(_replaced(time, name, taken(time, name, "time is history.elapsed")))
        for name in _global_random():
            stack.enter_context(_replaced(random, name, taken(random, name, _RANDOM)))
        stack.enter_context(_replaced(random, "Random", Seeded))
        stack.enter_context(_replaced(random, "SystemRandom", taken(random, "SystemRandom", _RANDOM)))
        stack.enter_context(_replaced(os, "urandom", taken(os, "urandom", _RANDOM)))
        for module in (builtins, io):
            stack.enter_context(_replaced(module, "open", taken(module, "open", "it must do no I/O")))
        yield


def _global_random() -> tuple[str, ...]:
    """Return the functions of ``random`` that share its hidden generator."""
    owners = {name: getattr(getattr(random, name), "__self__", None) for name in random.__all__}
    return tuple(name for name, owner in owners.items() if isinstance(owner, random.Random))


@contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    real = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, real)
