"""Ask once, without thinking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.protocols import Selector
from thinkctl.selectors import Latest
from thinkctl.strategies.prompts import answer_at_once
from thinkctl.types import History, Request, Sampling

__all__ = ["ZeroShot"]


@final
@dataclass(frozen=True)
class ZeroShot:
    """Ask for the answer at once, one time: the baseline that thinking has to beat."""

    sampling: Sampling = Sampling(temperature=0)

    @property
    def selector(self) -> Selector:
        return Latest()

    def propose(self, history: History) -> Sequence[Request]:
        if history.bought:
            return ()
        return [Request(answer_at_once(history.problem), self.sampling, think=False)]
