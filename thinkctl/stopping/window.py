"""Early-stopping self-consistency: windows of votes, for comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import top_two
from thinkctl.stopping.boundary import lead_chance
from thinkctl.types import Decision, History

__all__ = ["Window"]


@final
@dataclass(frozen=True)
class Window:
    """Stop once all ``size`` votes of a window agree: the first so many votes, the next so many, and so on.

    ``size`` is 2 or more; 5 is usual. Windows do not overlap. A window is full when it has ``size`` votes: samples
    without an answer are no votes, neither for nor against. At equal error ``AdaptiveConsistency`` and ``Margin``
    take fewer samples; this is for comparison.

    Source: Li et al. 2024, ESC (arXiv:2401.10480), algorithm 1. Deviation: there the agreed window's answer is
    returned; here the run's selector chooses from all votes, as it does after every policy, which makes fewer
    mistakes.
    """

    size: int = 5

    def __post_init__(self) -> None:
        if self.size < 2:
            raise ConfigurationError(f"size={self.size!r} votes always agree; give 2 or more, 5 is usual")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"none: {self.size} votes that agree in one window"

    def decide(self, history: History) -> Decision:
        keys = [answer.key for answer in history.answers]
        full = len(keys) - len(keys) % self.size
        stop = any(len(set(keys[place : place + self.size])) == 1 for place in range(0, full, self.size))
        begun = keys[full:]
        rest = self.size - len(begun)
        agrees = len(set(begun)) <= 1
        so_far = (
            "a window agreed" if stop else f"{len(begun)} of {self.size} votes{', all the same' * agrees}"
        )
        return Decision(
            stop=stop,
            more=rest if agrees else rest + self.size,
            confidence=lead_chance(*top_two(history)) if keys else None,
            why=f"window {full // self.size + 1}: {so_far}" if not stop else so_far,
        )
