"""Votes on answers whose equality only algebra finds."""

from __future__ import annotations

import asyncio
import importlib.util

import pytest

from thinkctl import Budget, Controller, SelfConsistency
from thinkctl.testing import ScriptedEngine
from thinkctl.types import Problem, Run

pytestmark = [
    pytest.mark.worker,
    pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs thinkctl[math]"),
]
SAID = [r"\boxed{(x+1)^2}", r"\boxed{x^2-1}", r"\boxed{x^2+2x+1}", r"\boxed{1+x(x+2)}", r"\boxed{x^2-1}"]


def solve(budget: Budget | None = None) -> Run:
    controller = Controller(ScriptedEngine(SAID), SelfConsistency(5))
    problem = Problem.of("Expand.", form="math")
    return asyncio.run(asyncio.wait_for(controller.solve(problem, budget), 60))


def test_equal_expressions_vote_together_however_they_are_written() -> None:
    run = solve()
    assert run.answer is not None
    assert run.answer.text == "(x+1)^2"
    assert run.confidence == pytest.approx(3 / 5)


def test_a_deadline_does_not_wait_for_algebra() -> None:
    run = solve(Budget(seconds=0.3))
    assert run.receipt.seconds < 1.5
