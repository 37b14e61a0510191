"""A strategy of another package: vote, and ask again as long as the vote is a draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thinkctl.protocols import Selector
from thinkctl.selectors import Majority, top_two
from thinkctl.strategies.prompts import reason_first
from thinkctl.types import History, Request, Sampling


@dataclass(frozen=True)
class TieBreak:
    """Ask for ``n`` samples, and for one more as long as two answers lead with as many votes, up to ``most``."""

    n: int = 4
    most: int = 12
    sampling: Sampling = Sampling(temperature=0.7)

    @property
    def selector(self) -> Selector:
        return Majority()

    def propose(self, history: History) -> Sequence[Request]:
        missing = self.n - history.bought
        leader, runner_up = top_two(history)
        if missing <= 0 and not history.in_flight and leader == runner_up:
            missing = min(1, self.most - history.bought)
        return [Request(reason_first(history.problem), self.sampling)] * max(0, missing)
