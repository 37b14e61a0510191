"""``thinkctl calibrate``: a stopping threshold with a guarantee, from recordings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer

from thinkctl import registry
from thinkctl.cli.options import NONE, budget_from, policy_from, selector_from
from thinkctl.cli.output import print_json
from thinkctl.cli.show import waiting
from thinkctl.cli.text import amount, one_line, plural
from thinkctl.errors import ConfigurationError
from thinkctl.types import spec_of

if TYPE_CHECKING:
    from thinkctl.evals.calibration import Calibration, Step
    from thinkctl.evals.recordings import Recordings

__all__ = ["INCONCLUSIVE", "calibrate"]

INCONCLUSIVE: Final = 4
"""The exit code where the recordings are too few, or too bad, for any threshold."""
_LABEL: Final = 14
_MEANS: Final = {
    "harm": "stopped wrong where full thinking is right",
    "wrong": "answered wrong",
    "changed": "answered other than full thinking",
}
"""What each loss says of a question; ``thinkctl.evals`` is not loaded for a page of help."""


def calibrate(
    recording: Path,
    *,
    policy: str,
    loss: str,
    epsilon: float,
    delta: float,
    gold: Path | None,
    knob: str | None,
    grid: str | None,
    selector: str | None,
    budget: str,
    form: str | None,
    probe_tokens: int,
    mean_of_runs: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Calibrate a policy and print it. Raises what the library raises, and ``Exit`` with 4 where nothing passed."""
    from thinkctl.evals.calibration import calibrate as calibrated
    from thinkctl.evals.gold import read_gold
    from thinkctl.evals.recordings import open_recordings

    asked = policy_from(policy)
    if asked is None:
        raise ConfigurationError("there is nothing to calibrate in no policy; name one with a threshold")
    if loss not in _MEANS:
        raise ConfigurationError(f"there is no loss {loss!r}; known: {', '.join(_MEANS)}")
    values, chosen, limits = _grid_from(grid), selector_from(selector), budget_from(budget)
    known = None if gold is None else read_gold(gold)
    recordings = open_recordings(recording, gold=known, answer_form=form, probe_tokens=probe_tokens)
    if loss != "changed":
        _check_gold(recordings, loss)
    with waiting(f"replaying {plural(len(recordings.runs), 'recording')}", quiet=quiet):
        found = calibrated(
            asked,
            recordings.runs,
            loss,
            epsilon,
            delta,
            gold=recordings.is_right if recordings.graded else None,
            knob=knob,
            grid=values,
            selector=chosen,
            budget=limits,
            repeats="mean" if mean_of_runs else "refuse",
        )
    if as_json:
        print_json(_json_of(found, recordings))
    else:
        _print(found)
    if not found.feasible:
        raise typer.Exit(INCONCLUSIVE)


def _grid_from(text: str | None) -> list[float] | None:
    """Read ``0.99,0.95,0.9``; whole numbers stay whole."""
    if text is None:
        return None
    try:
        return [int(item) if item.strip().isdigit() else float(item) for item in text.split(",")]
    except ValueError:
        raise ConfigurationError(
            f"the grid {text!r} is not understood; write numbers, the most careful first: 0.99,0.95,0.9"
        ) from None


def _check_gold(recordings: Recordings, loss: str) -> None:
    if not recordings.graded:
        raise ConfigurationError(
            f"--loss {loss} needs to know what is right in every recording; give --gold FILE with a line "
            '{"id": ..., "answer": ...} for each, or --loss changed, which needs none'
        )


# -- JSON ----------------------------------------------------------------------------------------------------


def _json_of(found: Calibration, recordings: Recordings) -> dict[str, Any]:
    return {
        "policy": None if found.policy is None else spec_of(found.policy),
        "written": _written(found),
        "feasible": found.feasible,
        "verdict": found.verdict,
        **{
            field.name: getattr(found, field.name)
            for field in dataclasses.fields(found)
            if field.name not in {"policy", "walk", "cautions"}
        },
        "saved": found.saved,
        "walk": [
            dataclasses.asdict(step) | {"rate": step.rate, "passed": step.bound <= found.epsilon}
            for step in found.walk
        ],
        "cautions": list(found.cautions),
        "recordings": recordings.kind,
        "replayed": True,
    }


def _written(found: Calibration) -> str:
    return NONE if found.policy is None else registry.write(found.policy)


# -- for people ----------------------------------------------------------------------------------------------


def _print(found: Calibration) -> None:
    """Write the policy as ``--policy`` takes it, then what is known of it and every threshold that was tested."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(_written(found), style="bold" if found.feasible else "yellow"))
    for label, words in _lines(found):
        console.print(Text.assemble((f"{label:<{_LABEL}}", "cyan"), words))
    console.print()
    knob = found.knob.rpartition(".")[2]
    graded = found.full_accuracy is not None
    console.print(
        Text(_row(knob, "losses", "bound", "tokens", "accuracy" if graded else "", ""), style="cyan")
    )
    for step in found.walk:
        console.print(_tested(step, found))
    full = _percent(found.full_accuracy) if graded else ""
    console.print(_row("full", "", "", "100.0%", full, "full thinking"))


def _lines(found: Calibration) -> list[tuple[str, str]]:
    bound = f"{found.losses:g} of {plural(found.n, 'question')}, at most {found.bound:.2%}"
    lines = [("loss", f"{_MEANS[found.loss]}: {bound}")]
    if found.feasible:
        lines.append(("guarantee", f"at most {found.epsilon:.1%} with confidence {1 - found.delta:.0%}"))
        lines.append(
            ("tokens", f"{_share(found.tokens, found)} of full thinking's {amount(round(found.full_tokens))}")
        )
        if found.accuracy is not None:
            full = _percent(found.full_accuracy)
            lines.append(
                ("accuracy", f"{_percent(found.accuracy)}, full thinking {full}; on these questions")
            )
        lines.append(("holds for", "questions like these, with the same model and prompts; replayed"))
    else:
        lines.append(("not feasible", f"{found.advice}; think fully"))
    return [*lines, *(("caution", one_line(each)) for each in found.cautions)]


def _tested(step: Step, found: Calibration) -> str:
    passed = step.bound <= found.epsilon
    mark = ("calibrated" if step.value == found.threshold else "passed") if passed else "failed"
    value = f"{step.value:g}" if step.value < 1e6 else f"{step.value:,.0f}"
    accuracy = "" if step.accuracy is None else _percent(step.accuracy)
    return _row(value, f"{step.losses:g}", f"{step.bound:.2%}", _share(step.tokens, found), accuracy, mark)


def _share(tokens: float, found: Calibration) -> str:
    return f"{tokens / found.full_tokens if found.full_tokens else 1.0:.1%}"


def _row(*cells: str) -> str:
    first, *numbers, last = cells
    return f"{first:<{_LABEL}}{''.join(f'{cell:>10}' for cell in numbers)}  {last}".rstrip()


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.2%}"
