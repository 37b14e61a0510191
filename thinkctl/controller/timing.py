"""The time of a run: how much has passed, when thinking must end, and when everything must."""

from __future__ import annotations

import asyncio
from typing import Final, final

from thinkctl.controller.admission import Admission
from thinkctl.controller.ledger import Ledger
from thinkctl.controller.rates import Rates

__all__ = ["Timing"]

_SHARE_FOR_ANSWER: Final = 4
"""Of the time of a run, at most one part in this many is kept for concluding."""


@final
class Timing:
    """The clock of one run, which is the running event loop's; all in seconds."""

    def __init__(self, ledger: Ledger, rates: Rates, admission: Admission) -> None:
        self.now: Final = asyncio.get_running_loop().time
        self._ledger = ledger
        self._rates = rates
        self._admission = admission

    def elapsed(self) -> float:
        """Return the time since the call."""
        return self.now() - self._ledger.started

    def left(self) -> float | None:
        """Return the time until the deadline, 0 after it; ``None`` where there is none."""
        deadline = self._ledger.deadline
        return None if deadline is None else max(0.0, deadline - self.now())

    def is_up(self) -> bool:
        """Whether the deadline is reached."""
        return self.left() == 0.0

    def thinking_wall(self) -> float | None:
        """Return when thinking ends: the deadline, less the time for concluding at the rate measured so far."""
        deadline = self._ledger.deadline
        if deadline is None:
            return None
        most = (deadline - self._ledger.started) / _SHARE_FOR_ANSWER
        return deadline - min(most, self._rates.conclusion_seconds(self._admission.answer_reserve))

    def thinking_is_over(self) -> bool:
        """Whether that moment is reached."""
        wall = self.thinking_wall()
        return wall is not None and self.now() >= wall
