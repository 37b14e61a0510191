"""``thinkctl demo``: a small model thinks, live; a study that was recorded; and a small study, live again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from thinkctl import registry
from thinkctl.cli.demo_report import Contest, Outcome, Task, json_of_demo, print_contest, print_demo
from thinkctl.cli.demo_study import LARGE, claimed_points, folder_for, live_study, recorded_study, show_study
from thinkctl.cli.live import View
from thinkctl.cli.opening import open_engine, running, spec_from, to_the_end
from thinkctl.cli.output import print_json
from thinkctl.cli.show import say, showing
from thinkctl.cli.text import plural, shortened
from thinkctl.controller import Controller
from thinkctl.protocols import Engine
from thinkctl.types import Budget, Problem, Run

__all__ = ["demo", "tasks_of_demo"]

_TOKENS_PER_SAMPLE: Final = 400
"""Generated tokens that a problem's budget has for each allowed sample; the small model takes about 300."""
_SECONDS: Final = 120
"""For each problem. All are solved at the same time, so this is the wall of each half of the demo."""
_LONGEST_TITLE: Final = 70


def demo(
    *,
    model: str | None,
    large: str | None,
    problems: int,
    samples: int,
    puzzles: int,
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the demo and print what came of it. Raises what the library raises."""
    tasks = tasks_of_demo()[:problems]
    budget = Budget(tokens=_TOKENS_PER_SAMPLE * samples, seconds=_SECONDS)
    small = spec_from(model)
    outcome = to_the_end(
        _run(open_engine(small), tasks, samples, budget, as_json=as_json, quiet=quiet),
    )
    if not as_json:
        print_demo(outcome)
    folder, told = folder_for(out), json_of_demo(outcome)
    recorded = recorded_study()
    told["recorded"] = show_study(
        "Recorded before",
        recorded,
        claimed_points(recorded),
        folder / "recorded",
        as_json=as_json,
        quiet=quiet,
    )
    if puzzles:
        other = None if large == "none" else spec_from(large or LARGE)
        live = live_study(small, other, questions=puzzles, folder=folder / "live", quiet=quiet)
        told["live"] = show_study("Live", live, live.points, folder / "live", as_json=as_json, quiet=quiet)
    if as_json:
        print_json(told)


def tasks_of_demo() -> tuple[Task, ...]:
    """Return the problems that come with thinkctl, with their reference answers."""
    text = (files("thinkctl.cli") / "demo_problems.jsonl").read_text(encoding="utf-8")
    return tuple(
        Task(
            Problem.model_validate({"messages": row["question"], "form": "number", "id": row["id"]}),
            row["answer"],
        )
        for row in map(json.loads, text.splitlines())
    )


async def _run(
    engine: Engine, tasks: Sequence[Task], samples: int, budget: Budget, *, as_json: bool, quiet: bool
) -> Outcome:
    parts = [("zero-shot", None), (f"self-consistency({samples})", "adaptive-consistency(0.95)")]
    contests: list[Contest] = []
    async with running(engine, quiet=quiet):
        before = (await engine.counters()).generated_tokens
        for strategy, policy in parts:
            controller = Controller(
                engine,
                registry.strategy(strategy),
                policy=None if policy is None else registry.policy(policy),
            )
            name = " with ".join(filter(None, [strategy, policy]))
            say(f"{plural(len(tasks), 'problem')} for {name}", quiet=quiet)
            runs = await _solve_all(controller, tasks, budget, engine, quiet=quiet)
            contests.append(Contest(name, tuple(tasks), tuple(runs)))
            if not as_json:
                print_contest(contests[-1])
        after = (await engine.counters()).generated_tokens
    counted = None if before is None or after is None else after - before
    return Outcome(engine.card.name, budget, tuple(contests), counted)


async def _solve_all(
    controller: Controller, tasks: Sequence[Task], budget: Budget, engine: Engine, *, quiet: bool
) -> list[Run]:
    """Solve all problems at the same time: many streams at once are what an engine is fastest at."""
    views = [
        View(title=f"{number}. {shortened(task.problem.text, _LONGEST_TITLE)}", budget=budget)
        for number, task in enumerate(tasks, 1)
    ]
    with showing(views, lambda text: len(engine.tokenizer.encode(text)), quiet=quiet) as board:
        try:
            async with asyncio.TaskGroup() as group:
                solving = [
                    group.create_task(board.follow(place, controller.stream(task.problem, budget)))
                    for place, task in enumerate(tasks)
                ]
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
    return [task.result() for task in solving]
