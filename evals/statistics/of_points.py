"""Statistics of ``Point`` rows: pair them by question, make curves, compare, judge."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.intervals import Estimate, mean, ratio
from thinkctl.evals.points import Point
from thinkctl.evals.statistics.abstention import Covered, Outcomes, coverage_at, outcomes
from thinkctl.evals.statistics.bootstrap import RESAMPLES
from thinkctl.evals.statistics.curves import Curve
from thinkctl.evals.statistics.iso import Gain, IsoAccuracy, iso_accuracy, iso_compute
from thinkctl.evals.statistics.paired import Difference, McNemar, mcnemar, paired_difference
from thinkctl.evals.statistics.pareto import Member, pareto
from thinkctl.evals.statistics.shares import share_of
from thinkctl.evals.statistics.verdicts import Judgement, Kind, judge_claim
from thinkctl.evals.table import Floats

__all__ = [
    "Best",
    "Claimed",
    "accuracy_of",
    "aligned",
    "best_arm",
    "cost_of",
    "coverage_of",
    "curve_of",
    "difference_of",
    "gain_of",
    "iso_of",
    "judge_points",
    "mcnemar_of",
    "only",
    "outcomes_of",
    "pareto_of",
    "per_right_answer",
]

_MANY = 3


class Claimed(Protocol):
    """What a study claims, as its file states it: see ``verdicts.judge_claim`` for the kinds."""

    @property
    def small(self) -> str: ...
    @property
    def large(self) -> str: ...
    @property
    def task(self) -> str | None: ...
    @property
    def axis(self) -> Axis: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def margin(self) -> float: ...


@final
@dataclass(frozen=True)
class Best:
    """The most accurate of several points on tuning questions, and what it comes to on the others.

    ``tuned`` is what it seemed to be when it was chosen, too good by the winner's curse; ``reported`` is honest.
    """

    point: Point
    tuned: Estimate
    reported: Estimate
    of: int


def only(point: Point, question_ids: Sequence[str]) -> Point:
    """Return the point of some of its questions, in this order. Raises ``ConfigurationError`` for one it lacks."""
    at = {name: place for place, name in enumerate(point.question_ids)}
    lacks = [name for name in question_ids if name not in at]
    if lacks:
        raise ConfigurationError(
            f"{_named(point)} has no run of {len(lacks)} of {len(question_ids)} questions ({_some(lacks)}); finish it, "
            "or compare on the questions that both have"
        )
    if tuple(question_ids) == point.question_ids:
        return point
    rows = np.array([at[name] for name in question_ids], dtype=np.int64)
    return replace(
        point,
        question_ids=tuple(question_ids),
        right=point.right[rows],
        abstained=point.abstained[rows],
        costs={axis: values[rows] for axis, values in point.costs.items()},
        oracle=None if point.oracle is None else point.oracle[rows],
        confidence=None if point.confidence is None else point.confidence[rows],
        samples=None if point.samples is None else point.samples[rows],
    )


def aligned(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return the points with their questions in the order of the first one's.

    Raises:
        ConfigurationError: where they are of several tasks, a question comes twice, or questions differ: a
            comparison on other questions is none.
    """
    points = tuple(points)
    if not points:
        return ()
    first = points[0]
    for point in points:
        if point.task != first.task:
            raise ConfigurationError(
                f"{_named(point)} and {_named(first)} are of different tasks; compare task by task"
            )
        if len(set(point.question_ids)) != len(point.question_ids):
            raise ConfigurationError(
                f"{_named(point)} has a question twice; a point holds the mean of its repeats"
            )
        more = set(point.question_ids) - set(first.question_ids)
        if more:
            raise ConfigurationError(
                f"{_named(point)} has {len(more)} questions that {_named(first)} has not ({_some(sorted(more))}); "
                "compare on the questions that both have (of_points.only)"
            )
    return tuple(only(point, first.question_ids) for point in points)


def curve_of(points: Iterable[Point], axis: Axis = Axis.GENERATED_TOKENS) -> Curve:
    """Return the curve of one arm on one task, its points in the order of their budgets.

    Raises ``ConfigurationError`` for points of several arms or tasks, of different questions, and where what the axis
    counts was not measured.
    """
    ordered = sorted(points, key=lambda point: point.budget)
    if not ordered:
        raise ConfigurationError("there is no point to make a curve of; name an arm of the study")
    arms = sorted({point.arm for point in ordered})
    if len(arms) > 1:
        raise ConfigurationError(f"points of {len(arms)} arms ({_some(arms)}) make no curve; give one arm's")
    ordered = list(aligned(ordered))
    budgets = tuple(point.budget for point in ordered)
    if len(set(budgets)) < len(budgets):
        raise ConfigurationError(f"{_named(ordered[0])} has two points of one budget: {budgets}")
    return Curve(
        right=np.stack([point.right for point in ordered], axis=1),
        cost=np.stack([_costs(point, axis) for point in ordered], axis=1),
        budgets=budgets,
        name=ordered[0].arm,
        question_ids=ordered[0].question_ids,
        axis=axis,
        replayed=tuple(point.replayed for point in ordered),
    )


def accuracy_of(point: Point) -> Estimate:
    """Return the share of questions answered right, in [0, 1]."""
    return share_of(point.right)


def cost_of(point: Point, axis: Axis = Axis.GENERATED_TOKENS) -> Estimate:
    """Return the mean cost of a question."""
    return mean(_known(point, axis), np.arange(len(point.right)))


def per_right_answer(point: Point, axis: Axis = Axis.GENERATED_TOKENS) -> Estimate | None:
    """Return all that was spent for each right answer, sum / sum; ``None`` where nothing is right or was spent."""
    return ratio(_known(point, axis), point.right, np.arange(len(point.right)))


def difference_of(point: Point, other: Point, axis: Axis | None = None) -> Difference:
    """Return by how many percentage points a point is more accurate than another; with an axis, how much dearer."""
    point, other = aligned([point, other])
    if axis is None:
        return paired_difference(100 * point.right, 100 * other.right)
    return paired_difference(_known(point, axis), _known(other, axis))


def mcnemar_of(point: Point, other: Point) -> McNemar | None:
    """Test two points of single runs; ``None`` where either is a mean of repeats, for which ``difference_of`` is."""
    point, other = aligned([point, other])
    if not all(np.isin(each.right, (0.0, 1.0)).all() for each in (point, other)):
        return None
    return mcnemar(int((point.right > other.right).sum()), int((point.right < other.right).sum()))


def iso_of(
    points: Iterable[Point],
    baseline: Point,
    axis: Axis = Axis.GENERATED_TOKENS,
    *,
    times: int = RESAMPLES,
    seed: int = 0,
) -> IsoAccuracy:
    """Return at which share of the baseline's cost an arm's points have the baseline's accuracy.

    In generated tokens this is also the **break-even price ratio**: the arm is the cheaper one as long as its token
    costs less than 1 / ratio of the baseline's. It holds whatever prices become.
    """
    arm, base = _both(points, baseline, axis)
    return iso_accuracy(arm, base, times=times, seed=seed)


def gain_of(
    points: Iterable[Point],
    baseline: Point,
    axis: Axis = Axis.GENERATED_TOKENS,
    *,
    floor: float = 0.0,
    times: int = RESAMPLES,
    seed: int = 0,
) -> Gain:
    """Return how many points more accurate an arm is at the baseline's cost."""
    arm, base = _both(points, baseline, axis)
    return iso_compute(arm, base, floor=floor, times=times, seed=seed)


def pareto_of(
    points: Iterable[Point], axis: Axis = Axis.GENERATED_TOKENS, *, times: int = RESAMPLES, seed: int = 0
) -> tuple[Member, ...]:
    """Return of each point of a task, in their order, whether it is on the front."""
    points = aligned(points)
    if not points:
        return ()
    right = np.stack([point.right for point in points], axis=1)
    cost = np.stack([_known(point, axis) for point in points], axis=1)
    return pareto(right, cost, times=times, seed=seed)


def outcomes_of(point: Point) -> Outcomes:
    """Return how many questions were answered right, wrong and not at all."""
    return outcomes(point.right, point.abstained)


def coverage_of(point: Point, risk: float, *, delta: float = 0.05) -> Covered:
    """Return how many questions can be answered at a risk, by the confidence of the runs."""
    if point.confidence is None:
        raise ConfigurationError(
            f"{_named(point)} says nothing of its confidence; record runs with a selector that does"
        )
    return coverage_at(risk, point.confidence, point.right, point.abstained, delta=delta)


def judge_points(
    points: Iterable[Point], claim: Claimed, *, floor: float = 0.0, times: int = RESAMPLES, seed: int = 0
) -> Mapping[str, Judgement]:
    """Judge a study's claim, by task: the one that it names, or each on which both arms have points.

    The large arm counts with its dearest point.
    """
    points = tuple(points)
    tasks = [name for name in dict.fromkeys(point.task for point in points) if claim.task in (None, name)]
    found: dict[str, Judgement] = {}
    for task in tasks:
        small = [point for point in points if point.task == task and point.arm == claim.small]
        large = [point for point in points if point.task == task and point.arm == claim.large]
        if not small or not large:
            continue
        dearest = max(large, key=lambda point: point.budget)
        arm, base = _both(small, dearest, claim.axis)
        found[task] = judge_claim(
            claim.kind, arm, base, margin=claim.margin, floor=floor, times=times, seed=seed
        )
    if not found:
        known = sorted({f"{point.task}: {point.arm}" for point in points})
        where = f" on {claim.task!r}" if claim.task is not None else ""
        raise ConfigurationError(
            f"the claim compares {claim.small!r} with {claim.large!r}{where}, which have no points on one task; "
            f"there are {', '.join(known) or 'none'}"
        )
    return found


def best_arm(
    points: Iterable[Point],
    tune_ids: Collection[str],
    report_ids: Collection[str],
    *,
    axis: Axis = Axis.GENERATED_TOKENS,
) -> Best:
    """Choose the most accurate point on some questions and report it on others, so that it was not chosen by luck.

    Of equally accurate points the cheapest on the axis is taken, then the first. The best of 20 equal arms on 100
    questions looks 9 points better than it is on the questions that it was chosen on.
    """
    points, tune, report = tuple(points), sorted(set(tune_ids)), sorted(set(report_ids))
    both = sorted(set(tune) & set(report))
    if both or not tune or not report or not points:
        raise ConfigurationError(
            f"{len(points)} points, {len(tune)} questions to choose on and {len(report)} to report on, {len(both)} of "
            "them in both: give points, and two sets of questions that share none"
        )
    tuned = [only(point, tune) for point in points]

    def rank(place: int) -> tuple[float, float]:
        costs = tuned[place].costs.get(axis)
        cost = float("inf") if costs is None or not np.isfinite(costs).all() else float(costs.mean())
        return -round(float(tuned[place].right.mean()), 12), cost

    chosen = min(range(len(points)), key=rank)
    return Best(
        points[chosen], accuracy_of(tuned[chosen]), accuracy_of(only(points[chosen], report)), len(points)
    )


def _both(points: Iterable[Point], baseline: Point, axis: Axis) -> tuple[Curve, Curve]:
    """Return the curves of an arm and of a single point, on the same questions in the same order."""
    together = aligned([baseline, *points])
    return curve_of(together[1:], axis), curve_of(together[:1], axis)


def _costs(point: Point, axis: Axis) -> Floats:
    values = point.costs.get(axis)
    if values is None:
        why = " (replayed points have none)" if point.replayed and axis in (Axis.SECONDS, Axis.JOULES) else ""
        measured = ", ".join(sorted(point.costs)) or "nothing"
        raise ConfigurationError(
            f"{_named(point)} was not measured in {axis.replace('_', ' ')}{why}; there is {measured}"
        )
    return values


def _known(point: Point, axis: Axis) -> Floats:
    values = _costs(point, axis)
    if not np.isfinite(values).all():
        raise ConfigurationError(
            f"{_named(point)}: the {axis.replace('_', ' ')} of {int((~np.isfinite(values)).sum())} questions are not "
            "known; choose another axis"
        )
    return values


def _named(point: Point) -> str:
    return f"{point.arm!r} at {point.limit}={point.budget:g} on {point.task!r}"


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(map(repr, names[:_MANY]))}{', ...' if len(names) > _MANY else ''}"
