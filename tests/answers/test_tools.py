"""Tool calls: found as models and protocols write them, compared by what they call."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.answers import form
from thinkctl.answers.tools import ToolCall, calls_in

TOOLS = form("tool-calls")


def hermes(name: str, arguments: object) -> str:
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


SAME = [
    hermes("add", {"a": 1, "b": [2.0]}),
    hermes("add", {"b": [2], "a": 1.0}),
    '[{"name": "add", "arguments": {"a": 1, "b": [2]}}]',
    '{"name": "add", "parameters": {"a": 1, "b": [2e0]}}',
    '[{"id": "x", "type": "function", "function": {"name": "add", "arguments": "{\\"b\\":[2],\\"a\\":1}"}}]',
    '{"tool_calls": [{"function": {"name": "add", "arguments": {"a": 1, "b": [2]}}}]}',
]


def test_one_call_has_one_key_however_it_is_written() -> None:
    assert {TOOLS.key(text) for text in SAME} == {'[{"arguments":{"a":1,"b":[2]},"name":"add"}]'}
    assert all(TOOLS.extract(f"I need a tool.\n{text}", complete=True) == text for text in SAME)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (hermes("f", {}) + "\n" + hermes("g", {}), hermes("g", {}) + hermes("f", {}), True),
        (hermes("f", {}) + hermes("f", {}), hermes("f", {}), False),
        (hermes("f", {"a": "1"}), hermes("f", {"a": 1}), False),
        (hermes("f", {"a": True}), hermes("f", {"a": 1}), False),
        (hermes("f", {"a": [1, 2]}), hermes("f", {"a": [2, 1]}), False),
        (hermes("f", {}), hermes("F", {}), False),
        ('{"name": "f"}', hermes("f", {}), True),
    ],
)
def test_the_order_of_calls_does_not_matter_and_what_they_say_does(one: str, other: str, alike: bool) -> None:
    assert (TOOLS.key(one) == TOOLS.key(other)) is alike


@pytest.mark.parametrize(
    ("text", "complete", "found"),
    [
        (hermes("f", {}) + " Result: 3. " + hermes("g", {}), True, hermes("g", {})),
        (hermes("f", {}) + "\n" + hermes("g", {}), False, hermes("f", {}) + "\n" + hermes("g", {})),
        ('<tool_call>{"name": "f"}', True, '<tool_call>{"name": "f"}</tool_call>'),
        ('<tool_call>{"name": "f"}', False, None),
        (hermes("f", {}) + '<tool_call>{"na', True, None),
        ("<tool_call>f(3)</tool_call>", True, None),
        ('The value is {"a": 3}.', True, None),
        ("No tool is needed.", True, None),
        ('[{"name": "f"}, {"value": 3}]', True, None),
        ('{"name": 3, "arguments": {}}', True, None),
        ('{"name": "f", "arguments": [1]}', True, None),
        ('{"name": "f", "arguments": 3}', True, None),
    ],
)
def test_all_of_it_is_calls_or_it_abstains(text: str, complete: bool, found: str | None) -> None:
    assert TOOLS.extract(text, complete=complete) == found


def test_forced_calls_are_complete_where_something_else_follows_them() -> None:
    said = '{"name": "f"}\n</tool_call>'
    assert not TOOLS.closed(said)
    assert not TOOLS.closed(said + "\n<tool_")
    assert TOOLS.closed(said + "\nThen")
    assert TOOLS.extract(TOOLS.cue + said, complete=False) is not None


def test_numbers_are_never_built() -> None:
    (call,) = calls_in('{"name": "f", "arguments": {"a": 1e999999999, "b": NaN}}')
    assert call == ToolCall("f", call.arguments)
    assert len(call.arguments) < 100


@given(st.text(max_size=60) | st.text('<tool_ca>/{}[]":,nmearguts 1', max_size=80))
def test_nothing_that_a_model_says_breaks_it(text: str) -> None:
    for said in (text, f"<tool_call>{text}</tool_call>", f"<tool_call>{text}"):
        found = TOOLS.extract(said, complete=True)
        assert found is None or calls_in(found)
        assert TOOLS.key(TOOLS.key(said)) == TOOLS.key(said)
        TOOLS.closed(said)


@pytest.mark.parametrize("bomb", ["[" * 50_000, '{"arguments":' * 20_000, "<tool_call>" * 9_000])
def test_nesting_is_bounded(bomb: str) -> None:
    assert TOOLS.extract(bomb, complete=True) is None
    assert TOOLS.key(f"<tool_call>{bomb}</tool_call>")


def test_so_many_calls_are_no_answer() -> None:
    assert TOOLS.extract(json.dumps([{"name": "f"}] * 65), complete=True) is None
