"""The commands and their options. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

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

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="SPEC",
        help="vllm:NAME, openai:MODEL@URL, transformers:NAME, replay:FILE, or the name or folder of a model for vLLM.",
        show_default="the catalogue's small model, pulled on first use",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress on stderr.")]


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
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Watch a small model think.

    It answers a few school problems at once, and then with time to think; live, on this machine.
    """
    from thinkctl.cli.demo import demo as run

    run(model=model, problems=problems, samples=samples, as_json=as_json, quiet=quiet)


@app.command()
def calibrate(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="A run file, a pool of samples or of probes.")
    ],
    *,
    policy: Annotated[
        str,
        typer.Option(
            metavar="PART", help="The policy whose threshold is wanted; see thinkctl list stopping."
        ),
    ],
    loss: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="harm: stopped wrong where full thinking is right; wrong; changed: another answer, needs no gold.",
        ),
    ] = "harm",
    epsilon: Annotated[
        float, typer.Option(metavar="RISK", help="The mean loss that may not be exceeded.")
    ] = 0.05,
    delta: Annotated[
        float,
        typer.Option(metavar="P", help="How often, over calibrations, it may be exceeded all the same."),
    ] = 0.1,
    gold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Reference answers, {"id": ..., "answer": ...} a line.'),
    ] = None,
    knob: Annotated[
        str | None, typer.Option(metavar="NAME", help="The parameter.", show_default="the policy's threshold")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(
            metavar="VALUES", help="0.99,0.95,0.9: the most careful first.", show_default="a known one"
        ),
    ] = None,
    selector: Annotated[
        str | None, typer.Option(metavar="PART", help="Which answer wins.", show_default="that of the runs")
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="LIMITS", help="tokens=, requests= of each question; or none.")
    ] = "none",
    form: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="Of a pool: how answers are compared.", show_default="as recorded"),
    ] = None,
    probe_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of a pool of probes: what each is billed for.")
    ] = 1,
    mean_of_runs: Annotated[
        bool, typer.Option("--mean-of-runs", help="Count the mean of several runs of a question as one loss.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find a threshold whose risk is bounded.

    Replays recordings and prints the policy with the most economical threshold whose mean loss is at most epsilon,
    with confidence 1 - delta, as --policy takes it. Where none is, it prints none (full thinking), says how many
    questions it would take, and ends with exit code 4.
    """
    from thinkctl.cli.calibrate import calibrate as run

    run(
        recording,
        policy=policy,
        loss=loss,
        epsilon=epsilon,
        delta=delta,
        gold=gold,
        knob=knob,
        grid=grid,
        selector=selector,
        budget=budget,
        form=form,
        probe_tokens=probe_tokens,
        mean_of_runs=mean_of_runs,
        as_json=as_json,
        quiet=quiet,
    )


@app.command()
def replay(
    recording: Annotated[
        Path, typer.Argument(metavar="RECORDING", help="A run file, a pool of samples or of probes.")
    ],
    *,
    policy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="A stopping policy; may be repeated; see thinkctl list stopping.",
            show_default="fixed numbers of samples",
        ),
    ] = None,
    allocation: Annotated[
        str | None,
        typer.Option(
            metavar="PART", help="Share samples among the questions; see thinkctl list allocations."
        ),
    ] = None,
    samples_per_question: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="What an allocation shares, as a mean: 4 or 2,4,8.")
    ] = None,
    tokens_per_question: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="The same in generated tokens.")
    ] = None,
    at_once: Annotated[
        int, typer.Option(min=1, metavar="N", help="Samples that an allocation has in flight at a time.")
    ] = 1,
    selector: Annotated[
        str | None, typer.Option(metavar="PART", help="Which answer wins.", show_default="majority")
    ] = None,
    budget: Annotated[
        str, typer.Option(metavar="LIMITS", help="tokens=, requests= of each question; or none.")
    ] = "none",
    order: Annotated[
        str | None,
        typer.Option(metavar="ORDER", help="recorded, or shuffled: 20 times.", show_default="recorded"),
    ] = None,
    permutations: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Shuffle each question's samples so many times.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of the shuffles.")] = 0,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Try all thresholds of each policy, the least careful first.")
    ] = False,
    cap: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use so many samples of each question at most.")
    ] = None,
    gold: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='Reference answers, {"id": ..., "answer": ...} a line.'),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="Of a pool: how answers are compared.", show_default="as texts"),
    ] = None,
    merge_right: Annotated[
        bool,
        typer.Option(
            "--merge-right", help="Of a pool: all right answers are one value; the reference votes."
        ),
    ] = False,
    probe_tokens: Annotated[
        int, typer.Option(min=0, metavar="N", help="Of a pool of probes: what each is billed for.")
    ] = 1,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """See what other policies make of recorded samples.

    Accuracy, agreement with the answer of all samples, samples and tokens of each policy, or of an allocation of
    samples to questions, on what was recorded: nothing is generated. It says nothing about latency.
    """
    from thinkctl.cli.replay import replay as run

    run(
        recording,
        policies=policy or [],
        allocation=allocation,
        samples_per_question=samples_per_question,
        tokens_per_question=tokens_per_question,
        at_once=at_once,
        selector=selector,
        budget=budget,
        order=order,
        permutations=permutations,
        seed=seed,
        sweep=sweep,
        cap=cap,
        gold=gold,
        form=form,
        merge_right=merge_right,
        probe_tokens=probe_tokens,
        as_json=as_json,
        quiet=quiet,
    )


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


_add_models()
_add_stopping()
