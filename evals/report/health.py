"""The health of a study: what went wrong beside each accuracy, and what a reader should know before believing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.evals.points import Point

__all__ = ["HealthRow", "Warned", "cut_off", "health_rows", "warnings_of"]

_MANY: Final = 0.05
"""A share of samples from which on a reader is warned."""
_FEW: Final = 30


@final
@dataclass(frozen=True, slots=True)
class HealthRow:
    """Of a point: its samples, and the shares in [0, 1] that were truncated, had no answer, or failed."""

    task: str
    arm: str
    budget: float
    limit: str
    replayed: bool
    samples: int
    truncated: float
    unparsed: float
    errors: float
    estimated: bool
    overshoot_tokens: int


@final
@dataclass(frozen=True, slots=True)
class Warned:
    """Something that a reader should know: what it is about, and why it matters."""

    about: str
    why: str


def health_rows(points: Sequence[Point]) -> tuple[HealthRow, ...]:
    """Return a row for each point."""
    return tuple(map(_row, points))


def _row(point: Point) -> HealthRow:
    health = point.health
    samples = max(1, health.samples)
    return HealthRow(
        point.task,
        point.arm,
        point.budget,
        point.limit,
        point.replayed,
        health.samples,
        health.truncated / samples,
        health.unparsed / samples,
        health.errors / samples,
        health.estimated,
        health.overshoot_tokens,
    )


def warnings_of(
    points: Sequence[Point], study: object, tasks: Mapping[str, Mapping[str, Any]]
) -> list[Warned]:
    """Return what a reader should know. ``tasks`` is what the results say of each task, its card included."""
    rows = health_rows(points)
    return [
        *_contaminated(tasks),
        *_untuned(study),
        *_many(
            rows, "truncated", "samples ran into their limit before they answered; a larger limit may help"
        ),
        *_many(rows, "unparsed", "samples ended without an answer that could be read; look at some below"),
        *_many(rows, "errors", "samples failed; their tokens are counted, their answers are missing"),
        *_counted_by_us(rows),
        *_overshot(rows),
        *_replayed(points),
        *_small(points),
    ]


def cut_off(results: object) -> list[Warned]:
    """Return a warning where runs were cut off and run again, if the results know of such."""
    lost = getattr(results, "lost", None)
    words = "" if lost is None else str(lost.in_words())
    return [Warned("interrupted", words.rstrip("."))] if words else []


def _contaminated(tasks: Mapping[str, Mapping[str, Any]]) -> list[Warned]:
    found: list[Warned] = []
    for name, told in tasks.items():
        card = told.get("card")
        why = card.get("contamination") if isinstance(card, dict) else None
        if why:
            found.append(Warned(f"{name}: whether models have seen it", str(why)))
    return found


def _untuned(study: object) -> list[Warned]:
    if getattr(study, "tune", 0):
        return []
    why = (
        "no question was set apart to choose prompts and thresholds on. If any were chosen on the questions reported "
        "here, the best arm looks better than it is"
    )
    return [Warned("tuned on test?", why)]


def _many(rows: Sequence[HealthRow], name: str, why: str) -> list[Warned]:
    worst: dict[tuple[str, str], float] = {}
    for row in rows:
        key = (row.task, row.arm)
        worst[key] = max(worst.get(key, 0.0), float(getattr(row, name)))
    found = [(key, share) for key, share in worst.items() if share >= _MANY]
    return [Warned(f"{task}, {arm}: {100 * share:.0f} % {name}", why) for (task, arm), share in found]


def _counted_by_us(rows: Sequence[HealthRow]) -> list[Warned]:
    arms = dict.fromkeys(row.arm for row in rows if row.estimated)
    why = "the engine did not tell what it generated; tokens were counted here and may differ by some"
    return [Warned(f"{arm}: usage estimated", why) for arm in arms]


def _overshot(rows: Sequence[HealthRow]) -> list[Warned]:
    arms: dict[str, int] = {}
    for row in rows:
        arms[row.arm] = max(arms.get(row.arm, 0), row.overshoot_tokens)
    why = "tokens beyond what was granted; the engine does not honour max_tokens"
    return [Warned(f"{arm}: {tokens:,} tokens of overshoot", why) for arm, tokens in arms.items() if tokens]


def _replayed(points: Sequence[Point]) -> list[Warned]:
    arms = list(dict.fromkeys(point.arm for point in points if point.replayed))
    if not arms:
        return []
    why = (
        "these points were computed from recorded samples; they claim no seconds and no joules, and neighbouring "
        "budgets share samples"
    )
    return [Warned(f"replayed: {', '.join(arms)}", why)]


def _small(points: Sequence[Point]) -> list[Warned]:
    found = {point.task: len(point.question_ids) for point in points if len(point.question_ids) < _FEW}
    why = f"fewer than {_FEW}: intervals of so few are rough themselves"
    return [Warned(f"{task}: {count} questions", why) for task, count in found.items()]
