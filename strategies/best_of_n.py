"""Think many times and let a verifier choose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import BestScore, MajorityOfTheBests, WeightedMajority
from thinkctl.strategies.prompts import asked
from thinkctl.types import History, Needs, Request, Sampling

__all__ = ["BestOfN"]

By = Literal["score", "weighted", "majority-of-the-bests"]

_SELECTORS: Final[dict[By, Selector]] = {
    "score": BestScore(),
    "weighted": WeightedMajority("score"),
    "majority-of-the-bests": MajorityOfTheBests(),
}


@final
@dataclass(frozen=True)
class BestOfN:
    """Ask for ``n`` independent samples and keep the answer that the verifier likes best.

    ``by`` says how: the answer of the highest ``"score"``; the answer with the largest sum of scores
    (``"weighted"``), which is the safer choice where the verifier errs; or the answer that would win most often if
    fewer samples had been drawn (``"majority-of-the-bests"``). With an exact check take ``"score"``, and the
    stopping policy ``threshold(1.0)``, which ends at the first sample that passes.

    ``think=False`` asks for answers without reasoning: many short ones for the tokens of a few long ones, which pays
    where checking is easier than reasoning.

    ``n`` is a cap, and no more is better only where the verifier is exact: the answer that an imperfect one likes
    best is the more often its mistake the more it may choose from (Huang et al. 2025, arXiv:2503.21878).

    Source: Cobbe et al. 2021 (arXiv:2110.14168), section 4.2; weighted: Li et al. 2023 (arXiv:2206.02336), section
    3.1.
    """

    n: int = 8
    by: By = "score"
    think: bool = True
    sampling: Sampling = Sampling(temperature=0.7)

    def __post_init__(self) -> None:
        if self.n < 1:
            raise ConfigurationError(f"n={self.n!r} leaves nothing to choose from; give 1 or more")
        if self.by not in _SELECTORS:
            known = ", ".join(map(repr, _SELECTORS))
            raise ConfigurationError(f"by={self.by!r} is not known; use one of {known}")

    @property
    def needs(self) -> Needs:
        """A verifier's verdict on every sample."""
        return Needs(scores=True, why="best-of-n")

    @property
    def selector(self) -> Selector:
        return _SELECTORS[self.by]

    def propose(self, history: History) -> Sequence[Request]:
        messages = asked(history.problem, think=self.think)
        return [Request(messages, self.sampling, think=self.think)] * (self.n - history.bought)
