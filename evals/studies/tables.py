"""Points in numbers for a table: accuracy with its interval, and mean costs."""

from __future__ import annotations

import numpy as np

from thinkctl.evals.axes import Axis
from thinkctl.evals.intervals import Estimate
from thinkctl.evals.points import Point
from thinkctl.evals.statistics.of_points import accuracy_of
from thinkctl.evals.statistics.shares import share_of

__all__ = ["accuracy_of", "means_of", "running_share"]


def means_of(point: Point) -> dict[Axis, float]:
    """Return what a question costs on every axis that is known of all questions."""
    means = {axis: float(values.mean()) for axis, values in point.costs.items()}
    return {axis: value for axis, value in means.items() if not np.isnan(value)}


def running_share(right: int, total: int) -> Estimate:
    """Return the share of runs that were right so far; runs of one question are taken as if of several."""
    values = np.zeros(max(total, 1))
    values[:right] = 1.0
    return share_of(values)
