"""A sample's program is run, and what it gives is the sample's answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.verifiers.boxes import BRIEF, ROOMY, needs_bubblewrap, problem, wrote
from thinkctl import Budget, Controller
from thinkctl.protocols import Verifier
from thinkctl.strategies import ProgramOfThought
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Answer, Verdict
from thinkctl.verifiers import ProgramResult, Sandbox

NUMBER = problem("number")


def judged(code: str | None, asked=NUMBER, box: Sandbox = ROOMY) -> Verdict:
    history, sample = wrote(code, asked)
    return asyncio.run(ProgramResult(box).judge(history, sample, {}))


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "text", "key"),
    [
        ("answer = 6 * 7", "42", "42"),
        ("print(1)\nprint('The answer is 1,234.')", "1,234", "1234"),
        ("def solution():\n    return 3 / 4", "0.75", "3/4"),
        ("from fractions import Fraction\nanswer = Fraction(3, 4)", "3/4", "3/4"),
        ("def solution():\n    return 1\nanswer = 2\nprint(3)", "2", "2"),
        ("def solution():\n    return 1\nprint(solution())", "1", "1"),
        ("import sys\nprint(5)\nsys.exit()", "5", "5"),
        ("import os\nprint(5, flush=True)\nos._exit(0)", "5", "5"),
        ("if __name__ == '__main__':\n    print(5)", "5", "5"),
        ("answer = 10 ** 30", "1000000000000000000000000000000", "1000000000000000000000000000000"),
    ],
)
def test_what_a_program_gives_is_the_answer(code: str, text: str, key: str) -> None:
    assert judged(code) == Verdict(
        1.0, passed=True, feedback=f"The program gave: {text}", answer=Answer(text, key, 0)
    )


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "says"),
    [
        (
            "x = 1\nanswer = x / 0",
            "The program failed: ZeroDivisionError: division by zero\n  line 2: answer = x / 0",
        ),
        (
            "def g():\n    return y\nanswer = g()",
            "The program failed: NameError: name 'y' is not defined\n  line 3: answer = g()\n  line 2, in g: return y",
        ),
        ("answer =", "The program failed: SyntaxError: invalid syntax\n  line 1: answer ="),
        ("while True: pass", "The program took longer than 1 s."),
        ("x = 1", "The program gave no answer: print it, or assign it to `answer`."),
        ("answer = float('nan')", "The program gave no answer"),
        ("answer = None", "The program gave no answer"),
        ("answer = 'x' * 9_999", "The program gave no answer"),
        ("answer = input()", "The program failed: EOFError: EOF when reading a line"),
        ("answer = bytearray(10**10)", "The program needs more than 512 MiB."),
        ("while True: print(1)", "The program prints more than"),
        ("import os\nos.abort()", "The program crashed."),
        ("import sys\nsys.exit(3)", "The program gave no answer"),
        (None, "There is no Python code block in the answer."),
        ("#" * 200_000, "The program is longer than 100000 characters."),
        ("\x00", "The program failed: SyntaxError"),
        ("class E(Exception):\n  __str__ = lambda s: 1 / 0\nraise E", "The program failed"),
    ],
)
def test_a_program_that_gives_nothing_abstains_with_the_reason(code: str | None, says: str) -> None:
    found = judged(code, box=BRIEF if code == "while True: pass" else ROOMY)
    assert (found.score, found.passed, found.answer, found.void) == (0.0, False, None, True)
    assert found.feedback.startswith(says)


@needs_bubblewrap
@pytest.mark.parametrize(
    ("asked", "code", "key"),
    [
        (problem("code"), "answer = '1/2'", "1/2"),
        (problem("code", answer_form="text"), "answer = ' The  Cat'", "the cat"),
        (problem("choice"), "answer = 'b'", "B"),
        (problem("boxed"), "answer = 0.5", "1/2"),
    ],
)
def test_votes_are_counted_by_the_rules_of_the_form(asked, code: str, key: str) -> None:
    answer = judged(code, asked).answer
    assert answer is not None
    assert answer.key == key


def test_it_is_a_verifier_and_an_unknown_form_is_refused() -> None:
    assert isinstance(ProgramResult(), Verifier)
    with pytest.raises(ValueError, match="unknown answer form 'nonesuch'"):
        judged("answer = 1", problem("code", answer_form="nonesuch"))


@needs_bubblewrap
def test_what_programs_give_votes_and_what_fails_abstains() -> None:
    programs = ["print(40 + 2)", "answer = 1 / 0 + 7", "answer = 42.0", "print(7)"]
    engine = ScriptedEngine([Script(f"So:\n```python\n{program}\n```\n") for program in programs])
    controller = Controller(engine, ProgramOfThought(4), verifier=ProgramResult(ROOMY))
    found = asyncio.run(controller.solve(problem("number"), Budget(tokens=4_000)))
    assert found.answer is not None
    assert (found.answer.text, found.answer.key, found.answer.sample) == ("42", "42", 0)
    assert [sample.answer and sample.answer.key for sample in found.samples] == ["42", None, "42", "7"]
    assert found.receipt.verifier_calls == 4
