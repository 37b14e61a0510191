"""A tree of answers and their revisions, rebuilt from the history each time.

A node is a sample. The tag of its request names the sample that it revises, none for a first draft; a request with
messages has no parent among tokens. So the tree needs no memory, and is the same when the run is read from a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import final

from thinkctl.selectors import score_of
from thinkctl.strategies.prompts import asked, revise, what_scored
from thinkctl.types import Finish, History, Request, Sample, Sampling

__all__ = ["Node", "ask_below", "passed", "tree_of"]

_WHOLE = (Finish.STOP, Finish.LENGTH)


@final
@dataclass(slots=True, eq=False)
class Node:
    """An answer and its revisions; the root is the problem itself and has no sample.

    ``score`` is in [0, 1]. Where none is known it is 0, and so is it while the sample grows: that keeps samples that
    run at once apart.
    """

    sample: Sample | None = None
    model: str | None = None
    score: float = 0.0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list["Node"])

    @property
    def can_be_revised(self) -> bool:
        """Whether a child can start here: at the root a draft, at a whole answer a revision."""
        if self.sample is None:
            return self.parent is None
        return self.sample.finish in _WHOLE and bool(self.sample.text.strip())

    def below(self) -> Iterator[Node]:
        """Yield all nodes under this one."""
        waiting = list(self.children)
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.children

    def grow(self, model: str | None = None, sample: Sample | None = None) -> Node:
        """Add a child; without a sample it is one that is about to be launched."""
        known = score_of(sample) if sample is not None and sample.finished else None
        child = Node(sample, model, min(max(known or 0.0, 0.0), 1.0), self)
        self.children.append(child)
        return child


def tree_of(samples: Sequence[Sample]) -> Node:
    """Return the root of the tree that samples make. A tag that names no earlier sample is none."""
    root = Node()
    nodes: list[Node] = []
    for sample in samples:
        tag = sample.request.tag
        place = int(tag) if tag.isdecimal() and len(tag) < len("1000000000") else len(nodes)
        parent = nodes[place] if place < len(nodes) else root
        nodes.append(parent.grow(sample.request.model, sample))
    return root


def ask_below(
    node: Node, history: History, sampling: Sampling, model: str | None = None, *, think: bool = True
) -> Request:
    """Return the request for a child: a first draft below the root, else a revision with what its check said."""
    if node.sample is None:
        return Request(asked(history.problem, think=think), sampling, think=think, model=model)
    messages = revise(history.problem, node.sample, what_scored(node.sample), think=think)
    return Request(messages, sampling, think=think, model=model, tag=str(node.sample.index))


def passed(samples: Sequence[Sample]) -> bool:
    """Whether an answer has passed its check."""
    return any(sample.verdict is not None and sample.verdict.passed is True for sample in samples)
