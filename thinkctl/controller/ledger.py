"""The ledger: what may still be spent. ``used + reserved <= limit`` holds at every moment, in every currency.

A stream is admitted with a grant that is reserved beforehand and is the engine's ``max_tokens``; what it did
not use returns to the pool when it is settled. Ledgers nest: what is reserved or spent in a child is reserved
or spent in all its parents, atomically.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self, TypeVar, final

from thinkctl.pricing import price, worst_case
from thinkctl.types import (
    DEFAULT_ANSWER_TOKENS,
    Budget,
    Prices,
    Receipt,
    ReceiptLine,
    Role,
    StopReason,
    Usage,
)
from thinkctl.types.usage import EXACT

__all__ = ["Grant", "Ledger", "Need"]

N = TypeVar("N", int, float, Decimal)

_NO_DOLLARS: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Need:
    """An amount in every currency that can be reserved: generated tokens, dollars, requests."""

    tokens: int = 0
    dollars: Decimal = _NO_DOLLARS
    requests: int = 0

    def __add__(self, other: Need) -> Need:
        """Add up, currency by currency."""
        dollars = EXACT.add(self.dollars, other.dollars)
        return Need(self.tokens + other.tokens, dollars, self.requests + other.requests)

    def __sub__(self, other: Need) -> Need:
        """Subtract, currency by currency."""
        dollars = EXACT.subtract(self.dollars, other.dollars)
        return Need(self.tokens - other.tokens, dollars, self.requests - other.requests)

    @classmethod
    def stream(cls, prompt_tokens: int, tokens: int, prices: Prices | None) -> Self:
        """Return the most that one stream can cost."""
        return cls(tokens, worst_case(prompt_tokens, tokens, 1, prices) or _NO_DOLLARS, 1)


@dataclass(frozen=True, slots=True)
class _Left:
    """What may still be reserved in every currency; ``None`` is no limit, negative is beyond one."""

    tokens: int | None
    dollars: Decimal | None
    requests: int | None

    @classmethod
    def of(cls, limit: Budget, gone: Need) -> Self:
        """Return what a budget has left."""
        return cls(
            None if limit.tokens is None else limit.tokens - gone.tokens,
            None if limit.dollars is None else EXACT.subtract(limit.dollars, gone.dollars),
            None if limit.requests is None else limit.requests - gone.requests,
        )

    def least(self, other: _Left) -> _Left:
        """Return the smaller of both in every currency."""
        return _Left(
            _smaller(self.tokens, other.tokens),
            _smaller(self.dollars, other.dollars),
            _smaller(self.requests, other.requests),
        )

    def part(self, held: Need, sharers: int, own: Need) -> _Left:
        """Return what is left of an equal part, ``held`` being what all sharers hold and ``own`` of it."""
        tokens, dollars, requests = self.tokens, self.dollars, self.requests
        return _Left(
            None if tokens is None else (tokens + held.tokens) // sharers - own.tokens,
            None
            if dollars is None
            else EXACT.subtract(EXACT.divide(EXACT.add(dollars, held.dollars), sharers), own.dollars),
            None if requests is None else (requests + held.requests) // sharers - own.requests,
        )


def _smaller(one: N | None, other: N | None) -> N | None:
    return other if one is None else one if other is None else min(one, other)


@final
class Grant:
    """A reservation that is not settled yet. It is given back exactly once."""

    __slots__ = ("_ledger", "need")

    def __init__(self, ledger: Ledger, need: Need) -> None:
        self._ledger: Ledger | None = ledger
        self.need = need

    def release(self) -> None:
        """Give all of it back; harmless when it was given back before."""
        if self._ledger is not None:
            self._ledger.unreserve(self.need)
            self._ledger = None

    def lend(self) -> None:
        """Give the amount back for a moment; call only under the ledger's lock, with :meth:`take_back`."""
        if self._ledger is not None:
            self._ledger.unreserve(self.need)

    def take_back(self) -> None:
        """Reserve the lent amount again. It still fits, because the lock was held."""
        if self._ledger is not None:
            self._ledger.rereserve(self.need)


@final
class Ledger:
    """The account of one budget: a run's, a batch's or a purse's.

    ``deadline`` is in seconds on the clock that ``now`` was read from; parents must use the same clock.
    """

    def __init__(self, budget: Budget, *, now: float = 0.0, parent: Ledger | None = None) -> None:
        self.budget = budget
        self.parent = parent
        self.started = now
        self.used = Need()
        self.reserved = Need()
        self.sharers = 0
        """How many children that have not ended share it: each is planned with an equal part. 0: none shares."""
        self.ended = Need()
        """What the children that have ended had used."""
        self.overshoot = 0
        """Tokens decoded beyond grants. Zero with an engine that honours ``max_tokens``."""
        self.verifier_calls = 0
        self.verifier_seconds = 0.0
        self.lock: threading.RLock = parent.lock if parent is not None else threading.RLock()
        self._lines: dict[tuple[Role, str], ReceiptLine] = {}

    # -- limits ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The earliest deadline of this ledger and its parents."""
        own = None if self.budget.seconds is None else self.started + self.budget.seconds
        return _smaller(own, self.parent.deadline if self.parent is not None else None)

    @property
    def counts_dollars(self) -> bool:
        """Whether this ledger or a parent limits dollars."""
        return self.budget.dollars is not None or (self.parent is not None and self.parent.counts_dollars)

    @property
    def thinking_tokens(self) -> int | None:
        """The strictest bound on the thought of a single sample, of this ledger and its parents."""
        above = self.parent.thinking_tokens if self.parent is not None else None
        return _smaller(self.budget.thinking_tokens, above)

    @property
    def answer_tokens(self) -> int:
        """Tokens wanted for concluding: as the innermost budget has it that says so."""
        if self.budget.answer_tokens is not None or self.parent is None:
            return self.budget.answer_tokens or DEFAULT_ANSWER_TOKENS
        return self.parent.answer_tokens

    def wall(self, need: Need, *, fair: bool = False) -> StopReason | None:
        """Return the currency that ``need`` would exceed, here or in a parent; ``fair`` as in :meth:`left`."""
        left = self.left(fair=fair)
        if left.tokens is not None and need.tokens > left.tokens:
            return StopReason.TOKENS
        if left.dollars is not None and need.dollars > left.dollars:
            return StopReason.DOLLARS
        if left.requests is not None and need.requests > left.requests:
            return StopReason.REQUESTS
        return None

    def left(self, *, fair: bool = False) -> _Left:
        """Return what is neither used nor reserved, here and in all parents.

        With ``fair`` it is at most this ledger's equal part of what its parents had for all their children
        that have not ended, what these hold included.
        """
        with self.lock:
            own = _Left.of(self.budget, self.used + self.reserved)
            if self.parent is None:
                return own
            above = self.parent.left(fair=fair)
            if fair and self.parent.sharers:
                held = self.parent.used + self.parent.reserved - self.parent.ended
                own = own.least(above.part(held, self.parent.sharers, self.used + self.reserved))
            return own.least(above)

    def affordable(self, fixed: Need, dollars_per_token: Decimal, *, fair: bool = False) -> int | None:
        """Return how many tokens could be reserved now beside ``fixed`` (``None``: any number).

        ``dollars_per_token`` is what each of them can cost at most; ``fair`` as in :meth:`left`. Negative
        where not even ``fixed`` fits.
        """
        left = self.left(fair=fair)
        rooms: list[int] = []
        if left.requests is not None and left.requests < fixed.requests:
            rooms.append(-1)
        if left.tokens is not None:
            rooms.append(left.tokens - fixed.tokens)
        if left.dollars is not None:
            dollars = EXACT.subtract(left.dollars, fixed.dollars)
            if dollars < 0:
                rooms.append(-1)
            elif dollars_per_token > 0:
                rooms.append(int(EXACT.divide_int(dollars, dollars_per_token)))
        return min(rooms) if rooms else None

    def affordable_tokens(self) -> int | None:
        """Return how many generated tokens are neither used nor reserved, here and in the parents."""
        return self.left().tokens

    def leave(self) -> None:
        """Take note in the parent that this ledger spends no more: others may have what it did not use."""
        if self.parent is not None and self.parent.sharers:
            with self.lock:
                self.parent.ended = self.parent.ended + self.used
                self.parent.sharers -= 1

    # -- reserving ------------------------------------------------------------------------------------------

    def reserve(self, need: Need) -> Grant | None:
        """Reserve an amount here and in all parents, or nothing anywhere."""
        with self.lock:
            if self.wall(need) is not None:
                return None
            self._shift(need)
            return Grant(self, need)

    def unreserve(self, need: Need) -> None:
        """Give a reservation back."""
        with self.lock:
            self._shift(Need() - need)

    def rereserve(self, need: Need) -> None:
        """Take a reservation again that was given back a moment ago under the same lock."""
        with self.lock:
            self._shift(need)

    def _shift(self, need: Need) -> None:
        self.reserved = self.reserved + need
        if self.parent is not None:
            self.parent._shift(need)

    # -- spending -------------------------------------------------------------------------------------------

    def settle(self, grant: Grant, role: Role, model: str, usage: Usage, prices: Prices | None) -> None:
        """Release a grant and write what was really used on the bill, also what went beyond the grant."""
        with self.lock:
            overshoot = max(0, usage.generated_tokens - grant.need.tokens)
            grant.release()
            self._spend(ReceiptLine(role, model, usage, price(usage, prices)), overshoot)

    def charge(self, line: ReceiptLine) -> None:
        """Write on the bill what no grant was for."""
        with self.lock:
            self._spend(line, 0)

    def verified(self, seconds: float) -> None:
        """Write one call of a verifier on the bill, here and in all parents."""
        with self.lock:
            self.verifier_calls += 1
            self.verifier_seconds += seconds
            if self.parent is not None:
                self.parent.verified(seconds)

    def _spend(self, line: ReceiptLine, overshoot: int) -> None:
        self.overshoot += overshoot
        spent = Need(line.usage.generated_tokens, line.dollars or _NO_DOLLARS, line.usage.requests)
        self.used = self.used + spent
        (self._lines[line.role, line.model],) = Receipt.of(
            [*filter(None, [self._lines.get((line.role, line.model))]), line], 0.0
        ).lines
        if self.parent is not None:
            self.parent._spend(line, overshoot)

    def receipt(self, now: float) -> Receipt:
        """Return the bill so far."""
        with self.lock:
            return Receipt(
                tuple(self._lines.values()),
                now - self.started,
                self.overshoot,
                self.verifier_calls,
                self.verifier_seconds,
            )
