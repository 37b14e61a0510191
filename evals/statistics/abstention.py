"""Answers that may be withheld: right, wrong and abstained, and how wrong the most confident answers are.

One value a question: ``confidence`` (higher is surer, NaN for none), ``right`` and ``abstained``, shares in [0, 1] that
are 0 or 1 of a single run. What is neither right nor abstained is wrong. Coverage counts answers that would be given.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import check_level, clopper_pearson, hoeffding_bentkus
from thinkctl.evals.intervals import Estimate
from thinkctl.evals.statistics.shares import share_of
from thinkctl.evals.table import Floats

__all__ = ["Covered", "Outcomes", "RiskCoverage", "coverage_at", "outcomes", "risk_coverage"]

_CANDIDATES: Final = 10


@final
@dataclass(frozen=True)
class Outcomes:
    """How many questions were answered right, answered wrong and not answered; sums of shares where repeated.

    ``hallucination`` is the share of questions that were answered wrong among those that were not answered right: 1
    for an arm that always answers, 0 for one that knows what it does not know; ``None`` where all are right.
    ``right_of_answered`` is the share of right answers among answers.
    """

    right: float
    wrong: float
    abstained: float
    right_share: Estimate
    wrong_share: Estimate
    abstained_share: Estimate

    @property
    def hallucination(self) -> float | None:
        """Wrong / (wrong + abstained)."""
        missed = self.wrong + self.abstained
        return self.wrong / missed if missed > 0 else None

    @property
    def right_of_answered(self) -> float | None:
        """Right / (right + wrong)."""
        answered = self.right + self.wrong
        return self.right / answered if answered > 0 else None


@final
@dataclass(frozen=True)
class RiskCoverage:
    """What is risked by answering only where confidence is at least a threshold, one place a threshold.

    ``thresholds`` fall, ``coverage`` rises: the share of **all** questions that are answered. ``risk`` is the share of
    wrong answers among answers. The areas are over the share of answers that are given, from none to all, and lower is
    better. ``aurc`` is the mean risk; it weighs the few most confident answers a great deal. ``augrc`` is the mean
    of wrong answers given / all answers: half the error rate for a confidence that says nothing. Both NaN where nothing
    is answered.
    """

    thresholds: Floats
    coverage: Floats
    risk: Floats
    aurc: float
    augrc: float


@final
@dataclass(frozen=True, slots=True)
class Covered:
    """How many questions may be answered at a risk.

    ``observed`` is the largest coverage at which the risk on these questions is no higher; chosen by looking, so too
    good. ``guaranteed`` is one at which the true risk is no higher, with the confidence that was asked for; 0 where
    there is none, ``None`` where runs were averaged over orders and abstain in some. ``threshold`` is its confidence
    and ``bound`` the risk's upper bound there.
    """

    risk: float
    observed: float
    guaranteed: float | None
    threshold: float | None
    bound: float | None


def outcomes(right: Floats, abstained: Floats) -> Outcomes:
    """Count right, wrong and abstained, each share with its interval."""
    wrong = _wrong(right, abstained)
    return Outcomes(
        float(right.sum()),
        float(wrong.sum()),
        float(abstained.sum()),
        share_of(right),
        share_of(wrong),
        share_of(abstained),
    )


def risk_coverage(confidence: Floats, right: Floats, abstained: Floats | None = None) -> RiskCoverage:
    """Return risk against coverage. Answers of equal confidence are given together.

    An answer without a confidence (NaN) is given last, an abstention never.

    **Source:** Geifman and El-Yaniv 2017, arXiv:1705.08500 (curve and area); Traub et al. 2024, arXiv:2407.01032
    (AUGRC, with the straight lines between thresholds that ties ask for).
    """
    keys, given, wrong = _sorted(confidence, right, abstained)
    if not len(keys) or given.sum() <= 0:
        nothing = np.zeros(0)
        return RiskCoverage(nothing, nothing, nothing, math.nan, math.nan)
    fresh = np.concatenate([[True], keys[1:] != keys[:-1]])
    group = np.cumsum(fresh) - 1
    masses, losses = np.bincount(group, weights=given), np.bincount(group, weights=wrong)
    mass, loss = masses.cumsum(), losses.cumsum()
    total = float(mass[-1])
    # Within a tie any order is as likely: each question has the tie's mean.
    sizes = np.bincount(group)
    even_mass, even_loss = (masses / sizes)[group], (losses / sizes)[group]
    risks = even_loss.cumsum() / np.maximum(even_mass.cumsum(), 1e-300)
    joint = np.concatenate([[0.0], loss / total])
    steps = masses / total
    return RiskCoverage(
        keys[fresh],
        mass / len(right),
        loss / np.maximum(mass, 1e-300),
        float((risks * even_mass).sum() / total),
        float(((joint[1:] + joint[:-1]) / 2 * steps).sum()),
    )


def coverage_at(
    risk: float,
    confidence: Floats,
    right: Floats,
    abstained: Floats | None = None,
    *,
    delta: float = 0.05,
) -> Covered:
    """Return how many questions can be answered at a risk such as 0.01 or 0.05.

    The guarantee holds with probability ``1 - delta`` over the questions. Ten thresholds are candidates, those that
    give a tenth, two tenths, ... and all of the answers: they are known without a look at what is right, and each is
    bounded at ``delta / 10``, by Clopper-Pearson where answers are right or wrong, by Hoeffding-Bentkus where they are
    means of repeats. The best that holds is taken.

    **Source:** as Geifman and El-Yaniv 2017, arXiv:1705.08500, whose search looks at the losses between
    its steps; fixed candidates need no argument about that.
    """
    check_level("risk", risk)
    check_level("delta", delta)
    curve = risk_coverage(confidence, right, abstained)
    below = curve.coverage[curve.risk <= risk]
    observed = float(below.max()) if len(below) else 0.0
    keys, given, wrong = _sorted(confidence, right, abstained)
    if not np.isin(given, (0.0, 1.0)).all():
        return Covered(risk, observed, None, None, None)
    best = Covered(risk, observed, 0.0, None, None)
    exact = bool(np.isin(wrong, (0.0, 1.0)).all())
    for tenth in range(1, _CANDIDATES + 1):
        place = math.ceil(len(keys) * tenth / _CANDIDATES) - 1
        if place < 0:
            break
        n = int((keys >= keys[place]).sum())
        total, chance = float(wrong[:n].sum()), delta / _CANDIDATES
        bound = clopper_pearson(round(total), n, chance) if exact else hoeffding_bentkus(total, n, chance)
        if bound <= risk:
            best = Covered(risk, observed, n / len(right), float(keys[place]), bound)
    return best


def _sorted(confidence: Floats, right: Floats, abstained: Floats | None) -> tuple[Floats, Floats, Floats]:
    """Return confidence, the share given and the share wrong of what is answered, surest first."""
    held = np.zeros(len(right)) if abstained is None else abstained
    wrong = _wrong(right, held)
    if confidence.shape != right.shape:
        raise ConfigurationError(
            f"confidence {confidence.shape} and right {right.shape} must have one value a question"
        )
    keys = np.where(np.isnan(confidence), -np.inf, confidence)
    answered = held < 1
    order = np.argsort(-keys[answered], kind="stable")
    return keys[answered][order], (1 - held[answered])[order], wrong[answered][order]


def _wrong(right: Floats, abstained: Floats) -> Floats:
    if right.shape != abstained.shape or right.ndim != 1:
        raise ConfigurationError(
            f"right {right.shape} and abstained {abstained.shape} must have one value a question"
        )
    wrong: Floats = 1.0 - right - abstained
    if not np.isfinite(wrong).all() or wrong.min(initial=0) < -1e-9 or right.min(initial=0) < 0:
        raise ConfigurationError("right and abstained are shares from 0 to 1 of one question's runs")
    return wrong.clip(0.0, 1.0).round(12)
