"""Running votes of many rows at once, and when a rule on votes would have stopped each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import final

import numpy as np

from thinkctl.evals.table import ABSTAINS, Bools, Ints
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping import AllOf, AnyOf, CannotBeOvertaken
from thinkctl.stopping.allocation import Boundary
from thinkctl.stopping.window import Window

__all__ = ["Votes", "first_true", "is_vectorised", "would_stop"]


@final
@dataclass(frozen=True, slots=True)
class Votes:
    """How the votes of each row (second axis) stand after 0, 1, ... samples (first axis).

    ``keys`` are the samples' own votes, first axis from the first sample on. ``leader`` and ``runner_up`` are
    numbers of votes, ``leading`` the number of the leading value, ``ABSTAINS`` before the first vote; ties go to
    the value that was given first. ``contested`` says that a value that was given before the leading one has as
    many votes as the runner-up: it would win a draw.
    """

    keys: Ints
    leader: Ints
    runner_up: Ints
    leading: Ints
    contested: Bools

    @classmethod
    def count(cls, keys: Ints) -> Votes:
        """Count the votes of rows of keys (rows first, as in a table), one sample after the other."""
        rows, width = keys.shape
        row, columns = np.arange(rows), np.ascontiguousarray(keys.T)
        counts = np.zeros((rows, max(int(keys.max(initial=0)) + 1, 1)), dtype=np.int32)
        first = np.full(counts.shape, width, dtype=np.int32)
        leader = np.zeros((width + 1, rows), dtype=np.int64)
        runner_up, leading = np.zeros_like(leader), np.full_like(leader, ABSTAINS)
        contested = np.zeros(leader.shape, dtype=np.bool_)
        for step, key in enumerate(columns):
            voted, held, ahead = key != ABSTAINS, leading[step], leader[step]
            counts[row, key] += voted
            votes, seen = counts[row, key], first[row, key]
            first[row, key] = seen = np.where(voted & (seen > step), step, seen)
            rival = voted & (key != held)
            takes = rival & ((votes > ahead) | ((votes == ahead) & (seen < first[row, held])))
            leader[step + 1] = np.where(voted, np.maximum(ahead, votes), ahead)
            second = np.where(rival, np.maximum(runner_up[step], np.minimum(votes, ahead)), runner_up[step])
            runner_up[step + 1], leading[step + 1] = second, np.where(takes, key, held)
            since = first[row, leading[step + 1]]
            drawn = (counts == second[:, None]) & (first < since[:, None])
            contested[step + 1] = (second > 0) & drawn.any(axis=1)
        return cls(columns, leader, runner_up, leading, contested)


def is_vectorised(policy: StoppingPolicy | None) -> bool:
    """Say whether ``would_stop`` knows the rule; the others are asked sample by sample."""
    match policy:
        case None | CannotBeOvertaken() | Window():
            return True
        case AnyOf(policies=several) | AllOf(policies=several):
            return all(is_vectorised(each) for each in several)
        case _:
            return isinstance(policy, Boundary)


def would_stop(policy: StoppingPolicy | None, votes: Votes) -> Bools:
    """Return where a rule would stop: after so many samples (first axis) of each row (second axis)."""
    match policy:
        case None:
            return np.zeros(votes.leader.shape, dtype=np.bool_)
        case AnyOf(policies=several):
            return reduce(np.logical_or, (would_stop(each, votes) for each in several))
        case AllOf(policies=several):
            return reduce(np.logical_and, (would_stop(each, votes) for each in several))
        case CannotBeOvertaken(n=n):
            left = np.maximum(0, n - np.arange(len(votes.leader)))[:, None]
            safe: Bools = votes.leader >= votes.runner_up + left + votes.contested
            return safe
        case Window(size=size):
            return _agreed(votes.keys, size)
        case _:
            return votes.leader >= _boundary(policy, int(votes.runner_up.max()))[votes.runner_up]


def first_true(where: Bools) -> Ints:
    """Return for each row (second axis) the first place that holds; one beyond the last where none does."""
    return np.where(where.any(axis=0), where.argmax(axis=0), len(where))


def _boundary(policy: StoppingPolicy, most: int) -> Ints:
    """Return the fewest votes of a leader at which it stops, for 0 to ``most`` votes of the runner-up."""
    if not isinstance(policy, Boundary):
        raise TypeError(f"{policy!r} is no rule on two vote counts")
    return np.array([policy.least_leader(rival) for rival in range(most + 1)], dtype=np.int64)


def _agreed(keys: Ints, size: int) -> Bools:
    """Return whether a window of ``size`` votes has agreed, windows one after the other, after 0, 1, ... samples."""
    samples, rows = keys.shape
    agreed = np.zeros((samples + 1, rows), dtype=np.bool_)
    held, begun = np.full(rows, ABSTAINS), np.zeros(rows, dtype=np.int64)
    alike = np.ones(rows, dtype=np.bool_)
    for step, key in enumerate(keys):
        voted = key != ABSTAINS
        fresh = voted & (begun == size)
        begun = np.where(fresh, 0, begun) + voted
        alike = np.where(voted, (alike | fresh) & ((begun == 1) | (key == held)), alike)
        held = np.where(voted, key, held)
        agreed[step + 1] = agreed[step] | (alike & (begun == size))
    return agreed
