"""The verdict on what a study said it would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.contrasts import baseline_of
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.style import LABELS
from thinkctl.evals.points import Point
from thinkctl.evals.report.source import Claimed
from thinkctl.evals.statistics.of_points import aligned, curve_of
from thinkctl.evals.statistics.verdicts import Judgement, Verdict, judge_claim

__all__ = ["Judged", "claim_in_words", "judge", "zero_shot_large"]

_KINDS: Final = {
    "iso-accuracy": "{small} reaches the accuracy of {large} for less, counted in {axis}",
    "iso-compute": "{small} is right more often than {large} when it may spend as much, counted in {axis}",
    "non-inferior": "{small} is at most {margin:g} percentage points less accurate than {large}",
}


@final
@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a claim on one task, in words for a reader. ``needs`` is a number of questions, if known."""

    task: str
    verdict: Verdict
    words: str
    questions: int
    needs: int | None
    judgement: Judgement | None = None


def claim_in_words(claim: Claimed) -> str:
    """Return what was claimed as a sentence."""
    words = _KINDS[str(claim.kind)].format(
        small=claim.small, large=claim.large, axis=LABELS[claim.axis], margin=claim.margin
    )
    return f"{words}, on {claim.task}." if claim.task else f"{words}."


def judge(points: Sequence[Point], claim: Claimed) -> tuple[Judged, ...]:
    """Judge a claim on its task, or on each task that both of its arms have points of.

    What cannot be judged, for a cost that was not measured, is inconclusive and says why. Raises
    ``ConfigurationError`` where no task has both arms.
    """
    tasks = [claim.task] if claim.task else list(dict.fromkeys(point.task for point in points))
    found = [each for task in tasks if (each := _judged(points, claim, task)) is not None]
    if not found:
        arms = ", ".join(sorted({point.arm for point in points})) or "none"
        raise ConfigurationError(
            f"the claim is about {claim.small!r} and {claim.large!r}, which have no task in common; arms: {arms}"
        )
    return tuple(found)


def _judged(points: Sequence[Point], claim: Claimed, task: str) -> Judged | None:
    own = [point for point in points if point.task == task]
    small = [point for point in own if point.arm == claim.small]
    if not small or not any(point.arm == claim.large for point in own):
        return None
    large = baseline_of(own, claim.large)
    axis = claim.axis
    if str(claim.kind) == "non-inferior" and not has_cost(large, axis):
        axis = Axis.GENERATED_TOKENS
    small = [point for point in small if has_cost(point, axis)]
    count = len(large.question_ids)
    if not small or not has_cost(large, axis):
        which = claim.small if not small else claim.large
        words = f"Inconclusive: {LABELS[axis]} of {which} were not measured; name another axis in the claim."
        return Judged(task, Verdict.INCONCLUSIVE, words, count, None)
    _, *small = aligned([large, *small])
    found = judge_claim(claim.kind, curve_of(small, axis), curve_of([large], axis), margin=claim.margin)
    return Judged(task, found.verdict, found.words, found.questions, found.needs, found)


def zero_shot_large(points: Sequence[Point], claim: Claimed | None) -> str | None:
    """Return the arm that others are compared with: the claim's, else the only one with a single budget, else none."""
    if claim is not None:
        return claim.large
    budgets: dict[str, set[float]] = {}
    for point in points:
        budgets.setdefault(point.arm, set()).add(point.budget)
    single = [arm for arm, known in budgets.items() if len(known) == 1]
    return single[0] if len(single) == 1 and len(budgets) > 1 else None
