"""JSON values and code blocks: whole ones only."""

from __future__ import annotations

import pytest

from thinkctl.answers import form

FOUND = {
    '{"a": 1}': '{"a": 1}',
    'first {"a": 1}, then {"a": [1, {"b": 2}]}.': '{"a": [1, {"b": 2}]}',
    'so:\n```json\n{"a": 1}\n```\nas in [1]': '{"a": 1}',
    "So: [1, 2]": "[1, 2]",
    r"\boxed{[1,2]}": "[1,2]",
    '{"a": "}]\\""}': '{"a": "}]\\""}',
    r'by \frac{1}{2} and {x} it is {"a": 1}': '{"a": 1}',
    "{'a': [1]}": None,
    "{a: 1}": None,
    '{"a": 1': None,
}


@pytest.mark.parametrize("text", FOUND)
def test_the_last_whole_json_value_is_the_answer(text: str):
    assert form("json").extract(text) == FOUND[text]


@pytest.mark.parametrize("end", range(1, len('{"steps": [1, 2], "ok": true, "answer": "x"}')))
def test_no_part_of_a_cut_json_value_is_an_answer(end: int):
    text = 'for example {"answer": 0}: {"steps": [1, 2], "ok": true, "answer": "x"}'
    start = text.rindex('{"steps')
    assert form("json").extract(text[: start + end], complete=False) is None


def test_json_is_compared_by_value():
    key = form("json").key
    assert key('{"b": 1.0, "a": [1e2, "x"]}') == key('{"a":[100,"x"],"b":1}') == '{"a":[100,"x"],"b":1}'
    assert key("[1]") != key("[true]")
    assert key('["1"]') != key("[1]")
    assert key("[1.0000000000000000000001]") != key("[1]")
    assert key('["a  b"]') != key('["a b"]')
    assert key('["é"]') == key(r'["\u00e9"]')
    assert key("[NaN, -Infinity]") == "[NaN,-Infinity]"
    assert key("[1e999999999]") == "[1e999999999]"
    assert key("no  JSON") == "no JSON"


def test_the_last_closed_block_is_the_code():
    code = form("code").extract
    assert code("```python\nx = 1\n```\nor\n```\nx = 2\n```\n") == "x = 2"
    assert code("~~~\nfoo\n```\nbar\n~~~") == "foo\n```\nbar"
    assert code("````md\n```\nx\n```\n````") == "```\nx\n```"
    assert code("1. so\n   ```py\n   if x:\n     y\n   ```") == "if x:\n  y"
    assert code("inline ```x``` only") is None
    assert code("```\n\n```") is None


def test_an_open_block_counts_only_if_the_text_is_complete():
    text = "```python\ndef f():\n    return 1"
    assert form("code").extract(text) == "def f():\n    return 1"
    assert form("code").extract(text, complete=False) is None
    assert form("code").extract("```\na\n```\n" + text, complete=False) == "a"


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("```output\n4\n```", "print(2 + 2)"),
        ("It prints:\n```text\n4\n```", "print(2 + 2)"),
        ("```\nprint(4)\n```", "print(4)"),
        ("```python\nprint(4)\n```\n```console\n4\n```", "print(4)"),
    ],
)
def test_what_a_model_believes_its_code_prints_is_not_its_code(shown: str, code: str) -> None:
    assert form("code").extract(f"```python\nprint(2 + 2)\n```\n{shown}") == code


def test_a_block_of_text_counts_where_there_is_no_other() -> None:
    assert form("code").extract("```text\nSELECT 1\n```") == "SELECT 1"
