"""Stop at a sample that is good enough."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import score_of
from thinkctl.types import Decision, History, Needs, Sample

__all__ = ["Threshold"]

_NEEDS: Final = Needs(scores=True, why="threshold")


@final
@dataclass(frozen=True)
class Threshold:
    """Stop at the first sample whose answer passed the verifier's check or scored ``score`` or more.

    ``score`` is in [0, 1]. Right where the verifier is a check (tests, an exact verifier); a reward model that
    errs is exploited by many samples, so the score of the best of them says less and less. A sample without
    an answer or a verdict stops nothing. ``confidence`` is the best score so far, as good a probability as
    the verifier makes it. The selector that goes with it is ``BestScore``.

    Source: best-of-N with a threshold; for a check Brown et al. 2024 (arXiv:2407.21787), coverage.
    """

    score: float = 1.0

    def __post_init__(self) -> None:
        if not (isfinite(self.score) and 0 <= self.score <= 1):
            raise ConfigurationError(f"score={self.score!r} is not in [0, 1], where verdicts are")

    @property
    def needs(self) -> Needs:
        """A verdict on every sample."""
        return _NEEDS

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return f"the answer passed the verifier's check or scored {self.score:g} or more; as good as the verifier"

    def decide(self, history: History) -> Decision:
        answered = [sample for sample in history.settled if sample.answer is not None]
        scores = [score for score in map(score_of, answered) if score is not None]
        best = max(scores, default=None)
        return Decision(
            stop=any(map(_passed, answered)) or (best is not None and best >= self.score),
            more=1,
            confidence=None if best is None else min(max(best, 0.0), 1.0),
            why="no answer has a score yet"
            if best is None
            else f"the best of {len(scores)} scores is {best:.3g}",
        )


def _passed(sample: Sample) -> bool:
    return sample.verdict is not None and sample.verdict.passed is True
