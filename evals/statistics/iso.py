"""The same accuracy at which share of the compute, and how much more accuracy at the same compute."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import LEVEL, Estimate
from thinkctl.evals.statistics.bootstrap import (
    RESAMPLES,
    Method,
    Resampled,
    resampled_means,
    resampled_statistic,
)
from thinkctl.evals.statistics.curves import (
    ALIKE,
    Curve,
    accuracy_at_log,
    check_alike,
    log_cost_at,
    log_of,
    rising_line,
)
from thinkctl.evals.table import Floats

__all__ = ["Gain", "IsoAccuracy", "iso_accuracy", "iso_compute", "resamples", "signed"]

_RARE: Final = 0.001


@final
@dataclass(frozen=True)
class IsoAccuracy:
    """How much of the baseline's cost the arm needs for the baseline's accuracy.

    ``ratio``, ``low`` and ``high`` are infinite where that accuracy is never reached. ``reached_share`` is the share of
    resamples in which it is, ``cheapest_share`` the share in which the cheapest budget already has it: there the ratio
    is an upper limit, for nothing cheaper was measured. ``resampled`` is of the logarithm.
    """

    ratio: float
    low: float
    high: float
    reached_share: float
    cheapest_share: float
    questions: int
    resampled: Resampled = field(repr=False)

    @property
    def reached(self) -> bool:
        """Whether the arm reaches the baseline's accuracy on the questions at hand."""
        return math.isfinite(self.ratio)

    @property
    def words(self) -> str:
        """The ratio for a reader, such as ``0.26x [0.22, 0.32]`` or ``not reached (in 83 % of resamples)``."""
        missed = 1 - self.reached_share
        if not self.reached:
            least = f"; at least {_short(self.low)}x" if math.isfinite(self.low) else ""
            return f"not reached (in {resamples(missed)}{least})"
        return self.amount + (f"; not reached in {resamples(missed)}" if missed > 0 else "")

    @property
    def amount(self) -> str:
        """The ratio and its interval alone: ``at most 0.26x [0.22, never]``."""
        if not self.reached:
            return "never"
        least = "at most " if self.cheapest_share > 0.5 else ""
        high = _short(self.high) if math.isfinite(self.high) else "never"
        return f"{least}{_short(self.ratio)}x [{_short(self.low)}, {high}]"


@final
@dataclass(frozen=True)
class Gain:
    """Accuracy of the arm at the baseline's cost less the baseline's accuracy, in percentage points.

    ``affordable_share`` is the share of resamples in which the arm's cheapest budget costs no more than the baseline;
    in the others the arm counts with the floor.
    """

    points: Estimate
    affordable_share: float
    questions: int
    resampled: Resampled = field(repr=False)

    @property
    def words(self) -> str:
        """The gain for a reader, such as ``+11.0 points [+6.2, +15.8]``."""
        low, high = self.points.low, self.points.high
        between = "" if low is None or high is None else f" [{signed(low)}, {signed(high)}]"
        if self.affordable_share < 0.5:
            return "the cheapest budget costs more than the baseline"
        return f"{signed(self.points.value)} points{between}"


def iso_accuracy(
    arm: Curve,
    baseline: Curve,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    method: Method = "percentile",
) -> IsoAccuracy:
    """Return ``C_arm(a = A_baseline) / C_baseline``, both costs means over the same questions.

    ``baseline`` is a single point. The interval is bootstrapped on the logarithm, resamples that never reach being
    infinite. Lines over the logarithm lie a little above what mixing two budgets would give: measure budgets that
    double, not ones far apart.
    """
    values, budgets = _columns(arm, baseline)
    drawn = resampled_means(values, times=times, seed=seed)

    def log_ratio(means: Floats) -> Floats:
        logs, top = rising_line(means[:, :budgets], means[:, budgets:-2])
        return log_cost_at(logs, top, means[:, -2]) - log_of(means[:, -1])

    found = resampled_statistic(values, log_ratio, drawn=drawn)
    _, top = rising_line(drawn[:, :budgets], drawn[:, budgets:-2])
    low, high = found.interval(level=level, method=method)
    return IsoAccuracy(
        ratio=math.exp(found.value),
        low=math.exp(low),
        high=math.exp(high),
        reached_share=float(np.isfinite(found.values).mean()),
        cheapest_share=float((top[:, 0] >= drawn[:, -2] - ALIKE).mean()),
        questions=arm.questions,
        resampled=found,
    )


def iso_compute(
    arm: Curve,
    baseline: Curve,
    *,
    floor: float = 0.0,
    times: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
    method: Method = "percentile",
) -> Gain:
    """Return how many points more the arm has at the baseline's mean cost.

    ``floor`` is what the arm has where not even its cheapest budget can be afforded: 0, or the accuracy of chance.
    """
    values, budgets = _columns(arm, baseline)
    drawn = resampled_means(values, times=times, seed=seed)

    def gain(means: Floats) -> Floats:
        logs, top = rising_line(means[:, :budgets], means[:, budgets:-2])
        return 100 * (accuracy_at_log(logs, top, log_of(means[:, -1]), floor) - means[:, -2])

    found = resampled_statistic(values, gain, drawn=drawn)
    affordable = drawn[:, budgets:-2].min(axis=1) <= drawn[:, -1] * (1 + ALIKE)
    estimate = found.estimate(level=level, method=method)
    return Gain(estimate, float(affordable.mean()), arm.questions, found)


def signed(points: float) -> str:
    """Return points with a sign and one digit; what is nearly 0 has a plus."""
    return f"{round(points, 1) + 0.0:+.1f}"


def _columns(arm: Curve, baseline: Curve) -> tuple[Floats, int]:
    """Return arm's right and cost, the baseline's right and cost, side by side, and the number of budgets."""
    check_alike(arm, baseline)
    if baseline.right.shape[1] != 1:
        raise ConfigurationError(
            f"the baseline{' ' + repr(baseline.name) if baseline.name else ''} has {baseline.right.shape[1]} budgets; "
            "compare with one of its points"
        )
    return np.concatenate([arm.right, arm.cost, baseline.right, baseline.cost], axis=1), arm.right.shape[1]


def resamples(part: float) -> str:
    """Return ``83 % of resamples`` for 0.83."""
    if part == 1:
        return "all resamples"
    if 0 < part < _RARE:
        return f"less than {100 * _RARE:g} % of resamples"
    return f"{100 * part:.{0 if 0.01 <= part <= 0.99 else 1}f} % of resamples"


def _short(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.3g}"
