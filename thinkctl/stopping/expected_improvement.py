"""Stop drawing for a better score once the expected improvement is not worth its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import atan, cos, exp, fsum, lgamma, log, log1p, pi, sin, sqrt
from typing import Self, final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import score_of
from thinkctl.stopping.value_of_computation import check_price, tokens_a_sample, tokens_worth
from thinkctl.types import Decision, History, Needs

__all__ = ["ExpectedImprovement", "expected_improvement", "student_t_density", "student_t_tail"]


@final
@dataclass(frozen=True)
class ExpectedImprovement:
    """Stop once one more sample is not expected to raise the best score by what it costs.

    ``worth_tokens`` is what a score of 1 is worth, in generated tokens: a correct answer, if the score is
    the probability that it is correct (see ``priced``). ``sample_tokens`` is what one more sample takes;
    ``None`` is the mean of those that have finished. ``least`` answers must have a score, 3 or more. It stops once

        worth_tokens E[(min(v, 1) - best)^+] <= sample_tokens

    where v is the next score: Student's t, for normal scores of unknown mean and variance. The reservation value z of
    Pandora's rule, at which E[(v - z)^+] equals the price, is the best score at which this stops: both are one rule.
    ``confidence`` is the best score; the selector that goes with it is ``BestScore``. Where all k scores are equal
    nothing is known of their spread, and the next is taken to be a 1 with chance 1 / (k + 1). For a check that only
    passes or fails take ``Threshold``.

    Source: BEACON (arXiv:2510.15945): Normal-Inverse-Gamma, Jeffreys prior, k0 = 3; Pandora: Weitzman 1979 and
    arXiv:2510.01394. Deviations: one step ahead instead of the full horizon; scores end at 1; equal scores.
    """

    worth_tokens: float
    sample_tokens: float | None = None
    least: int = 3

    def __post_init__(self) -> None:
        check_price(self.worth_tokens, self.sample_tokens)
        if self.least < 3:
            raise ConfigurationError(f"least={self.least!r} scores do not tell their spread; give 3 or more")

    @classmethod
    def priced(
        cls,
        dollars: Decimal | float,
        dollars_per_million_tokens: Decimal | float,
        sample_tokens: float | None = None,
    ) -> Self:
        """Return the rule for a score of 1 worth so many dollars, at a price of generated tokens."""
        return cls(tokens_worth(dollars, dollars_per_million_tokens), sample_tokens)

    @property
    def needs(self) -> Needs:
        """A verdict on every sample."""
        return Needs(scores=True, why="expected-improvement")

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return (
            f"none on the error: no sample is bought that costs more than it gains in the best score, "
            f"where 1 is worth {self.worth_tokens:,.0f} tokens"
        )

    def decide(self, history: History) -> Decision:
        scores = [
            min(max(score, 0.0), 1.0)
            for sample in history.settled
            if sample.answer is not None and (score := score_of(sample)) is not None
        ]
        best = max(scores, default=None)
        missing = self.least - len(scores)
        tokens = tokens_a_sample(history, self.sample_tokens)
        if missing > 0 or tokens is None:
            return Decision(
                more=max(missing, 1),
                confidence=best,
                why=f"{len(scores)} answers have a score, at least {self.least} must",
            )
        gain = self.worth_tokens * expected_improvement(scores)
        return Decision(
            stop=gain <= tokens,
            more=1,
            confidence=best,
            why=f"one more sample is worth {gain:,.0f} tokens and takes {tokens:,.0f}",
        )


def expected_improvement(scores: Sequence[float]) -> float:
    """Return by how much one more score in [0, 1] is expected to raise the best of three or more.

    With k scores of mean m and variance s^2 the next is m + s sqrt(1 + 1 / k) times Student's t with k - 1 degrees
    of freedom; what lies above 1 counts as 1.
    """
    known, best = len(scores), max(scores)
    mean = fsum(scores) / known
    spread = fsum((score - mean) ** 2 for score in scores)
    if min(scores) == best or not spread:
        return (1 - best) / (known + 1)
    scale = sqrt(spread * (known + 1) / (known * (known - 1)))
    above = _expected_above((best - mean) / scale, known - 1) - _expected_above((1 - mean) / scale, known - 1)
    return max(0.0, scale * above)


def _expected_above(point: float, freedom: int) -> float:
    """Return E[(T - point)^+] for Student's t with two or more degrees of freedom."""
    density = student_t_density(point, freedom)
    return (freedom + point * point) / (freedom - 1) * density - point * student_t_tail(point, freedom)


def student_t_density(point: float, freedom: int) -> float:
    """Return the density of Student's t."""
    half = (freedom + 1) / 2
    logarithm = lgamma(half) - lgamma(freedom / 2) - log(freedom * pi) / 2
    return exp(logarithm - half * log1p(point * point / freedom))


def student_t_tail(point: float, freedom: int) -> float:
    """Return P(T > point) for Student's t with a whole number of degrees of freedom, by its finite series.

    Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4.
    """
    angle = atan(point / sqrt(freedom))
    square = cos(angle) ** 2
    even = freedom % 2 == 0
    term = 1.0 if even else cos(angle)
    terms = [term] if freedom > 1 else []
    for step in range(2 - even, freedom - 2, 2):
        term *= square * step / (step + 1)
        terms.append(term)
    within = fsum(terms) * sin(angle)
    if not even:
        within = 2 / pi * (angle + within)
    return (1 - within) / 2
