"""``thinkctl runs ls``: run files in numbers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thinkctl.cli.output import print_json
from thinkctl.cli.text import amount, dollars, one_line, plural
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.exchange import Listed

__all__ = ["list_runs", "wide_console"]

_WIDTH: Final = 220
"""Cells of a line where there is no terminal."""
_WORDS: Final = 4
"""So many columns hold words, not numbers."""
_ROOM: Final = 170
"""With fewer cells than this, some columns are left to --json."""
_COLUMNS: Final = (
    "file",
    "model",
    "strategy",
    "verifier",
    "problems",
    "samples",
    "accuracy %",
    "tokens",
    "dollars",
    "overshoot",
    "date",
)


def wide_console() -> Any:
    """Return a console that prints text as it is: no markup, no emoji, no colours by content."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_WIDTH)
    return console


def list_runs(paths: Sequence[Path], *, gold: Path | None, task: str | None = None, as_json: bool) -> None:
    """Print a row for each run file, of a task alone where one is named. Exits with code 1 where a file is broken."""
    from thinkctl.evals.exchange import evaluation_problems, listed
    from thinkctl.evals.gold import read_gold

    known = None if gold is None else read_gold(gold)
    files = dict.fromkeys(file for path in paths for file in _files(path, alone=len(paths) == 1))
    evaluation = None if task is None else evaluation_problems([task])
    found = [listed(path, known, evaluation=evaluation) for path in files]
    if task is not None:
        known_tasks = dict.fromkeys(name for each in found for name in each.tasks)
        found = [each for each in found if each.error or _is_of(each, task)]
        if not found and not as_json:
            _say_none(task, list(known_tasks), unread=bool(evaluation and evaluation.unread))
    if as_json:
        print_json([_json_of(each) for each in found])
    elif found or task is None:
        _print(found)
    for each in found:
        for said in [*each.warnings, *([each.error] if each.error else [])]:
            print(one_line(said), file=sys.stderr)  # noqa: T201 - this is the command line
    if any(each.error for each in found):
        sys.exit(1)


def _is_of(found: Listed, task: str) -> bool:
    """Whether a file is of a task; one that was asked for without options is any with that name."""
    return any(task in (name, name.partition("?")[0]) for name in found.tasks)


def _say_none(task: str, known: Sequence[str], *, unread: bool) -> None:
    console = wide_console()
    others = f" Other files name {', '.join(map(one_line, known))}." if known else ""
    why = " thinkctl has no problems of it here, so only files that name it were found." if unread else ""
    console.print(f"no run files of the task {one_line(task)!r}.{others}{why}", soft_wrap=True)


def _files(path: Path, *, alone: bool) -> Iterator[Path]:
    """Iterate over the run files of a path; among several (``*.jsonl``), what is none is passed over with a word."""
    from thinkctl.evals.exchange import find_run_files

    try:
        yield from find_run_files([path])
    except ConfigurationError:
        if alone or not path.exists():
            raise
        print(f"passed over: {one_line(str(path))} is not a run file", file=sys.stderr)  # noqa: T201


def _json_of(found: Listed) -> dict[str, Any]:
    return {
        "file": str(found.path),
        "models": list(found.models),
        "strategies": list(found.strategies),
        "verifiers": list(found.verifiers),
        "checks_by_verdicts": list(found.checks),
        "tasks": list(found.tasks),
        "problems": found.problems,
        "runs": found.runs,
        "samples": found.samples,
        "graded": found.graded,
        "right": found.right if found.graded else None,
        "accuracy": found.accuracy,
        "generated_tokens": found.generated_tokens,
        "prompt_tokens": found.prompt_tokens,
        "tokens_estimated": found.estimated,
        "dollars": None if found.dollars is None else f"{found.dollars:f}",
        "overshoot_tokens": found.overshoot_tokens,
        "date": found.date,
        "dated_by": found.dated_by,
        "warnings": list(found.warnings),
        "error": found.error or None,
    }


def _print(found: Sequence[Listed]) -> None:
    console = wide_console()
    if not found:
        console.print("no run files")
        return
    folders = list(dict.fromkeys(each.path.parent for each in found))
    for folder in folders:
        if folder != Path():
            console.print(f"{one_line(str(folder))}/", soft_wrap=True)
        console.print(
            _table([each for each in found if each.path.parent == folder], narrow=console.width < _ROOM)
        )
    runs = sum(each.runs for each in found)
    console.print(
        f"{plural(len(found), 'file')}, {plural(runs, 'run')}, "
        f"{plural(sum(each.samples for each in found), 'sample')}. Tokens are generated ones. "
        "~ marks estimates, and what is not recorded: verifiers told by their verdicts, the date of a last change.",
        soft_wrap=True,
    )
    if not any(each.graded for each in found):
        console.print("Nobody knows which answers are right: give --gold FILE.", soft_wrap=True)


def _table(found: Sequence[Listed], *, narrow: bool) -> Table:
    """Return the files of one folder; where there is little room, without what is the same for most of them."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    left_out = {"model", "verifier", "dollars", "overshoot", "date"} if narrow else set()
    names = [name for name in _COLUMNS if name not in left_out]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in names:
        words = name in _COLUMNS[:_WORDS]
        table.add_column(name, justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for each in found:
        cells = _cells(each) if not each.error else {"file": each.path.name, "strategy": "broken, see below"}
        table.add_row(*(one_line(cells.get(name, "")) for name in names))
    return table


def _cells(found: Listed) -> dict[str, str]:
    accuracy = "unknown" if found.accuracy is None else f"{100 * found.accuracy:.1f}"
    some = f" of {found.graded}" if found.graded and found.graded != found.runs else ""
    values = (
        found.path.name,
        ", ".join(found.models) or "unknown",
        ", ".join(found.strategies) or "none",
        ", ".join([*found.verifiers, *(_told(check) for check in found.checks)]) or "none",
        amount(found.problems),
        amount(found.samples),
        f"{accuracy}{some}",
        f"{'~' if found.estimated else ''}{amount(found.generated_tokens)}",
        dollars(found.dollars),
        amount(found.overshoot_tokens),
        f"{'' if found.dated_by == 'header' else '~'}{found.date[:10]}",
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _told(check: str) -> str:
    return check if check == "unknown" else f"~{check}"
