"""A vote on tool calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, final

from thinkctl.answers.tools import calls_in
from thinkctl.errors import ConfigurationError
from thinkctl.selectors.votes import Majority
from thinkctl.types import Answer, History

__all__ = ["ToolMajority"]

By = Literal["name", "call", "hierarchical"]
Ballot = tuple[Answer, tuple[str, ...], str]
"""An answer, the names that it calls in order, and the key of its calls."""


@final
@dataclass(frozen=True)
class ToolMajority:
    """The tool calls that most samples make; ties go to the first launched.

    ``by`` is what a vote is for: the ``name`` of the tools alone (how often each is called, in whatever order; of the
    winners the first launched is returned), the whole ``call`` with its arguments, or ``hierarchical``: first the
    names, then the arguments among those who call these. Answers that are no tool calls abstain; where all are none,
    the majority wins.

    Source: self-consistency, Wang et al. 2023 (arXiv:2203.11171), section 2, unweighted sum. Deviation: what counts
    as the same answer.
    """

    by: By = "hierarchical"

    def __post_init__(self) -> None:
        if self.by not in ("name", "call", "hierarchical"):
            raise ConfigurationError(
                f"tool majority cannot vote by {self.by!r}; use 'name', 'call' or 'hierarchical'"
            )

    def select(self, history: History) -> Answer | None:
        ballots: list[Ballot] = []
        for answer in history.answers:
            if calls := calls_in(answer.text):
                # not the answer's own key: a history may be of another form
                each = sorted(f"{call.name} {call.arguments}" for call in calls)
                ballots.append((answer, tuple(sorted(call.name for call in calls)), "\n".join(each)))
        if not ballots:
            return Majority().select(history)
        if self.by in ("name", "hierarchical"):
            ballots = _leading(ballots, lambda ballot: ballot[1])
        if self.by in ("call", "hierarchical"):
            ballots = _leading(ballots, lambda ballot: ballot[2])
        return ballots[0][0]


def _leading(ballots: Sequence[Ballot], vote: Callable[[Ballot], object]) -> list[Ballot]:
    """Return the ballots for what most are for; of equals what was first."""
    votes = Counter(map(vote, ballots))
    winner = max(votes, key=lambda one: votes[one])
    return [ballot for ballot in ballots if vote(ballot) == winner]
