"""The ledger: what may still be spent. ``used + reserved <= limit`` holds at every moment, in every currency.

A stream is admitted with a grant that is reserved beforehand and is the engine's ``max_tokens``; what it did
not use returns to the pool when it is settled. Ledgers nest: what is reserved or spent in a child is reserved
or spent in all its parents, atomically.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self, final

from thinkctl.pricing import price, worst_case
from thinkctl.types import Budget, Prices, Receipt, ReceiptLine, Role, StopReason, Usage

__all__ = ["Grant", "Ledger", "Need"]

_NO_DOLLARS: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Need:
    """An amount in every currency that can be reserved: generated tokens, dollars, requests."""

    tokens: int = 0
    dollars: Decimal = _NO_DOLLARS
    requests: int = 0

    def __add__(self, other: Need) -> Need:
        """Add up, currency by currency."""
        return Need(self.tokens + other.tokens, self.dollars + other.dollars, self.requests + other.requests)

    def __sub__(self, other: Need) -> Need:
        """Subtract, currency by currency."""
        return Need(self.tokens - other.tokens, self.dollars - other.dollars, self.requests - other.requests)

    @classmethod
    def stream(cls, prompt_tokens: int, tokens: int, prices: Prices | None) -> Self:
        """Return the most that one stream can cost."""
        return cls(tokens, worst_case(prompt_tokens, tokens, 1, prices) or _NO_DOLLARS, 1)


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
        """How many children are going to spend from it: each is planned with an equal share."""
        self.overshoot = 0
        """Tokens decoded beyond grants. Zero with an engine that honours ``max_tokens``."""
        self.lock: threading.RLock = parent.lock if parent is not None else threading.RLock()
        self._lines: dict[tuple[Role, str], ReceiptLine] = {}

    # -- limits ---------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The earliest deadline of this ledger and its parents."""
        own = None if self.budget.seconds is None else self.started + self.budget.seconds
        above = self.parent.deadline if self.parent is not None else None
        return own if above is None else above if own is None else min(own, above)

    @property
    def counts_dollars(self) -> bool:
        """Whether this ledger or a parent limits dollars."""
        return self.budget.dollars is not None or (self.parent is not None and self.parent.counts_dollars)

    def wall(self, need: Need) -> StopReason | None:
        """Return the currency that ``need`` would exceed, here or in a parent, or ``None``."""
        with self.lock:
            total = self.used + self.reserved + need
            limit = self.budget
            if limit.tokens is not None and total.tokens > limit.tokens:
                return StopReason.TOKENS
            if limit.dollars is not None and total.dollars > limit.dollars:
                return StopReason.DOLLARS
            if limit.requests is not None and total.requests > limit.requests:
                return StopReason.REQUESTS
            return self.parent.wall(need) if self.parent is not None else None

    def affordable(self, fixed: Need, dollars_per_token: Decimal, *, fair: bool = False) -> int | None:
        """Return how many tokens could be reserved now beside ``fixed`` (``None``: any number).

        ``dollars_per_token`` is what each of them can cost at most. With ``fair`` it is this ledger's share
        of what its parents have. Negative where not even ``fixed`` fits.
        """
        with self.lock:
            total = self.used + self.reserved + fixed
            limit = self.budget
            rooms: list[int] = []
            if limit.requests is not None and total.requests > limit.requests:
                rooms.append(-1)
            if limit.tokens is not None:
                rooms.append(limit.tokens - total.tokens)
            if limit.dollars is not None:
                left = limit.dollars - total.dollars
                if left < 0:
                    rooms.append(-1)
                elif dollars_per_token > 0:
                    rooms.append(int(left / dollars_per_token))
            if self.parent is not None:
                above = self.parent.affordable(fixed, dollars_per_token, fair=fair)
                if above is not None:
                    rooms.append(above // max(1, self.parent.sharers) if fair else above)
            return min(rooms) if rooms else None

    def affordable_tokens(self) -> int | None:
        """Return how many generated tokens are neither used nor reserved, here and in the parents."""
        return self.affordable(Need(), _NO_DOLLARS)

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
            self.overshoot += max(0, usage.generated_tokens - grant.need.tokens)
            grant.release()
            self._spend(ReceiptLine(role, model, usage, price(usage, prices)))

    def _spend(self, line: ReceiptLine) -> None:
        spent = Need(line.usage.generated_tokens, line.dollars or _NO_DOLLARS, line.usage.requests)
        self.used = self.used + spent
        (self._lines[line.role, line.model],) = Receipt.of(
            [*filter(None, [self._lines.get((line.role, line.model))]), line], 0.0
        ).lines
        if self.parent is not None:
            self.parent._spend(line)

    def receipt(self, now: float) -> Receipt:
        """Return the bill so far."""
        with self.lock:
            return Receipt(tuple(self._lines.values()), now - self.started)
