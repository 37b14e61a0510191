"""Answering without a thought where the budget is too small for one."""

from __future__ import annotations

import pytest

from thinkctl import Budget
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import NoThinking
from thinkctl.testing import check_policy, history_of
from thinkctl.types import Decision


@pytest.mark.parametrize(
    ("budget", "thinks"),
    [
        (Budget(), True),
        (Budget(tokens=699), False),
        (Budget(tokens=700), True),
        (Budget(thinking_tokens=10), False),
        (Budget(tokens=9_000, thinking_tokens=10), False),
        (Budget(tokens=10, thinking_tokens=9_000), False),
        (Budget(seconds=0.1, requests=1), True),
    ],
)
def test_it_thinks_unless_the_tokens_are_too_few(budget, thinks) -> None:
    decision = NoThinking().decide(history_of(budget=budget))
    assert decision.think is thinks
    assert decision == Decision(think=thinks, why=decision.why)


def test_it_says_the_same_all_along() -> None:
    budget = Budget(tokens=100)
    said = {NoThinking().decide(history_of(*votes, budget=budget)) for votes in ((), ("4",), ("4", ...))}
    assert [decision.think for decision in said] == [False]


def test_it_conforms() -> None:
    check_policy(NoThinking())
    check_policy(NoThinking(below=41))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="below=0"):
        NoThinking(below=0)
