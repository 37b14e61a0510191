"""What holds for any mixture of lengths, budgets, policies, cancellations and failures."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

import thinkctl
from tests.controller.rig import Asks, audit, counters, solve, words
from thinkctl import AdaptiveConsistency, Budget, CannotBeOvertaken, Controller, Prices, Run
from thinkctl.errors import EngineUnavailable
from thinkctl.protocols import StoppingPolicy
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Decision, History, ProbeRequest, Sample

PRICES = Prices(
    dollars_per_million_prompt_tokens=Decimal(500), dollars_per_million_generated_tokens=Decimal(2000)
)


@dataclass(frozen=True)
class Meddles:
    """A policy that cuts, concludes and probes at places that look random and repeat exactly."""

    salt: int = 0

    def decide(self, history: History) -> Decision:
        dice = random.Random(f"{self.salt}:{history.bought}:{len(history.settled)}")
        flying = [sample.index for sample in history.in_flight]
        chosen = [index for index in flying if dice.random() < 0.3]
        kind = dice.choice(["cut", "conclude", "probe", "stop", "nothing", "cap"])
        return Decision(
            stop=kind == "stop" and len(history.settled) > 2,
            cut=tuple(chosen) if kind == "cut" else (),
            conclude=tuple(chosen) if kind == "conclude" else (),
            probe=tuple(ProbeRequest(index, max_tokens=3) for index in chosen) if kind == "probe" else (),
            more=dice.choice([None, 1, 3]),
            thinking_tokens=dice.choice([1, 9, 40]) if kind == "cap" else None,
        )


@st.composite
def scripts(draw: st.DrawFn, *, failing: bool = True) -> Script:
    length = draw(st.integers(0, 60))
    answer = draw(st.sampled_from(["4", "5", "6"]))
    ends = draw(
        st.sampled_from([f"\\boxed{{{answer}}}", "I do not know", f"\\boxed{{{answer}}} or so I think"])
    )
    troubles: dict[str, Any] = {}
    if failing:
        troubles["fail_after"] = draw(st.none() | st.integers(0, 40))
        troubles["die_after"] = draw(st.sampled_from([None] * 9 + [draw(st.integers(0, 40))]))
    return Script(
        f"{words(length)} {ends}",
        seconds_per_token=draw(st.sampled_from([0.0, 0.01, 0.1, 1.0])),
        first=draw(st.sampled_from([0.0, 0.5])),
        chunk=draw(st.integers(1, 7)),
        conclusion=answer + "}",
        ends=draw(st.booleans()),
        **troubles,
    )


def mixtures(*, failing: bool = True) -> st.SearchStrategy[list[Script]]:
    return st.lists(scripts(failing=failing), min_size=1, max_size=4)


limits = st.fixed_dictionaries(
    {
        "tokens": st.integers(1, 400),
        "thinking_tokens": st.none() | st.integers(1, 50),
        "seconds": st.none() | st.floats(0.05, 30),
        "dollars": st.none() | st.sampled_from([Decimal("0.01"), Decimal("0.1"), Decimal(1)]),
        "requests": st.none() | st.integers(1, 12),
    }
)
policies = st.sampled_from([None, AdaptiveConsistency(0.8), CannotBeOvertaken(6)]) | st.builds(
    Meddles, st.integers(0, 1000)
)
engines = st.fixed_dictionaries({"waste": st.integers(0, 2), "force": st.sampled_from([0, 32])})


def tried(
    engine: ScriptedEngine, n: int, budget: Budget, policy: StoppingPolicy | None, speculate: int
) -> Run | None:
    """Solve; of a dead engine take the run so far."""
    knobs: dict[str, Any] = {"policy": policy, "speculate": speculate, "prices": PRICES}
    try:
        return solve(engine, Asks(n), budget, **knobs)
    except EngineUnavailable as error:
        assert error.run is not None  # noqa: PT017 - most engines do not die
        audit(error.run, engine, budget)
        return error.run


@given(mixtures(), st.integers(1, 8), limits, policies, st.integers(0, 3), engines)
def test_no_budget_is_passed_by_even_one_token_and_the_bill_is_what_the_engine_counted(
    texts: list[Script],
    n: int,
    limit: dict[str, Any],
    policy: StoppingPolicy | None,
    speculate: int,
    knobs: dict[str, Any],
) -> None:
    engine = ScriptedEngine(texts, **knobs)
    budget = Budget(**limit)
    found = tried(engine, n, budget, policy, speculate)
    assert found is not None
    truth = counters(engine).generated_tokens or 0
    assert truth <= limit["tokens"]
    assert found.receipt.generated_tokens == truth
    if budget.seconds is not None:
        assert found.seconds <= budget.seconds + 1e-9


def said_something(sample: Sample) -> bool:
    return bool(sample.text.strip())


@given(
    mixtures(failing=False),
    st.integers(1, 8),
    st.integers(64, 400),
    st.none() | st.integers(1, 50),
    st.sampled_from([None, AdaptiveConsistency(0.8), CannotBeOvertaken(6)]),
    engines,
)
def test_a_run_with_an_answer_reserve_answers_whenever_a_sample_said_something(
    texts: list[Script],
    n: int,
    tokens: int,
    thinking: int | None,
    policy: StoppingPolicy | None,
    knobs: dict[str, Any],
) -> None:
    found = tried(
        ScriptedEngine(texts, **knobs), n, Budget(tokens=tokens, thinking_tokens=thinking), policy, 0
    )
    assert found is not None
    if any(said_something(sample) for sample in found.samples):
        assert found.answer is not None


@given(mixtures(), st.integers(1, 6), limits, policies, engines, st.integers(1, 300))
def test_a_purse_around_several_runs_holds_all_of_them(
    texts: list[Script],
    n: int,
    limit: dict[str, Any],
    policy: StoppingPolicy | None,
    knobs: dict[str, Any],
    tokens: int,
) -> None:
    engine = ScriptedEngine(texts, **knobs)

    async def several() -> int:
        controller = Controller(engine, Asks(n), policy=policy, prices=PRICES)
        with thinkctl.budget(tokens=tokens) as purse:
            runs = (controller.solve(f"{place} and {place}?", Budget(**limit)) for place in range(3))
            await asyncio.gather(*runs, return_exceptions=True)
        return purse.receipt.generated_tokens

    billed = run(several())
    assert billed == (counters(engine).generated_tokens or 0) <= tokens
    assert engine.open_streams == 0


@given(mixtures(), st.integers(1, 8), limits, policies, engines, st.floats(0, 10))
def test_a_run_that_is_cancelled_at_any_moment_leaves_the_engine_idle(
    texts: list[Script],
    n: int,
    limit: dict[str, Any],
    policy: StoppingPolicy | None,
    knobs: dict[str, Any],
    moment: float,
) -> None:
    engine = ScriptedEngine(texts, **knobs)

    async def cancelled() -> None:
        controller = Controller(engine, Asks(n), policy=policy, prices=PRICES)
        task = asyncio.ensure_future(controller.solve("2+2?", Budget(**limit)))
        await asyncio.wait({task}, timeout=moment)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        assert engine.open_streams == 0

    run(cancelled())
    assert (counters(engine).generated_tokens or 0) <= limit["tokens"]


@given(mixtures(), st.integers(1, 8), limits, policies, engines)
def test_the_same_scripts_and_seed_give_the_same_run(
    texts: list[Script], n: int, limit: dict[str, Any], policy: StoppingPolicy | None, knobs: dict[str, Any]
) -> None:
    first, second = (tried(ScriptedEngine(texts, **knobs), n, Budget(**limit), policy, 1) for _ in range(2))
    assert first == second
