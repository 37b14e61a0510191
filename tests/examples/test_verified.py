"""The examples with a verifier, on recordings of what a model could have written."""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from thinkctl import Controller, Problem
from thinkctl.protocols import Strategy, Verifier
from thinkctl.runfile import write
from thinkctl.strategies import BestOfN
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.verifiers import SqlExecution, UnitTests
from thinkctl.verifiers.sandbox.jail import bubblewrap_trouble

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

BELOW = """```sql
WITH RECURSIVE below(id) AS (
    SELECT id FROM comments WHERE reply_to = 1
    UNION SELECT comments.id FROM comments JOIN below ON comments.reply_to = below.id
)
SELECT COUNT(*) FROM below
```"""
WITH_ITSELF = BELOW.replace("WHERE reply_to = 1", "WHERE id = 1")
NO_SUCH_COLUMN = BELOW.replace("= below.id", "= below.comment")

RUNS = """```python
from itertools import groupby

def runs(text):
    return [(sign, len(list(same))) for sign, same in groupby(text)]
```"""
WITHOUT_END = """```python
def runs(text):
    found, length = [], 1
    for before, sign in zip(text, text[1:]):
        if before == sign:
            length += 1
        else:
            found.append((before, length))
            length = 1
    return found
```"""


def recording(
    path: Path, problem: Problem, strategy: Strategy, texts: Sequence[str], verifier: Verifier | None = None
) -> str:
    """Record what a model says in turn, and return the spec that replays it."""
    engine = ScriptedEngine([Script(text) for text in texts])
    controller = Controller(engine, strategy, verifier=verifier)
    write(path, [asyncio.run(controller.solve(problem))], card=engine.card)
    return f"replay:{path}"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    def run_example(name: str, *arguments: str) -> list[str]:
        path = str(EXAMPLES / f"{name}.py")
        monkeypatch.setattr(sys, "argv", [path, *arguments])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run_example


def test_a_small_model_corrects_its_query_and_the_large_one_that_answers_at_once_is_wrong(
    call: Callable[..., list[str]], tmp_path: Path
) -> None:
    defined = runpy.run_path(str(EXAMPLES / "sql_self_correction.py"), run_name="example")
    check = SqlExecution(defined["make_database"](str(tmp_path)))
    texts = [NO_SUCH_COLUMN, BELOW]
    problem = defined["PROBLEM"]
    small = recording(tmp_path / "small.jsonl", problem, defined["CORRECTING"], texts, check)
    large = recording(tmp_path / "large.jsonl", problem, defined["AT_ONCE"], [WITH_ITSELF])
    said = call("sql_self_correction", small, large)
    assert [line.split(", ")[:2] for line in said if line.startswith(("small", "large"))] == [
        ["small", "at once: wrong"],
        ["small", "correcting itself: right"],
        ["large", "at once: wrong"],
    ]
    assert any(
        line.startswith("  version 1: Error: no such column: below.comment. There is:") for line in said
    )
    assert "  version 2: The query returned: COUNT(*) 3" in said


@pytest.mark.skipif(bubblewrap_trouble() is not None, reason="there is no bubblewrap to run code in")
def test_code_is_written_until_its_public_tests_pass_and_the_hidden_ones_tell_what_it_is_worth(
    call: Callable[..., list[str]], tmp_path: Path
) -> None:
    defined = runpy.run_path(str(EXAMPLES / "code_with_public_tests.py"), run_name="example")
    asks, check = BestOfN(8, think=False), UnitTests()
    texts = [WITHOUT_END, "I do not know.", RUNS]
    said = call(
        "code_with_public_tests", recording(tmp_path / "code.jsonl", defined["PROBLEM"], asks, texts, check)
    )
    assert said[0].startswith("sample 0: 0.50 assert runs('aab') == [('a', 2), ('b', 1)] failed")
    assert said[1] == "sample 1: 0.00 There is no code in the answer."
    assert "sample 2: 1.00 all public tests passed" in said
    assert "hidden tests passed: 2 of 2" in said
    assert said[-1].startswith("policy: ")
