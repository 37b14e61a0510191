"""``thinkctl report``, ``compare`` and ``duel``: their options. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thinkctl.cli.common import Json, Quiet

__all__ = ["compare", "duel", "report"]

_SIDE = "A study's folder, FOLDER:ARM, FOLDER:ARM@BUDGET, or a run file (with --gold)."


def report(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The results of a study.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html", help="Where the page goes.", show_default="report.html in the folder"
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Make the report of a study.

    One HTML file that loads nothing: the verdict on the study's claim, curves on every axis of compute, all points,
    health, every question with its samples. Figures as SVG and CSV go into figures/ beside it. Prints its path.
    """
    from thinkctl.cli.duelling import make_report

    make_report(folder, out, quiet=quiet)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=_SIDE)],
    second: Annotated[str, typer.Argument(metavar="B", help=f"What is compared with it. {_SIDE}")],
    *,
    gate: Annotated[
        bool,
        typer.Option("--gate", help="End with 0 if B is no worse than the margin, 3 if it is, 4 if untold."),
    ] = False,
    margin: Annotated[
        float, typer.Option(min=0, metavar="POINTS", help="Percentage points of accuracy that B may lose.")
    ] = 0.0,
    level: Annotated[
        float, typer.Option(metavar="P", help="Of the intervals of the difference, which the gate reads.")
    ] = 0.95,
    gold: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help='Of run files: reference answers, {"id": ..., "answer": ...} a line.'
        ),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown, for a comment on a change.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare two results question by question.

    B less A: differences of accuracy with intervals, a paired test, questions won and lost, and what B costs for each
    unit that A does. Only questions that both have count.
    """
    from thinkctl.cli.compared import compare as run

    run(first, second, gate=gate, margin=margin, level=level, gold=gold, markdown=markdown, as_json=as_json)


def duel(
    *,
    small: Annotated[str, typer.Option(metavar="SPEC", help="The model that thinks longer.")],
    large: Annotated[str, typer.Option(metavar="SPEC", help="The model that answers at once.")],
    task: Annotated[str, typer.Option(metavar="TASK", help="gsm8k, humaneval, countdown, ...")],
    questions: Annotated[int, typer.Option(min=2, metavar="N", help="How many questions.")] = 100,
    samples: Annotated[
        int, typer.Option(min=2, max=256, metavar="N", help="At most so many samples of the small model.")
    ] = 16,
    axis: Annotated[
        str | None,
        typer.Option(
            metavar="AXIS",
            help="What the claim counts: generated_tokens, all_tokens, teraflops, dollars, ...",
            show_default="teraflops; generated_tokens where a model is hosted",
        ),
    ] = None,
    think: Annotated[
        bool | None,
        typer.Option(
            "--think/--no-think",
            help="Whether the small model reasons before it answers.",
            show_default="where votes decide; not where the task checks answers",
        ),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of one sample, thought and answer.")
    ] = 1024,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where the results go.", show_default="results/duel-TASK"),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Let a small model think longer against a large one.

    Writes a study, runs it, and prints accuracy, what the same accuracy costs on every axis, and the verdict; figures
    and report go into the folder. Break it off at any moment; the same command goes on where it was.
    """
    from thinkctl.cli.duelling import duel as run

    run(
        small,
        large,
        task,
        questions=questions,
        samples=samples,
        axis=axis,
        think=think,
        max_tokens=max_tokens,
        out=out,
        as_json=as_json,
        quiet=quiet,
    )
