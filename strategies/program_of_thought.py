"""Think in a program, and let it be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import Majority
from thinkctl.strategies.prompts import program_first
from thinkctl.types import History, Needs, Request, Sampling

__all__ = ["ProgramOfThought"]


@final
@dataclass(frozen=True)
class ProgramOfThought:
    """Ask for ``n`` Python programs that compute the answer, and let what they give vote.

    The model is asked for one fenced block of Python that prints the answer or assigns it to ``answer``. Nothing here
    runs it: that is the verifier's work, and what the program gives becomes the sample's answer. A program that fails
    abstains.

    Source: Chen et al. 2022 (arXiv:2211.12588), zero-shot; with a vote, section 3.
    """

    n: int = 1
    sampling: Sampling = Sampling(temperature=0.7)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigurationError(f"n={self.n!r} programs compute nothing; give 1 or more")

    @property
    def needs(self) -> Needs:
        """A verifier that runs the programs."""
        return Needs(scores=True, why="program-of-thought")

    @property
    def selector(self) -> Selector:
        return Majority()

    def propose(self, history: History) -> Sequence[Request]:
        return [Request(program_first(history.problem), self.sampling)] * (self.n - history.bought)
