"""What a stopping policy would have made of recorded samples: how often right, and for how much.

Nothing here knows how long anything would have taken: a replayed row claims no latency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from thinkctl.evals.intervals import Estimate, mean, ratio, share
from thinkctl.evals.outcomes import Case, Outcomes, label_of, outcomes_of
from thinkctl.evals.signals import cautions_of
from thinkctl.evals.table import KINDS, Ints, VoteTable
from thinkctl.evals.votes import is_vectorised
from thinkctl.hindsight import Hindsight

__all__ = ["FIXED", "Row", "cautions", "fixed_cases", "replay", "row_of"]

FIXED: Final = (1, 2, 3, 5, 10, 20)
"""Numbers of samples that are reported without a policy, where there are so many."""


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One policy on one table, over all its questions; every interval takes the question as the unit.

    Shares are in [0, 1]; ``samples`` and ``tokens`` (generated, of all kinds) are means for a question, and the
    kinds of tokens add up to ``tokens``. ``change`` is the accuracy beyond that of all samples, paired by question.
    ``agreement`` is how often the answer is that of all samples in the same order. ``oracle`` is the share of
    questions that at least one recorded sample has right: no selector does better. ``None`` where it is not known
    who is right. ``estimated`` tokens were not counted by whoever recorded. ``permutations`` is 0 for the recorded
    order. ``replayed`` says that nothing was generated and no latency is claimed.
    """

    pool: str
    policy: str
    selector: str
    budget: str
    questions: int
    permutations: int
    accuracy: Estimate | None
    change: Estimate | None
    agreement: Estimate
    samples: Estimate
    tokens: Estimate
    tokens_per_correct: Estimate | None
    total_tokens: float
    thinking_tokens: float
    answer_tokens: float
    probe_tokens: float
    forced_tokens: float
    wasted_tokens: float
    oracle: float | None
    stopped: float
    walled: float
    unanswered: float
    unknown: float
    estimated: bool
    replayed: bool = True


def replay(
    table: VoteTable,
    cases: Iterable[Case],
    *,
    permutations: int | None = None,
    seed: int = 0,
    cap: int | None = None,
) -> list[Row]:
    """Return a row for each case, in their order.

    ``permutations`` shuffles of each question's samples, the same for every case; ``None`` is the recorded order.
    ``cap`` is the number of samples that "all samples" are.
    """
    listed = list(cases)
    found = outcomes_of(table, listed, permutations=permutations, seed=seed, cap=cap)
    return [
        row_of(table, case, outcomes, permutations=permutations or 0)
        for case, outcomes in zip(listed, found, strict=True)
    ]


def cautions(table: VoteTable, cases: Iterable[Case]) -> list[str]:
    """Say what about the recordings makes rows something else than they seem.

    Raises ``ConfigurationError`` where most of the probes that a policy reads were not recorded.
    """
    said = list(table.cautions)
    for case in cases:
        if case.policy is None or is_vectorised(case.policy):
            continue
        histories = [table.history(row) for row in range(len(table))]
        said += cautions_of(case.policy, histories, [Hindsight(each, None) for each in histories])
    return list(dict.fromkeys(said))


def fixed_cases(most: int, numbers: Sequence[int] = FIXED) -> list[Case]:
    """Return the cases of fixed numbers of samples, and of all of them."""
    return [*(Case(samples=number) for number in numbers if number < most), Case()]


def row_of(
    table: VoteTable, case: Case, found: Outcomes, *, permutations: int, limits: str | None = None
) -> Row:
    """Sum outcomes up. ``limits`` are said instead of the case's."""
    groups, total = table.groups, found.tokens.sum(axis=0)
    kinds = dict(zip(KINDS, found.tokens.mean(axis=1).tolist(), strict=True))
    right, agreement = found.right, share(found.same, groups)
    return Row(
        pool=table.name,
        policy=case.label,
        selector=label_of(case.selector),
        budget=case.limits if limits is None else limits,
        questions=int(groups.max()) + 1,
        permutations=permutations,
        accuracy=None if right is None else share(right, groups),
        change=_change(found, groups, agreement, exact=case.is_full and not case.name),
        agreement=agreement,
        samples=mean(found.samples, groups),
        tokens=mean(total, groups),
        tokens_per_correct=None if right is None else ratio(total, right, groups),
        total_tokens=float(total.sum()),
        thinking_tokens=kinds["thinking"],
        answer_tokens=kinds["answer"],
        probe_tokens=kinds["probe"],
        forced_tokens=kinds["forced"],
        wasted_tokens=kinds["wasted"],
        oracle=None if found.oracle is None else float(found.oracle.mean()),
        stopped=float(found.stopped.mean()),
        walled=float(found.walled.mean()),
        unanswered=float(found.unanswered.mean()),
        unknown=float(found.unknown.mean()),
        estimated=table.estimated,
    )


def _change(found: Outcomes, groups: Ints, agreement: Estimate, *, exact: bool) -> Estimate | None:
    """Estimate by how much the accuracy changes, paired by question.

    Where no answer of these questions changed, others' still may: no more often than answers disagree.
    """
    if found.right is None or found.full_right is None:
        return None
    change = mean(found.right - found.full_right, groups)
    if change.error or exact:
        return change
    most = 1 - agreement.low if agreement.low is not None else 1.0
    return replace(change, low=change.value - most, high=change.value + most)
