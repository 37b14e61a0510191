"""One wall around many calls: ``with thinkctl.budget(...)`` and ``@thinkctl.budgeted(...)``."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, ParamSpec, TypeVar, final

from thinkctl.controller.ledger import Ledger
from thinkctl.errors import ConfigurationError
from thinkctl.types import Budget, Receipt

__all__ = ["Purse", "budget", "budgeted", "current_ledger"]

P = ParamSpec("P")
R = TypeVar("R")

_LEDGER: ContextVar[Ledger | None] = ContextVar("thinkctl_ledger", default=None)


def clock() -> float:
    """Return the time of the running event loop, or the monotonic clock that such loops read."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def current_ledger() -> Ledger | None:
    """Return the ledger of the innermost purse around this call, in this task or thread."""
    return _LEDGER.get()


@final
class Purse:
    """What is left of a budget that many calls share."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def limits(self) -> Budget:
        """The budget that it was opened with."""
        return self._ledger.budget

    @property
    def receipt(self) -> Receipt:
        """The bill of all calls so far; its seconds are those since the purse was opened."""
        return self._ledger.receipt(clock())

    @property
    def tokens_left(self) -> int | None:
        """Generated tokens that are neither spent nor reserved; ``None``: no limit."""
        return self._ledger.affordable_tokens()

    @property
    def dollars_left(self) -> Decimal | None:
        """Dollars that are neither spent nor reserved; ``None``: no limit."""
        return self._ledger.left().dollars

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the deadline, never negative; ``None``: no deadline."""
        deadline = self._ledger.deadline
        return None if deadline is None else max(0.0, deadline - clock())

    @property
    def overshoot(self) -> int:
        """Tokens beyond grants: zero with engines that honour ``max_tokens``."""
        return self._ledger.overshoot


@contextmanager
def budget(
    limits: Budget | None = None,
    *,
    tokens: int | None = None,
    thinking_tokens: int | None = None,
    seconds: float | None = None,
    dollars: Decimal | float | str | None = None,
    requests: int | None = None,
    answer_tokens: int | None = None,
) -> Iterator[Purse]:
    """Put one wall around all ``solve`` calls inside the ``with`` block.

    Purses nest: a call is charged to every purse around it and stops at the nearest wall. They follow tasks
    (a task that is created inside counts) and ``asyncio.to_thread``; a plain thread starts with no purse.
    Give a ``Budget`` or its fields. Raises a ``ValidationError`` for limits that cannot be, a
    ``ConfigurationError`` for both at once.
    """
    fields = {
        "tokens": tokens,
        "thinking_tokens": thinking_tokens,
        "seconds": seconds,
        "dollars": str(dollars) if isinstance(dollars, float) else dollars,
        "requests": requests,
        "answer_tokens": answer_tokens,
    }
    given = _limits(limits, {name: value for name, value in fields.items() if value is not None})
    ledger = Ledger(given, now=clock(), parent=_LEDGER.get())
    token = _LEDGER.set(ledger)
    try:
        yield Purse(ledger)
    finally:
        _LEDGER.reset(token)


def budgeted(limits: Budget | None = None, **fields: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Give every call of a function, plain or ``async``, a purse of its own. Arguments as :func:`budget`.

    Raises ``ConfigurationError`` for a generator, which goes on after its call has returned.
    """
    checked = _limits(limits, fields)

    def around(function: Callable[P, R]) -> Callable[P, R]:
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise ConfigurationError(
                f"{function.__qualname__} is a generator, and a purse around its call would not hold for what it "
                "does later; write `with budget(...)` inside it"
            )
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                with budget(checked):
                    return await function(*args, **kwargs)

            return awaited  # type: ignore[return-value]

        @functools.wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            with budget(checked):
                return function(*args, **kwargs)

        return called

    return around


def _limits(limits: Budget | None, fields: Mapping[str, object]) -> Budget:
    if limits is not None and fields:
        raise ConfigurationError(f"give a Budget or its fields, not both: {limits!r} and {', '.join(fields)}")
    return limits if limits is not None else Budget.model_validate(fields)
