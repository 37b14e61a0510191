"""How one problem of a batch stands: all that an allocation looks at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """The votes for the leading answer and for the runner-up, and how many samples were bought.

    ``bought`` counts those in flight and those that abstained, too. Where samples are in flight, ``leader``
    takes it that they vote for the leader: so a problem that waits for votes is not the most urgent for ever.
    ``place`` is the problem's in the batch, from 0.
    """

    leader: int
    runner_up: int
    bought: int
    place: int = 0
