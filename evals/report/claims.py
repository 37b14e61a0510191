"""The verdicts on what a study said it would show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.figures.contrasts import baseline_of
from thinkctl.evals.figures.hero_rows import has_cost
from thinkctl.evals.figures.style import LABELS
from thinkctl.evals.points import Point
from thinkctl.evals.report.source import Claimed
from thinkctl.evals.statistics.of_points import aligned, curve_of
from thinkctl.evals.statistics.verdicts import Corrected, Judgement, Verdict, corrected, judge_claim

__all__ = ["Judged", "claim_in_words", "claimed_arms", "claimed_axes", "compared_with", "judge"]

T = TypeVar("T")
_KINDS: Final = {
    "iso-accuracy": "{small} reaches {large} for {less} {axis}",
    "iso-compute": "{small} is right more often than {large} for as {much} {axis}",
    "non-inferior": "{small} is at most {margin:g} percentage points less accurate than {large}",
}


@final
@dataclass(frozen=True, slots=True)
class Judged:
    """The verdict on a claim on one task: by itself, and where it is one of several, after Holm's correction."""

    task: str
    claim: str
    judgement: Judgement
    corrected: Corrected | None = None

    @property
    def verdict(self) -> Verdict:
        """What the interval says, whatever else was claimed."""
        return self.judgement.verdict

    @property
    def stands(self) -> Verdict:
        """What is left of the verdict beside the others of the study."""
        return self.verdict if self.corrected is None else self.corrected.verdict

    @property
    def needs(self) -> int | None:
        """The number of questions that would probably settle it beside the others, if known."""
        return self.judgement.needs if self.corrected is None else self.corrected.needs

    @property
    def questions(self) -> int:
        """How many questions it rests on."""
        return self.judgement.questions

    @property
    def words(self) -> str:
        """The verdict for a reader."""
        return self.judgement.words

    def plain(self) -> dict[str, Any]:
        """Return it as plain data, for JSON."""
        together = self.corrected
        return {
            "task": self.task,
            "claim": self.claim,
            "verdict": self.verdict.value,
            "words": self.words,
            "questions": self.judgement.questions,
            "needs_questions": self.judgement.needs,
            "p_value": self.judgement.p_value,
            "holm": None
            if together is None
            else {
                "verdict": together.verdict.value,
                "words": together.words,
                "tests": together.tests,
                "needs_questions": together.needs,
                "p_value": together.p_value,
            },
        }


def claim_in_words(claim: Claimed, task: str | None = None) -> str:
    """Return what was claimed, of a task where one is given."""
    less, much = ("less", "much") if claim.axis is Axis.TERAFLOPS else ("fewer", "many")
    words = _KINDS[str(claim.kind)].format(
        small=claim.small,
        large=claim.large,
        axis=LABELS[claim.axis],
        less=less,
        much=much,
        margin=claim.margin,
    )
    on = task or claim.task
    return f"{words} on {on}" if on else words


def judge(points: Sequence[Point], claims: Sequence[Claimed]) -> tuple[Judged, ...]:
    """Judge each claim on its task, or on each task that both of its arms have points of; several together as well.

    What cannot be judged, for a cost that was not measured, is inconclusive and says why. Raises
    ``ConfigurationError`` where no task has both arms of a claim.
    """
    found = [each for claim in claims for each in _on_tasks(points, claim)]
    if len(found) < 2:
        return tuple(found)
    together = corrected([each.judgement for each in found])
    return tuple(replace(each, corrected=own) for each, own in zip(found, together, strict=True))


def _on_tasks(points: Sequence[Point], claim: Claimed) -> list[Judged]:
    tasks = [claim.task] if claim.task else list(dict.fromkeys(point.task for point in points))
    found = [each for task in tasks if (each := _judged(points, claim, task)) is not None]
    if not found:
        arms = ", ".join(sorted({point.arm for point in points})) or "none"
        raise ConfigurationError(
            f"the claim is about {claim.small!r} and {claim.large!r}, which have no task in common; arms: {arms}"
        )
    return found


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
        untold = Judgement(claim.kind, Verdict.INCONCLUSIVE, words, count)
        return Judged(task, claim_in_words(claim, task), untold)
    _, *small = aligned([large, *small])
    found = judge_claim(claim.kind, curve_of(small, axis), curve_of([large], axis), margin=claim.margin)
    return Judged(task, claim_in_words(claim, task), found)


def compared_with(points: Sequence[Point], claims: Sequence[Claimed]) -> Mapping[str, str]:
    """Return by task the arm that others are compared with.

    It is that of the first claim about the task, else of the study's first claim; without claims the only arm with a
    single budget. A task has none where no such arm has a point.
    """
    otherwise = claims[0].large if claims else _only_single(points)
    arms = {
        task: _first_about(claims, task, lambda claim: claim.large) or otherwise
        for task in dict.fromkeys(point.task for point in points)
    }
    there = {(point.task, point.arm) for point in points}
    return {task: arm for task, arm in arms.items() if arm is not None and (task, arm) in there}


def claimed_arms(points: Sequence[Point], claims: Sequence[Claimed]) -> Mapping[str, str]:
    """Return by task the arm that the first claim about it is about, where there is one."""
    arms = {
        task: _first_about(claims, task, lambda claim: claim.small)
        for task in dict.fromkeys(point.task for point in points)
    }
    return {task: arm for task, arm in arms.items() if arm is not None}


def claimed_axes(points: Sequence[Point], claims: Sequence[Claimed]) -> Mapping[str, Axis]:
    """Return by task the kind of compute that the first claim about it is in, where there is one."""
    axes = {
        task: _first_about(claims, task, lambda claim: claim.axis)
        for task in dict.fromkeys(point.task for point in points)
    }
    return {task: axis for task, axis in axes.items() if axis is not None}


def _first_about(claims: Sequence[Claimed], task: str, part: Callable[[Claimed], T]) -> T | None:
    """Return a part of the first claim about a task; one that names it goes before one of every task."""
    about = [claim for named in (task, None) for claim in claims if claim.task == named]
    return part(about[0]) if about else None


def _only_single(points: Sequence[Point]) -> str | None:
    budgets: dict[str, set[float]] = {}
    for point in points:
        budgets.setdefault(point.arm, set()).add(point.budget)
    single = [arm for arm, known in budgets.items() if len(known) == 1]
    return single[0] if len(single) == 1 and len(budgets) > 1 else None
