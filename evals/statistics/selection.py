"""How much of what its samples offered a selector took."""

from __future__ import annotations

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.intervals import Estimate
from thinkctl.evals.statistics.bootstrap import RESAMPLES, resampled_statistic
from thinkctl.evals.table import Floats

__all__ = ["selector_efficiency"]


def selector_efficiency(
    chosen: Floats, random: Floats, oracle: Floats, *, times: int = RESAMPLES, seed: int = 0
) -> Estimate | None:
    """Return (chosen - random) / (oracle - random): 1 for a perfect selector, 0 for one that draws a sample.

    One value a question, in [0, 1]: the rightness of what was chosen, of a sample drawn at random (the share of right
    samples), and whether any sample was right. A ratio of means, not a mean of ratios; the interval resamples
    questions. Below 0 where chance would have chosen better. ``None`` where there is nothing to select: no question
    has right and wrong samples. ``low`` and ``high`` are ``None`` where that is so of more than 1 % of resamples.
    """
    if not chosen.shape == random.shape == oracle.shape or chosen.ndim != 1 or not len(chosen):
        raise ConfigurationError(
            f"chosen {chosen.shape}, random {random.shape} and oracle {oracle.shape} must have one value a question"
        )
    if (oracle < random - 1e-9).any():
        raise ConfigurationError("an oracle below a random sample: was it made of the same samples?")
    values = np.stack([chosen - random, oracle - random], axis=1)
    if values[:, 1].sum() <= 1e-12:
        return None

    def efficiency(means: Floats) -> Floats:
        some = means[:, 1] > 1e-12
        share: Floats = np.divide(means[:, 0], means[:, 1], out=np.full(len(means), np.inf), where=some)
        return share

    found = resampled_statistic(values, efficiency, times=times, seed=seed)
    if np.isinf(found.values).mean() > 0.01:
        return Estimate(found.value, None, None, None)
    return found.estimate(method="percentile")
