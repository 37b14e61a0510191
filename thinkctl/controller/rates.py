"""How long tokens take in this run: the time reserve for concluding is estimated from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

__all__ = ["Rates", "StreamTimer"]

_MEMORY: Final = 0.2
"""Weight of the newest delta in the running mean: it follows a changing load within about five steps."""


@final
@dataclass(slots=True)
class Rates:
    """Running estimates over all streams of one run (seconds)."""

    seconds_per_token: float | None = None
    seconds_to_first: float | None = None

    def conclusion_seconds(self, tokens: int) -> float:
        """Return how long a conclusion of that many tokens is expected to take, its prefill included."""
        return (self.seconds_to_first or 0.0) + tokens * (self.seconds_per_token or 0.0)


@final
@dataclass(slots=True)
class StreamTimer:
    """Times the deltas of one stream and keeps the run's rates up to date."""

    rates: Rates
    opened: float
    last: float | None = None

    def arrived(self, tokens: int, now: float) -> None:
        """Take note of a delta of ``tokens`` tokens at the time ``now``."""
        if self.last is None:
            # The slowest start counts: at the wall the conclusion may have to queue in the same way.
            self.rates.seconds_to_first = max(self.rates.seconds_to_first or 0.0, now - self.opened)
        elif tokens:
            newest = (now - self.last) / tokens
            old = self.rates.seconds_per_token
            self.rates.seconds_per_token = newest if old is None else old + _MEMORY * (newest - old)
        self.last = now
