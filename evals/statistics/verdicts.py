"""Whether a claim that was stated before the runs is reached, in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias, final

from scipy.special import ndtri, stdtrit

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import LABELS
from thinkctl.evals.intervals import LEVEL, Estimate
from thinkctl.evals.statistics.bootstrap import RESAMPLES, Resampled
from thinkctl.evals.statistics.curves import Curve, check_alike
from thinkctl.evals.statistics.iso import Gain, IsoAccuracy, iso_accuracy, iso_compute, resamples, signed
from thinkctl.evals.statistics.paired import (
    NonInferiority,
    holm,
    non_inferiority,
    paired_difference,
    t_test,
)

__all__ = ["Corrected", "Judgement", "Kind", "Verdict", "corrected", "judge_claim"]

_HARDLY: Final = 0.05
"""The accuracy below which to be as accurate is no feat."""

Kind: TypeAlias = Literal["iso-accuracy", "iso-compute", "non-inferior"]
_MOST = 1_000_000
"""Nobody has more questions than this."""


class Verdict(StrEnum):
    """What the runs say of a claim."""

    REACHED = "reached"
    NOT_REACHED = "not reached"
    INCONCLUSIVE = "inconclusive"


@final
@dataclass(frozen=True)
class Judgement:
    """A verdict, the words for it, and the number that it rests on.

    ``needs`` is the number of questions that would probably settle an inconclusive claim if the true value is the one
    that was measured; ``None`` where it is settled or no number of questions would do. ``p_value`` is two-sided, of the
    claim's bound, and below 0.05 where the interval leaves the bound out; ``None`` where nothing was measured. One of
    ``iso``, ``gain`` and ``points`` is there, that of the claim's kind.
    """

    kind: Kind
    verdict: Verdict
    words: str
    questions: int
    needs: int | None = None
    p_value: float | None = None
    iso: IsoAccuracy | None = None
    gain: Gain | None = None
    points: Estimate | None = None


@final
@dataclass(frozen=True, slots=True)
class Corrected:
    """What is left of a verdict among ``tests`` that were made together; ``p_value`` is the corrected one.

    ``needs`` is as of ``Judgement``, for a test that would stand beside the others.
    """

    verdict: Verdict
    p_value: float
    tests: int
    needs: int | None
    words: str


def judge_claim(
    kind: Kind,
    arm: Curve,
    baseline: Curve,
    *,
    margin: float = 0.0,
    floor: float = 0.0,
    times: int = RESAMPLES,
    seed: int = 0,
) -> Judgement:
    """Judge a claim about an arm beside a single point of a baseline, on the same questions.

    ``iso-accuracy``: the arm has the baseline's accuracy at less of its cost; reached where the ratio's interval is
    below 1. ``iso-compute``: it is more accurate at the same cost; reached where the gain's interval is above 0.
    ``non-inferior``: at its dearest budget it is no more than ``margin`` percentage points worse; reached where the
    difference's interval is above ``-margin``. Not reached where the interval lies on the other side; else
    inconclusive.
    """
    match kind:
        case "iso-accuracy":
            return _by_accuracy(arm, baseline, iso_accuracy(arm, baseline, times=times, seed=seed))
        case "iso-compute":
            return _by_compute(arm, baseline, iso_compute(arm, baseline, floor=floor, times=times, seed=seed))
        case "non-inferior":
            return _by_margin(arm, baseline, margin)
    raise ConfigurationError(
        f"there is no claim {kind!r}; state 'iso-accuracy', 'iso-compute' or 'non-inferior'"
    )


def corrected(judgements: Sequence[Judgement]) -> tuple[Corrected, ...]:
    """Return what is left of verdicts that were made together, by Holm's correction of their p-values.

    What was not measured counts as a test with a p-value of 1. A verdict whose corrected p-value is 0.05 or more is
    inconclusive: of true bounds, whatever their number, one is then taken for missed or passed in 5 % of studies at
    most.
    """
    adjusted = holm([1.0 if each.p_value is None else each.p_value for each in judgements])
    return tuple(
        _corrected(each, p_value, len(judgements)) for each, p_value in zip(judgements, adjusted, strict=True)
    )


def _corrected(judged: Judgement, p_value: float, tests: int) -> Corrected:
    stands = judged.verdict is not Verdict.INCONCLUSIVE and p_value < 1 - LEVEL
    verdict = judged.verdict if stands else Verdict.INCONCLUSIVE
    needs = None
    if not stands and judged.p_value is not None and judged.questions > 1:
        errors_away = float(stdtrit(judged.questions - 1, judged.p_value / 2))
        needs = _questions(errors_away, judged.questions, 1 - (1 - LEVEL) / tests)
    tested = "not tested" if judged.p_value is None else f"p = {judged.p_value:.2g}, corrected {p_value:.2g}"
    told = f"; about {needs:,} questions would tell" if needs is not None else ""
    too = " too" if verdict is judged.verdict else ""
    words = f"Together with the others, {tests} in all (Holm): {verdict}{too} ({tested}{told})."
    return Corrected(verdict, p_value, tests, needs, words)


def _by_accuracy(arm: Curve, baseline: Curve, iso: IsoAccuracy) -> Judgement:
    small, large, cost = arm.name or "the arm", baseline.name or "the baseline", _cost(arm)
    verdict = Verdict.INCONCLUSIVE
    if iso.high < 1:
        verdict = Verdict.REACHED
    elif iso.low >= 1:
        verdict = Verdict.NOT_REACHED
    if iso.reached:
        never = f"; it never is in {resamples(1 - iso.reached_share)}" if iso.reached_share < 1 else ""
        said = f"to be as accurate as {large}, {small} takes {iso.amount} of its {cost}{never}{_how_little(baseline)}"
    elif verdict is Verdict.NOT_REACHED:
        said = f"{small} did not come to the accuracy of {large} at any budget: {iso.words}"
    else:
        said = f"whether {small} comes to the accuracy of {large} for less cannot be told: {iso.words}"
    needs = _needs(iso.resampled, 0.0, iso.questions) if verdict is Verdict.INCONCLUSIVE else None
    words = _words(verdict, said, needs, iso.questions)
    p_value = iso.resampled.p_value(float((iso.resampled.values >= 0).mean()))
    return Judgement("iso-accuracy", verdict, words, iso.questions, needs, p_value, iso=iso)


def _how_little(baseline: Curve) -> str:
    """Say so where a baseline is hardly ever right: then to be as accurate is no feat, whatever it costs."""
    accuracy = float(baseline.accuracy[0])
    if accuracy >= _HARDLY:
        return ""
    return f"; but that is only {100 * accuracy:.1f} % right, so there was little to reach: look at the difference"


def _by_compute(arm: Curve, baseline: Curve, gain: Gain) -> Judgement:
    small, large, cost = arm.name or "the arm", baseline.name or "the baseline", _cost(arm)
    low, high = gain.points.low, gain.points.high
    said = f"with the {cost} of {large}, {small} is {gain.words} beside it"
    if gain.affordable_share < 0.5:
        said = f"the cheapest budget of {small} takes more {cost} than {large}: at its cost it cannot answer"
    verdict = Verdict.INCONCLUSIVE
    if low is not None and low > 0:
        verdict = Verdict.REACHED
    elif high is not None and high <= 0:
        verdict = Verdict.NOT_REACHED
    needs = _needs(gain.resampled, 0.0, gain.questions) if verdict is Verdict.INCONCLUSIVE else None
    words = _words(verdict, said, needs, gain.questions)
    p_value = gain.resampled.p_value(float((gain.resampled.values <= 0).mean()))
    return Judgement("iso-compute", verdict, words, gain.questions, needs, p_value, gain=gain)


def _by_margin(arm: Curve, baseline: Curve, margin: float) -> Judgement:
    check_alike(arm, baseline)
    last = int(arm.mean_cost.argmax())
    found = paired_difference(100 * arm.right[:, last], 100 * baseline.right[:, 0])
    points, n = found.estimate, found.questions
    p_value = t_test(points.value + margin, points.error, n)
    verdict = {
        NonInferiority.NON_INFERIOR: Verdict.REACHED,
        NonInferiority.INFERIOR: Verdict.NOT_REACHED,
        NonInferiority.INCONCLUSIVE: Verdict.INCONCLUSIVE,
    }[non_inferiority(points, margin)]
    between = ""
    if points.low is not None and points.high is not None:
        between = f" [{signed(points.low)}, {signed(points.high)}]"
    said = (
        f"{arm.name or 'the arm'} is {signed(points.value)} points{between} beside {baseline.name or 'the baseline'}, "
        f"where {margin:g} may be lost"
    )
    needs = None
    if verdict is Verdict.INCONCLUSIVE and points.error:
        needs = _questions((points.value + margin) / points.error, n)
    return Judgement(
        "non-inferior", verdict, _words(verdict, said, needs, n), n, needs, p_value, points=points
    )


def _needs(resampled: Resampled, bound: float, questions: int) -> int | None:
    """Return the questions at which the interval would just leave the bound out, from the resamples beyond it."""
    least = 0.5 / len(resampled.values)
    below = min(max(resampled.share_below(bound), least), 1 - least)
    return _questions(float(ndtri(below)), questions)


def _questions(errors_away: float, questions: int, level: float = LEVEL) -> int | None:
    """Return the questions at which a value now so many standard errors from a bound is told from it at a level.

    Rounded up to two digits: it is a guess.
    """
    if questions < 2 or errors_away == 0:
        return None
    needed: float = questions * (float(ndtri((1 + level) / 2)) / errors_away) ** 2
    if needed > _MOST:
        return None
    needed = max(needed, questions + 1)
    unit = int(10 ** max(0, math.floor(math.log10(needed)) - 1))
    return int(math.ceil(needed / unit) * unit)


def _words(verdict: Verdict, said: str, needs: int | None, questions: int) -> str:
    text, on = f"{verdict.value.capitalize()}: {said}", f"on {questions} question{'s' * (questions != 1)}"
    if verdict is not Verdict.INCONCLUSIVE:
        return f"{text} ({on})."
    if questions < 2:
        return f"{text} ({on}, which tells nothing of others)."
    if needs is None:
        return f"{text} ({on}; more would hardly tell, for nothing tells the arms apart)."
    return f"{text} ({on}; about {needs:,} would tell, if this is the true value)."


def _cost(curve: Curve) -> str:
    return "cost" if curve.axis is None else LABELS[curve.axis]
