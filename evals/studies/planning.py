"""From a study to what is recorded (run files) and what is reported (points). Nothing is run here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.studies.arms import Arm, Rung, build_arm, verifier_of
from thinkctl.evals.studies.prices import prices_of
from thinkctl.evals.studies.spec import Claim, ModelSpec, Study, TaskSpec, slug
from thinkctl.evals.tasks import Task, task
from thinkctl.protocols import StoppingPolicy, Strategy
from thinkctl.types import Budget, History, Problem, spec_of

__all__ = ["Chosen", "Plan", "PlannedPoint", "Recording", "plan_study", "seed_of"]

_SEEDS: Final = 2**31
TaskSource = Callable[[str], Task]


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """A task of a study, and the questions that are reported on. ``checksum`` is of all that the task asks."""

    spec: TaskSpec
    name: str
    task: Task
    problems: tuple[Problem, ...]
    tuned_on: int
    checksum: str


@final
@dataclass(frozen=True)
class Recording:
    """One run file: a strategy on the questions of a task, each once for every seed and repeat.

    ``name`` is the file's, without its ending. ``identity`` is all that determines what is recorded. ``arm`` is the
    first arm that uses it. ``policy`` is ``None`` for pools: they are recorded whole.
    """

    name: str
    chosen: Chosen
    arm: Arm
    strategy: Strategy
    policy: StoppingPolicy | None
    wall: Budget
    pool: int
    study: Study
    identity: Mapping[str, Any] = field(hash=False)

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def verifier(self) -> str | None:
        """How its verifier is written."""
        return self.arm.spec.verifier

    def seeds(self, problem: Problem) -> tuple[int, ...]:
        """Return the seed of each run of a question, in order."""
        number = len(self.study.seeds) * self.chosen.spec.repeats
        return tuple(seed_of(self, problem, repeat) for repeat in range(number))

    def jobs(self) -> Iterator[tuple[Problem, int]]:
        """Iterate over every run there is to be: a question and a seed."""
        for problem in self.chosen.problems:
            for seed in self.seeds(problem):
                yield problem, seed

    def __len__(self) -> int:
        return len(self.chosen.problems) * len(self.study.seeds) * self.chosen.spec.repeats


@final
@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """A point of the results: an arm at a budget on a task, and the recording that it is read from."""

    arm: Arm
    rung: Rung
    recording: Recording


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """All that a study records and reports."""

    study: Study
    chosen: tuple[Chosen, ...]
    recordings: tuple[Recording, ...]
    points: tuple[PlannedPoint, ...]


def seed_of(recording: Recording, problem: Problem, repeat: int) -> int:
    """Return the seed of a run: the same for every budget of an arm, another for every question and repeat."""
    own = recording.study.seeds[repeat % len(recording.study.seeds)]
    again = repeat // len(recording.study.seeds)
    said = json.dumps([own, recording.chosen.name, problem.id, recording.arm.spec.name, again])
    return int.from_bytes(hashlib.sha256(said.encode()).digest()[:8], "big") % _SEEDS


def plan_study(study: Study, task_of: TaskSource | None = None) -> Plan:
    """Load the tasks, build the parts, and say what is recorded and reported, in a fixed order.

    Raises ``ConfigurationError`` for what the study cannot be.
    """
    for name, model in study.models.items():
        _check_prices(name, model)
    chosen = tuple(_choose(spec, study, task_of or task) for spec in study.tasks)
    arms = [build_arm(study, place) for place in range(len(study.arms))]
    recordings: dict[str, Recording] = {}
    points: list[PlannedPoint] = []
    for each in chosen:
        for arm in arms:
            if arm.spec.tasks is not None and each.name not in arm.spec.tasks:
                continue
            verifier_of(arm.spec, each.task)
            for rung in arm.rungs:
                found = _recording(study, each, arm, rung)
                same = next((one for one in recordings.values() if _is_same_pool(one, found)), found)
                recordings.setdefault(same.name, same)
                points.append(PlannedPoint(arm, rung, same))
    for claim in study.claims:
        _check_claim(claim, chosen, points)
    return Plan(study, chosen, tuple(recordings.values()), tuple(points))


def _check_prices(name: str, model: ModelSpec) -> None:
    try:
        prices_of(model)
    except ConfigurationError as error:
        raise ConfigurationError(f"models.{name}.prices: {error}") from None


def _check_claim(claim: Claim, chosen: tuple[Chosen, ...], points: list[PlannedPoint]) -> None:
    """Refuse a claim about a task that one of its arms never runs on."""
    there = {(point.arm.spec.name, point.recording.chosen.name) for point in points}
    tasks = [claim.task] if claim.task else [each.name for each in chosen]
    if not any((claim.small, task) in there and (claim.large, task) in there for task in tasks):
        raise ConfigurationError(
            f"the claim compares {claim.small!r} with {claim.large!r}, which run on no common task of {tasks}"
        )


def _choose(spec: TaskSpec, study: Study, task_of: TaskSource) -> Chosen:
    found = task_of(spec.name)
    everything = len(found.problems)
    tune = study.tune if isinstance(study.tune, int) else round(study.tune * everything)
    questions = everything - tune if spec.questions is None else spec.questions
    _, problems = found.split(tune, questions)
    if len({problem.id for problem in problems}) != len(problems):
        raise ConfigurationError(f"task {spec.name!r} has two questions of one id; give each its own")
    return Chosen(spec, spec.label or spec.name, found, problems, tune, found.checksum)


def _recording(study: Study, chosen: Chosen, arm: Arm, rung: Rung) -> Recording:
    pooled = arm.pooled
    strategy = arm.pool_strategy if pooled else rung.strategy
    wall = (arm.spec.wall or Budget()) if pooled else rung.wall
    policy = None if pooled else arm.policy
    name = f"{slug(chosen.name)}_{slug(arm.spec.name)}"
    if not pooled and len(arm.rungs) > 1:
        name += f"_{rung.budget}-{arm.limit}"
    identity = _identity(study, chosen, arm, strategy, policy, wall)
    return Recording(name, chosen, arm, strategy, policy, wall, arm.pool, study, identity)


def _is_same_pool(known: Recording, wanted: Recording) -> bool:
    """Say whether a pool serves a second arm: the same samples, whatever is made of them."""
    apart = ("seed", "selector")
    return (
        known.pool > 0
        and wanted.pool > 0
        and known.chosen == wanted.chosen
        and {key: value for key, value in known.identity.items() if key not in apart}
        == {key: value for key, value in wanted.identity.items() if key not in apart}
    )


def _identity(
    study: Study,
    chosen: Chosen,
    arm: Arm,
    strategy: Strategy,
    policy: StoppingPolicy | None,
    wall: Budget,
) -> dict[str, Any]:
    """Return all that determines what is recorded, as plain data that a file's header can hold."""
    from thinkctl import __version__

    problem = chosen.problems[0]
    first = strategy.propose(History(problem, wall))
    asked = [[turn.model_dump(mode="json") for turn in request.messages] for request in first[:1]]
    selector = None if arm.pooled else spec_of(arm.selector)
    return {
        "task": chosen.name,
        "task_checksum": chosen.checksum[:16],
        "prompt_checksum": hashlib.sha256(json.dumps([problem.id, asked]).encode()).hexdigest()[:16],
        "strategy": spec_of(strategy),
        "policy": None if policy is None else spec_of(policy),
        "selector": selector,
        "verifier": arm.spec.verifier,
        "models": {name: _engine_identity(study.models[name]) for name in arm.models},
        "wall": wall.model_dump(mode="json", exclude_none=True),
        "seed": [study.seeds[0], arm.spec.name],
        "thinkctl": __version__.partition(".")[0],
    }


def _engine_identity(spec: ModelSpec) -> dict[str, Any]:
    return {"engine": spec.engine, "options": dict(spec.options)}


def first_requests(plan: Plan) -> list[dict[str, Any]]:
    """Return what each recording asks first about its first question, as plain data, for people to read."""
    told: list[dict[str, Any]] = []
    for recording in plan.recordings:
        problem = recording.chosen.problems[0]
        seed = recording.seeds(problem)[0]
        asked = recording.strategy.propose(History(problem, recording.wall, seed=seed))
        requests: list[dict[str, Any]] = []
        for request in asked:
            plain = {
                "model": request.model or recording.arm.spec.model,
                "messages": [turn.model_dump(mode="json") for turn in request.messages],
                "sampling": request.sampling.model_dump(mode="json"),
                "think": request.think,
                "times": 1,
            }
            if requests and {**requests[-1], "times": 1} == plain:
                requests[-1]["times"] += 1
            else:
                requests.append(plain)
        told.append(
            {
                "recording": recording.name,
                "question": problem.id,
                "form": problem.form,
                "seed": seed,
                "wall": recording.wall.model_dump(mode="json", exclude_none=True),
                "requests": requests,
            }
        )
    return told
