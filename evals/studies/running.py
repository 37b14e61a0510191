"""Run a study, or go on with one: nothing that was recorded is run again, nothing that was not is left out."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from thinkctl.controller import Controller
from thinkctl.engines import engine_from
from thinkctl.errors import ContextExceeded
from thinkctl.evals.studies.arms import verifier_of
from thinkctl.evals.studies.energy import EnergyMeter
from thinkctl.evals.studies.grading import Grades
from thinkctl.evals.studies.planning import Plan, Recording, TaskSource, plan_study
from thinkctl.evals.studies.prices import prices_of
from thinkctl.evals.studies.records import (
    appending,
    check_identity,
    done,
    locked,
    tidy,
    write_cards,
)
from thinkctl.evals.studies.results import StudyResults, open_study
from thinkctl.evals.studies.spec import ModelSpec, Study, dump_study
from thinkctl.evals.studies.summarising import summarise
from thinkctl.protocols import Engine
from thinkctl.runfile import RunFile
from thinkctl.types import Finish, History, Problem, Receipt, Request, Run, Sample, StopReason, spec_of

__all__ = ["News", "open_engine", "run_study", "run_study_async"]

EngineSource = Callable[[str, ModelSpec], Engine]
SESSIONS: Final = "sessions.jsonl"


@final
@dataclass(frozen=True, slots=True)
class News:
    """A run has ended: of which recording, whether its answer was right, and how many are done of how many."""

    recording: Recording
    run: Run | None
    right: bool | None
    done: int
    total: int


@final
@dataclass(slots=True)
class _Session:
    """What one engine did while it was open."""

    models: tuple[str, ...]
    began: float = field(default_factory=time.monotonic)
    meter: EnergyMeter = field(default_factory=EnergyMeter)
    tokens: int = 0
    runs: int = 0

    def row(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "runs": self.runs,
            "generated_tokens": self.tokens,
            "seconds": round(time.monotonic() - self.began, 3),
            "joules": self.meter.joules(),
            "energy_source": self.meter.source,
        }


def open_engine(_: str, spec: ModelSpec) -> Engine:
    """Open the engine of a model. ``scripted:NAME`` is a made-up one."""
    kind, _, what = spec.engine.partition(":")
    if kind == "scripted":
        from thinkctl.evals.studies.rehearsal import Rehearsal

        options: dict[str, Any] = dict(spec.options)
        return Rehearsal(what, **options)
    return engine_from(spec.engine, **spec.options)


_BY_SPEC: Final = open_engine


def run_study(
    study: Study,
    folder: str | Path,
    *,
    source: str | None = None,
    open_engine: EngineSource | None = None,
    task_of: TaskSource | None = None,
    tell: Callable[[News], None] | None = None,
) -> StudyResults:
    """Run a study, or go on with it where it was, and return its results; see ``run_study_async``."""
    return asyncio.run(
        run_study_async(study, folder, source=source, open_engine=open_engine, task_of=task_of, tell=tell)
    )


async def run_study_async(
    study: Study,
    folder: str | Path,
    *,
    source: str | None = None,
    open_engine: EngineSource | None = None,
    task_of: TaskSource | None = None,
    tell: Callable[[News], None] | None = None,
) -> StudyResults:
    """Run a study into a folder, or go on with it where it was, and return its results.

    Models run one after the other, so that each has the machine to itself; all that one model has to do runs
    together, ``study.at_once`` questions at a time. Every run is on disk when it ends. It may be broken off at any
    moment, also by a kill: the same call goes on, and comes to the same records.

    ``source`` is the study file's text, kept as it was. ``open_engine`` and ``task_of`` replace the engines and tasks
    of these names. ``tell`` hears of every run.

    Raises:
        ConfigurationError: for what the study cannot be, for a folder in which something else was recorded, and while
            another process runs it.
        EngineUnavailable: an engine died; what had ended by then is recorded.
    """
    place = Path(folder)
    plan = plan_study(study, task_of)
    with locked(place):
        for recording in plan.recordings:
            check_identity(place, recording)
        (place / "study.toml").write_text(source or dump_study(study), encoding="utf-8")
        grades = Grades(place)
        await _record(plan, place, open_engine or _BY_SPEC, grades, tell)
        for recording in plan.recordings:
            tidy(place, recording)
        await summarise(plan, place, grades)
    return open_study(place)


async def _record(
    plan: Plan,
    folder: Path,
    open_engine: EngineSource,
    grades: Grades,
    tell: Callable[[News], None] | None,
) -> None:
    have = {recording: done(folder, recording) for recording in plan.recordings}
    for recording, known in have.items():
        if tell is not None:
            wanted = {(problem.id, seed) for problem, seed in recording.jobs()}
            tell(News(recording, None, None, len(known & wanted), len(recording)))
    for models in dict.fromkeys(recording.arm.models for recording in plan.recordings):
        group = [each for each in plan.recordings if each.arm.models == models]
        todo = _in_turn(group, have)
        if not todo:
            continue
        session = _Session(models)
        engines = {name: open_engine(name, plan.study.models[name]) for name in models}
        try:
            for engine in engines.values():
                await engine.start()
            write_cards(folder, {name: engine.card for name, engine in engines.items()})
            await _run_group(plan.study, todo, folder, engines, grades, session, have, tell)
        finally:
            for engine in engines.values():
                await engine.aclose()
            if session.runs:
                with (folder / SESSIONS).open("a", encoding="utf-8") as file:
                    file.write(json.dumps(session.row()) + "\n")


Job = tuple[Recording, Problem, int]


def _in_turn(group: Sequence[Recording], have: Mapping[Recording, set[tuple[str, int]]]) -> list[Job]:
    """Return what is left to do, question by question through all recordings, so that their parts are comparable."""
    left: list[tuple[int, int, Job]] = []
    for number, recording in enumerate(group):
        for place, (problem, seed) in enumerate(recording.jobs()):
            if (problem.id, seed) not in have[recording]:
                left.append((place, number, (recording, problem, seed)))
    return [job for _, _, job in sorted(left, key=lambda each: each[:2])]


async def _run_group(
    study: Study,
    todo: Sequence[Job],
    folder: Path,
    engines: Mapping[str, Engine],
    grades: Grades,
    session: _Session,
    have: Mapping[Recording, set[tuple[str, int]]],
    tell: Callable[[News], None] | None,
) -> None:
    recordings = list(dict.fromkeys(recording for recording, _, _ in todo))
    controllers = {recording: _controller(study, recording, engines) for recording in recordings}
    counts = {
        each: len(have[each] & {(problem.id, seed) for problem, seed in each.jobs()}) for each in recordings
    }
    files: dict[Recording, RunFile] = {}
    waiting = iter(todo)

    async def work() -> None:
        for recording, problem, seed in waiting:
            run = await _solved(controllers[recording], recording, problem, seed)
            files[recording].append(run)
            session.tokens += run.receipt.generated_tokens
            session.runs += 1
            counts[recording] += 1
            text = None if run.answer is None else run.answer.text
            right = await grades.grade(recording.chosen, problem, text)
            if tell is not None:
                tell(News(recording, run, right, counts[recording], len(recording)))

    try:
        for recording in recordings:
            files[recording] = appending(folder, recording, engines[recording.arm.spec.model].card)
        async with asyncio.TaskGroup() as workers:
            for _ in range(min(study.at_once, len(todo))):
                workers.create_task(work())
    except BaseExceptionGroup as group:
        raise _first(group) from None
    finally:
        for file in files.values():
            file.close()


async def _solved(controller: Controller, recording: Recording, problem: Problem, seed: int) -> Run:
    """Run a question. One that does not fit the model is a run with a failed sample: the others go on."""
    try:
        return await controller.solve(problem, recording.wall, seed=seed)
    except ContextExceeded as error:
        failed = Sample(
            0,
            Request(problem.messages),
            model=recording.arm.spec.model,
            finish=Finish.ERROR,
            ended=0.0,
            error=str(error),
        )
        return Run(
            History(problem, recording.wall, (failed,), seed=seed),
            answer=None,
            confidence=None,
            stop=StopReason.DONE,
            why=f"the question does not fit the model: {error}",
            receipt=Receipt(),
            strategy=spec_of(recording.strategy),
            policy=None if recording.policy is None else spec_of(recording.policy),
            selector=spec_of(recording.arm.selector),
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group: the others followed from it, or say the same."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _controller(study: Study, recording: Recording, engines: Mapping[str, Engine]) -> Controller:
    arm = recording.arm
    prices = {name: found for name in arm.models if (found := prices_of(study.models[name])) is not None}
    return Controller(
        engines,
        recording.strategy,
        policy=recording.policy,
        selector=arm.selector,
        verifier=verifier_of(arm.spec, recording.chosen.task),
        prices=prices,
    )
