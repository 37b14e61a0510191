"""Run a study, or go on with one: nothing that was recorded is run again, nothing that was not is left out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from thinkctl.controller import Controller, budget
from thinkctl.engines import engine_from
from thinkctl.errors import ContextExceeded
from thinkctl.evals.studies.arms import verifier_of
from thinkctl.evals.studies.grading import Grades
from thinkctl.evals.studies.planning import Plan, Recording, TaskSource, plan_study
from thinkctl.evals.studies.prices import prices_of
from thinkctl.evals.studies.records import (
    Recorded,
    appending,
    check_identity,
    locked,
    recorded,
    tidy,
    write_cards,
)
from thinkctl.evals.studies.results import StudyResults, open_study
from thinkctl.evals.studies.sessions import Session
from thinkctl.evals.studies.spec import ModelSpec, Study, dump_study
from thinkctl.evals.studies.summarising import summarise
from thinkctl.protocols import Engine
from thinkctl.runfile import RunFile
from thinkctl.types import Finish, History, Problem, Request, Run, Sample, StopReason, spec_of

__all__ = ["News", "open_engine", "run_study", "run_study_async"]

EngineSource = Callable[[str, ModelSpec], Engine]


@final
@dataclass(frozen=True, slots=True)
class News:
    """A run has ended: of which recording, whether its answer was right, and how many are done of how many.

    ``generated`` are the tokens of this model's engines since they were ready, ``seconds`` ago, those of unfinished
    runs included. ``run`` is ``None`` where only these are told, and of the first news of each recording, which tells
    what was recorded ``before``.
    """

    recording: Recording
    run: Run | None
    right: bool | None
    done: int
    total: int
    before: Recorded | None = None
    generated: int = 0
    seconds: float = 0.0


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
    prepare: Callable[[Mapping[str, ModelSpec]], None] | None = None,
) -> StudyResults:
    """Run a study, or go on with it where it was, and return its results; see ``run_study_async``."""
    return asyncio.run(
        run_study_async(
            study,
            folder,
            source=source,
            open_engine=open_engine,
            task_of=task_of,
            tell=tell,
            prepare=prepare,
        )
    )


async def run_study_async(
    study: Study,
    folder: str | Path,
    *,
    source: str | None = None,
    open_engine: EngineSource | None = None,
    task_of: TaskSource | None = None,
    tell: Callable[[News], None] | None = None,
    prepare: Callable[[Mapping[str, ModelSpec]], None] | None = None,
) -> StudyResults:
    """Run a study into a folder, or go on with it where it was, and return its results.

    Models run one after the other, so that each has the machine to itself; all that one model has to do runs
    together, ``study.at_once`` questions at a time. Every run is on disk when it ends. It may be broken off at any
    moment, also by a kill: the same call goes on, and comes to the same records.

    ``source`` is the study file's text, kept as it was. ``open_engine`` and ``task_of`` replace the engines and tasks
    of these names. ``tell`` hears of every run. ``prepare`` is given the models that will be opened, by their names in
    the study, before anything of them is; it is not called where nothing is left to run.

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
        await _record(plan, place, open_engine or _BY_SPEC, grades, tell, prepare)
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
    prepare: Callable[[Mapping[str, ModelSpec]], None] | None,
) -> None:
    have = {each: recorded(folder, each, grades) for each in plan.recordings}
    groups: dict[tuple[str, ...], list[Job]] = {}
    for models in dict.fromkeys(recording.arm.models for recording in plan.recordings):
        todo = _in_turn([each for each in plan.recordings if each.arm.models == models], have)
        if todo:
            groups[models] = todo
    if groups and prepare is not None:
        prepare({name: plan.study.models[name] for models in groups for name in models})
    if tell is not None:
        for each, known in have.items():
            tell(News(each, None, None, known.runs, len(each), known))
    for models, todo in groups.items():
        await _run_models(plan.study, models, todo, folder, open_engine, grades, have, tell)


async def _run_models(
    study: Study,
    models: Sequence[str],
    todo: Sequence[Job],
    folder: Path,
    open_engine: EngineSource,
    grades: Grades,
    have: Mapping[Recording, Recorded],
    tell: Callable[[News], None] | None,
) -> None:
    """Run what is left to do with the engines of these models."""
    engines = {name: open_engine(name, study.models[name]) for name in models}
    session: Session | None = None
    try:
        for engine in engines.values():
            await engine.start()
        write_cards(folder, {name: engine.card for name, engine in engines.items()})
        session = Session(folder, models)
        counted = {name: session.counted(engine) for name, engine in engines.items()}
        await _run_group(study, todo, folder, counted, grades, session, have, tell)
    finally:
        try:
            for engine in engines.values():
                await engine.aclose()
        finally:
            if session is not None:
                session.end()


Job = tuple[Recording, Problem, int]


def _in_turn(group: Sequence[Recording], have: Mapping[Recording, Recorded]) -> list[Job]:
    """Return what is left to do, question by question through all recordings, so that their parts are comparable."""
    left: list[tuple[int, int, Job]] = []
    for number, recording in enumerate(group):
        for place, (problem, seed) in enumerate(recording.jobs()):
            if (problem.id, seed) not in have[recording].jobs:
                left.append((place, number, (recording, problem, seed)))
    return [job for _, _, job in sorted(left, key=lambda each: each[:2])]


async def _run_group(
    study: Study,
    todo: Sequence[Job],
    folder: Path,
    engines: Mapping[str, Engine],
    grades: Grades,
    session: Session,
    have: Mapping[Recording, Recorded],
    tell: Callable[[News], None] | None,
) -> None:
    recordings = list(dict.fromkeys(recording for recording, _, _ in todo))
    controllers = {recording: _controller(study, recording, engines) for recording in recordings}
    counts = {each: have[each].runs for each in recordings}
    files: dict[Recording, RunFile] = {}
    waiting = iter(todo)

    def said(recording: Recording, run: Run | None, right: bool | None) -> None:
        if tell is not None:
            done, total = counts[recording], len(recording)
            generated, seconds = session.generated, session.seconds
            tell(News(recording, run, right, done, total, generated=generated, seconds=seconds))

    session.tick = lambda: said(recordings[0], None, None)

    async def work() -> None:
        for recording, problem, seed in waiting:
            session.began_run()
            run = await _solved(controllers[recording], recording, problem, seed)
            files[recording].append(run)
            session.ended_run(run.receipt.generated_tokens)
            counts[recording] += 1
            text = None if run.answer is None else run.answer.text
            said(recording, run, await grades.grade(recording.chosen, problem, text))

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
    verifier = verifier_of(recording.arm.spec, recording.chosen.task)
    with budget() as purse:  # without limits: it keeps the bill where a later request does not fit
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
                receipt=purse.receipt,
                strategy=spec_of(recording.strategy),
                policy=None if recording.policy is None else spec_of(recording.policy),
                selector=spec_of(recording.arm.selector),
                verifier=None if verifier is None else spec_of(verifier),
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
