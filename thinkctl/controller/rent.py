"""Engines that cost by the hour: a run pays for its own seconds, and has the time reserved where dollars are limited.

Dollars that only time costs are a deadline: the seconds that they buy. The deadline may be passed by 50 ms, so
that much is bought besides, and the dollar wall holds as long as the deadline does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final, final

from thinkctl.controller.ledger import Grant, Ledger, Need
from thinkctl.errors import ConfigurationError
from thinkctl.pricing import dollars_for_seconds, dollars_per_hour, only_time_costs, seconds_for_dollars
from thinkctl.types import Budget, Prices, ReceiptLine, Role, Run, StopReason, Usage
from thinkctl.types.usage import EXACT

__all__ = ["Rent"]

_GRACE: Final = 0.05
"""Seconds by which a run may pass its deadline."""
_LEAST: Final = 0.05
"""Seconds for which a run is not worth starting."""


@final
class Rent:
    """What holding the engines of one run costs, and the run's ledger, with the deadline that its dollars buy.

    ``short`` says why nothing can be asked at all: the dollars left do not pay for the time. It is empty where
    they do. Raises ``ConfigurationError`` where time and tokens both cost dollars out of one limit and nothing
    says how long the run may take.
    """

    def __init__(
        self, limits: Budget, prices: Mapping[str, Prices | None], *, now: float, parent: Ledger | None
    ) -> None:
        self.ledger = Ledger(limits, now=now, parent=parent)
        self.short = ""
        self._hourly = {
            name: each.dollars_per_hour for name, each in prices.items() if each and each.dollars_per_hour
        }
        self._rate = dollars_per_hour(prices.values())
        self._bought: float | None = None
        self._grant: Grant | None = None
        self._charged = False
        if self._hourly and self.ledger.counts_dollars:
            with self.ledger.lock:
                self._reserve(limits, now, tokens_are_free=only_time_costs(prices.values()))

    def _reserve(self, limits: Budget, now: float, *, tokens_are_free: bool) -> None:
        dollars = self.ledger.left(fair=True).dollars or Decimal(0)
        bought = seconds_for_dollars(dollars, self._rate) - _GRACE
        deadline = self.ledger.deadline
        longest = None if deadline is None else deadline - now
        if longest is None and not tokens_are_free:
            raise ConfigurationError(
                f"dollars={dollars:f} are to pay for tokens and for time at ${self._rate:f} an hour, and nothing says "
                "how much time; give seconds in the budget too"
            )
        if tokens_are_free:
            longest = bought if longest is None else min(bought, longest)
            if deadline is None or longest < deadline - now:
                self._bought = longest
        if longest is None or bought < max(_LEAST, longest):
            self.short = f"${dollars:f} do not pay for the time at ${self._rate:f} an hour"
            self._charged = True  # nothing is going to run
            return
        if self._bought is not None:
            timed = limits.model_copy(update={"seconds": self._bought})
            self.ledger = Ledger(timed, now=now, parent=self.ledger.parent)
        self._grant = self.ledger.reserve(Need(dollars=min(dollars, self._cost(longest + _GRACE))))

    def _cost(self, seconds: float) -> Decimal:
        total = Decimal(0)
        for hourly in self._hourly.values():
            total = EXACT.add(total, dollars_for_seconds(seconds, hourly))
        return total

    def settled(self, run: Run) -> Run:
        """Charge the seconds on the run's receipt, and return the run with them among its dollars."""
        if not self._hourly:
            return run
        self._charge(run.receipt.seconds)
        run = replace(run, receipt=replace(run.receipt, lines=self.ledger.receipt(0.0).lines))
        if self._bought is None or run.stop is not StopReason.SECONDS:
            return run
        why = f"the dollar budget was reached: it bought {self._bought:.2f} s at ${self._rate:f} an hour"
        return replace(run, stop=StopReason.DOLLARS, why=why)

    def close(self, now: float) -> None:
        """End the run's ledger. A run that was broken off pays for its time until now."""
        self._charge(now - self.ledger.started)
        self.ledger.leave()

    def _charge(self, seconds: float) -> None:
        if self._charged:
            return
        self._charged = True
        with self.ledger.lock:
            if self._grant is not None:
                self._grant.release()
            for name, hourly in self._hourly.items():
                dollars = dollars_for_seconds(seconds, hourly)
                self.ledger.charge(ReceiptLine(Role.SAMPLE, name, Usage(), dollars))
