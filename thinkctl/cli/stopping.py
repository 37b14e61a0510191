"""``thinkctl stopping``: what a stopping policy does, worked out and not simulated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from thinkctl.protocols import StoppingPolicy
    from thinkctl.stopping.characteristics import Characteristics
    from thinkctl.types import Needs

__all__ = ["app", "explained", "lines_of"]

_LABEL: Final = 12
_RUNNER_UPS: Final = 8
_SHARES: Final = "0.55,0.6,0.7,0.8,0.9"

app = typer.Typer(help="See what a stopping policy does.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """See what a stopping policy does."""


@app.command()
def explain(
    spec: Annotated[str, typer.Argument(metavar="SPEC", help="The policy; see thinkctl list stopping.")],
    *,
    cap: Annotated[int, typer.Option("--cap", metavar="N", help="At most so many votes.")] = 40,
    shares: Annotated[
        str,
        typer.Option(
            "--p", metavar="SHARES", help="Shares of the more frequent of two answers, with commas between."
        ),
    ] = _SHARES,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value on stdout.")] = False,
) -> None:
    """Show a policy's boundary and its operating characteristics.

    The fewest votes of a leader at which it stops, for each number of the runner-up's; and, exactly, how often it
    ends on the rarer of two answers and after how many votes, against the share of the more frequent one.
    """
    from thinkctl.cli.output import print_json

    found = explained(spec, cap=cap, shares=_shares(shares))
    if as_json:
        print_json(found)
        return
    from rich.console import Console

    console = Console(highlight=False)
    for line in lines_of(found):
        console.print(line)


def explained(text: str, *, cap: int, shares: Sequence[float]) -> dict[str, Any]:
    """Return what there is to say of a policy as plain data; ``None`` where it has no such thing."""
    from thinkctl import registry
    from thinkctl.stopping.characteristics import characteristics, is_votes_rule
    from thinkctl.types import needs_of, spec_of

    policy = registry.policy(text)
    on_votes = is_votes_rule(policy)
    boundary, missing = _boundary(policy)
    rows = [
        _row(characteristics(policy, share, cap=cap), characteristics(None, share, cap=cap))
        for share in (shares if on_votes else ())
    ]
    return {
        "policy": _in_full(policy),
        "spec": spec_of(policy),
        "summary": _summary(policy),
        "needs": _needs(needs_of(policy)),
        "guarantee": getattr(policy, "guarantee", None),
        "boundary": boundary,
        "why_no_boundary": missing,
        "cap": cap,
        "characteristics": rows if on_votes else None,
    }


def lines_of(found: dict[str, Any]) -> Iterator[Any]:
    """Return what there is to say of a policy for people, as lines and tables of rich."""
    from rich.text import Text

    yield Text(found["policy"], style="bold")
    if found["summary"]:
        yield Text(found["summary"])
    yield ""
    yield _labelled("needs", ", ".join(found["needs"]) or "votes alone")
    yield _labelled("guarantees", found["guarantee"] or "nothing is stated")
    if found["boundary"] is None:
        yield _labelled("boundary", f"none: {found['why_no_boundary']}")
    else:
        yield ""
        yield _boundary_table(found["boundary"])
        yield Text("Stops once the leader has so many votes, against those of the runner-up.", style="dim")
    if found["characteristics"] is not None:
        yield ""
        yield _characteristics_table(found["characteristics"], found["cap"])
        yield Text(
            f"Two answers, at most {found['cap']} independent votes, exactly. Share: of the more frequent answer. "
            f"Wrong: ends on the rarer one; of all {found['cap']}: as the majority of all votes would. "
            "Stopped: by the policy, not by the cap.",
            style="dim",
        )


def _in_full(part: object) -> str:
    """Write a part with all its parameters, those at their defaults too."""
    from thinkctl.registry import write
    from thinkctl.types import name_of

    if not is_dataclass(part):
        return write(part)
    values = [(field.name, getattr(part, field.name)) for field in fields(part)]
    written = [
        ", ".join(map(_in_full, value))
        if isinstance(value, tuple) and any(map(is_dataclass, value))
        else f"{name}={_in_full(value)}"
        for name, value in values
    ]
    return f"{name_of(part)}({', '.join(written)})"


def _boundary(policy: StoppingPolicy) -> tuple[list[int] | None, str | None]:
    """Return the least leader for each runner-up, or why there is none."""
    from thinkctl.stopping import ValueOfComputation
    from thinkctl.stopping.characteristics import boundary_of, is_votes_rule

    found = boundary_of(policy, _RUNNER_UPS)
    if found is not None:
        return list(found), None
    if isinstance(policy, ValueOfComputation):
        return None, "the price of a vote is measured; give sample_tokens to have one"
    if is_votes_rule(policy):
        return None, "it looks at more of the votes than two counts"
    return None, "it is no rule on votes alone, so a share of votes does not tell what it does"


def _row(found: Characteristics, everything: Characteristics) -> dict[str, float]:
    return {
        "share": found.share,
        "wrong": found.wrong,
        "wrong_of_all": everything.wrong,
        "votes": found.votes,
        "stopped": found.stopped,
    }


def _summary(policy: StoppingPolicy) -> str:
    import inspect

    from thinkctl.cli.text import one_line

    return one_line((inspect.getdoc(type(policy)) or "").partition("\n\n")[0].replace("``", ""))


def _needs(needs: Needs) -> list[str]:
    """Return what a policy needs besides votes, in words."""
    words: list[str] = []
    if needs.logprobs is not None:
        words.append(_logprobs("every token", needs.logprobs))
    if needs.probes:
        words.append("probes of samples in flight")
    if needs.probe_logprobs is not None:
        words.append(_logprobs("each probe's tokens", needs.probe_logprobs))
    if needs.scores:
        words.append("a verifier's verdict on every sample")
    return words


def _logprobs(of: str, alternatives: int) -> str:
    return f"log-probabilities of {of}{f' with {alternatives} alternatives' * bool(alternatives)}"


def _labelled(label: str, words: str) -> Any:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 0))
    grid.add_column(width=_LABEL, style="cyan")
    grid.add_column(overflow="fold")
    grid.add_row(label, Text(words))
    return grid


def _boundary_table(boundary: Sequence[int]) -> Any:
    table = _table()
    table.add_column("runner-up")
    for votes in range(len(boundary)):
        table.add_column(str(votes), justify="right")
    table.add_row("leader", *map(str, boundary))
    return table


def _characteristics_table(rows: Sequence[dict[str, float]], cap: int) -> Any:
    table = _table()
    for title in ("share", "wrong", f"of all {cap}", "mean votes", "stopped"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            f"{row['share']:g}",
            f"{row['wrong']:.2%}",
            f"{row['wrong_of_all']:.2%}",
            f"{row['votes']:.1f}",
            f"{row['stopped']:.1%}",
        )
    return table


def _table() -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1))


def _shares(text: str) -> list[float]:
    from thinkctl.errors import ConfigurationError

    try:
        return [float(share) for share in text.split(",")]
    except ValueError:
        raise ConfigurationError(
            f"shares {text!r} are not understood; give numbers from 0.5 to 1, for instance {_SHARES}"
        ) from None
