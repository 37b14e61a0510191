"""Answer, have the answer checked, and correct it with what the check said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector
from thinkctl.selectors import BestScore, Latest, score_of
from thinkctl.strategies.prompts import UNCHECKED, asked, revise, what_failed
from thinkctl.types import History, Message, Needs, Request, Sample, Sampling

__all__ = ["SelfCorrection"]


@final
@dataclass(frozen=True)
class SelfCorrection:
    """Draft an answer, have the verifier check it, and revise it with the verifier's feedback.

    Revises only what failed its check (``verdict.passed`` is ``False``), at most ``rounds`` times. It gives a draft up
    after ``patience`` revisions in a row that brought nothing: they scored lower than its best version so far, or no
    higher with an answer that had been given before. A revision starts from the draft's best version, and the
    best-scored version of all is the answer. A verdict that neither passed nor failed is no reason to revise.

    With ``drafts`` above 1 it begins anew where a draft is given up: a small model repeats a mistake that stands
    before it, and may not make it again on a clean page. With ``passes`` above 1 it also begins anew after a version
    that passed, until so many have: where the check is weak (a query ran), versions that passed can then be put to the
    vote, by ``Controller(selector=Agreement())`` for instance.

    ``think=False`` asks for answers without reasoning: many short versions for the tokens of one long one.

    ``intrinsic=True`` also has answers revised that nothing has checked, by the model's own judgement, and takes the
    last one. **Risky**: without an outside check models change right answers as readily as wrong ones, and lose
    accuracy (Huang et al. 2024, arXiv:2310.01798). It is there to be measured, not to be used.

    Source: self-debugging with execution feedback, Chen et al. 2023 (arXiv:2304.05128), section 3; Reflexion, Shinn
    et al. 2023 (arXiv:2303.11366). Deviation: one draft and its feedback are shown, not the whole history, so that
    the prompt does not grow with the rounds.
    """

    rounds: int = 3
    patience: int = 2
    intrinsic: bool = False
    think: bool = True
    sampling: Sampling = Sampling(temperature=0.7)
    drafts: int = 1
    passes: int = 1

    def __post_init__(self) -> None:
        for name in ("rounds", "patience", "drafts", "passes"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"{name}={getattr(self, name)!r} corrects nothing; give 1 or more")
        if self.passes > self.drafts:
            raise ConfigurationError(
                f"passes={self.passes!r} is more than drafts={self.drafts!r} can bring; give as many drafts or more"
            )

    @property
    def needs(self) -> Needs:
        """A verifier, unless the model is to judge itself."""
        return Needs(scores=not self.intrinsic, why="self-correction")

    @property
    def selector(self) -> Selector:
        return Latest() if self.intrinsic else BestScore()

    def propose(self, history: History) -> Sequence[Request]:
        if history.in_flight:
            return ()
        first = asked(history.problem, think=self.think)
        if not history.samples:
            return [self._request(first)]
        begun = [
            place
            for place, sample in enumerate(history.samples)
            if not place or sample.request.messages == first
        ]
        versions = history.samples[begun[-1] :]
        best = _best(versions)
        said = self._what_to_say(best)
        if said is None and not self._wants_another(history.samples):
            return ()
        if said is None or len(versions) > self.rounds or _barren(versions) >= self.patience:
            return [self._request(first)] if len(begun) < self.drafts else ()
        return [self._request(revise(history.problem, best, said, think=self.think))]

    def _request(self, messages: tuple[Message, ...]) -> Request:
        return Request(messages, self.sampling, think=self.think)

    def _wants_another(self, samples: Sequence[Sample]) -> bool:
        """Whether the last draft passed, and more are to pass."""
        passed = [one for one in samples if one.verdict is not None and one.verdict.passed]
        return 0 < len(passed) < self.passes

    def _what_to_say(self, sample: Sample) -> str | None:
        """Return what the model is told about its answer; ``None``: there is nothing to correct."""
        verdict = sample.verdict
        if verdict is None or verdict.passed is None:
            return UNCHECKED if self.intrinsic else None
        return what_failed(sample)


def _barren(samples: Sequence[Sample]) -> int:
    """Return how many revisions in a row, the last ones, brought nothing."""
    given, best, barren = set[str](), -1.0, 0
    for sample in samples:
        score, key = score_of(sample) or 0.0, None if sample.answer is None else sample.answer.key
        another = key is not None and key not in given
        barren = 0 if score > best or (score == best and another) else barren + 1
        best = max(best, score)
        given |= {key} if key is not None else set()
    return barren


def _best(samples: Sequence[Sample]) -> Sample:
    """Return the best-scored version, the latest of equals."""
    return max(samples, key=lambda sample: (score_of(sample) or 0.0, sample.index))
