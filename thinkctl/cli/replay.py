"""``thinkctl replay``: what policies and allocations would have made of recorded samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from thinkctl import registry
from thinkctl.cli.options import budget_from, policy_from, selector_from
from thinkctl.cli.output import print_json
from thinkctl.cli.show import waiting
from thinkctl.cli.text import amount, one_line, plural
from thinkctl.errors import ConfigurationError
from thinkctl.types import Budget

if TYPE_CHECKING:
    from rich.table import Table

    from thinkctl.evals.intervals import Estimate
    from thinkctl.evals.outcomes import Case
    from thinkctl.evals.replaying import Row
    from thinkctl.evals.table import VoteTable

__all__ = ["replay"]

_SHUFFLES: Final = 20
_RECORDED, _SHUFFLED = "recorded", "shuffled"
_WIDTH: Final = 100
_MAJORITY: Final = "majority"
_KINDS: Final = ("thinking", "answer", "probe", "forced", "wasted")
_CLAIM: Final = "Replayed: nothing was generated, and no latency is claimed."


@final
@dataclass(frozen=True, slots=True)
class _Replayed:
    """What a report is made of."""

    table: VoteTable
    rows: Sequence[Row]
    permutations: int | None
    seed: int
    cap: int | None
    cautions: Sequence[str]
    shared: bool

    @property
    def order(self) -> str:
        if self.permutations is None:
            return "in the recorded order"
        return f"mean of {plural(self.permutations, 'shuffle')}, seed {self.seed}"


def replay(
    recording: Path,
    *,
    policies: Sequence[str],
    allocation: str | None,
    samples_per_question: str | None,
    tokens_per_question: str | None,
    at_once: int,
    selector: str | None,
    budget: str,
    order: str | None,
    permutations: int | None,
    seed: int,
    sweep: bool,
    cap: int | None,
    gold: Path | None,
    form: str | None,
    merge_right: bool,
    probe_tokens: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Replay a recording and print the rows. Raises what the library raises."""
    from thinkctl.evals.gold import read_gold
    from thinkctl.evals.loading import open_table

    shuffles = _shuffles(order, permutations)
    samples, tokens = (
        _numbers("samples-per-question", samples_per_question),
        _numbers("tokens-per-question", tokens_per_question),
    )
    _check(policies, allocation, shares=bool(samples or tokens), sweep=sweep, budget=budget)
    table = open_table(
        recording,
        gold=None if gold is None else read_gold(gold),
        answer_form=form,
        merge_right=merge_right,
        probe_tokens=probe_tokens,
    )
    options: dict[str, Any] = {"permutations": shuffles, "seed": seed, "cap": cap}
    with waiting(f"replaying {plural(len(table), 'question')}", quiet=quiet):
        if allocation is None:
            rows, said = _of_policies(
                table, policies, selector, budget_from(budget), sweep=sweep, options=options
            )
        else:
            said = list(table.cautions)
            rows = _of_allocation(
                table, allocation, policies, selector, samples, tokens, at_once=at_once, options=options
            )
    found = _Replayed(table, rows, shuffles, seed, cap, said, shared=allocation is not None)
    if as_json:
        print_json(_json_of(found))
    else:
        _print(found)


# -- what was asked for --------------------------------------------------------------------------------------


def _shuffles(order: str | None, permutations: int | None) -> int | None:
    if order not in (None, _RECORDED, _SHUFFLED):
        raise ConfigurationError(f"there is no order {order!r}; known: {_RECORDED}, {_SHUFFLED}")
    if order == _RECORDED and permutations is not None:
        raise ConfigurationError("the recorded order is one; give --permutations with --order shuffled")
    if order == _SHUFFLED or permutations is not None:
        return _SHUFFLES if permutations is None else permutations
    return None


def _numbers(name: str, text: str | None) -> list[float]:
    try:
        values = [float(item) for item in (text or "").split(",") if text]
    except ValueError:
        values = [math.nan]
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise ConfigurationError(f"--{name} {text!r} is not understood; write numbers above 0: 4 or 2,4,8")
    return values


def _check(
    policies: Sequence[str],
    allocation: str | None,
    *,
    shares: bool,
    sweep: bool,
    budget: str,
) -> None:
    if sweep and not policies:
        raise ConfigurationError("--sweep tries the thresholds of a policy; give --policy as well")
    if allocation is None:
        if shares:
            raise ConfigurationError("samples and tokens per question are shared by --allocation; give one")
        return
    if not shares:
        raise ConfigurationError(
            "an allocation has nothing to share; give --samples-per-question or --tokens-per-question"
        )
    if sweep or budget_from(budget) != Budget():
        raise ConfigurationError(
            "--allocation shares one budget among the questions; leave out --sweep and --budget"
        )
    if len(policies) > 1:
        raise ConfigurationError("--allocation goes with one --policy at most, which ends a problem early")


def _of_policies(
    table: VoteTable,
    policies: Sequence[str],
    selector: str | None,
    budget: Budget,
    *,
    sweep: bool,
    options: dict[str, Any],
) -> tuple[list[Row], list[str]]:
    from thinkctl.evals.outcomes import Case
    from thinkctl.evals.replaying import cautions, fixed_cases
    from thinkctl.evals.replaying import replay as replayed
    from thinkctl.selectors import Majority

    chosen = selector_from(selector) or Majority()
    width = table.width if options["cap"] is None else min(table.width, options["cap"])
    cases = fixed_cases(width)
    if policies:
        asked = [case for text in policies for case in (_swept(text) if sweep else [_case(text)])]
        cases = [*asked, Case()]
    limited = [dataclasses.replace(case, selector=chosen, budget=budget) for case in cases]
    if budget != Budget():
        limited.append(Case(selector=chosen))
    warned = cautions(table, limited)
    return replayed(table, limited, **options), warned


def _case(text: str) -> Case:
    from thinkctl.evals.outcomes import Case

    return Case(policy_from(text))


def _swept(text: str) -> list[Case]:
    """Return a case for each value of the policy's threshold that is worth trying, the least careful first."""
    from thinkctl.evals.knobs import knob_for, turned, value_at
    from thinkctl.evals.outcomes import Case

    policy = policy_from(text)
    if policy is None:
        return [Case()]
    knob = knob_for(policy)
    own = value_at(policy, knob.path)
    values = sorted({*knob.grid, own}, reverse=knob.grid[0] < knob.grid[-1])
    return [Case(turned(policy, knob.path, value)) for value in values]


def _of_allocation(
    table: VoteTable,
    allocation: str,
    policies: Sequence[str],
    selector: str | None,
    samples: Sequence[float],
    tokens: Sequence[float],
    *,
    at_once: int,
    options: dict[str, Any],
) -> list[Row]:
    from thinkctl.evals.allocating import Share, allocate
    from thinkctl.evals.outcomes import Case
    from thinkctl.evals.replaying import replay as replayed
    from thinkctl.selectors import Majority
    from thinkctl.stopping import Uniform

    asked, policy = registry.allocation(allocation), policy_from(policies[0]) if policies else None
    chosen = selector_from(selector) or Majority()
    plain = [] if asked == Uniform() and policy is None else [Share(Uniform(), 1, selector=chosen)]
    shares = [
        dataclasses.replace(share, samples=number, tokens=limit)
        for share in [Share(asked, 1, policy=policy, at_once=at_once, selector=chosen), *plain]
        for number, limit in [*((number, None) for number in samples), *((None, limit) for limit in tokens)]
    ]
    return [*allocate(table, shares, **options), *replayed(table, [Case(selector=chosen)], **options)]


# -- JSON ----------------------------------------------------------------------------------------------------


def _json_of(found: _Replayed) -> dict[str, Any]:
    table = found.table
    return {
        "pool": table.name,
        "questions": int(table.groups.max()) + 1,
        "rows_of_samples": len(table),
        "samples": int(table.sizes.sum()),
        "order": _RECORDED if found.permutations is None else _SHUFFLED,
        "permutations": found.permutations or 0,
        "seed": found.seed,
        "cap": found.cap,
        "graded": table.graded,
        "tokens_estimated": table.estimated,
        "cautions": list(found.cautions),
        "replayed": True,
        "rows": [dataclasses.asdict(row) for row in found.rows],
    }


# -- for people ----------------------------------------------------------------------------------------------


def _print(found: _Replayed) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal or console.width > _WIDTH:
        console = Console(highlight=False, markup=False, width=_WIDTH)
    console.print(_table_of(found.rows))
    kinds = [kind for kind in _KINDS if any(_tokens(row, kind) for row in found.rows)]
    if len(kinds) > 1:
        console.print(_kinds_table(found.rows, kinds))
    wide = Console(highlight=False, markup=False, soft_wrap=True)
    for line in _notes(found):
        wide.print(line)


def _table_of(rows: Sequence[Row]) -> Table:
    table = _empty("policy", "accuracy %", "change", "agreement %", "samples", "tokens")
    for row in rows:
        table.add_row(
            _name(row),
            _interval(row.accuracy),
            _change(row.change),
            f"{100 * row.agreement.value:.1f}",
            f"{row.samples.value:.2f}",
            f"{row.tokens.value:,.0f}",
        )
    return table


def _kinds_table(rows: Sequence[Row], kinds: Sequence[str]) -> Table:
    table = _empty("tokens of a question", *kinds)
    for row in rows:
        table.add_row(_name(row), *(f"{_tokens(row, kind):,.1f}" for kind in kinds))
    return table


def _empty(first: str, *others: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold", min_width=20)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _name(row: Row) -> str:
    return one_line(f"{row.policy}, {row.budget}" if row.budget else row.policy)


def _tokens(row: Row, kind: str) -> float:
    return float(getattr(row, f"{kind}_tokens"))


def _interval(found: Estimate | None) -> str:
    if found is None:
        return "unknown"
    if found.low is None or found.high is None:
        return f"{100 * found.value:.1f}"
    return f"{100 * found.value:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def _change(found: Estimate | None) -> str:
    if found is None:
        return "unknown"
    if not found.high:
        return "" if found.high == found.low == 0 else f"{100 * found.value:+.1f}"
    return f"{100 * found.value:+.1f} ± {100 * (found.high - found.value):.1f}"


def _notes(found: _Replayed) -> list[str]:
    table, rows = found.table, found.rows
    fewest, most = int(table.sizes.min()), int(table.sizes.max())
    samples = plural(most, "sample") if fewest == most else f"{fewest} to {most} samples"
    questions = plural(int(table.groups.max()) + 1, "question")
    capped = "" if found.cap is None or found.cap >= most else f" (the first {found.cap} of an order)"
    lines = [
        f"{table.name}: {questions} with {samples} each{capped}, {found.order}.",
        "Intervals (95 %) take the question as the unit; change is beside the accuracy of all samples, paired.",
        "Agreement is with the answer of all samples. Samples and tokens are means of a question.",
    ]
    if rows[-1].selector != _MAJORITY:
        lines.append(f"The answer is chosen by {one_line(rows[-1].selector)}.")
    oracle = rows[-1].oracle
    if oracle is not None:
        lines.append(f"Oracle: {100 * oracle:.1f} % of the questions have at least one right sample.")
    if not table.graded:
        lines.append("Nobody knows which answers are right: give --gold FILE for accuracy.")
    if table.estimated:
        lines.append("Tokens are estimates: the recording did not count them.")
    unknown = max(row.unknown for row in rows)
    if unknown:
        lines.append(
            f"Up to {unknown:.2f} thoughts a question were closed where the recording does not tell the answer; "
            "they abstain."
        )
    walled = max(row.walled for row in rows)
    if walled and not found.shared:
        lines.append(f"Up to {100 * walled:.1f} % of the questions ended at the budget's wall.")
    lines += [f"Caution: {one_line(caution)}." for caution in found.cautions]
    return [*lines, f"{_CLAIM} {amount(int(table.sizes.sum()))} recorded samples."]
