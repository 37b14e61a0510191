"""``think=False``: answers without reasoning, from drafts to revisions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thinkctl import Problem
from thinkctl.answers import form
from thinkctl.protocols import Strategy
from thinkctl.strategies import UCT, AdaptiveBranching, BestOfN, SelfCorrection
from thinkctl.testing import history_of
from thinkctl.types import History, Verdict

PROBLEM = Problem.of("What is 2+2?")
DIRECT, REASONED = form("boxed").direct, form("boxed").instruction


def failed() -> History:
    """Return a history with one draft that failed its check."""
    history = history_of("5", problem=PROBLEM)
    verdict = Verdict(0.0, passed=False, feedback="2+2 is not 5")
    return history.received(replace(history.samples[0], verdict=verdict))


@pytest.mark.parametrize("think", [True, False])
@pytest.mark.parametrize("make", [BestOfN, SelfCorrection, UCT, AdaptiveBranching])
def test_drafts_and_revisions_ask_for_reasoning_or_for_none(make: type, think: bool) -> None:
    strategy: Strategy = make(think=think)
    sentence, other = (REASONED, DIRECT) if think else (DIRECT, REASONED)
    for history in (History(PROBLEM), failed()):
        request = strategy.propose(history)[0]
        assert request.think is think
        assert request.messages[-1].content.endswith(sentence)
        assert not any(other in turn.content for turn in request.messages)


def test_a_revision_without_reasoning_still_shows_what_the_check_said() -> None:
    (request,) = SelfCorrection(think=False).propose(failed())
    assert "2+2 is not 5" in request.messages[-1].content
    assert [turn.role for turn in request.messages] == ["user", "assistant", "user"]
