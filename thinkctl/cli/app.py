"""The commands and their options. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from thinkctl.cli.common import Json, Model, Quiet
from thinkctl.cli.recorded import calibrate, replay
from thinkctl.cli.reporting import compare, duel, report
from thinkctl.cli.studying import eval_, plan

__all__ = ["app"]

_BUDGET: Final = "tokens=8000,seconds=120"
_STRATEGY: Final = "self-consistency(16)"
_POLICY: Final = "adaptive-consistency(0.95)"

app = typer.Typer(
    help="Decide how long a model should think: hard budgets, early stopping and honest bills.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # the help pages of rich take 0.2 s to import
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from thinkctl import __version__

        typer.echo(f"thinkctl {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Decide how long a model should think: hard budgets, early stopping and honest bills."""
    del version


@app.command()
def ask(
    question: Annotated[
        str, typer.Argument(metavar="QUESTION", help="What to ask; - reads it from standard input.")
    ],
    *,
    model: Model = None,
    budget: Annotated[
        str,
        typer.Option(
            metavar="LIMITS",
            help="tokens=, thinking_tokens=, seconds=, dollars=, requests=, answer_tokens=; or none.",
        ),
    ] = _BUDGET,
    strategy: Annotated[
        str, typer.Option(metavar="PART", help="What to ask; see thinkctl list strategies.")
    ] = _STRATEGY,
    policy: Annotated[
        str, typer.Option(metavar="PART", help="When to stop early; see thinkctl list stopping; or none.")
    ] = _POLICY,
    selector: Annotated[
        str | None, typer.Option(metavar="PART", help="Which answer wins.", show_default="the strategy's own")
    ] = None,
    verifier: Annotated[
        str | None,
        typer.Option(metavar="PART", help="What checks each answer; see thinkctl list verifiers."),
    ] = None,
    given: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="What the verifier may know besides: tests, numbers, a database."),
    ] = None,
    shadow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="A policy that only watches: say what it would have saved. May be given more than once.",
        ),
    ] = None,
    form: Annotated[
        str, typer.Option(metavar="FORM", help="How the answer is written; see thinkctl list forms.")
    ] = "boxed",
    speculate: Annotated[
        int,
        typer.Option(
            min=0, metavar="N", help="Samples to run beyond those that are free: less time, more tokens."
        ),
    ] = 0,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the strategy's choices and of the engine.")] = 0,
    prices: Annotated[
        str | None,
        typer.Option(
            "--prices",
            "--price",
            metavar="PRICES",
            help="genai:PROVIDER/MODEL, or dollars per million tokens, prompt=0.1,generated=0.4[,cached=0.02], "
            "each request=, and per hour= of the whole engine.",
            show_default="the model card's, else unknown",
        ),
    ] = None,
    reconcile: Annotated[
        bool,
        typer.Option(
            "--reconcile",
            help="Compare the receipt with the engine's own counters, on stderr; exit code 1 if they differ.",
        ),
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Append the run to this run file.", dir_okay=False)
    ] = None,
    show_thoughts: Annotated[
        bool, typer.Option("--show-thoughts", help="Print what each sample said.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer a question inside a budget.

    Prints the answer, its confidence, why it stopped, and what was spent. At the budget's wall the best
    answer so far is given. Exit code 0 also without an answer: running out is a stop reason, not an error.
    """
    from thinkctl.cli.ask import ask as run

    run(
        question,
        model=model,
        budget=budget,
        strategy=strategy,
        policy=policy,
        selector=selector,
        verifier=verifier,
        given=given,
        shadows=shadow or (),
        form=form,
        speculate=speculate,
        seed=seed,
        prices=prices,
        reconcile=reconcile,
        save=save,
        show_thoughts=show_thoughts,
        as_json=as_json,
        quiet=quiet,
    )


@app.command()
def demo(
    *,
    model: Model = None,
    problems: Annotated[int, typer.Option(min=1, max=12, metavar="N", help="How many problems.")] = 4,
    samples: Annotated[
        int, typer.Option(min=1, max=64, metavar="N", help="At most so many samples each.")
    ] = 8,
    puzzles: Annotated[
        int, typer.Option(min=0, max=500, metavar="N", help="Puzzles of the live study; 0 leaves it out.")
    ] = 40,
    large: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="The model that answers the puzzles at once; none leaves it out.",
            show_default="Qwen2.5-Coder-1.5B-Instruct",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where figures and reports go.", show_default="results/demo_TIME"
        ),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Watch a small model think.

    It answers a few school problems at once, and then with time to think. Then comes a study that was recorded before,
    with its claims and verdicts; and a small live study, the small model thinking longer against a large one that
    answers at once, with its figure and report.
    """
    from thinkctl.cli.demo import demo as run

    run(
        model=model,
        large=large,
        problems=problems,
        samples=samples,
        puzzles=puzzles,
        out=out,
        as_json=as_json,
        quiet=quiet,
    )


app.command()(duel)
app.command()(plan)
app.command("eval")(eval_)
app.command()(report)
app.command()(compare)
app.command()(calibrate)
app.command()(replay)


@app.command("list")
def list_parts(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="[KIND]",
            help="strategies, stopping, selectors, verifiers, allocations, engines, forms or models.",
            show_default="all but models",
        ),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """List what options can name.

    Names, parameters with their defaults, and what each is.
    """
    from thinkctl.cli.lists import print_list

    print_list(kind, as_json=as_json)


@app.command()
def doctor(
    spec: Annotated[
        str,
        typer.Argument(
            metavar="SPEC", help="The engine: openai:MODEL@URL, vllm:NAME, transformers:NAME, ..."
        ),
    ],
    *,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """See what an engine really honours.

    Usage in streams, limits, exact continuation, log-probabilities, whether it stops when it is left, caching and
    more: each asked for with a short generation, and counted. Takes about fifteen of them.
    """
    from thinkctl.cli.doctor import doctor as run

    run(spec, as_json=as_json, quiet=quiet)


def _add_models() -> None:
    from thinkctl.cli.models import app as models

    app.add_typer(models, name="models")


def _add_stopping() -> None:
    from thinkctl.cli.stopping import app as stopping

    app.add_typer(stopping, name="stopping")


def _add_runs() -> None:
    from thinkctl.cli.runs import app as runs

    app.add_typer(runs, name="runs")


_add_models()
_add_runs()
_add_stopping()
