"""Votes on tool calls."""

from __future__ import annotations

import json

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import ToolMajority
from thinkctl.testing import check_selector, history_of
from thinkctl.types import Problem

ASKED = Problem.model_validate({"messages": "What is the weather?", "form": "tool-calls"})


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


F1, F2, F3, G = call("f", a=1), call("f", a=2), call("f", a=3), call("g")
F2_AGAIN = '[{"function": {"name": "f", "arguments": "{\\"a\\": 2.0}"}}]'


@pytest.mark.parametrize("by", ["name", "call", "hierarchical"])
def test_it_conforms(by) -> None:
    check_selector(ToolMajority(by))


@pytest.mark.parametrize(
    ("answers", "winners"),
    [
        ([F1, F2, G, G, F3], {"name": 0, "call": 2, "hierarchical": 0}),
        ([F1, F2, G, G, F2_AGAIN], {"name": 0, "call": 1, "hierarchical": 1}),
        ([G, F1, F2, F2_AGAIN], {"name": 1, "call": 2, "hierarchical": 2}),
        ([G, F1], {"name": 0, "call": 0, "hierarchical": 0}),
        ([None, "No tool.", G], {"name": 2, "call": 2, "hierarchical": 2}),
        ([F1 + G, G + F1, F1], {"name": 0, "call": 0, "hierarchical": 0}),
        ([F1, F1 + F1, F2 + F1], {"name": 1, "call": 0, "hierarchical": 1}),
    ],
)
def test_what_is_voted_on_decides_who_wins(answers, winners) -> None:
    history = history_of(*answers, problem=ASKED)
    found = {by: ToolMajority(by).select(history) for by in winners}
    assert {by: answer and answer.sample for by, answer in found.items()} == winners


def test_where_nobody_calls_a_tool_the_majority_wins() -> None:
    answer = ToolMajority().select(history_of("none", "no", "no", problem=ASKED))
    assert answer is not None
    assert answer.text == "no"
    assert ToolMajority().select(history_of(None, problem=ASKED)) is None


def test_there_is_no_other_way_to_vote() -> None:
    with pytest.raises(ConfigurationError, match="cannot vote by 'arguments'"):
        ToolMajority("arguments")  # type: ignore[arg-type]
