"""How far a verifier can be trusted: what it passes that is wrong, what it fails that is right.

A verifier that sees no reference answer is measured here against a grader that does. What is asked first is how often
it passes what is wrong, since best-of-N looks for just that: the more samples, the more of its mistakes it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.evals.intervals import LEVEL, Estimate, share
from thinkctl.evals.table import Bools, Floats, Ints
from thinkctl.selectors import score_of
from thinkctl.types import Answer, History, Run

try:
    import numpy as np
    from scipy.special import stdtrit  # type: ignore[import-untyped, unused-ignore]
except ImportError as error:
    raise MissingExtra("figures of verifiers need numpy and scipy: pip install 'thinkctl[evals]'") from error

__all__ = ["CHANCE", "Judging", "trust", "trust_of"]

CHANCE: Final = 0.5
"""The AUROC of a verifier that does not look."""


@final
@dataclass(frozen=True, slots=True)
class Judging:
    """How a verifier judged graded samples; rates have a 95 % interval that takes the question as the unit.

    ``samples`` had a verdict, ``unjudged`` had none; ``right`` of the judged are right. ``false_positive_rate`` is how
    often a wrong answer passes, ``true_positive_rate`` how often a right one does, ``precision`` how often what
    passes is right; ``None`` where there is nothing to take the share of. ``passes`` is the share that passes at all:
    1 or 0 is a verifier that always says the same. ``same`` is the share of questions with both right and wrong
    judged samples on which it says the same, to the score, of all of them (``None``: there is no such question).

    ``auroc`` is how often a right answer scores higher than a wrong one, ties counting half, over all questions;
    ``auroc_within`` the same among answers to one question, which is what choosing between samples needs. Both are
    0.5 by chance.
    """

    samples: int
    questions: int
    unjudged: int
    right: int
    false_positive_rate: Estimate | None
    true_positive_rate: Estimate | None
    precision: Estimate | None
    passes: float
    same: float | None
    auroc: Estimate | None
    auroc_within: Estimate | None

    @property
    def verdict(self) -> str:
        """What to think of the verifier, in one line."""
        wrong = self.samples - self.right
        if not (self.samples and self.right and wrong):
            what = "no verdict" if not self.samples else "no wrong answer" if not wrong else "no right answer"
            return f"cannot tell: {what} among {self.samples} judged samples of {self.questions} questions"
        if self.passes in (0.0, 1.0) and _is_constant(self.auroc):
            always = "passes" if self.passes else "fails"
            return f"{always} everything it sees, right or wrong, with one score: it did not look"
        wrongly, rightly = _rate(self.false_positive_rate), _rate(self.true_positive_rate)
        fooled = f"passes {wrongly} of wrong answers and {rightly} of right ones"
        able = self.auroc_within or self.auroc
        if able is None or able.low is None or able.high is None:
            return f"{fooled}; one question alone shows no more"
        how = f"AUROC {able.value:.2f} [{able.low:.2f}, {able.high:.2f}], chance {CHANCE}"
        if able.high < CHANCE:
            return f"worse than chance ({how}): it prefers wrong answers; {fooled}"
        if able.low <= CHANCE:
            return f"not shown to be better than chance ({how}); {fooled}"
        return f"tells right from wrong ({how}); {fooled}"

    def row(self) -> dict[str, Any]:
        """Return the figures as one flat row."""
        row: dict[str, Any] = {
            "samples": self.samples,
            "questions": self.questions,
            "unjudged": self.unjudged,
            "right": self.right,
            "passes": self.passes,
            "same": self.same,
        }
        for name in (
            "false_positive_rate",
            "true_positive_rate",
            "precision",
            "auroc",
            "auroc_within",
        ):
            estimate: Estimate | None = getattr(self, name)
            row[name] = None if estimate is None else estimate.value
            row[f"{name}_low"] = None if estimate is None else estimate.low
            row[f"{name}_high"] = None if estimate is None else estimate.high
        return {**row, "verdict": self.verdict}


def trust(
    runs: Iterable[Run | History],
    is_right: Callable[[History, Answer], bool] | Mapping[str, Callable[[Answer], bool]],
    *,
    passes_at: float = 0.5,
) -> Judging:
    """Return how the verdicts of runs agree with a grader.

    ``is_right(history, answer)`` is the grader, ``Recordings.is_right`` for instance; or a grader of answers by
    problem id. A sample without an answer is not counted: every verifier fails it. A verdict passes by its ``passed``,
    where that is said, else by a score of ``passes_at`` or more; one that says neither is unjudged. Runs of one
    problem id are one question.
    """
    if not 0 < passes_at <= 1:
        raise ConfigurationError(f"passes_at={passes_at!r} is no score above 0 and up to 1; give one")
    numbers: dict[str, int] = {}
    passed: list[bool] = []
    scores: list[float] = []
    right: list[bool] = []
    groups: list[int] = []
    unjudged = 0
    for one in runs:
        history = one.history if isinstance(one, Run) else one
        name = history.problem.id
        for sample in history.samples:
            if sample.answer is None or not sample.finished:
                continue
            score = score_of(sample)
            if sample.verdict is None or score is None:
                unjudged += 1
                continue
            says = sample.verdict.passed
            passed.append(score >= passes_at if says is None else says)
            scores.append(score)
            grade = (
                is_right[name](sample.answer)
                if isinstance(is_right, Mapping)
                else is_right(history, sample.answer)
            )
            right.append(grade)
            groups.append(numbers.setdefault(name, len(numbers)))
    return trust_of(
        np.array(passed, dtype=np.bool_),
        np.array(scores, dtype=np.float64),
        np.array(right, dtype=np.bool_),
        np.array(groups, dtype=np.int64),
        unjudged=unjudged,
    )


def trust_of(passed: Bools, scores: Floats, right: Bools, groups: Ints, *, unjudged: int = 0) -> Judging:
    """Return the figures of judged samples; ``groups`` numbers the question of each, from 0 on."""
    return Judging(
        samples=len(passed),
        questions=len(np.unique(groups)),
        unjudged=unjudged,
        right=int(right.sum()),
        false_positive_rate=_share(passed, groups, ~right),
        true_positive_rate=_share(passed, groups, right),
        precision=_share(right, groups, passed),
        passes=float(passed.mean()) if len(passed) else 0.0,
        same=_same(scores, right, groups),
        auroc=_auroc(scores, right, groups),
        auroc_within=_auroc_within(scores, right, groups),
    )


def _share(of: Bools, groups: Ints, among: Bools) -> Estimate | None:
    """Estimate how often something holds among some samples, over the questions that have any."""
    if not among.any():
        return None
    return share(of[among].astype(np.float64), np.unique(groups[among], return_inverse=True)[1].reshape(-1))


def _same(scores: Floats, right: Bools, groups: Ints) -> float | None:
    mixed = [
        bool(np.ptp(scores[groups == group]) == 0)
        for group in np.unique(groups)
        if 0 < right[groups == group].mean() < 1
    ]
    return float(np.mean(mixed)) if mixed else None


def _auroc(scores: Floats, right: Bools, groups: Ints) -> Estimate | None:
    """Estimate how often a right answer scores higher than a wrong one, ties half.

    Source: DeLong et al. 1988, Biometrics 44, with the sums of their placements taken by question, as Obuchowski
    1997, Biometrics 53, does for clustered data.
    """
    if right.all() or not right.any():
        return None
    good, bad = scores[right], scores[~right]
    above = _beaten(good, bad)
    below = 1 - _beaten(bad, good)
    value = float(above.mean())
    parts = np.zeros(len(scores))
    parts[right] = (above - value) / len(good)
    parts[~right] = (below - value) / len(bad)
    return _estimate(value, parts, groups)


def _auroc_within(scores: Floats, right: Bools, groups: Ints) -> Estimate | None:
    """Estimate the same over pairs of answers to one question: a ratio of sums over questions."""
    wins, pairs = [], []
    for group in np.unique(groups):
        mine = groups == group
        good, bad = scores[mine & right], scores[mine & ~right]
        if len(good) and len(bad):
            wins.append(float(_beaten(good, bad).sum() * len(bad)))
            pairs.append(len(good) * len(bad))
    if not pairs:
        return None
    won, of = np.array(wins), np.array(pairs, dtype=np.float64)
    value = float(won.sum() / of.sum())
    return _estimate(value, (won - value * of) / of.sum(), np.arange(len(pairs)))


def _beaten(these: Floats, others: Floats) -> Floats:
    """Return for each score the share of the others that is lower, equal ones counting half."""
    ordered = np.sort(others)
    lower = np.searchsorted(ordered, these, side="left")
    not_higher = np.searchsorted(ordered, these, side="right")
    found: Floats = (lower + not_higher) / (2 * len(others))
    return found


def _estimate(value: float, parts: Floats, groups: Ints) -> Estimate:
    """Return a number with the error that its parts have, added up by question."""
    _, numbered = np.unique(groups, return_inverse=True)
    sums = np.bincount(numbered.reshape(-1), weights=parts)
    count = len(sums)
    if count < 2:
        return Estimate(value, None, None, None)
    error = float(np.sqrt((sums**2).sum() * count / (count - 1)))
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return Estimate(value, error, max(0.0, value - half), min(1.0, value + half))


def _is_constant(auroc: Estimate | None) -> bool:
    """Return whether scores are all the same: then the AUROC is that of chance, without any error."""
    return auroc is None or (auroc.value == CHANCE and not auroc.error)


def _rate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "none"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} [{estimate.low:.0%}, {estimate.high:.0%}]"
