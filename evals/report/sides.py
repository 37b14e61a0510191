"""What a comparison compares: the results of a study, one of its arms, or a run file with reference answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.costs import costs_of
from thinkctl.evals.gold import is_right
from thinkctl.evals.points import Health, Point
from thinkctl.evals.report.source import within
from thinkctl.evals.table import Floats
from thinkctl.runfile import is_run_file, read, read_header
from thinkctl.types import Finish, ModelCard, Run

__all__ = ["points_of_runs", "side_of"]


def side_of(text: str, gold: Mapping[str, str] | None = None) -> tuple[Point, ...]:
    """Read ``FOLDER``, ``FOLDER:ARM``, ``FOLDER:ARM@BUDGET``, or a run file, for which ``gold`` are the references.

    Raises ``ConfigurationError`` for what is none of these, and for an arm or a budget that the study has not.
    """
    whole = Path(text)
    if whole.is_file():
        return (points_of_runs(whole, gold),)
    folder, colon, arm = text.rpartition(":")
    if whole.is_dir() or not colon:
        return _of_study(whole, None)
    return _of_study(Path(folder), arm)


def points_of_runs(path: Path, gold: Mapping[str, str] | None) -> Point:
    """Return the runs of a file as one point: each question's mean over its runs.

    A run whose question has no reference answer is left out; without any that has one this is an error.
    """
    if gold is None:
        raise ConfigurationError(
            f"{path} does not say what is right; give reference answers with --gold FILE"
        )
    if not is_run_file(path):
        raise ConfigurationError(f"{path} is no run file; give one, or the folder of a study")
    card = read_header(path).card
    found: dict[str, list[Run]] = {}
    for run in read(path):
        if run.history.problem.id in gold:
            found.setdefault(run.history.problem.id, []).append(run)
    if not found:
        raise ConfigurationError(
            f"{path}: no run has one of the {len(gold)} questions of the reference answers; their ids must match"
        )
    runs = [run for own in found.values() for run in own]
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    cards = _cards(runs, card)
    spent = [[costs_of(run, cards) for run in own] for own in found.values()]
    costs = {axis: _means([each[axis] for each in own] for own in spent) for axis in Axis}
    return Point(
        "",
        name,
        "" if card is None else card.name,
        str(runs[0].strategy.get("name", "")),
        1.0,
        "",
        False,
        tuple(found),
        _means([_right(run, gold) for run in own] for own in found.values()),
        _means([run.answer is None for run in own] for own in found.values()),
        {axis: values for axis, values in costs.items() if not np.isnan(values).all()},
        health=_health(runs),
    )


def _means(values: Iterable[Sequence[float]]) -> Floats:
    return np.array([float(np.mean(own)) for own in values], dtype=np.float64)


def _cards(runs: Sequence[Run], card: ModelCard | None) -> Mapping[str, ModelCard]:
    """Return the file's card by the name on the receipts; of several models it is that of its own name."""
    if card is None:
        return {}
    models = {line.model for run in runs for line in run.receipt.lines}
    return dict.fromkeys(models if len(models) == 1 else {card.name}, card)


def _right(run: Run, gold: Mapping[str, str]) -> bool:
    problem = run.history.problem
    return run.answer is not None and is_right(run.answer.text, gold[problem.id], problem.form)


def _health(runs: Sequence[Run]) -> Health:
    samples = [sample for run in runs for sample in run.samples]
    return Health(
        len(samples),
        sum(sample.finish is Finish.LENGTH for sample in samples),
        sum(sample.finish is Finish.STOP and sample.answer is None for sample in samples),
        sum(sample.finish is Finish.ERROR for sample in samples),
        any(run.receipt.usage.estimated for run in runs),
        sum(run.receipt.overshoot_tokens for run in runs),
    )


def _of_study(folder: Path, asked: str | None) -> tuple[Point, ...]:
    from thinkctl.evals.studies import open_study

    points = within(open_study(folder).points)
    if asked is None:
        return points
    arm, at, budget = asked.rpartition("@")
    chosen = [point for point in points if point.arm == asked]
    if not chosen and at:
        chosen = [point for point in points if point.arm == arm and f"{point.budget:g}" == budget]
    if not chosen:
        known = ", ".join(sorted({f"{point.arm}@{point.budget:g}" for point in points}))
        raise ConfigurationError(f"{folder} has no arm {asked!r}; it has {known}")
    return tuple(chosen)
