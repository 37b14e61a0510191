"""A stopping threshold with a guarantee: Learn-then-Test on recorded runs.

``calibrate`` asks, on recordings, how much a policy would have lost at each of its thresholds, beginning with the
most careful one, and returns the policy with the last threshold whose risk is bounded. What the guarantee says:
over calibration sets of independent questions, the probability that the returned policy's true risk is above
``epsilon`` is at most ``delta``. It is about questions like those (exchangeable with them), answered by the same
model in the same way; not about one set that was looked at before, nor about other questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import check_level, questions_needed
from thinkctl.evals.knobs import turned
from thinkctl.evals.losses import LOSSES, Gold, Loss, LossTable, Method, Questions, Recorded, Repeats, Step
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.types import Budget, name_of

__all__ = ["LOSSES", "Calibration", "LossTable", "Step", "calibrate", "calibrated"]


@final
@dataclass(frozen=True, slots=True)
class Calibration:
    """A calibrated policy and how it was found.

    ``policy`` is ``None``, full thinking, where no threshold passed (not ``feasible``). ``losses`` and ``bound`` are
    those of the chosen threshold, or of the most careful one where none passed. ``needed`` is the fewest
    questions that could pass, with no loss at all; ``needed_at_rate`` an estimate of how many would, at the rate
    that the most careful threshold showed (``None``: no number of questions would). ``walk`` has every threshold
    that was tested, the last one failed unless it is the end of the grid. Accuracies and tokens are of the
    calibration questions themselves: measure the policy on others before you quote them.
    """

    policy: StoppingPolicy | None
    knob: str
    threshold: float | None
    loss: str
    method: Method
    epsilon: float
    delta: float
    n: int
    losses: float
    bound: float
    needed: int
    needed_at_rate: int | None
    tokens: float
    full_tokens: float
    accuracy: float | None
    full_accuracy: float | None
    walk: tuple[Step, ...]
    cautions: tuple[str, ...] = ()

    @property
    def feasible(self) -> bool:
        """Whether a threshold passed."""
        return self.policy is not None

    @property
    def saved(self) -> float:
        """The share of full thinking's tokens that is saved on the calibration questions."""
        return 1 - self.tokens / self.full_tokens if self.full_tokens else 0.0

    @property
    def verdict(self) -> str:
        """The outcome in one sentence."""
        counted = f"{self.losses:g} of {self.n:,} questions, bound {self.bound:.2%}"
        if self.feasible:
            return (
                f"{self.loss} is at most {self.epsilon:.1%} with confidence {1 - self.delta:.0%} ({counted}), "
                f"and {self.saved:.0%} of the tokens are saved"
            )
        return f"not feasible, think fully: {counted} with the most careful threshold; {self.advice}"

    @property
    def advice(self) -> str:
        """What it would take, where no threshold passed; nothing where one did."""
        if self.feasible:
            return ""
        if self.loss == "wrong" and self.full_accuracy is not None and 1 - self.full_accuracy > self.epsilon:
            return f"full thinking itself is wrong on {1 - self.full_accuracy:.1%}"
        if self.losses == 0:
            return f"it takes {self.needed:,} questions, even without a loss"
        least = f"{self.needed:,} questions would do without a loss"
        if self.needed_at_rate is None:
            return f"{least}; losses as frequent as these are above {self.epsilon:.1%} with any number of questions"
        return f"{least}, about {self.needed_at_rate:,} with losses as frequent as these"


def calibrate(
    policy: StoppingPolicy,
    runs: Iterable[Recorded],
    loss: str | Loss = "harm",
    epsilon: float = 0.05,
    delta: float = 0.1,
    *,
    gold: Gold | None = None,
    knob: str | None = None,
    grid: Sequence[float] | None = None,
    selector: Selector | None = None,
    budget: Budget | None = None,
    repeats: Repeats = "refuse",
) -> Calibration:
    """Return a policy with the most economical threshold whose risk is at most ``epsilon``, with confidence.

    Thresholds are tested from the most careful one on, each on the questions' losses by an exact upper bound at
    level ``1 - delta``; the walk ends at the first whose bound is above ``epsilon``. So the losses need not rise with
    the threshold, and the guarantee holds for however many thresholds. See ``LossTable`` for the other arguments.

    Source: Learn-then-Test with fixed-sequence testing, Angelopoulos et al. 2021 (arXiv:2110.01052), section 3;
    for thoughts, Conformal Thinking (arXiv:2602.03814). Deviation: exact binomial bounds for 0/1 losses.
    """
    table = LossTable(
        policy, runs, loss, gold=gold, knob=knob, grid=grid, selector=selector, budget=budget, repeats=repeats
    )
    return calibrated(table, epsilon, delta)


def calibrated(
    table: LossTable, epsilon: float = 0.05, delta: float = 0.1, questions: Questions | None = None
) -> Calibration:
    """Calibrate on some questions of a table (its rows; all of them by default); see ``calibrate``."""
    check_level("epsilon", epsilon)
    check_level("delta", delta)
    full = table.measure(None, delta, questions)
    if not full.n:
        raise ConfigurationError("there is no question to calibrate on; give recorded runs")
    walk: list[Step] = []
    for place in range(len(table.knob.grid)):
        walk.append(table.measure(place, delta, questions))
        if walk[-1].bound > epsilon:
            break
    passed = [step for step in walk if step.bound <= epsilon]
    if len(passed) == len(walk) and not any(step.shortened for step in walk):
        raise ConfigurationError(
            f"{name_of(table.policy)} did nothing to these recordings at any threshold, so they tell nothing of its "
            "risk; record what it reads, give more samples, or a grid that goes further"
        )
    shown, spent = (passed[-1], passed[-1]) if passed else (walk[0], full)
    exact = table.method == "clopper-pearson"
    return Calibration(
        policy=turned(table.policy, table.knob.path, passed[-1].value) if passed else None,
        knob=table.knob.path,
        threshold=passed[-1].value if passed else None,
        loss=table.loss,
        method=table.method,
        epsilon=epsilon,
        delta=delta,
        n=full.n,
        losses=shown.losses,
        bound=shown.bound,
        needed=questions_needed(epsilon, delta, binary=exact) or 0,
        needed_at_rate=questions_needed(epsilon, delta, walk[0].rate, binary=exact),
        tokens=spent.tokens,
        full_tokens=full.tokens,
        accuracy=spent.accuracy,
        full_accuracy=full.accuracy,
        walk=tuple(walk),
        cautions=(*table.cautions, *_unknown(shown)),
    )


def _unknown(shown: Step) -> tuple[str, ...]:
    if not shown.unknown:
        return ()
    return (f"{shown.unknown:,} closed thoughts have no recorded answer and count as abstaining",)
