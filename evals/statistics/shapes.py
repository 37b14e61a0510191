"""The shape of a curve: its area, what doublings bring, and where it overtakes another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import LEVEL, Estimate
from thinkctl.evals.statistics.bootstrap import RESAMPLES, resampled_statistic
from thinkctl.evals.statistics.curves import ALIKE, Curve, check_alike, heights, log_of, rising_line
from thinkctl.evals.table import Floats

__all__ = ["Crossover", "Return", "area", "crossover", "returns"]


@final
@dataclass(frozen=True)
class Crossover:
    """The cost from which on one curve is ahead of another up to the end of what was measured of both.

    ``cost``, ``low`` and ``high`` are infinite where it is not; ``found_share`` is the share of resamples in which
    it is.
    """

    cost: float
    low: float
    high: float
    found_share: float


@final
@dataclass(frozen=True)
class Return:
    """What a doubling of cost brought between two neighbouring budgets, in percentage points."""

    from_cost: float
    to_cost: float
    points: Estimate


def area(
    arm: Curve,
    *,
    low: float | None = None,
    high: float | None = None,
    floor: float = 0.0,
    times: int = RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return the mean height of the rising line over the logarithm of cost between ``low`` and ``high``, in [0, 1].

    The limits are the arm's own mean costs where none are given; areas of two arms compare over the same limits only.
    Below the cheapest point the line is at ``floor``.
    """
    begin = math.log(low if low is not None else float(arm.mean_cost.min()))
    end = math.log(high if high is not None else float(arm.mean_cost.max()))
    if not begin < end:
        raise ConfigurationError(
            f"no area between costs {math.exp(begin):g} and {math.exp(end):g}: give two budgets or more, and low < high"
        )
    budgets = arm.right.shape[1]

    def height(means: Floats) -> Floats:
        logs, top = rising_line(means[:, :budgets], means[:, budgets:])
        ends = np.broadcast_to([begin, end], (len(means), 2))
        edges = np.sort(np.concatenate([np.clip(logs, begin, end), ends], axis=1), axis=1)
        middles = (edges[:, 1:] + edges[:, :-1]) / 2
        # A line without knots between two edges is at its mean in their middle, and before its beginning at the floor.
        at = np.where(middles < logs[:, :1], floor, heights(logs, top, middles))
        total: Floats = (at * np.diff(edges, axis=1)).sum(axis=1)
        return total / (end - begin)

    return resampled_statistic(
        np.concatenate([arm.right, arm.cost], axis=1), height, times=times, seed=seed
    ).estimate(method="bca")


def returns(arm: Curve, *, times: int = RESAMPLES, seed: int = 0) -> tuple[Return, ...]:
    """Return what each doubling of cost brought between neighbouring budgets, cheapest first.

    As measured, without the running maximum: a budget that lost accuracy shows it. Budgets of equal cost are left out.
    """
    order = np.argsort(arm.mean_cost, kind="stable")
    cost = arm.mean_cost[order]
    found: list[Return] = []
    for place in range(len(order) - 1):
        pair = order[place : place + 2]
        if cost[place + 1] <= cost[place] * (1 + 1e-9):
            continue
        values = np.concatenate([arm.right[:, pair], arm.cost[:, pair]], axis=1)
        estimate = resampled_statistic(values, _per_doubling, times=times, seed=seed).estimate()
        found.append(Return(float(cost[place]), float(cost[place + 1]), estimate))
    return tuple(found)


def crossover(
    arm: Curve, other: Curve, *, times: int = RESAMPLES, seed: int = 0, level: float = LEVEL
) -> Crossover:
    """Return from which cost on the arm's rising line is ahead of another's.

    Both lines are compared between the dearer of their cheapest points and the cheaper of their dearest ones; where
    the arm is ahead all along, the cost is that at which the comparison begins. Beside a single point, ``iso_accuracy``
    says at which cost an arm draws level.
    """
    check_alike(arm, other)
    ours, theirs = arm.right.shape[1], other.right.shape[1]
    values = np.concatenate([arm.right, arm.cost, other.right, other.cost], axis=1)

    def log_cost(means: Floats) -> Floats:
        one = rising_line(means[:, :ours], means[:, ours : 2 * ours])
        rest = means[:, 2 * ours :]
        two = rising_line(rest[:, :theirs], rest[:, theirs:])
        return _ahead_from(*one, *two)

    found = resampled_statistic(values, log_cost, times=times, seed=seed)
    low, high = found.interval(level=level)
    share = float(np.isfinite(found.values).mean())
    return Crossover(math.exp(found.value), math.exp(low), math.exp(high), share)


def _per_doubling(means: Floats) -> Floats:
    gain, doublings = means[:, 1] - means[:, 0], (log_of(means[:, 3]) - log_of(means[:, 2])) / math.log(2)
    # In a resample two budgets may cost the same; what a doubling brings is then beyond measure, with its sign.
    found: Floats = 100 * gain / np.where(np.abs(doublings) < 1e-9, 1e-9, doublings)
    return found


def _ahead_from(logs: Floats, top: Floats, other_logs: Floats, other_top: Floats) -> Floats:
    """Return the log cost after which the first line is above the second to the end, infinite where it is not."""
    begin, end = np.maximum(logs[:, 0], other_logs[:, 0]), np.minimum(logs[:, -1], other_logs[:, -1])
    knots = np.concatenate([logs, other_logs], axis=1)
    knots = np.sort(np.clip(knots, begin[:, None], np.maximum(begin, end)[:, None]), axis=1)
    lead = heights(logs, top, knots) - heights(other_logs, other_top, knots)
    behind = lead <= ALIKE
    last = behind.shape[1] - 1 - behind[:, ::-1].argmax(axis=1)
    rows, after = np.arange(len(lead)), np.minimum(last + 1, behind.shape[1] - 1)
    slope = lead[rows, after] - lead[rows, last]
    part = np.divide(-lead[rows, last], slope, out=np.zeros_like(slope), where=slope > 0)
    crossed = knots[rows, last] + np.clip(part, 0, 1) * (knots[rows, after] - knots[rows, last])
    found = np.where(behind.any(axis=1), crossed, begin)
    return np.where(behind[:, -1] | (begin > end + ALIKE), np.inf, found)
