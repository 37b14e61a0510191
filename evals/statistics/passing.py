"""What k samples of the n that were recorded would have come to, averaged over every choice of k, without drawing.

One value a question. Averaged over questions, with ``shares.share_of`` for the interval: the choice of samples adds
nothing, but other samples would have; that is part of the difference between questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final, final

import numpy as np
from scipy.special import gammaln

from thinkctl.errors import ConfigurationError
from thinkctl.evals.table import ABSTAINS, Bools, Floats, Ints

__all__ = ["EXACT_UP_TO", "MajorityAt", "best_of", "majority_at", "pass_at"]

EXACT_UP_TO: Final = 256
"""With more samples of a question than this, ``majority_at`` draws orders: its exact cost grows with their square."""


def pass_at(correct: Ints | Sequence[int], samples: Ints | Sequence[int] | int, ks: Sequence[int]) -> Floats:
    """Return the probability that one of k samples is right: ``[questions, ks]``.

    ``correct`` of ``samples`` recorded samples of each question are right: 1 - C(n - c, k) / C(n, k).

    **Source:** Chen et al. 2021, arXiv:2107.03374, equation 1.
    """
    right = np.asarray(correct, dtype=np.int64)
    sizes = np.broadcast_to(np.asarray(samples, dtype=np.int64), right.shape)
    if ((right < 0) | (right > sizes)).any():
        raise ConfigurationError("some question has more right samples than samples, or fewer than none")
    at = _checked(ks, sizes)
    wrong, n = (sizes - right)[:, None], sizes[:, None]
    # log of C(n - c, k) / C(n, k); where k > n - c there is no such choice.
    logs = _log_choose(np.maximum(wrong, at), at) - _log_choose(n, at)
    found: Floats = np.where(at > wrong, 1.0, np.where(wrong == n, 0.0, -np.expm1(np.minimum(logs, 0.0))))
    return found


def best_of(scores: Floats, right: Bools | Floats, ks: Sequence[int], *, sizes: Ints | None = None) -> Floats:
    """Return the expected rightness of the best-scored of k samples: ``[questions, ks]``.

    ``scores`` and ``right`` are ``[questions, samples]``; a NaN score is the lowest of all. ``sizes`` are the numbers
    of samples of each question, which come first in its row; all of them where not given. With y in the order of
    scores, best first: sum_i y_i C(n - 1 - i, k - 1) / C(n, k). Equal scores share their places.

    **Source:** the best of k drawn without replacement is at place i where the k - 1 others come from the n - 1 - i
    places after it; with scores that know what is right it is Chen et al. 2021, arXiv:2107.03374, equation 1.
    """
    width = scores.shape[1]
    counts = np.full(len(scores), width, dtype=np.int64) if sizes is None else sizes
    at = _checked(ks, counts)
    beyond = np.arange(width) >= counts[:, None]
    keys = np.where(beyond, np.inf, np.where(np.isnan(scores), np.finfo(np.float64).max, -scores))
    order = np.argsort(keys, axis=1, kind="stable")
    ranked = np.take_along_axis(np.asarray(right, dtype=np.float64), order, axis=1)
    shared = _shared(np.take_along_axis(keys, order, axis=1), ranked)
    place = np.arange(width)
    found = np.empty((len(scores), len(at)))
    for column, k in enumerate(at):
        after = counts[:, None] - 1 - place
        possible = after >= k - 1
        logs = _log_choose(np.where(possible, after, k - 1), k - 1) - _log_choose(counts, k)[:, None]
        found[:, column] = (np.where(possible, np.exp(logs), 0.0) * shared).sum(axis=1)
    return found.clip(0.0, 1.0)


@final
@dataclass(frozen=True)
class MajorityAt:
    """The expected rightness of the majority of k samples: ``values[questions, ks]``.

    ``orders`` is the number of random orders that were averaged, the same for all questions; 0 where the values are
    exact.
    """

    values: Floats
    orders: int

    @property
    def exact(self) -> bool:
        """Whether every choice of samples was counted."""
        return self.orders == 0


def majority_at(
    keys: Ints,
    right: Bools,
    ks: Sequence[int],
    *,
    sizes: Ints | None = None,
    exact_up_to: int = EXACT_UP_TO,
    orders: int = 200,
    seed: int = 0,
) -> MajorityAt:
    """Return how often the majority of k samples is right.

    ``keys[questions, samples]`` are votes as in a ``VoteTable``: equal numbers from 0 on are one answer, ``ABSTAINS``
    takes a place in the draw but has no vote. ``right[questions, answers]`` says which answers are right. Answers
    with the same number of votes share the credit equally, as they do where the first of them wins in a random order.
    Nobody voting is wrong. ``sizes`` as in ``best_of``.

    Exact up to ``exact_up_to`` samples of a question: choices of k are counted by a polynomial in the number of drawn
    samples, an answer at a time and for each number of votes that it may win with; the share of ties is an integral,
    1 / (t + 1) = int_0^1 s^t ds, that Gauss's rule gives without an error. Above, ``orders`` random orders are
    averaged, drawn with ``seed`` and the same for every question, so that differences between questions stay paired.
    """
    counts = np.full(len(keys), keys.shape[1], dtype=np.int64) if sizes is None else sizes
    at = _checked(ks, counts)
    if keys.size and int(keys.max()) >= right.shape[1]:
        raise ConfigurationError(
            f"answer {int(keys.max())} was given, but it is said of {right.shape[1]} answers whether they are right"
        )
    if int(counts.max(initial=0)) > exact_up_to:
        return MajorityAt(_by_orders(keys, right, at, counts, orders, seed), orders)
    found = np.empty((len(keys), len(at)))
    for row, size in enumerate(counts.tolist()):
        votes = keys[row, :size]
        given = np.bincount(votes[votes != ABSTAINS], minlength=right.shape[1])
        known = right[row, : len(given)]
        winners = tuple(sorted(given[known & (given > 0)].tolist()))
        others = tuple(sorted(given[~known & (given > 0)].tolist()))
        found[row] = _credits(winners, others, size)[at]
    return MajorityAt(found, 0)


@lru_cache(maxsize=1 << 14)
def _credits(right: tuple[int, ...], wrong: tuple[int, ...], size: int) -> Floats:
    """Return by k the credit of the right answers, from the votes of each answer; at 0 it is 0."""
    total = np.zeros(size + 1)
    for place, votes in enumerate(right):
        total += _wins(votes, (*right[:place], *right[place + 1 :], *wrong), size)
    k = np.arange(size + 1)
    found: Floats = total * np.exp(-_log_choose(np.int64(size), k))
    return found.clip(0.0, 1.0)


def _wins(votes: int, rivals: tuple[int, ...], size: int) -> Floats:
    """Return by k the number of choices in which this answer leads, ties counted in part."""
    total = np.zeros(size + 1)
    most = max(rivals, default=0)
    for lead in range(1, min(votes, most) + 1):
        dangerous = [rival for rival in rivals if rival >= lead]
        free = size - votes - sum(dangerous)
        nodes, weights = _gauss(len(dangerous) // 2 + 1)
        ways = np.ones((len(nodes), 1))
        for rival in dangerous:
            factor = np.tile(_row(rival)[: lead + 1], (len(nodes), 1))
            factor[:, lead] *= nodes
            ways = _product(ways, factor)
        whole = np.convolve(weights @ ways, _row(free))
        total[lead : lead + len(whole)] += _row(votes)[lead] * whole[: size + 1 - lead]
    if votes > most:
        sure = _row(votes).copy()
        sure[: most + 1] = 0.0
        total += np.convolve(sure, _row(size - votes))
    return total


def _product(one: Floats, other: Floats) -> Floats:
    """Return the products of polynomials, row by row."""
    found = np.zeros((len(one), one.shape[1] + other.shape[1] - 1))
    if other.shape[1] > one.shape[1]:
        one, other = other, one
    for power in range(other.shape[1]):
        found[:, power : power + one.shape[1]] += other[:, power, None] * one
    return found


@cache
def _row(n: int) -> Floats:
    """Return C(n, 0), ..., C(n, n); 2^n is a float up to n = 1023."""
    return np.array([float(math.comb(n, k)) for k in range(n + 1)])


@cache
def _gauss(nodes: int) -> tuple[Floats, Floats]:
    """Return nodes and weights on [0, 1] that integrate polynomials of degree 2 nodes - 1 exactly."""
    at, weights = np.polynomial.legendre.leggauss(nodes)
    return (at + 1) / 2, weights / 2


def _by_orders(keys: Ints, right: Bools, at: Ints, counts: Ints, orders: int, seed: int) -> Floats:
    """Average the majority's rightness over random orders of the samples' places."""
    if orders < 1:
        raise ConfigurationError(f"orders={orders!r} draws nothing; give at least 1")
    total = np.zeros((len(keys), len(at)))
    beyond = np.arange(keys.shape[1]) >= counts[:, None]
    names = right.shape[1]
    rows = names * np.arange(len(keys))[:, None]
    for number in range(orders):
        drawn = np.random.default_rng([seed, number]).random(keys.shape[1])
        order = np.argsort(np.where(beyond, np.inf, drawn), axis=1, kind="stable")
        shuffled = np.take_along_axis(keys, order, axis=1)
        for column, k in enumerate(at.tolist()):
            first = shuffled[:, :k]
            given = np.bincount((first + rows)[first != ABSTAINS], minlength=names * len(keys))
            votes = given.reshape(len(keys), names)
            most = votes.max(axis=1, keepdims=True)
            leads = (votes == most) & (most > 0)
            total[:, column] += (leads & right).sum(axis=1) / np.maximum(leads.sum(axis=1), 1)
    return total / orders


def _shared(keys: Floats, values: Floats) -> Floats:
    """Return values with those of equal keys replaced by their mean; keys are sorted in each row."""
    fresh = np.ones(keys.shape, dtype=np.bool_)
    fresh[:, 1:] = keys[:, 1:] != keys[:, :-1]
    group = np.cumsum(fresh.ravel()) - 1
    mean = np.bincount(group, weights=values.ravel()) / np.bincount(group)
    shared: Floats = mean[group].reshape(values.shape)
    return shared


def _checked(ks: Sequence[int], sizes: Ints) -> Ints:
    """Return the ks; raise where one is below 1 or above some question's samples."""
    at = np.asarray(ks, dtype=np.int64)
    least = int(sizes.min(initial=np.iinfo(np.int64).max))
    if at.ndim != 1 or not len(at) or at.min() < 1 or at.max() > least:
        raise ConfigurationError(
            f"k={list(map(int, at.ravel()))} cannot be drawn: each must be from 1 to {least}, the fewest samples of a "
            "question; leave questions with fewer out, or ask for fewer"
        )
    return at


def _log_choose(n: Ints | np.int64, k: Ints | np.int64) -> Floats:
    found: Floats = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
    return found
