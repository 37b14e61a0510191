"""A made-up study: questions of known difficulty, arms of known skill, and runs that say what the points say."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from thinkctl.evals.axes import Axis
from thinkctl.evals.points import Health, Point
from thinkctl.evals.studies import Claim
from thinkctl.testing import sample_of
from thinkctl.types import (
    Answer,
    Budget,
    Decision,
    History,
    ModelCard,
    Note,
    Problem,
    Receipt,
    ReceiptLine,
    Role,
    Run,
    StopReason,
    Usage,
)


def point(
    arm: str,
    budget: float,
    skill: float,
    cost: float,
    *,
    questions: int = 100,
    task: str = "gsm8k",
    model: str = "small",
    limit: str = "samples",
    replayed: bool = False,
    oracle: float | None = None,
    axes: Sequence[Axis] = (Axis.GENERATED_TOKENS, Axis.TERAFLOPS, Axis.REQUESTS),
    seed: int = 0,
    health: Health | None = None,
) -> Point:
    """Make a point that gets a share ``skill`` of questions right; which ones depends on how hard they are."""
    draw = np.random.default_rng([seed, questions])
    hard = draw.random(questions)
    luck = np.random.default_rng([seed, questions, sum(map(ord, arm)), int(budget)]).normal(
        0, 0.15, questions
    )
    order = np.argsort(np.argsort(hard + luck))
    right = (order < round(skill * questions)).astype(float)
    tokens = cost * (0.5 + hard)
    per = {
        Axis.GENERATED_TOKENS: 1.0,
        Axis.ALL_TOKENS: 1.6,
        Axis.REQUESTS: 1 / 250,
        Axis.SECONDS: 0.02,
        Axis.DOLLARS: 4e-7 if model == "small" else 1.2e-6,
        Axis.TERAFLOPS: 0.001 if model == "small" else 0.003,
        Axis.JOULES: 0.3,
        Axis.KV_BYTES: 12_288.0,
    }
    measured = {axis for axis in axes if not (replayed and axis in (Axis.SECONDS, Axis.JOULES))}
    return Point(
        task,
        arm,
        model,
        arm.partition(" ")[2] or arm,
        budget,
        limit,
        replayed,
        tuple(f"q{place}" for place in range(questions)),
        right,
        np.where((right == 0) & (hard > 0.93), 1.0, 0.0),
        {axis: tokens * per[axis] for axis in sorted(measured)},
        None if oracle is None else np.maximum(right, (order < round(oracle * questions)).astype(float)),
        None,
        np.full(questions, float(budget)) if limit == "samples" else None,
        health or Health(samples=int(questions * max(1, budget)), truncated=3, unparsed=2),
    )


def curve(
    arm: str, skills: Sequence[float], *, first: float = 250.0, oracles: Sequence[float] = (), **others: Any
) -> list[Point]:
    """Make an arm whose budget doubles from point to point."""
    return [
        point(
            arm,
            2**step,
            skill,
            first * 2**step,
            oracle=oracles[step] if oracles else None,
            **others,
        )
        for step, skill in enumerate(skills)
    ]


SMALL, LARGE = "0.5B self-consistency", "1.5B zero-shot"


def usual(questions: int = 100, **others: Any) -> list[Point]:
    """A small model whose votes reach a large one: the study that a reader knows."""
    return [
        point(LARGE, 1, 0.62, 298, model="large", questions=questions, **others),
        *curve(
            SMALL,
            (0.35, 0.42, 0.55, 0.64, 0.69),
            first=120,
            oracles=(0.35, 0.5, 0.66, 0.78, 0.86),
            replayed=True,
            questions=questions,
            **others,
        ),
        *curve(
            "0.5B best-of-n", (0.35, 0.4, 0.5, 0.57), first=140, replayed=True, questions=questions, **others
        ),
    ]


def claim(**changes: Any) -> Claim:
    """Make the usual claim: the small arm reaches the large one for fewer generated tokens."""
    return Claim.model_validate({"small": SMALL, "large": LARGE, **changes})


@dataclass(frozen=True)
class Study:
    title: str = "Small thinks longer"
    claims: Sequence[Claim] = (claim(),)


@dataclass(frozen=True)
class Results:
    """What ``evals.studies.open_study`` returns, without a folder of runs."""

    points: tuple[Point, ...]
    folder: Path
    study: Study = field(default_factory=Study)
    cards: Mapping[str, ModelCard] = field(default_factory=dict)
    samples: int = 4
    text: str | Sequence[str] = "First I add, then I subtract."

    def runs(self, task: str, arm: str, limit: str | None = None) -> Iterator[Run]:
        found = next(point for point in reversed(self.points) if (point.task, point.arm) == (task, arm))
        texts = [self.text] if isinstance(self.text, str) else self.text
        known = [
            [run_of("", right, self.samples, text, found.model) for right in (False, True)] for text in texts
        ]
        for place, name in enumerate(found.question_ids):
            run = known[place % len(texts)][int(found.right[place])]
            problem = Problem.model_validate({"id": name, "messages": f"What is {name}?", "form": "number"})
            yield replace(run, history=replace(run.history, problem=problem))

    def grades(self, task: str, arm: str) -> Mapping[str, tuple[bool, ...]]:
        found = next(point for point in reversed(self.points) if (point.task, point.arm) == (task, arm))
        return {
            name: tuple(bool(found.right[place]) for _ in range(self.samples))
            for place, name in enumerate(found.question_ids)
        }


def run_of(name: str, right: bool, samples: int, text: str, model: str) -> Run:
    problem = Problem.model_validate({"id": name, "messages": f"What is {name}?", "form": "number"})
    answer = "4" if right else "5"
    said = tuple(
        sample_of(answer if index != 1 else "17", problem=problem, index=index, thought=text)
        for index in range(samples)
    )
    used = sum((sample.usage for sample in said), Usage())
    return Run(
        History(problem, Budget(tokens=4000), said, elapsed=2.0),
        Answer(answer, answer, 0),
        0.75,
        StopReason.POLICY,
        "three of four agree",
        Receipt((ReceiptLine(Role.SAMPLE, model, used, None),), 2.0),
        {"name": "self-consistency", "n": samples},
        None,
        None,
        (Note(1.0, 3, Decision(stop=True, confidence=0.75, why="three of four agree")),),
    )


@pytest.fixture
def results(tmp_path):
    """The usual study of 40 questions."""
    return Results(tuple(usual(40)), tmp_path)


@pytest.fixture(scope="session")
def made():
    """What makes points, curves and runs: this module."""
    return sys.modules[point.__module__]
