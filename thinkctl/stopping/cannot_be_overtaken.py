"""The exact stop: no further vote can change the majority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import tally
from thinkctl.types import Decision, History

__all__ = ["CannotBeOvertaken", "votes_to_safety"]


@final
@dataclass(frozen=True)
class CannotBeOvertaken:
    """Stop once the remaining votes of ``n`` cannot change the majority any more.

    Gives exactly the answer that the majority of all ``n`` samples would give, ties to the first launched
    included. Samples that abstained have used up their vote. ``n`` is the strategy's number of samples.
    """

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigurationError(f"n={self.n!r} samples cannot vote; give the strategy's n, at least 1")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"exactly the majority of all {self.n} samples, ties included"

    def decide(self, history: History) -> Decision:
        votes = tuple(tally(history).values())
        left = max(0, self.n - len(history.settled))
        short = votes_to_safety(votes, left)
        why = f"the leader has {max(votes, default=0)} votes, {left} are left"
        return Decision(stop=short == 0, more=max(short, 1), why=why)


def votes_to_safety(votes: tuple[int, ...], left: int) -> int:
    """Return the fewest of the votes ``left`` that, all given to the leader, put it out of reach.

    ``votes`` are in first-vote order. After k more the leader has ``leader + k``, and a rival can still reach
    ``rival + left - k``. A draw is enough against a rival that came later, such as an answer that nobody gave
    yet; a rival that came earlier would win the draw, so the leader must stay one ahead.
    """
    leader = max(votes, default=0)
    place = votes.index(leader) if votes else 0
    earlier, later = votes[:place], (0, *votes[place + 1 :])
    gaps = [rival + 1 + left - leader for rival in earlier] + [rival + left - leader for rival in later]
    return max(0, *((gap + 1) // 2 for gap in gaps))
