"""What ``thinkctl compare`` does and prints."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl.cli.output import print_json
from thinkctl.cli.text import one_line, plural

if TYPE_CHECKING:
    from thinkctl.evals.intervals import Estimate
    from thinkctl.evals.report.paired import Gate, PairedRow

__all__ = ["compare"]

_SHOWN_AXES: Final = 4
_COLUMNS: Final = (
    "task",
    "compared",
    "questions",
    "accuracy, %",
    "before, %",
    "difference, points",
    "won / lost",
    "p",
    "p after Holm",
    "costs",
)
_SIGNS: Final = {"passed": "✓", "failed": "✗", "inconclusive": "?"}
_MARKS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_[]<>|#"})


def compare(
    first: str,
    second: str,
    *,
    gate: bool,
    margin: float,
    level: float,
    gold: Path | None,
    markdown: bool,
    as_json: bool,
) -> None:
    """Compare two results and print the rows; with ``gate`` end with its exit code."""
    from thinkctl.evals.gold import read_gold
    from thinkctl.evals.report.paired import EXIT_CODES, gate_of, pair_points
    from thinkctl.evals.report.sides import side_of

    references = None if gold is None else read_gold(gold)
    rows = pair_points(side_of(first, references), side_of(second, references), margin=margin, level=level)
    decided = gate_of(rows)
    if as_json:
        print_json(_json_of(rows, decided, first, second, margin=margin, level=level))
    elif markdown:
        typer.echo("\n".join(_markdown(rows, decided, margin=margin, level=level, gate=gate)))
    else:
        _print(rows, decided, margin=margin, level=level, gate=gate)
    if gate:
        raise typer.Exit(EXIT_CODES[decided])


def _json_of(
    rows: Sequence[PairedRow], decided: Gate, first: str, second: str, *, margin: float, level: float
) -> dict[str, Any]:
    return {
        "first": first,
        "second": second,
        "margin_points": margin,
        "level": level,
        "gate": decided.value,
        "rows": [
            {
                **dataclasses.asdict(row),
                "costs": {axis.value: dataclasses.asdict(found) for axis, found in row.costs.items()},
                "gate": row.gate.value,
            }
            for row in rows
        ],
    }


# -- for people ----------------------------------------------------------------------------------------------


def _print(rows: Sequence[PairedRow], decided: Gate, *, margin: float, level: float, gate: bool) -> None:
    for row in rows:
        where = f"{one_line(row.task)}: " if row.task else ""
        typer.echo(f"{where}{one_line(row.second)} against {one_line(row.first)}")
        for label, words in _facts(row, level):
            typer.echo(f"  {label:<11} {words}")
        if gate:
            typer.echo(f"  {'gate':<11} {row.gate.value}")
    if gate:
        typer.echo(_said(decided, margin, level))


def _facts(row: PairedRow, level: float) -> list[tuple[str, str]]:
    left = f"; {plural(row.left_out, 'question')} of only one of both left out" if row.left_out else ""
    tell = (
        "" if row.detectable is None else f"; {row.detectable:.1f} points would be found four times in five"
    )
    facts = [
        ("accuracy", f"{_percent(row.second_accuracy)} against {_percent(row.first_accuracy)} %"),
        (
            "difference",
            f"{_points(row.points)} points ({100 * level:g} %, paired, {row.questions} questions{left})",
        ),
        ("won, lost", f"{row.better}, {row.worse}"),
        ("test", f"{_tested(row)}{tell}"),
    ]
    if row.costs:
        facts.append(("costs", "; ".join(_costs(row))))
    return facts


def _tested(row: PairedRow) -> str:
    if row.p_value is None:
        return f"{row.test}: one question tells nothing"
    adjusted = "" if row.adjusted in (None, row.p_value) else f", {row.adjusted:.3g} after Holm"
    return f"{row.test}, p = {row.p_value:.3g}{adjusted}"


def _costs(row: PairedRow) -> list[str]:
    from thinkctl.evals.axes import LABELS

    return [f"{LABELS[axis]} {_ratio(found)}" for axis, found in row.costs.items()]


def _ratio(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:.2f}x"
    return f"{found.value:.2f}x [{found.low:.2f}, {found.high:.2f}]"


def _percent(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{100 * found.value:.1f}"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _points(found: Estimate) -> str:
    if found.low is None or found.high is None:
        return f"{found.value:+.1f}"
    return f"{found.value:+.1f} [{found.low:+.1f}, {found.high:+.1f}]"


def _said(decided: Gate, margin: float, level: float) -> str:
    words = {
        "passed": f"no more than {margin:g} points are lost",
        "failed": f"more than {margin:g} points are lost",
        "inconclusive": f"whether more than {margin:g} points are lost cannot be told from so few questions",
    }
    return f"gate {decided.value}: {words[decided.value]} ({100 * level:g} % intervals)"


# -- Markdown ------------------------------------------------------------------------------------------------


def _markdown(
    rows: Sequence[PairedRow], decided: Gate, *, margin: float, level: float, gate: bool
) -> list[str]:
    lines = []
    if gate:
        lines += [f"**{_SIGNS[decided.value]} {_said(decided, margin, level)}**", ""]
    lines += [f"| {' | '.join(_COLUMNS)} |", f"|---|---|{7 * '---:|'}---|"]
    for row in rows:
        cells = (
            _escaped(row.task),
            _escaped(f"{row.second} against {row.first}"),
            str(row.questions),
            _percent(row.second_accuracy),
            _percent(row.first_accuracy),
            _points(row.points),
            f"{row.better} / {row.worse}",
            *("" if value is None else f"{value:.3g}" for value in (row.p_value, row.adjusted)),
            "; ".join(_costs(row)[:_SHOWN_AXES]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    left = sum(row.left_out for row in rows)
    lines += ["", f"Paired by question; {100 * level:g} % intervals take the question as the unit."]
    if left:
        lines.append(f"{plural(left, 'question')} that only one of both has are left out.")
    return lines


def _escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return one_line(text).translate(_MARKS)
