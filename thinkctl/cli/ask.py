"""``thinkctl ask``: one question, one answer with its bill."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import typer

from thinkctl.cli.live import View
from thinkctl.cli.opening import open_engine, running, spec_from, to_the_end
from thinkctl.cli.options import (
    budget_from,
    policy_from,
    prices_from,
    problem_from,
    selector_from,
    strategy_from,
    verifier_from,
)
from thinkctl.cli.output import json_of, print_json, print_run, reconciliation_of
from thinkctl.cli.show import say, showing
from thinkctl.controller import Controller
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.protocols import Engine, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.runfile import RunFile
from thinkctl.types import Budget, EngineCounters, Prices, Problem, Run

if TYPE_CHECKING:
    from thinkctl.testing.reconcile import Reconciliation

__all__ = ["ask"]


@final
@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to be solved, and how; all of it read and checked before an engine is loaded."""

    title: str
    problem: Problem
    budget: Budget
    strategy: Strategy
    policy: StoppingPolicy | None
    selector: Selector | None
    verifier: Verifier | None
    shadows: tuple[StoppingPolicy, ...]
    prices: Prices | None
    speculate: int
    seed: int
    reconcile: bool


def ask(
    question: str,
    *,
    model: str | None,
    budget: str,
    strategy: str,
    policy: str,
    selector: str | None,
    verifier: str | None,
    given: str | None,
    shadows: Sequence[str],
    form: str,
    speculate: int,
    seed: int,
    prices: str | None,
    reconcile: bool,
    save: Path | None,
    show_thoughts: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Answer a question and print the result. Raises what the library raises."""
    plan = _Plan(
        title=f"{strategy} · {policy}",
        problem=problem_from(question, form, given),
        budget=budget_from(budget),
        strategy=strategy_from(strategy),
        policy=policy_from(policy),
        selector=selector_from(selector),
        verifier=verifier_from(verifier),
        shadows=tuple(filter(None, map(policy_from, shadows))),
        prices=prices_from(prices),
        speculate=speculate,
        seed=seed,
        reconcile=reconcile,
    )
    engine = open_engine(spec_from(model), seed=seed)
    died: EngineUnavailable | None = None
    compared: Reconciliation | None = None
    with _saving(save, engine) as file:
        try:
            run, compared = to_the_end(_solve(engine, plan, quiet=quiet))
        except EngineUnavailable as error:
            if error.run is None or not error.run.samples:
                raise
            run, died = error.run, error
        if file is not None:
            file.append(run)
    if as_json:
        print_json(
            json_of(run, engine.card.name, texts=show_thoughts) | _compared(compared, wanted=reconcile)
        )
    else:
        print_run(run, thoughts=show_thoughts)
    if died is not None:
        raise died
    if compared is not None:
        _report(compared)


def _compared(found: Reconciliation | None, *, wanted: bool) -> dict[str, Any]:
    return {"reconciliation": None if found is None else reconciliation_of(found)} if wanted else {}


def _report(found: Reconciliation) -> None:
    """Say how the receipt compares with the counters; where they differ, exit with 1."""
    if found.agrees:
        say(str(found))
        return
    *table, verdict = str(found).splitlines()
    say("\n".join([*table, f"error: {verdict}"]))
    raise typer.Exit(1)


@contextmanager
def _saving(path: Path | None, engine: Engine) -> Iterator[RunFile | None]:
    """Open the file before anything is spent, so that no run is lost for a mistyped name."""
    if path is None:
        yield None
        return
    try:
        file = RunFile.open(path, card=engine.card)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}; name a file in a folder that is there"
        ) from None
    with file:
        yield file


async def _solve(engine: Engine, plan: _Plan, *, quiet: bool) -> tuple[Run, Reconciliation | None]:
    async with running(engine, quiet=quiet):
        before = await _counted(engine) if plan.reconcile else None
        controller = Controller(
            engine,
            plan.strategy,
            policy=plan.policy,
            selector=plan.selector,
            verifier=plan.verifier,
            prices=plan.prices,
            speculate=plan.speculate,
            shadows=plan.shadows,
        )
        allowed = getattr(plan.strategy, "n", None)
        view = View(title=f"{engine.card.name} · {plan.title}", budget=plan.budget, allowed=allowed)
        with showing([view], lambda text: len(engine.tokenizer.encode(text)), quiet=quiet) as board:
            run = await board.follow(0, controller.stream(plan.problem, plan.budget, seed=plan.seed))
        if before is None:
            return run, None
        from thinkctl.testing.reconcile import reconcile

        return run, reconcile(before, await _counted(engine), run.receipt, model=engine.card.name)


async def _counted(engine: Engine) -> EngineCounters:
    """Return what an engine counted; one that died meanwhile tells nothing, and the answer is kept."""
    try:
        return await engine.counters()
    except EngineUnavailable:
        return EngineCounters()
