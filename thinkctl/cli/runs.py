"""``thinkctl runs``: look at run files, pass them on, take in logs of others. Nothing heavy is imported before that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thinkctl.cli.common import Json

__all__ = ["app"]

app = typer.Typer(help="List, show, export and import recorded runs.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Run files, or folders with run files.")]
Gold = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help='Reference answers, {"id": ..., "answer": ...} a line.',
        show_default="NAME.gold.jsonl beside a run file",
    ),
]


@app.callback()
def _group() -> None:
    """List, show, export and import recorded runs."""


@app.command("ls")
def list_runs(
    paths: Files,
    *,
    gold: Gold = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Only files of this task, by their header or their problems."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what run files hold.

    Model, strategy, verifier, problems, samples, tokens, dollars, tokens beyond a grant, date; accuracy where reference
    answers are known. Exit code 1 where a file is broken; the others are listed all the same.
    """
    from thinkctl.cli.runs_list import list_runs as run

    run(paths, gold=gold, task=task, as_json=as_json)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A run file.", dir_okay=False)],
    *,
    problem: Annotated[
        str | None, typer.Option(metavar="ID", help="The run of this problem.", show_default="a list of all")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="This sample alone, with all of its text.")
    ] = None,
    chars: Annotated[
        int, typer.Option(min=0, metavar="N", help="Show so much of each text at most; 0: all.")
    ] = 600,
    as_json: Json = False,
) -> None:
    """Show one run as it went.

    Question, answer, why it stopped, votes, decisions, samples, receipt. What a model said is printed as text:
    escapes and control characters are made visible.
    """
    from thinkctl.cli.runs_show import show as run

    run(file, problem=problem, sample=sample, chars=chars, as_json=as_json)


@app.command()
def export(
    paths: Files,
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write to.", dir_okay=False)
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            metavar="KIND", help="parquet, csv, jsonl or inspect.", show_default="by the ending of --out"
        ),
    ] = None,
    rows: Annotated[
        str, typer.Option(metavar="WHAT", help="samples or runs: what a row of a table is.")
    ] = "samples",
    gold: Gold = None,
    sft: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write samples that passed as training data (chat JSONL).", dir_okay=False
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="--sft: pass by this task's grader, hidden tests included."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, metavar="K", help="--sft: samples of a problem at most.")] = 4,
    order: Annotated[
        str, typer.Option(metavar="ORDER", help="--sft: shortest first, or a diverse choice.")
    ] = "shortest",
    near: Annotated[
        float,
        typer.Option(
            metavar="SHARE", help="--sft: near duplicates share this much of their 5-word sequences."
        ),
    ] = 0.8,
    drop_weak: Annotated[
        bool, typer.Option("--drop-weak", help="--sft: leave out what only a weak check passed (it ran).")
    ] = False,
    revisions: Annotated[
        bool, typer.Option("--revisions", help="--sft: also answers given after failed attempts, with those.")
    ] = False,
    allow_evaluation_problems: Annotated[
        bool,
        typer.Option(
            "--allow-evaluation-problems", help="--sft: even where you could report on them no more."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write tables, logs or training data.

    A table (parquet, csv, jsonl) of samples or runs, or a log that Inspect opens. With --sft, chat records with their
    provenance: samples that passed their verifier, or the reference answers of --gold, or the grader of --task.
    """
    from thinkctl.cli import runs_export

    if sft is None:
        runs_export.export(paths, out=out, to=to, rows=rows, gold=gold, as_json=as_json)
        return
    runs_export.export_training_data(
        paths,
        out=sft,
        gold=gold,
        task=task,
        most=most,
        order=order,
        near=near,
        drop_weak=drop_weak,
        revisions=revisions,
        allow_evaluation=allow_evaluation_problems,
        as_json=as_json,
    )


@app.command("import")
def import_log(
    log: Annotated[
        Path,
        typer.Argument(metavar="LOG", help="A log: .eval or .json of Inspect, samples_*.jsonl of lm-eval."),
    ],
    *,
    out: Annotated[
        Path,
        typer.Option(
            metavar="RUNFILE", help="The run file; references and grades go beside it.", dir_okay=False
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="KIND", help="inspect or lm-eval.", show_default="by its ending"),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            metavar="FORM", help="How answers are compared.", show_default="what the references show"
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose answers and verdicts are taken: a scorer of Inspect, a filter of lm-eval.",
            show_default="the first",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="lm-eval: the model.", show_default="that of the results beside it"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Take in the log of another harness.

    Makes a run file of a log of Inspect or lm-eval. Epochs and repeats of a question become the samples of one run,
    so that policies and curves can be replayed on them. Reference answers go to NAME.gold.jsonl, what the log's scorer
    said to NAME.grades.jsonl.
    """
    from thinkctl.cli.runs_export import import_log as run

    run(log, out=out, source=source, form=form, scorer=scorer, model=model, as_json=as_json)
