"""The rows that every table, figure and verdict is made of: an arm of a study at one budget, question by question."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from thinkctl.errors import ConfigurationError
from thinkctl.evals.axes import Axis
from thinkctl.evals.table import Floats

__all__ = ["Health", "Point", "read_points", "write_points"]


@final
@dataclass(frozen=True, slots=True)
class Health:
    """What went wrong on the way to a point, in samples: it stands beside every accuracy.

    ``truncated`` ran into their limit, ``unparsed`` have no answer though they ended, ``errors`` failed,
    ``estimated`` is whether tokens were counted by us where the engine did not tell. ``overshoot_tokens`` were
    generated beyond a grant.
    """

    samples: int = 0
    truncated: int = 0
    unparsed: int = 0
    errors: int = 0
    estimated: bool = False
    overshoot_tokens: int = 0


@final
@dataclass(frozen=True)
class Point:
    """An arm at one budget on one task.

    Arrays have one value a question, in the order of ``question_ids``. ``right`` is in [0, 1]: the mean over repeats,
    or over the orders in which a pool was replayed. ``samples`` is how many were taken, ``None`` where nobody counted;
    a sample may need several requests, such as one to conclude.

    ``abstained`` is the share without an answer; what is neither right nor abstained is wrong. ``oracle`` is the share
    in which any sample was right, ``None`` where nobody graded samples. ``costs`` are means over the same repeats; an
    axis that was not measured is missing. ``confidence`` is what the run said of its answer, NaN where it said nothing.

    ``budget`` is the number that orders the points of an arm's curve (samples or tokens), ``limit`` what it is called.
    ``replayed`` points come from a pool of samples: they claim no seconds and no joules.
    """

    task: str
    arm: str
    model: str
    strategy: str
    budget: float
    limit: str
    replayed: bool
    question_ids: tuple[str, ...]
    right: Floats
    abstained: Floats
    costs: Mapping[Axis, Floats]
    oracle: Floats | None = None
    confidence: Floats | None = None
    samples: Floats | None = None
    health: Health = field(default_factory=Health)

    def __post_init__(self) -> None:
        for name, values in self._arrays():
            if values.shape != (len(self.question_ids),):
                raise ConfigurationError(
                    f"{name} of {self.arm!r} on {self.task!r} has shape {values.shape}; "
                    f"its {len(self.question_ids)} questions need ({len(self.question_ids)},)"
                )

    def _arrays(self) -> Iterable[tuple[str, Floats]]:
        yield "right", self.right
        yield "abstained", self.abstained
        yield from ((str(axis), values) for axis, values in self.costs.items())
        if self.oracle is not None:
            yield "oracle", self.oracle
        if self.confidence is not None:
            yield "confidence", self.confidence
        if self.samples is not None:
            yield "samples", self.samples


def write_points(path: Path, points: Iterable[Point]) -> None:
    """Write points as JSON lines; NaN is written as null."""
    with path.open("w", encoding="utf-8") as file:
        for point in points:
            row = {
                "task": point.task,
                "arm": point.arm,
                "model": point.model,
                "strategy": point.strategy,
                "budget": point.budget,
                "limit": point.limit,
                "replayed": point.replayed,
                "question_ids": point.question_ids,
                "right": _listed(point.right),
                "abstained": _listed(point.abstained),
                "costs": {str(axis): _listed(values) for axis, values in sorted(point.costs.items())},
                "oracle": None if point.oracle is None else _listed(point.oracle),
                "confidence": None if point.confidence is None else _listed(point.confidence),
                "samples": None if point.samples is None else _listed(point.samples),
                "health": {name: getattr(point.health, name) for name in Health.__dataclass_fields__},
            }
            file.write(json.dumps(row, allow_nan=False) + "\n")


def read_points(path: Path) -> tuple[Point, ...]:
    """Read what ``write_points`` wrote. Raises ``ConfigurationError`` for anything else, with its line."""
    found: list[Point] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(_point(json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"{path}, line {number}: this is no point of a study ({error})"
            ) from error
    return tuple(found)


def _point(row: Mapping[str, Any]) -> Point:
    return Point(
        str(row["task"]),
        str(row["arm"]),
        str(row["model"]),
        str(row["strategy"]),
        float(row["budget"]),
        str(row["limit"]),
        bool(row["replayed"]),
        tuple(map(str, row["question_ids"])),
        _array(row["right"]),
        _array(row["abstained"]),
        {Axis(name): _array(values) for name, values in row["costs"].items()},
        None if row["oracle"] is None else _array(row["oracle"]),
        None if row["confidence"] is None else _array(row["confidence"]),
        None if row.get("samples") is None else _array(row["samples"]),
        Health(**row["health"]),
    )


def _listed(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _array(values: Iterable[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
