"""Where there are no public tests the model writes some, once a run, and what samples agree on counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifiers.boxes import ROOMY, needs_bubblewrap, problem, wrote
from thinkctl import Budget, Controller, Run
from thinkctl.agreement import Agreement
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.strategies import BestOfN
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Role
from thinkctl.verifiers import GeneratedTests
from thinkctl.verifiers.generated_tests import asserts_in

TESTS = """Sure:
```python
assert f(2) == 4
assert f(3) == 6  # twice
assert f(0) == 1
assert g(1) == 1
```"""
ASKED = problem(entry_point="f")


def solved(
    programs: list[str], said: str = TESTS, budget: Budget | None = None, **more: Any
) -> tuple[Run, ScriptedEngine]:
    """Solve by programs that are written one after the other; what asks for tests gets ``said``."""
    left = iter(programs)

    def script(number: int, prompt: str) -> Script:
        return Script(said) if "different tests" in prompt else Script(f"```python\n{next(left)}\n```\n")

    engine = ScriptedEngine(script)
    verifier = GeneratedTests(sandbox=ROOMY, **more)
    controller = Controller(engine, BestOfN(len(programs)), selector=Agreement(), verifier=verifier)
    return asyncio.run(controller.solve(ASKED, budget or Budget(tokens=9_000))), engine


def asked_for_tests(engine: ScriptedEngine) -> int:
    """Return how often the model was asked for tests."""
    return sum("different tests" in engine.tokenizer.decode(each.prompt_ids) for each in engine.log)


PROGRAMS = [
    "def f(x): return 4",
    "def f(x): return 2 * x",
    "def f(x): return x + x",
    "def f(x): return 1 / 0",
]


@needs_bubblewrap
def test_the_answer_is_what_most_agree_on_by_passing_the_most_tests() -> None:
    found, _ = solved(PROGRAMS)
    assert found.answer is not None
    assert found.answer.text == "def f(x): return 2 * x"
    verdicts = [sample.verdict for sample in found.samples if sample.verdict is not None]
    assert [verdict.score for verdict in verdicts] == [pytest.approx(share / 3) for share in (1, 2, 2, 0)]
    assert [verdict.passed for verdict in verdicts] == [None] * 4
    assert verdicts[1].marks == ("assert f(2) == 4", "assert f(3) == 6")


@needs_bubblewrap
def test_tests_are_written_once_a_run_and_are_on_the_bill() -> None:
    found, engine = solved(PROGRAMS)
    assert asked_for_tests(engine) == 1
    by_role = {line.role: line.usage for line in found.receipt.lines}
    assert by_role[Role.VERIFIER].requests == 1
    assert found.receipt.verifier_tokens > 0
    again, engine = solved(PROGRAMS)
    assert asked_for_tests(engine) == 1, "each run pays for its own"
    assert again.receipt.verifier_tokens == found.receipt.verifier_tokens


@needs_bubblewrap
def test_no_more_tests_are_run_than_were_asked_for() -> None:
    found, _ = solved(PROGRAMS, tests=1)
    assert [sample.verdict.score for sample in found.samples if sample.verdict] == [1, 1, 1, 0]


def test_where_no_test_can_be_read_the_verdict_says_nothing() -> None:
    found, _ = solved(PROGRAMS[:2], "I cannot write tests.")
    assert [sample.verdict and sample.verdict.score for sample in found.samples] == [None, None]
    assert found.answer is not None


def test_where_the_budget_has_no_room_there_is_an_answer_all_the_same() -> None:
    found, _ = solved(PROGRAMS[:2], budget=Budget(tokens=300))
    assert found.answer is not None
    assert all("its verifier failed: the budget has no room" in sample.error for sample in found.samples)


def test_a_sample_without_code_scores_nothing() -> None:
    history, sample = wrote(None, ASKED)
    assert asyncio.run(GeneratedTests().judge(history, sample, {})).score == 0.0


def test_what_cannot_be_is_refused() -> None:
    assert isinstance(GeneratedTests(), Verifier)
    with pytest.raises(ConfigurationError, match="tests=0"):
        GeneratedTests(tests=0)
    with pytest.raises(ConfigurationError, match="max_tokens=0"):
        GeneratedTests(max_tokens=0)
    history, sample = wrote("x", ASKED)
    with pytest.raises(ConfigurationError, match="model='big'"):
        asyncio.run(GeneratedTests(model="big").judge(history, sample, {}))


@pytest.mark.parametrize(
    ("said", "tests"),
    [
        ("```python\nassert f(1) == 2\nassert f(1)==2\n```", ["assert f(1) == 2"]),
        ("assert f(1) == 2\nThat was it.", ["assert f(1) == 2"]),
        ("1. `assert f(1) == 2`\n- assert f(2) == 4, 'two'", ["assert f(1) == 2", "assert f(2) == 4"]),
        ("```\nassert f(1) == 2\nassert f(\n```", ["assert f(1) == 2"]),
        ("```\nassert f(1) == 2\nassert f(3", ["assert f(1) == 2"]),
        ("```\ndef test():\n    assert f(1) == 2\n```", ["assert f(1) == 2"]),
        ("assert True\nassert g(1)\nf(1) == 2", []),
        ("assert f(" + "[" * 9_999, []),
        ("assert f('" + "x" * 999 + "')", []),
        ("", []),
    ],
)
def test_asserts_are_found_in_what_a_model_says(said: str, tests: list[str]) -> None:
    assert list(asserts_in(said, "f")) == tests


@given(st.text(alphabet="asert f(1)=`\n'\"[#:", max_size=200))
def test_any_text_has_asserts_or_none(said: str) -> None:
    for test in asserts_in(said, "f"):
        compile(test, "test", "exec")
