"""The commands that look at recordings, and their options. Nothing heavy is imported before one runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thinkctl.cli.common import Json, Quiet

__all__ = ["calibrate", "replay"]


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
