"""Several strategies under one budget: the next sample goes where progress is fastest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector, Strategy
from thinkctl.selectors import BestScore, score_of
from thinkctl.strategies.parts import ask_as, needs_of_all, part_of
from thinkctl.strategies.tree import passed
from thinkctl.types import History, Needs, Request, Sample

__all__ = ["Portfolio"]


@final
@dataclass(frozen=True)
class Portfolio:
    """Run several strategies side by side, and give the next sample to the one that gets on best for its tokens.

    First each has one sample. Then the next goes to the strategy with the highest progress per token. Progress is how
    much a sample has raised the strategy's own best score, on average, with weights that halve every ``half_life``
    samples; to it comes 1 / (k + 1) after k samples, so that strategies which have all come to a halt share the tokens
    equally. A sample that still grows counts as one without progress. ``at_once`` samples run at the same time; more
    finish sooner, and are divided worse.

    Each strategy sees its own samples alone. The run ends when an answer passes its check (``verdict.passed``) or when
    no strategy asks for more. ``selector`` chooses among all answers.

    Source: none; a discounted mean (Garivier and Moulines 2008, arXiv:0805.3415) of improvements, over mean tokens.
    """

    strategies: tuple[Strategy, ...]
    half_life: float = 3.0
    at_once: int = 1
    selector: Selector = BestScore()

    def __post_init__(self) -> None:
        if not self.strategies:
            raise ConfigurationError("strategies=() leaves nothing to run; give at least one")
        if self.at_once < 1:
            raise ConfigurationError(f"at_once={self.at_once!r} runs nothing; give 1 or more")
        if not (math.isfinite(self.half_life) and self.half_life > 0):
            raise ConfigurationError(
                f"half_life={self.half_life!r} is no number of samples; give one above 0"
            )

    @property
    def needs(self) -> Needs:
        """A score of every sample, and what the strategies need."""
        return needs_of_all(self.strategies, "portfolio") | Needs(scores=True, why="portfolio")

    def propose(self, history: History) -> Sequence[Request]:
        free = self.at_once - len(history.in_flight)
        if passed(history.samples) or free < 1:
            return ()
        names = [str(place) for place in range(len(self.strategies))]
        waiting = [ask_as(name, each, history) for name, each in zip(names, self.strategies, strict=True)]
        gains = [_gains(part_of(history, name).samples) for name in names]
        usual = [_tokens(part_of(history, name).samples) or _tokens(history.samples) or 1.0 for name in names]
        requests: list[Request] = []
        while any(waiting) and len(requests) < free:
            able = [place for place, own in enumerate(waiting) if own]
            best = max(
                able, key=lambda place: (not gains[place], self._progress(gains[place]) / usual[place])
            )
            requests.append(waiting[best].pop(0))
            gains[best].append(0.0)
        return requests

    def _progress(self, gains: Sequence[float]) -> float:
        weights = [0.5 ** (age / self.half_life) for age in reversed(range(len(gains)))]
        recent = math.fsum(map(mul, weights, gains)) / math.fsum(weights) if gains else 0.0
        return recent + 1 / (len(gains) + 1)


def _gains(samples: Sequence[Sample]) -> list[float]:
    """Return by how much each sample raised the best score so far."""
    gains, best = list[float](), 0.0
    for sample in samples:
        score = (score_of(sample) if sample.finished else None) or 0.0
        gains.append(max(0.0, score - best))
        best = max(best, score)
    return gains


def _tokens(samples: Sequence[Sample]) -> float | None:
    """Return the mean number of generated tokens of the samples that have ended, 1 at least."""
    known = [max(1, sample.usage.generated_tokens) for sample in samples if sample.finished]
    return math.fsum(known) / len(known) if known else None
