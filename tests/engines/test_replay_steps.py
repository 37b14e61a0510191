"""Searches replay: a recorded run with steps or revisions is the same run again, through a file and without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import MARKS, QUESTION, Judges
from thinkctl import Controller, ModelCard, Run
from thinkctl.engines.replay import ReplayEngine
from thinkctl.protocols import Engine, Engines, Strategy
from thinkctl.runfile import read, write
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.strategies import (
    DVTS,
    REBASE,
    UCT,
    AdaptiveBranching,
    BeamSearch,
    BestOfN,
    Cascade,
    Portfolio,
    SelfConsistency,
    Using,
)
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Finish, Sample, Verdict


async def by_text(sample: Sample, engines: Engines) -> Verdict:
    """Score by the text alone, so that the same text has the same score again."""
    return Verdict(sum(map(ord, sample.text)) % 97 / 97, feedback=f"{len(sample.text)} letters")


def solve(engine: Engine | dict[str, Engine], strategy: Strategy) -> Run:
    controller = Controller(engine, strategy, verifier=Judges(by_text))
    return run(controller.solve(QUESTION, seed=7))


def what_happened(found: Run) -> list[tuple[Any, ...]]:
    """Of each sample what does not depend on the ids and on the clock of an engine."""
    return [
        (
            sample.request,
            sample.model,
            sample.text,
            len(sample.token_ids),
            [(segment.origin, len(segment.token_ids)) for segment in sample.segments],
            sample.finish,
            sample.concluded,
            sample.answer,
            sample.verdict,
            sample.usage,
        )
        for sample in found.samples
    ]


def again(found: Run, strategy: Strategy) -> Run:
    return solve(ReplayEngine([found], card=ModelCard(name="scripted")), strategy)


def chains(number: int, prompt: str) -> Script:
    """Chains of several steps that differ, with blank lines between them."""
    steps = [f"{'so ' * ((number * step) % 4)}step {number}.{step}\n\n" for step in range(1, 2 + number % 4)]
    return Script(f"{''.join(steps)}It is \\boxed{{{number % 3}}}", conclusion=f"{number % 3}}}")


SEARCHES: Sequence[Strategy] = [
    BeamSearch(8, 2),
    DVTS(8, 4, aggregate="min"),
    REBASE(6),
    BeamSearch(8, 4, step_tokens=3, rounds=4),
    UCT(9, 3),
    AdaptiveBranching(9),
    Portfolio((BeamSearch(4, 2), UCT(4), BestOfN(3))),
]


@pytest.mark.parametrize("strategy", SEARCHES, ids=repr)
def test_a_recorded_search_is_the_same_search_again(strategy: Strategy, tmp_path: Path) -> None:
    found = solve(ScriptedEngine(chains), strategy)
    path = tmp_path / "runs.jsonl"
    write(path, [found], card=ModelCard(name="scripted"))
    (recorded,) = read(path)
    assert what_happened(recorded) == what_happened(found)
    repeated = again(recorded, strategy)
    assert what_happened(repeated) == what_happened(found)
    assert (repeated.answer, repeated.stop) == (found.answer, found.stop)


@given(
    chunk=st.integers(1, 5),
    step_tokens=st.integers(1, 9),
    until=st.sampled_from(["\n\n", ".", "step", ""]),
    marked=st.booleans(),
    at_once=st.integers(1, 40),
    search=st.sampled_from([BeamSearch(4, 2), DVTS(4, 2), REBASE(4)]),
)
def test_steps_end_where_they_had_ended_whatever_ended_them(
    chunk, step_tokens, until, marked, at_once, search
) -> None:
    def says(number: int, prompt: str) -> Script:
        told = chains(number, prompt)
        text = f"<think>\n\n{told.text}</think>\n\n{told.text}" if marked else told.text
        return replace(told, text=text, chunk=chunk)

    strategy = replace(search, until=until, step_tokens=step_tokens, rounds=5)
    card = ModelCard(name="scripted", thinking=MARKS.thinking if marked else None)
    found = solve(ScriptedEngine(says, card=card), strategy)
    repeated = solve(ReplayEngine([found], card=card, tokens_per_delta=at_once), strategy)
    assert what_happened(repeated) == what_happened(found)


def test_a_step_that_was_recorded_is_not_gone_beyond() -> None:
    """Without steps the same chain would go on, and what it would say then nobody knows."""
    found = solve(ScriptedEngine(["one.\n\ntwo \\boxed{4}"]), BeamSearch(1, 1, rounds=2))
    assert [sample.finish for sample in found.samples] == [Finish.STEP, Finish.STOP]
    (sample,) = again(found, BestOfN(1)).samples
    assert sample.finish is Finish.ERROR
    assert "not recorded" in sample.error


def test_a_cascade_of_two_models_replays_with_an_engine_for_each() -> None:
    strategy = Cascade(SelfConsistency(4), Using(SelfConsistency(2), "large"), AdaptiveConsistency(0.9))
    names = {"small": [r"\boxed{4}", r"\boxed{5}"], "large": [r"\boxed{6}"]}
    live: dict[str, Engine] = {
        name: ScriptedEngine(texts, card=ModelCard(name=name)) for name, texts in names.items()
    }
    found = solve(live, strategy)
    assert [sample.model for sample in found.samples] == ["small"] * 4 + ["large"] * 2
    recorded: dict[str, Engine] = {name: ReplayEngine([found], model=name) for name in names}
    assert what_happened(solve(recorded, strategy)) == what_happened(found)
