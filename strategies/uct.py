"""Tree search by upper confidence bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import BestScore
from thinkctl.strategies.tree import Node, ask_below, passed, tree_of
from thinkctl.types import History, Needs, Request, Sampling

__all__ = ["UCT"]


@final
@dataclass(frozen=True)
class UCT:
    """Search a tree of answers and revisions: down the branch of the highest upper confidence bound.

    A node is a whole answer, its value the verifier's score in [0, 1]. A node gets ``width`` children before the search
    goes down to one of them: drafts at the root, revisions with the verifier's feedback below. ``exploration`` is the
    constant C_p: 0 always goes where the mean is highest. ``at_once`` samples run at the same time; one that still
    grows counts as a visit of value 0, so that the next one goes elsewhere. The search ends when an answer passes its
    check (``verdict.passed``), or after ``n`` samples; the best-scored answer wins. ``think=False`` asks for answers
    without reasoning.

    Source: Kocsis and Szepesvari 2006 (UCT), section 2.2: mean + 2 C_p sqrt(ln N / n). Deviation: a node is an answer
    and its own score is its simulation; nothing is rolled out.
    """

    n: int = 16
    width: int = 3
    exploration: float = 1 / math.sqrt(2)
    at_once: int = 1
    think: bool = True
    sampling: Sampling = Sampling(temperature=0.8)

    def __post_init__(self) -> None:
        for name, value in (("n", self.n), ("width", self.width), ("at_once", self.at_once)):
            if value < 1:
                raise ConfigurationError(f"{name}={value!r} searches nothing; give 1 or more")
        if not (math.isfinite(self.exploration) and self.exploration >= 0):
            raise ConfigurationError(
                f"exploration={self.exploration!r} is no weight; give 0 or more, 0.707 is usual"
            )

    @property
    def needs(self) -> Needs:
        """A score of every answer."""
        return Needs(scores=True, why="uct")

    @property
    def selector(self) -> Selector:
        return BestScore()

    def propose(self, history: History) -> Sequence[Request]:
        free = min(self.n - history.bought, self.at_once - len(history.in_flight))
        if passed(history.samples):
            return ()
        root, requests = tree_of(history.samples), list[Request]()
        while len(requests) < free and (node := self._leaf(root)) is not None:
            requests.append(ask_below(node, history, self.sampling, think=self.think))
            node.grow()
        return requests

    def _leaf(self, node: Node) -> Node | None:
        """Return the node that gets the next child; ``None``: none can."""
        if node.can_be_revised and len(node.children) < self.width:
            return node
        for child in sorted(node.children, key=lambda child: -self._bound(child, node)):
            if (leaf := self._leaf(child)) is not None:
                return leaf
        return None

    def _bound(self, child: Node, node: Node) -> float:
        scores = [child.score, *(below.score for below in child.below())]
        visits = sum(1 for _ in node.below())
        return math.fsum(scores) / len(scores) + 2 * self.exploration * math.sqrt(
            math.log(visits) / len(scores)
        )
