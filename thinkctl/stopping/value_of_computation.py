"""One economic knob: how many tokens a correct answer is worth."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from itertools import count
from math import comb, factorial, isfinite
from typing import Self, final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import top_two
from thinkctl.stopping.boundary import lead_chance
from thinkctl.types import Decision, History

__all__ = [
    "PriceBoundary",
    "ValueOfComputation",
    "check_price",
    "gain_per_vote",
    "tokens_a_sample",
    "tokens_worth",
]


@final
@dataclass(frozen=True)
class ValueOfComputation:
    """Stop once no number of further votes is worth its tokens.

    ``worth_tokens`` is what a correct answer is worth, in generated tokens: its value over the price of a token
    (see ``priced``). ``sample_tokens`` is what one more sample takes; ``None`` is the mean of those that have
    finished, abstentions included. With g(k) the expected gain from k further votes in the probability of naming
    the more frequent of the two top answers, it stops once

        worth_tokens g(k) <= k sample_tokens    for every k >= 1.

    With L = P(p > 1/2) under Beta(leader + 1, runner-up + 1), g(k) = E[max(L_k, 1 - L_k)] - L, where L_k is L after
    k more votes drawn from the Beta-binomial: exact, no simulation, see ``gain_per_vote``. Where the most frequent
    answer is not the correct one nothing is gained, so it rather takes too many votes than too few. It never stops
    before there is a vote, and it gives up on a draw that is not worth deciding. With ``sample_tokens`` given it is
    a rule on two counts (``boundary``) and ``more`` is exact; without, the next sample may turn out dear, and
    ``more`` is 1.

    Source: ours; the value of computation of Russell and Wefald 1991, "Principles of metareasoning", for blocks of
    votes. It is not the p^m of ``FlipProbability``, which takes the share p as known and a flip as a gain of 1:
    that is 17 times less for 4 votes to 0, and 7 times more for 15 to 15.
    """

    worth_tokens: float
    sample_tokens: float | None = None

    def __post_init__(self) -> None:
        check_price(self.worth_tokens, self.sample_tokens)

    @classmethod
    def priced(
        cls,
        dollars: Decimal | float,
        dollars_per_million_tokens: Decimal | float,
        sample_tokens: float | None = None,
    ) -> Self:
        """Return the rule for a correct answer worth so many dollars, at a price of generated tokens."""
        return cls(tokens_worth(dollars, dollars_per_million_tokens), sample_tokens)

    @property
    def guarantee(self) -> str:
        """What its parameters promise."""
        return (
            f"none on the error: no votes are bought that cost more than they gain, "
            f"where a correct answer is worth {self.worth_tokens:,.0f} tokens"
        )

    @property
    def boundary(self) -> PriceBoundary | None:
        """The rule as one on two vote counts; ``None`` where the price is measured and so no rule of counts alone."""
        return None if self.sample_tokens is None else PriceBoundary(self.sample_tokens / self.worth_tokens)

    def decide(self, history: History) -> Decision:
        leader, runner_up = top_two(history)
        tokens, rule = tokens_a_sample(history, self.sample_tokens), self.boundary
        more = 1 if rule is None else max(1, rule.least_leader(runner_up) - leader)
        if not leader or tokens is None:
            return Decision(more=more, why="no votes yet" if not leader else "no sample's tokens are known")
        gain = self.worth_tokens * gain_per_vote(leader, runner_up)
        stop = gain <= tokens if rule is None else leader >= rule.least_leader(runner_up)
        return Decision(
            stop=stop,
            more=more,
            confidence=lead_chance(leader, runner_up),
            why=f"{leader} votes to {runner_up}: one more is worth {gain:,.0f} tokens and takes {tokens:,.0f}",
        )


@final
@dataclass(frozen=True, slots=True)
class PriceBoundary:
    """Stop once no number of further votes gains its ``price``, that of one vote in correct answers."""

    price: float

    def least_leader(self, runner_up: int) -> int:
        return _least_leader(runner_up, self.price)


def check_price(worth_tokens: float, sample_tokens: float | None) -> None:
    """Raise ``ConfigurationError`` unless both are numbers of tokens above 0; the second need not be known."""
    if not (isfinite(worth_tokens) and worth_tokens > 0):
        raise ConfigurationError(
            f"worth_tokens={worth_tokens!r} is no worth; give the tokens that a correct answer is worth, above 0"
        )
    if sample_tokens is not None and not (isfinite(sample_tokens) and sample_tokens > 0):
        raise ConfigurationError(
            f"sample_tokens={sample_tokens!r} is no price; give the tokens of one sample, above 0, "
            "or None to measure them"
        )


def tokens_worth(dollars: Decimal | float, dollars_per_million_tokens: Decimal | float) -> float:
    """Return how many generated tokens can be had for so many dollars.

    A price is that of ``Prices.dollars_per_million_generated_tokens``; for an engine paid by the hour, dollars per
    hour over million tokens per hour. Prompts are left out: cached ones cost little.
    """
    worth, price = float(dollars), float(dollars_per_million_tokens)
    if not (isfinite(price) and price > 0):
        raise ConfigurationError(
            f"dollars_per_million_tokens={dollars_per_million_tokens!r} is no price; free tokens have no worth"
        )
    return worth / price * 1e6


def tokens_a_sample(history: History, given: float | None) -> float | None:
    """Return what a sample takes: as given, or the mean of the settled ones; ``None`` where none is known."""
    if given is not None:
        return given
    settled = history.settled
    used = sum(sample.usage.generated_tokens for sample in settled)
    return used / len(settled) if used else None


@cache
def gain_per_vote(leader: int, runner_up: int) -> float:
    """Return the most that further votes gain in the probability of naming the more frequent answer, a vote.

    The maximum of g(k) / k over k. max(L, 1 - L) is expected to rise only with a vote that breaks a draw, from 1/2 to
    L(t + 1, t) = 1/2 + C(2t + 2, t + 1) / 2^(2t + 3) for t votes to t, so g is a sum over draws of their
    Beta-binomial probability times this rise. The terms follow from each other; g(k) / k rises and then falls.
    """
    votes = leader - runner_up  # further votes before the first possible draw
    chance = Fraction(
        factorial(leader) * factorial(leader + runner_up + 1),
        factorial(runner_up) * factorial(2 * leader + 1),
    )
    term = float(chance * Fraction(comb(2 * leader + 2, leader + 1), 1 << 2 * leader + 3))
    gain = best = 0.0
    for draw in count(leader):
        gain += term
        if gain <= best * (votes + 1):
            break
        best = gain / (votes + 1)
        term *= (votes + 1) * (votes + 2) * (draw + 1)
        term /= 4 * (draw + 1 - leader) * (draw + 1 - runner_up) * (draw + 2)
        votes += 2
    return best


@cache
def _least_leader(runner_up: int, price: float) -> int:
    return next(votes for votes in count(max(runner_up, 1)) if gain_per_vote(votes, runner_up) <= price)
