"""What its package would test: the rules of strategies, and what is its own."""

from __future__ import annotations

import pytest
from tie_break import TieBreak

from thinkctl import Controller, registry
from thinkctl.testing import ScriptedEngine, check_strategy, run


@pytest.mark.parametrize("strategy", [TieBreak(), TieBreak(1, 1), TieBreak(3, 40)])
def test_it_keeps_the_rules_of_strategies(strategy: TieBreak) -> None:
    check_strategy(strategy)


def test_it_is_known_by_its_name() -> None:
    assert registry.strategy("tie-break(2, most=5)") == TieBreak(2, 5)


@pytest.mark.parametrize(
    ("said", "samples", "answer"), [("44", 2, "4"), ("45454", 3, "4"), ("456", 4, "4"), ("45678", 5, "4")]
)
def test_it_asks_again_while_the_vote_is_a_draw(said: str, samples: int, answer: str) -> None:
    engine = ScriptedEngine([rf"\boxed{{{key}}}" for key in said])
    found = run(Controller(engine, TieBreak(2, most=5)).solve("2+2?"))
    assert (len(found.samples), found.answer and found.answer.key) == (samples, answer)
