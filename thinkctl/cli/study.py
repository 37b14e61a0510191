"""What ``thinkctl eval`` and ``thinkctl plan`` do and print."""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl.cli.output import print_json
from thinkctl.cli.show import say
from thinkctl.cli.study_progress import watching
from thinkctl.cli.text import amount, clean, one_line, plural
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.points import Point
    from thinkctl.evals.studies import StudyResults
    from thinkctl.evals.studies.forecast import Forecast

__all__ = ["dry", "forecast", "run"]

_RESULTS: Final = Path("results")
_WIDTH: Final = 100


def run(path: Path, out: Path | None, *, as_json: bool, quiet: bool) -> None:
    """Run a study, or go on with it, and print its points."""
    from thinkctl.evals.studies import load_study, run_study_async

    study, folder = load_study(path), _folder(path, out)
    source = path.read_text(encoding="utf-8")
    say(f"{one_line(study.title)}: into {folder}", quiet=quiet)
    try:
        with watching(quiet=quiet) as tell:
            results = asyncio.run(run_study_async(study, folder, source=source, tell=tell))
    except KeyboardInterrupt:
        say("interrupted: what had ended is recorded; the same command goes on")
        raise typer.Exit(130) from None
    if as_json:
        print_json(_json_of(results))
    else:
        _print(results)


def dry(path: Path, *, as_json: bool) -> None:
    """Print what each recording would ask first, and run nothing."""
    from thinkctl.evals.studies import load_study, plan_study
    from thinkctl.evals.studies.planning import first_requests

    told = first_requests(plan_study(load_study(path)))
    if as_json:
        print_json(told)
        return
    for each in told:
        wall = ", ".join(f"{name}={value}" for name, value in each["wall"].items()) or "no limit"
        typer.echo(
            f"== {each['recording']}: question {one_line(each['question'])}, seed {each['seed']}, {wall}"
        )
        for request in each["requests"]:
            sampling = ", ".join(f"{k}={v}" for k, v in request["sampling"].items() if v is not None)
            thinks = "thinks" if request["think"] else "answers at once"
            typer.echo(f"-- {request['model']}, {plural(request['times'], 'time')}, {thinks}, {sampling}")
            for turn in request["messages"]:
                typer.echo(f"[{turn['role']}]\n{clean(turn['content'])}")
        typer.echo("")


def forecast(
    path: Path, out: Path | None, *, rates: Sequence[str], sample_tokens: float | None, as_json: bool
) -> None:
    """Print what a study takes."""
    from thinkctl.evals.studies import load_study, plan_study
    from thinkctl.evals.studies.forecast import forecast as foretell
    from thinkctl.evals.studies.forecast import measured_rates
    from thinkctl.evals.studies.records import check_identity, done

    folder, plan = _folder(path, out), plan_study(load_study(path))
    for each in plan.recordings:
        check_identity(folder, each)
    found = foretell(
        plan,
        rates=measured_rates(folder) | _rates(rates, plan.study.models),
        sample_tokens=sample_tokens,
        done={
            each.name: len(done(folder, each) & {(problem.id, seed) for problem, seed in each.jobs()})
            for each in plan.recordings
        },
    )
    if as_json:
        print_json(
            {
                **dataclasses.asdict(found),
                "expected_tokens": found.expected_tokens,
                "most_tokens": found.most_tokens,
                "seconds": found.seconds,
            }
        )
    else:
        _print_forecast(found)


def _folder(path: Path, out: Path | None) -> Path:
    return _RESULTS / path.stem if out is None else out


def _rates(given: Sequence[str], models: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not equals or name not in models or not number > 0 or math.isinf(number):
            raise ConfigurationError(
                f"--rate {text!r} is not understood; write MODEL=TOKENS_PER_SECOND with one of {', '.join(models)}"
            )
        found[name] = number
    return found


# -- printing ------------------------------------------------------------------------------------------------


def _json_of(results: StudyResults) -> dict[str, Any]:
    from thinkctl.evals.studies.tables import accuracy_of, means_of

    return {
        "title": results.study.title,
        "folder": str(results.folder),
        "claim": results.summary["claim"],
        "points": [
            {
                "task": point.task,
                "arm": point.arm,
                "model": point.model,
                "budget": point.budget,
                "limit": point.limit,
                "replayed": point.replayed,
                "questions": len(point.question_ids),
                "accuracy": dataclasses.asdict(accuracy_of(point)),
                "abstained": float(point.abstained.mean()),
                "costs": means_of(point),
                "health": dataclasses.asdict(point.health),
            }
            for point in results.points
        ],
    }


def _print(results: StudyResults) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    for task in dict.fromkeys(point.task for point in results.points):
        mine = [point for point in results.points if point.task == task]
        console.print(f"{one_line(task)}, {plural(len(mine[0].question_ids), 'question')}")
        console.print(_table(mine))
    wide = Console(highlight=False, markup=False, soft_wrap=True)
    wide.print(
        "Intervals (95 %) take the question as the unit. Costs are means of a question, all that was spent."
    )
    if any(point.replayed for point in results.points):
        wide.print("r: replayed from a pool of samples that was drawn once; no latency is claimed.")
    wide.print(f"Results: {results.folder}")


def _table(points: Sequence[Point]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from thinkctl.evals.axes import Axis
    from thinkctl.evals.studies.tables import accuracy_of, means_of

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("arm", overflow="fold", min_width=16)
    for name in ("budget", "accuracy %", "none %", "tokens", "TFLOP", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for point in points:
        found, costs = accuracy_of(point), means_of(point)
        low, high = found.low or 0.0, found.high if found.high is not None else 1.0
        table.add_row(
            one_line(point.arm),
            f"{_budget(point)}{' r' if point.replayed else '  '}",
            f"{100 * found.value:.1f} [{100 * low:.1f}, {100 * high:.1f}]",
            f"{100 * float(point.abstained.mean()):.1f}",
            f"{costs[Axis.GENERATED_TOKENS]:,.0f}",
            _number(costs.get(Axis.TERAFLOPS)),
            _number(costs.get(Axis.SECONDS)),
        )
    return table


def _budget(point: Point) -> str:
    return f"1 {point.limit.removesuffix('s')}" if point.budget == 1 else f"{point.budget:,g} {point.limit}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _print_forecast(found: Forecast) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("recording", overflow="fold", min_width=16)
    for name in ("runs", "samples", "tokens", "at worst", "time", "dollars"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.lines:
        table.add_row(
            line.recording,
            f"{line.runs:,}",
            f"{line.samples:,}",
            f"{line.expected_tokens:,.0f}",
            "no limit" if line.most_tokens is None else amount(line.most_tokens),
            _time(line.seconds),
            "unknown" if line.dollars is None else f"{line.dollars:.2g}",
        )
    console.print(table)
    wide = Console(highlight=False, markup=False, soft_wrap=True)
    worst = "no limit" if found.most_tokens is None else f"{amount(found.most_tokens)} at worst"
    wide.print(
        f"Together {found.expected_tokens:,.0f} generated tokens ({worst}), time {_time(found.seconds)}."
    )
    if found.seconds is None:
        wide.print("Time is known once the study has run, or with --rate MODEL=TOKENS_PER_SECOND.")
    for task, points in found.detectable.items():
        if points is None:
            wide.print(f"{one_line(task)}: so few questions tell no difference; take more.")
            continue
        wide.print(
            f"{one_line(task)}: a difference of {points:.1f} points is found four times in five "
            "(paired, 5 % level, where two arms disagree on 30 % of the questions)."
        )


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
