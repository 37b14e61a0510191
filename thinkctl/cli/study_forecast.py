"""What ``thinkctl plan`` does and prints."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thinkctl.cli.output import print_json
from thinkctl.cli.study import folder_of
from thinkctl.cli.study_progress import duration
from thinkctl.cli.text import amount, one_line
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.studies.forecast import Forecast

__all__ = ["forecast"]

_WIDTH: Final = 100


def forecast(
    path: Path, out: Path | None, *, rates: Sequence[str], sample_tokens: float | None, as_json: bool
) -> None:
    """Print what a study takes."""
    from thinkctl.evals.studies import load_study, plan_study
    from thinkctl.evals.studies.forecast import forecast as foretell
    from thinkctl.evals.studies.forecast import measured_rates
    from thinkctl.evals.studies.grading import Grades
    from thinkctl.evals.studies.records import check_identity, recorded

    folder, plan = folder_of(path, out), plan_study(load_study(path))
    grades = Grades(folder)
    for each in plan.recordings:
        check_identity(folder, each)
    found = foretell(
        plan,
        rates=measured_rates(folder) | _rates(rates, plan.study.models),
        sample_tokens=sample_tokens,
        recorded={each.name: recorded(folder, each, grades) for each in plan.recordings},
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


def _print_forecast(found: Forecast) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    console.print(_table(found))
    wide = Console(highlight=False, markup=False, soft_wrap=True)
    for line in _said(found):
        wide.print(line)


def _table(found: Forecast) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("recording", overflow="fold", min_width=16)
    for name in ("runs", "samples", "tokens", "at worst", "time", "dollars"):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.lines:
        most = "≤ " if line.is_upper and line.runs else ""
        runs = f"{line.runs:,} of {line.runs + line.done:,}" if line.done else f"{line.runs:,}"
        table.add_row(
            one_line(line.recording),
            runs,
            f"{most}{line.samples:,}",
            f"{most}{line.expected_tokens:,.0f}{' m' if line.measured and line.runs else '  '}",
            "no limit" if line.most_tokens is None else amount(line.most_tokens),
            "unknown" if line.seconds is None else f"{most}{duration(line.seconds)}",
            "unknown" if line.dollars is None else f"{most}{line.dollars:.2g}",
        )
    return table


def _said(found: Forecast) -> Iterator[str]:
    upper = any(line.is_upper and line.runs for line in found.lines)
    worst = "no limit" if found.most_tokens is None else f"{amount(found.most_tokens)} at worst"
    most = "at most " if upper else ""
    time = "unknown" if found.seconds is None else f"{most}{duration(found.seconds)}"
    yield f"Together {most}{found.expected_tokens:,.0f} generated tokens expected ({worst}), time {time}."
    if upper:
        yield "≤: all that the budget allows is counted; a check that passes, or a policy, ends runs earlier."
    if any(line.measured and line.runs for line in found.lines):
        yield "m: as long as the samples that are recorded already."
    if slow := dict.fromkeys(line.model for line in found.lines if line.seconds is None):
        yield f"Time is known once {', '.join(slow)} has run, or with --rate MODEL=TOKENS_PER_SECOND."
    for task, points in found.detectable.items():
        if points is None:
            yield f"{one_line(task)}: so few questions tell no difference; take more."
            continue
        yield (
            f"{one_line(task)}: a difference of {points:.1f} points is found four times in five "
            "(paired, 5 % level, where two arms disagree on 30 % of the questions)."
        )
