"""Upper confidence bounds of a mean loss in [0, 1], and how many questions they need.

All hold for ``n`` independent losses of one distribution, for every n, without an approximation.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from thinkctl.errors import ConfigurationError, MissingExtra

try:
    from scipy.special import bdtr, betaincinv
except ImportError as error:
    raise MissingExtra("calibration needs scipy: pip install 'thinkctl[evals]'") from error

__all__ = ["check_level", "clopper_pearson", "hoeffding_bentkus", "questions_needed"]

_HALVINGS: Final = 60
_MOST: Final = 10_000_000
"""Where the search for a number of questions ends: nobody has so many."""


def check_level(name: str, value: float) -> None:
    """Raise ``ConfigurationError`` unless a risk or a probability lies strictly between 0 and 1."""
    if not 0 < value < 1:
        raise ConfigurationError(f"{name}={value!r} is not between 0 and 1; write 0.05 for five percent")


def clopper_pearson(losses: int, n: int, delta: float) -> float:
    """Return the exact upper bound of a binomial rate that holds with probability at least 1 - delta.

    ``losses`` of ``n`` independent 0/1 losses were 1. Without any question the bound is 1.

    Source: Clopper and Pearson 1934, one-sided: the (1 - delta) quantile of Beta(losses + 1, n - losses).
    """
    if not 0 <= losses <= n:
        raise ConfigurationError(f"{losses} losses of {n} questions cannot be; count each question once")
    return 1.0 if losses == n else float(betaincinv(losses + 1, n - losses, 1 - delta))


def hoeffding_bentkus(total: float, n: int, delta: float) -> float:
    """Return an upper bound of the mean of losses in [0, 1] that holds with probability at least 1 - delta.

    ``total`` is the sum of ``n`` independent losses. For 0/1 losses Clopper-Pearson is exact and tighter.

    Source: Bates et al. 2021 (arXiv:2101.02703), theorem 5, as the p-value of Angelopoulos et al. 2021
    (arXiv:2110.01052), proposition 5, turned into a bound by bisection, rounded up.
    """
    if not 0 <= total <= n:
        raise ConfigurationError(
            f"losses of {n} questions cannot sum to {total!r}; each must be between 0 and 1"
        )
    mean = total / n if n else 1.0
    low, high = mean, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if low < middle < high and _p_value(total, n, middle) > delta:
            low = middle
        else:
            high = middle
    return high


@cache
def questions_needed(epsilon: float, delta: float, rate: float = 0.0, *, binary: bool = True) -> int | None:
    """Return the fewest questions at which losses of this rate would be bounded by ``epsilon``.

    With ``rate=0`` that is ceil(ln delta / ln(1 - epsilon)): no fewer can ever do. With the rate that was observed
    it is an estimate: if the true rate is the observed one, a set of this size does about every other time.
    ``None``: no number does, since the rate is not below ``epsilon``, or ten million would not.
    """
    check_level("epsilon", epsilon)
    check_level("delta", delta)
    if rate >= epsilon:
        return None

    def does(n: int) -> bool:
        if binary:
            return clopper_pearson(min(n, math.ceil(rate * n - 1e-9)), n, delta) <= epsilon
        return hoeffding_bentkus(rate * n, n, delta) <= epsilon

    high = 1
    while not does(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    return high


def _p_value(total: float, n: int, epsilon: float) -> float:
    """Return a bound on the probability of a sum this small if the mean were ``epsilon`` or more."""
    mean = total / n
    hoeffding = math.exp(-n * _divergence(mean, epsilon))
    bentkus = math.e * float(bdtr(min(n, math.ceil(total)), n, epsilon))
    return min(1.0, hoeffding, bentkus)


def _divergence(one: float, other: float) -> float:
    """Return the Kullback-Leibler divergence of two coins, 0 <= one < other < 1."""
    known = one * math.log(one / other) if one else 0.0
    return known + (1 - one) * math.log((1 - one) / (1 - other))
