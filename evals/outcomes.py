"""What becomes of each question of a table under a policy, a selector and a budget.

Rules on votes are replayed for all questions at once; any other policy is asked sample by sample, on the same
histories and by the same ``decide`` as live (``thinkctl.hindsight``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.signals import check_signals
from thinkctl.evals.table import ABSTAINS, KINDS, Bools, Floats, Ints, VoteTable, kinds_of
from thinkctl.evals.votes import Votes, first_true, is_vectorised, would_stop
from thinkctl.hindsight import hindsight
from thinkctl.protocols import Selector, StoppingPolicy
from thinkctl.registry.parameters import default_of
from thinkctl.selectors import Majority
from thinkctl.types import Budget, History, name_of

__all__ = [
    "Case",
    "Ended",
    "Outcomes",
    "Sums",
    "View",
    "check_case",
    "chosen_at",
    "ended_at",
    "label_of",
    "outcomes_of",
]


@final
@dataclass(frozen=True, slots=True)
class Case:
    """What to replay: a policy (``None`` never stops), a selector, and limits for each question.

    ``samples`` is a fixed number of samples. ``budget`` may limit tokens and requests. ``label`` is what a report
    calls it.
    """

    policy: StoppingPolicy | None = None
    samples: int | None = None
    budget: Budget = field(default_factory=Budget)
    selector: Selector = field(default_factory=Majority)
    name: str = ""

    @property
    def label(self) -> str:
        """Its name, else its policy as it is written, else the number of samples."""
        if self.name or self.policy is not None:
            return self.name or label_of(self.policy)
        return "all samples" if self.samples is None else f"fixed {self.samples}"

    @property
    def is_full(self) -> bool:
        """Whether it is all samples, with which the others are compared."""
        return self.policy is None and self.samples is None and self.budget == Budget()

    @property
    def limits(self) -> str:
        """Its budget in words; empty without one."""
        given = self.budget.model_dump(exclude_defaults=True)
        return ",".join(f"{name}={value}" for name, value in given.items())


@final
@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of each row of a table (last axis), as means over permutations.

    ``right`` and ``full_right`` (of the answer of all samples) are shares of permutations, ``None`` where nobody
    knows; ``same`` is how often the answer is that of all samples in the same order. ``tokens`` are by kind.
    ``stopped`` by the policy, ``walled`` by the budget, ``unanswered``: no sample had an answer. ``unknown`` is the
    number of thoughts closed where the recording does not tell what the model would have answered.
    """

    right: Floats | None
    full_right: Floats | None
    oracle: Floats | None
    same: Floats
    samples: Floats
    tokens: Floats
    stopped: Floats
    walled: Floats
    unanswered: Floats
    unknown: Floats


def label_of(part: Any) -> str:
    """Write a part as the command line takes it: the first parameter, and others up to the last that is no default."""
    if isinstance(part, tuple):
        return ", ".join(map(label_of, part))
    if not is_dataclass(part) or isinstance(part, type):
        return repr(part)
    parameters = [each for each in fields(part) if each.init]
    changed = [place for place, each in enumerate(parameters) if getattr(part, each.name) != default_of(each)]
    shown = parameters[: max(changed, default=0) + 1]
    values = ", ".join(label_of(getattr(part, each.name)) for each in shown)
    return f"{name_of(part)}({values})" if values else name_of(part)


def outcomes_of(
    table: VoteTable,
    cases: Sequence[Case],
    *,
    permutations: int | None = None,
    seed: int = 0,
    cap: int | None = None,
    vectorised: bool = True,
) -> list[Outcomes]:
    """Return what becomes of each row in each case; see ``replay``.

    ``vectorised=False`` asks every policy sample by sample, to compare. Raises ``ConfigurationError`` for a policy
    that reads what was not recorded: it would never act, and seem to be safe.
    """
    for case in cases:
        check_case(case)
    sums = [Sums() for _ in cases]
    slow = [not (vectorised and _is_fast(case)) for case in cases]
    histories = [table.history(row) for row in range(len(table))] if any(slow) else []
    for case, slowly in zip(cases, slow, strict=True):
        if slowly and case.policy is not None:
            check_signals(case.policy, histories)
    for order in table.orders(permutations, seed=seed):
        view = View.of(table, order, cap)
        for case, added, slowly in zip(cases, sums, slow, strict=True):
            added.add(view, _by_event(view, case, histories) if slowly else _by_vector(view, case))
    return [added.means() for added in sums]


def check_case(case: Case) -> None:
    """Raise ``ConfigurationError`` for what no recording can tell."""
    if case.samples is not None and case.samples < 1:
        raise ConfigurationError(f"samples={case.samples!r} is no number of samples; give at least 1")
    for name in ("seconds", "dollars", "thinking_tokens"):
        if getattr(case.budget, name) is not None:
            raise ConfigurationError(
                f"a recording cannot tell what a budget of {name} buys; give tokens or requests, or run it live"
            )


def _is_fast(case: Case) -> bool:
    return is_vectorised(case.policy) and case.selector == Majority()


@final
@dataclass(frozen=True, slots=True)
class View:
    """A table with its samples in one order. ``sizes`` are numbers of samples that can be taken."""

    table: VoteTable
    order: Ints
    sizes: Ints
    votes: Votes
    spent: Ints
    """By kind, after 0, 1, ... samples (second axis), in each row (third axis)."""
    right: Bools | None
    """As ``VoteTable.rightness``."""
    covered: Floats | None
    """Whether at least one of all samples is right."""

    @classmethod
    def of(cls, table: VoteTable, order: Ints, cap: int | None = None) -> View:
        """Look at a table in an order of each row's samples, of which the first ``cap`` can be taken."""
        if cap is not None and cap < 1:
            raise ConfigurationError(f"cap={cap!r} leaves no sample; give at least 1")
        keys = np.take_along_axis(table.keys, order, axis=1)
        tokens = np.take_along_axis(table.tokens, order[None], axis=2)
        spent = np.zeros((len(KINDS), table.width + 1, len(table)), dtype=np.int64)
        spent[:, 1:] = tokens.cumsum(axis=2).swapaxes(1, 2)
        sizes = table.sizes if cap is None else np.minimum(table.sizes, cap)
        right = table.rightness()
        covered: Floats | None = None
        if right is not None:
            taken = np.arange(table.width) < sizes[:, None]
            hits: Bools = right[np.arange(len(table))[:, None], keys] & taken
            covered = np.asarray(hits.any(axis=1), dtype=np.float64)
        return cls(table, order, sizes, Votes.count(keys), spent, right, covered)

    @property
    def row(self) -> Ints:
        return np.arange(len(self.table))

    @property
    def full(self) -> Ints:
        """The number of the answer of all samples."""
        return self.votes.leading[self.sizes, self.row]


@final
@dataclass(frozen=True, slots=True)
class Ended:
    """How each row ended in one order: as ``Outcomes``, before means are taken."""

    right: Floats | None
    full_right: Floats | None
    same: Bools
    samples: Ints
    tokens: Ints
    stopped: Bools
    walled: Bools
    unanswered: Bools
    unknown: Ints


def ended_at(view: View, taken: Ints, *, stopped: Bools, walled: Bools) -> Ended:
    """Return how rows ended that took so many samples and let the majority win."""
    said = view.votes.leading[taken, view.row]
    return Ended(
        right=None if view.right is None else view.right[view.row, said].astype(np.float64),
        full_right=None if view.right is None else view.right[view.row, view.full].astype(np.float64),
        same=said == view.full,
        samples=taken,
        tokens=view.spent[:, taken, view.row],
        stopped=stopped,
        walled=walled,
        unanswered=said == ABSTAINS,
        unknown=np.zeros_like(taken),
    )


def _by_vector(view: View, case: Case) -> Ended:
    limit = view.sizes if case.samples is None else np.minimum(view.sizes, case.samples)
    fits = np.minimum(limit, _that_fit(view, case.budget))
    wish = first_true(would_stop(case.policy, view.votes))
    stopped = wish <= fits
    return ended_at(view, np.minimum(wish, fits), stopped=stopped, walled=~stopped & (fits < limit))


def _that_fit(view: View, budget: Budget) -> Ints:
    """Return how many samples of each row a budget lets one take: the first that does not fit ends it."""
    width = view.table.width
    fits = np.full(len(view.table), width, dtype=np.int64)
    if budget.requests is not None:
        fits = np.minimum(fits, budget.requests)
    if budget.tokens is not None:
        over = view.spent.sum(axis=0) > budget.tokens
        fits = np.minimum(fits, first_true(over) - 1)
    return fits


def chosen_at(view: View, taken: Ints, selector: Selector, histories: Sequence[History]) -> Ended:
    """Return how rows ended that took so many samples and let any selector choose; what stopped them is not told."""
    cases = [Case(samples=int(samples), selector=selector) for samples in taken]
    return _gathered(
        _ended_row(view, case, row, recorded)
        for row, (case, recorded) in enumerate(zip(cases, histories, strict=True))
    )


def _by_event(view: View, case: Case, histories: Sequence[History]) -> Ended:
    return _gathered(_ended_row(view, case, row, recorded) for row, recorded in enumerate(histories))


def _gathered(rows: Iterable[tuple[Any, ...]]) -> Ended:
    right, full, same, samples, tokens, stopped, walled, unanswered, unknown = zip(*rows, strict=True)
    return Ended(
        right=None if None in right else np.array(right, dtype=np.float64),
        full_right=None if None in full else np.array(full, dtype=np.float64),
        same=np.array(same),
        samples=np.array(samples),
        tokens=np.array(tokens).T,
        stopped=np.array(stopped),
        walled=np.array(walled),
        unanswered=np.array(unanswered),
        unknown=np.array(unknown),
    )


def _ended_row(view: View, case: Case, row: int, recorded: History) -> tuple[Any, ...]:
    """Return the fields of ``Ended`` for one row."""
    table, size = view.table, int(view.sizes[row])
    samples = tuple(recorded.samples[place] for place in view.order[row, :size])
    limited = replace(recorded, samples=samples if case.samples is None else samples[: case.samples])
    seen = hindsight(case.policy, limited, case.selector, budget=case.budget)
    full = hindsight(None, replace(recorded, samples=samples), case.selector).answer
    return (
        table.is_right(row, seen.answer),
        table.is_right(row, full),
        (None if seen.answer is None else seen.answer.key) == (None if full is None else full.key),
        seen.samples,
        kinds_of(seen.usage),
        seen.stopped,
        seen.walled,
        seen.answer is None,
        seen.unknown,
    )


class Sums:
    """Sums over permutations; what is unknown in one is unknown in all."""

    def __init__(self) -> None:
        self._number = 0
        self._unknown = set[str]()
        self._sums: dict[str, Floats] = {}

    def add(self, view: View, ended: Ended) -> None:
        self._number += 1
        found: dict[str, Any] = {each.name: getattr(ended, each.name) for each in fields(ended)}
        for name, value in {**found, "oracle": view.covered}.items():
            if value is None:
                self._unknown.add(name)
            else:
                self._sums[name] = self._sums.get(name, 0.0) + np.asarray(value, dtype=np.float64)

    def means(self) -> Outcomes:
        means = {name: total / self._number for name, total in self._sums.items()}
        known: dict[str, Floats | None] = {
            name: None if name in self._unknown else mean for name, mean in means.items()
        }
        return Outcomes(
            right=known.get("right"),
            full_right=known.get("full_right"),
            oracle=known.get("oracle"),
            same=means["same"],
            samples=means["samples"],
            tokens=means["tokens"],
            stopped=means["stopped"],
            walled=means["walled"],
            unanswered=means["unanswered"],
            unknown=means["unknown"],
        )
