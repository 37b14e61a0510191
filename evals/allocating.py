"""What an allocation of samples to the problems of a batch would have made of recorded samples.

One sample after the other goes to the most urgent problem, as ``Allocation.priority`` has it; a live batch does that
where it waits for every vote, and nearly that where several are in flight (``at_once``). The order in which samples are
given out does not depend on when one stops, so one pass tells what any budget would have brought.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.outcomes import Case, Ended, Sums, View, chosen_at, ended_at, label_of
from thinkctl.evals.replaying import Row, row_of
from thinkctl.evals.table import Floats, Ints, VoteTable
from thinkctl.evals.votes import first_true, is_vectorised, would_stop
from thinkctl.protocols import Allocation, Selector, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.stopping.allocation import FlipProbability, LeastConfident
from thinkctl.types import History, Standing

__all__ = ["Curve", "Share", "allocate", "anytime", "purchases"]

_OF_VOTES_ALONE: Final = (FlipProbability, LeastConfident)
"""Allocations whose priority is a function of the two vote counts: it is computed once for each pair."""

Priority = Callable[[int, int, int, int], float | None]
"""Of leader, runner-up, bought and place."""


@final
@dataclass(frozen=True, slots=True)
class Share:
    """An allocation, and what there is to share: ``samples`` or generated ``tokens``, means for a question.

    ``policy`` is a rule on votes that ends a problem whatever there is left. ``first`` gives every problem so many
    samples before the allocation is asked. ``at_once`` samples are in flight at a time, and all of their votes are in
    before the next are given out. ``selector`` chooses the answers in the end; the allocation looks at votes.
    """

    allocation: Allocation
    samples: float | None = None
    tokens: float | None = None
    policy: StoppingPolicy | None = None
    first: int = 0
    at_once: int = 1
    selector: Selector = field(default_factory=Majority)

    def __post_init__(self) -> None:
        if (self.samples is None) == (self.tokens is None):
            raise ConfigurationError("give an allocation samples or tokens to share, one of the two")
        given = self.samples if self.tokens is None else self.tokens
        if given is None or not given > 0:
            raise ConfigurationError(f"there is nothing to share in a budget of {given!r}; give more than 0")
        if self.at_once < 1:
            raise ConfigurationError(f"at_once={self.at_once!r} samples in flight are none; give 1 or more")
        if self.first < 0:
            raise ConfigurationError(f"first={self.first!r} is no number of samples; give 0 or more")
        if not is_vectorised(self.policy):
            raise ConfigurationError(
                f"{label_of(self.policy)} reads more than votes; beside an allocation give a rule on votes"
            )

    @property
    def rule(self) -> tuple[Allocation, StoppingPolicy | None, int, int]:
        """What says which problem gets the next sample, whatever there is to share."""
        return self.allocation, self.policy, self.first, self.at_once

    @property
    def label(self) -> str:
        """The allocation and the policy as they are written."""
        parts = [label_of(self.allocation), *([] if self.policy is None else [label_of(self.policy)])]
        return " with ".join(parts) + ("" if self.at_once == 1 else f", {self.at_once:,} at once")

    @property
    def limits(self) -> str:
        """What there is to share, in words."""
        return f"{self.samples:g} samples each" if self.tokens is None else f"{self.tokens:g} tokens each"


@final
@dataclass(frozen=True, slots=True)
class Curve:
    """What had been reached after each sample of a batch, from 0 samples on; means for a question.

    ``agreement`` is with the answers of all samples. ``accuracy`` is ``None`` where nobody knows who is right.
    """

    samples: Floats
    tokens: Floats
    agreement: Floats
    accuracy: Floats | None


def allocate(
    table: VoteTable,
    shares: Sequence[Share],
    *,
    permutations: int | None = None,
    seed: int = 0,
    cap: int | None = None,
) -> list[Row]:
    """Return a row for each share, in their order. The other arguments are those of ``replay``.

    The intervals take questions as independent, although they share a budget: with many questions that is a good
    approximation.
    """
    sums = [Sums() for _ in shares]
    others = any(share.selector != Majority() for share in shares)
    histories = [table.history(row) for row in range(len(table))] if others else []
    for order in table.orders(permutations, seed=seed):
        view = View.of(table, order, cap)
        bought: dict[Share, Ints] = {}
        for share, added in zip(shares, sums, strict=True):
            alike = [each for each in shares if each.rule == share.rule]
            if alike[0] not in bought:
                bought[alike[0]] = purchases(view, *share.rule, most=_most(view, alike))
            added.add(view, _ended(view, bought[alike[0]], share, histories))
    return [
        row_of(
            table,
            Case(name=share.label, selector=share.selector),
            added.means(),
            permutations=permutations or 0,
            limits=share.limits,
        )
        for share, added in zip(shares, sums, strict=True)
    ]


def anytime(
    view: View, allocation: Allocation, *, policy: StoppingPolicy | None = None, first: int = 0
) -> Curve:
    """Return what had been reached after each sample, until there is no more to give out."""
    rows = purchases(view, allocation, policy, first)
    before = _rank(rows, len(view.table))
    leading, number = view.votes.leading, len(view.table)
    now, then = leading[before + 1, rows], leading[before, rows]
    spent = view.spent.sum(axis=0)
    start = leading[0]

    def running(at_start: Floats, change: Floats) -> Floats:
        steps: Floats = np.concatenate([[0.0], change.cumsum()]) + at_start.sum()
        return steps / number

    full = view.full
    same = running((start == full) * 1.0, (now == full[rows]) * 1.0 - (then == full[rows]))
    accuracy = None
    if view.right is not None:
        right: Floats = view.right.astype(np.float64)
        accuracy = running(np.zeros(number), right[rows, now] - right[rows, then])
    tokens = running(np.zeros(number), (spent[before + 1, rows] - spent[before, rows]) * 1.0)
    samples = np.arange(len(rows) + 1, dtype=np.float64) / number
    return Curve(samples, tokens, same, accuracy)


def purchases(
    view: View,
    allocation: Allocation,
    policy: StoppingPolicy | None = None,
    first: int = 0,
    at_once: int = 1,
    *,
    most: int | None = None,
) -> Ints:
    """Return the rows that the samples of a batch go to, one after the other, at most ``most`` of them; see ``Share``.

    Ties go to the row with the fewest samples, then to the first. A row whose samples are used up, or that the
    policy ends, gets no more.
    """
    ends = np.minimum(view.sizes, first_true(would_stop(policy, view.votes)))
    most = int(ends.sum()) if most is None else min(most, int(ends.sum()))
    given = np.minimum(ends, first)
    begun = [
        row for turn in range(int(given.max(initial=0))) for row in np.flatnonzero(given > turn).tolist()
    ]
    rest = _by_priority(view, _priority_of(allocation), given, ends, at_once)
    chosen = np.fromiter(
        (row for row, _ in zip(rest, range(most - len(begun)), strict=False)), dtype=np.int64
    )
    return np.concatenate([np.array(begun[:most], dtype=np.int64), chosen])


def _by_priority(view: View, priority: Priority, given: Ints, ends: Ints, at_once: int) -> Iterator[int]:
    """Yield rows by urgency; while samples are in flight their votes are taken to be for the leader."""
    leaders, rivals = view.votes.leader.T.tolist(), view.votes.runner_up.T.tolist()
    known, last = given.tolist(), ends.tolist()
    flying, offers = [0] * len(known), [0] * len(known)
    heap: list[tuple[float, int, int, int]] = []

    def offer(row: int) -> None:
        votes, bought = known[row], known[row] + flying[row]
        offers[row] += 1  # offers that were made before are void
        if bought < last[row]:
            urgency = priority(leaders[row][votes] + flying[row], rivals[row][votes], bought, row)
            if urgency is not None:
                heapq.heappush(heap, (-urgency, bought, row, offers[row]))

    for row in range(len(known)):
        offer(row)
    while heap:
        launched: list[int] = []
        while heap and len(launched) < at_once:
            *_, row, number = heapq.heappop(heap)
            if number != offers[row]:
                continue
            yield row
            launched.append(row)
            flying[row] += 1
            if len(launched) < at_once:
                offer(row)
        for row in set(launched):
            known[row], flying[row] = known[row] + flying[row], 0
            offer(row)


def _priority_of(allocation: Allocation) -> Priority:
    def asked(leader: int, runner_up: int, bought: int, place: int) -> float | None:
        return allocation.priority(Standing(leader, runner_up, bought, place))

    if not isinstance(allocation, _OF_VOTES_ALONE):
        return asked
    known: dict[tuple[int, int], float | None] = {}

    def tabulated(leader: int, runner_up: int, bought: int, place: int) -> float | None:
        pair = leader, runner_up
        if pair not in known:
            known[pair] = asked(leader, runner_up, bought, place)
        return known[pair]

    return tabulated


def _ended(view: View, rows: Ints, share: Share, histories: Sequence[History]) -> Ended:
    """Return how rows ended when what there was to share was used up, or there was no more to give out."""
    number = len(view.table)
    if share.samples is not None:
        steps = min(len(rows), _steps(share.samples, number))
    elif share.tokens is not None:
        before = _rank(rows, number)
        spent = view.spent.sum(axis=0)
        total = (spent[before + 1, rows] - spent[before, rows]).cumsum()
        steps = int(np.searchsorted(total, share.tokens * number, side="right"))
    else:
        raise AssertionError("checked when it was made")
    taken = np.bincount(rows[:steps], minlength=number)
    stopped = taken >= first_true(would_stop(share.policy, view.votes))
    walled = ~stopped & (taken < view.sizes)
    if share.selector == Majority():
        return ended_at(view, taken, stopped=stopped, walled=walled)
    return replace(chosen_at(view, taken, share.selector, histories), stopped=stopped, walled=walled)


def _rank(rows: Ints, number: int) -> Ints:
    """Return for each purchase how many samples its row had before."""
    order = np.argsort(rows, kind="stable")
    counts = np.bincount(rows, minlength=number)
    starts = np.concatenate([[0], counts.cumsum()[:-1]])
    rank = np.empty(len(rows), dtype=np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(starts, counts)
    return rank


def _steps(samples: float, number: int) -> int:
    """Return how many samples a batch may take; what is written as 4.1 samples each is not cut by rounding."""
    return int(samples * number + 1e-9)


def _most(view: View, shares: Sequence[Share]) -> int | None:
    """Return how many samples of a batch have to be given out for all shares; ``None``: all of them."""
    if any(share.samples is None for share in shares):
        return None
    return max(_steps(share.samples or 0, len(view.table)) for share in shares)
