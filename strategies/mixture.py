"""Several ways of asking under one vote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector, Strategy
from thinkctl.selectors import Majority
from thinkctl.strategies.parts import ask_as, needs_of_all, part_of
from thinkctl.types import History, Needs, Request

__all__ = ["Mixture"]


@final
@dataclass(frozen=True)
class Mixture:
    """Ask in several ways in turn, and let all answers compete under one ``selector``.

    The next request is that of the strategy which has asked least so far, the first of equals; each strategy sees its
    own samples alone. Mistakes of one prompt, or of one model, are shared by its samples: answers to two prompts agree
    by accident less often, so an agreement is worth more (``SelfConsistency`` with ``ProgramOfThought``, for instance).

    Source: mixture of thought, Yue et al. 2023 (arXiv:2310.03094), section 3.
    """

    strategies: tuple[Strategy, ...]
    selector: Selector = Majority()

    def __post_init__(self) -> None:
        if not self.strategies:
            raise ConfigurationError("strategies=() mixes nothing; give at least one")

    @property
    def needs(self) -> Needs:
        """What the strategies need."""
        return needs_of_all(self.strategies, "mixture")

    def propose(self, history: History) -> Sequence[Request]:
        names = [str(place) for place in range(len(self.strategies))]
        waiting = [ask_as(name, each, history) for name, each in zip(names, self.strategies, strict=True)]
        asked = [part_of(history, name).bought for name in names]
        requests: list[Request] = []
        while any(waiting):
            place = min((place for place, own in enumerate(waiting) if own), key=asked.__getitem__)
            requests.append(waiting[place].pop(0))
            asked[place] += 1
        return requests
