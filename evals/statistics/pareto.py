"""Which points no other point beats on accuracy and cost at once, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.statistics.bootstrap import RESAMPLES, resampled_means
from thinkctl.evals.table import Bools, Floats

__all__ = ["Member", "pareto"]


@final
@dataclass(frozen=True, slots=True)
class Member:
    """Whether a point is on the front of the questions at hand, and in which share of resamples it is."""

    on_front: bool
    probability: float


def pareto(right: Floats, cost: Floats, *, times: int = RESAMPLES, seed: int = 0) -> tuple[Member, ...]:
    """Return the membership of each point, from ``right`` and ``cost``, both ``[questions, points]``.

    A point is on the front where no other is as cheap and as accurate and better in one of both. Points that are alike
    in both are all on it. The points of all arms are resampled together, question by question.
    """
    if right.ndim != 2 or right.shape != cost.shape or 0 in right.shape:
        raise ConfigurationError(
            f"right {right.shape} and cost {cost.shape} must both have a row a question and a column a point"
        )
    if not (np.isfinite(right).all() and np.isfinite(cost).all()):
        raise ConfigurationError(
            "some accuracy or cost is not known; leave the point out, or choose another axis"
        )
    points = right.shape[1]
    drawn = resampled_means(np.concatenate([right, cost], axis=1), times=times, seed=seed)
    share = _front(drawn[:, :points], drawn[:, points:]).mean(axis=0)
    here = _front(right.mean(axis=0)[None], cost.mean(axis=0)[None])[0]
    return tuple(Member(bool(on), float(part)) for on, part in zip(here, share, strict=True))


def _front(accuracy: Floats, cost: Floats) -> Bools:
    """Return for each row which points are not beaten."""
    # Sums of the same values in another order differ in the last digits: those are no better and no worse.
    accuracy = accuracy.round(12)
    cost = cost / np.maximum(cost.max(axis=1, keepdims=True), 1e-200)
    cost = cost.round(12)
    on = np.ones(accuracy.shape, dtype=np.bool_)
    for point in range(accuracy.shape[1]):
        a, c = accuracy[:, point, None], cost[:, point, None]
        no_worse = (accuracy >= a) & (cost <= c)
        on[:, point] = ~(no_worse & ((accuracy > a) | (cost < c))).any(axis=1)
    return on
