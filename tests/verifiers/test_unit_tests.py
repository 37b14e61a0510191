"""Code is checked by its public tests; what failed is said so that it can be mended."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.verifiers.boxes import BRIEF, ROOMY, TROUBLE, needs_bubblewrap, problem, wrote
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.strategies import BestOfN, SelfCorrection
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Verdict
from thinkctl.verifiers import Sandbox, UnitTests, docstring_tests, run_tests
from thinkctl.verifiers.inside.values import Opaque, decode, encode

DOUBLE = "def f(x):\n    return 2 * x"
TESTS = ["assert f(2) == 4", "assert f('a') == 'aa'"]


def judged(code: str | None, tests: Sequence[str] = TESTS, box: Sandbox = ROOMY, **more: Any) -> Verdict:
    history, sample = wrote(code, problem(tests=list(tests), **more))
    return asyncio.run(UnitTests(box).judge(history, sample, {}))


@needs_bubblewrap
def test_right_code_passes_and_its_marks_are_the_tests() -> None:
    assert judged(DOUBLE) == Verdict(1.0, passed=True, marks=tuple(TESTS))


@needs_bubblewrap
def test_the_score_is_the_share_of_tests_passed() -> None:
    found = judged("def f(x): return 4")
    assert (found.score, found.passed, found.marks) == (0.5, False, (TESTS[0],))


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "test", "says"),
    [
        ("def f(x): return x + 1", "assert f(2) == 4", "assert f(2) == 4 failed: f(2) returned 3"),
        ("def f(x): return x + 1", "f(2) == 4", "assert f(2) == 4 failed: f(2) returned 3"),
        ("def f(x): return [x]", "assert f(2) == (2,)", "assert f(2) == (2,) failed: f(2) returned [2]"),
        (
            "def f(x): return 3",
            "assert f(x=2) == 4, 'twice'",
            "assert f(x=2) == 4, 'twice' failed (twice): f(x=2) returned 3",
        ),
        (
            "def f(x):\n    y = 0\n    return x / y",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised ZeroDivisionError: division by zero\n  line 3, in f: return x / y",
        ),
        (
            "import json\ndef f(x):\n    return json.loads('{')",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised JSONDecodeError: Expecting property name enclosed in double quotes: ",
        ),
        (
            "def f(x) return x",
            "assert f(2) == 4",
            "running the code raised SyntaxError: expected ':'\n  line 1: def f(x) return x",
        ),
        ("def f(x):\nreturn x", "assert f(2) == 4", "running the code raised IndentationError: "),
        (
            "import nonesuch\ndef f(x): return x",
            "assert f(2) == 4",
            "running the code raised ModuleNotFoundError: No module named 'nonesuch'\n  line 1: import nonesuch",
        ),
        ("def g(x): return x", "assert f(2) == 4", "There is no function `f`; found `g`."),
        ("x = 4", "assert f(2) == 4", "There is no function `f`; the code defines none."),
        ("", "assert f(2) == 4", "There is no function `f`; the code defines none."),
        ("def f(x):\n    while True: pass", "assert f(2) == 4", "f(2) took longer than 1 s"),
        ("while True: pass", "assert f(2) == 4", "it took longer than 1 s"),
        ("def f(x): exit()", "assert f(2) == 4", "assert f(2) == 4 failed: f(2) raised SystemExit"),
        ("import os\ndef f(x): os._exit(0)", "assert f(2) == 4", "the code ended its process in f(2)"),
        (
            "def f(x): return f(x)",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised RecursionError: maximum recursion depth exceeded",
        ),
        (
            "def f(x): return bytearray(10**10)",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised MemoryError\n  line 1, in f: ",
        ),
        (
            "def f(): return 4",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised TypeError: f() takes 0 positional arguments but 1 was given",
        ),
        (
            "def f(x): return input()",
            "assert f(2) == 4",
            "assert f(2) == 4 failed: f(2) raised EOFError: EOF when reading a line",
        ),
        (
            "def f(x): return None",
            "assert f(2) > 4",
            "assert f(2) > 4 failed: TypeError: '>' not supported between instances of 'NoneType' and 'int'",
        ),
        (DOUBLE, "assert f(2) ==", "assert f(2) == failed: SyntaxError: "),
        (
            DOUBLE,
            "def check(c):\n    assert c(1) == 2\n    assert c(2) == 5\ncheck(f)",
            "assert c(2) == 5 failed: f(1) returned 2; f(2) returned 4",
        ),
    ],
)
def test_the_feedback_says_what_failed(code: str, test: str, says: str) -> None:
    box = BRIEF if "while" in code else ROOMY
    found = judged(code, [test], box, entry_point="f")
    assert (found.score, found.passed) == (0.0, False)
    assert found.feedback.startswith(says)


@needs_bubblewrap
@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("def f(x): x.sort()", "a = [3, 1]\nf(a)\nassert a == [1, 3]"),
        ("def f(d): d['a'] = {1, 2}", "a = {}\nf(a)\nassert a == {'a': {1, 2}}"),
        (
            "def f(n):\n  while True: yield n",
            "import itertools\nassert list(itertools.islice(f(1), 3)) == [1, 1, 1]",
        ),
        (
            "def f(x): raise ValueError('no')",
            "try:\n  f(1)\n  ok = False\nexcept ValueError as e:\n  ok = str(e) == 'no'\nassert ok",
        ),
        (
            "class f:\n  def __init__(s, x): s.x = x\n  def twice(s): return 2 * s.x",
            "assert f(3).twice() == 6 and f(3).x == 3",
        ),
        (
            "class P:\n  def __init__(s, a): s.a = a\ndef f(ps): return sum(p.a for p in ps)",
            "assert f([P(1), P(2)]) == 3",
        ),
        (
            "import collections as c\nN = c.namedtuple('N', 'a b')\ndef f(x): return N(1, c.Counter('aab'))",
            "assert f(0) == (1, {'a': 2, 'b': 1})",
        ),
        ("def f(x): return lambda y: x + y", "assert f(1)(2) == 3"),
        ("import math\ndef f(x): return x", "assert math.isclose(f(1.0), 1)"),
        ("def f(x): return x is None", "assert f(None) is True"),
        (
            "import dataclasses\n@dataclasses.dataclass\nclass P:\n  x: 'int'\ndef f(x): return P(x)",
            "assert f(1) == f(1) and f(1) != f(2)",
        ),
        ("def f(x): return {k: v for k, v in x.items()}.keys()", "assert f({1: 2}) == {1}"),
        ("import re\ndef f(x): return re.search('b', x)", "assert f('abc') and not f('x')"),
        ("print('hello')\ndef f(x):\n  print(x)\n  return x", "assert f(1) == 1"),
        ("if __name__ == '__main__':\n  raise ValueError\ndef f(x): return x", "assert f(1) == 1"),
        ("def f(x: List[int]) -> int: return x", "assert f(1) == 1"),
    ],
)
def test_what_holds_in_one_process_holds_in_two(code: str, test: str) -> None:
    found = judged(code, [test], entry_point="f", setup="from typing import List")
    assert found.passed, found.feedback


@needs_bubblewrap
def test_setup_stands_before_the_code_and_the_tests() -> None:
    setup = "import math\ndef helper(x): return math.floor(x)\ndef f(x):\n    '''the stub'''\n"
    assert judged(
        "def f(x): return helper(x)", ["assert f(2.5) == helper(2.9)"], setup=setup, entry_point="f"
    ).passed
    stub = judged("y = 1", ["assert f(2.5) is None"], setup=setup, entry_point="f")
    assert stub.feedback.startswith("There is no function `f`")


def test_a_sample_without_an_answer_fails_with_the_reason() -> None:
    assert judged(None) == Verdict(0.0, passed=False, feedback="There is no code in the answer.")


def test_a_problem_without_tests_says_nothing() -> None:
    found = judged(DOUBLE, [])
    assert (found.score, found.passed) == (None, None)


@pytest.mark.parametrize("tests", ["assert f(2) == 4", [1], {"a": "b"}, 7])
def test_tests_that_are_no_texts_are_refused(tests: object) -> None:
    history, sample = wrote(DOUBLE, problem(tests=tests))
    with pytest.raises(ConfigurationError, match="give a list of texts"):
        asyncio.run(UnitTests().judge(history, sample, {}))


@needs_bubblewrap
@pytest.mark.parametrize("code", ["x" * 200_000, "\x00", "\ud800", "(" * 50_000])
def test_code_of_any_text_is_judged(code: str) -> None:
    found = judged(code, entry_point="f")
    assert found.passed is False
    assert found.feedback


@needs_bubblewrap
def test_tests_share_a_limit_of_time() -> None:
    found = asyncio.run(
        run_tests("def f(x):\n  while True: pass", ["assert f(1)"] * 20, Sandbox(seconds=0.4))
    )
    assert found.passed == (False,) * 20
    assert found.seconds < 8


@needs_bubblewrap
def test_an_answer_is_mended_by_what_the_tests_said() -> None:
    drafts = [Script(f"```python\ndef f(x): return x + {n}\n```\n") for n in (1, 2)]
    engine = ScriptedEngine(drafts)
    asked = problem(tests=["assert f(2) == 4"], entry_point="f")
    controller = Controller(engine, SelfCorrection(), verifier=UnitTests(ROOMY))
    found = asyncio.run(controller.solve(asked, Budget(tokens=4_000)))
    assert "assert f(2) == 4 failed: f(2) returned 3" in engine.tokenizer.decode(engine.log[1].prompt_ids)
    assert found.answer is not None
    assert found.answer.text == "def f(x): return x + 2"
    assert found.receipt.verifier_calls == 2


@needs_bubblewrap
def test_the_best_of_several_is_the_one_that_passes() -> None:
    engine = ScriptedEngine([Script(f"```python\ndef f(x): return {n} * x\n```\n") for n in (1, 2, 3)])
    asked = problem(tests=["assert f(2) == 4", "assert f(0) == 0"])
    controller = Controller(engine, BestOfN(3), verifier=UnitTests(ROOMY))
    found = asyncio.run(controller.solve(asked, Budget(tokens=4_000)))
    assert found.answer is not None
    assert found.answer.text == "def f(x): return 2 * x"


@pytest.mark.skipif(TROUBLE is None, reason="there is a sandbox here")
def test_without_a_sandbox_nothing_is_judged() -> None:
    with pytest.raises(ConfigurationError, match="bubblewrap"):
        judged(DOUBLE)


def test_it_is_a_verifier() -> None:
    assert isinstance(UnitTests(), Verifier)
    assert dataclasses.fields(UnitTests)[0].name == "sandbox"


# -- values ------------------------------------------------------------------------------------------------------

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary() | st.fractions()
    | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False) | st.datetimes() | st.timedeltas()
)  # fmt: skip
keys = st.none() | st.booleans() | st.integers() | st.text() | st.tuples(st.integers(), st.text())
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(keys, inner)
        | st.sets(keys)
        | st.frozensets(keys)
    ),
    max_leaves=10,
)


def refuse(value: object) -> Opaque:
    raise AssertionError(f"{value!r} is data")


@given(plain)
def test_values_come_out_as_they_went_in(value: object) -> None:
    again = decode(encode(value, refuse), lambda *_: None)
    assert again == value
    assert type(again) is type(value)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=2),
    max_leaves=5,
)


@given(
    st.sampled_from(["int", "list", "dict", "match", "type", "range", "time", "Fraction", "opaque", "x"]),
    st.lists(junk),
)
def test_what_is_no_value_raises_nothing_but_a_value_error(name: str, rest: list[Any]) -> None:
    with contextlib.suppress(ValueError):
        decode([name, *rest], lambda number, _: number)


# -- examples in docstrings -----------------------------------------------------------------------------------------


def prompt(docstring: str, names: str = "x") -> str:
    return f'def f({names}):\n    """Do it.\n    {docstring}\n    """\n'


@pytest.mark.parametrize(
    ("docstring", "tests"),
    [
        (">>> f(1)\n    2", ["assert f(1) == 2"]),
        (">>> f([1,\n    ... 2])\n    [3,\n     4]", ["assert f([1, 2]) == [3, 4]"]),
        (">>> f(1) == 2", ["assert f(1) == 2"]),
        (">>> a = [1]\n    >>> f(a)\n    [2]", ["a = [1]\nassert f(a) == [2]"]),
        (">>> round(f([1, 2]), 2) # f(x) = 1 + 2x\n    -0.5", ["assert round(f([1, 2]), 2) == -0.5"]),
        (">>> f(1)", []),
        (">>> g(1)\n    2", []),
        (">>> f(1)\n    Traceback (most recent call last):\n    ValueError", []),
        ("f(1) == 2", ["assert f(1) == 2"]),
        ("f(1) = 2", ["assert f(1) == 2"]),
        ("f(1) => 2", ["assert f(1) == 2"]),
        ("f(1) ==> 'a'", ["assert f(1) == 'a'"]),
        ("f(1) -> [1, 2]", ["assert f(1) == [1, 2]"]),
        ("f(1) \u279e True", ["assert f(1) == True"]),
        ("f(1) => true", ["assert f(1) == True"]),
        ("f([]) == None", ["assert f([]) is None"]),
        ("f(1) returns 'x'", ["assert f(1) == 'x'"]),
        ('f(1)   # returns "db1db"', ["assert f(1) == 'db1db'"]),
        ("f(1) should return False.", ["assert f(1) == False"]),
        ("f('a', ')') -> 19 - 5 - 6 = 8", ["assert f('a', ')') == 8"]),
        ("f([\n      [1, 2],\n    ], 1) == [(0, 0)]", ["assert f([[1, 2]], 1) == [(0, 0)]"]),
        ("f(1) returns 2 if it is even", []),
        ("f(n) == 2", []),
        ("f(abc) => True", []),
        ("f(1) ==> ('a')", []),
        ("f(1) = 2\n    Examples:\n    f(3) = [1]", ["assert f(3) == [1]"]),
        ("f(1) == 2\n    f(1) == 3", []),
        ("f(1) == 2\n    f(1) == 2", ["assert f(1) == 2"]),
        ("Input: 3\n    Output: (1, 2)", ["assert f(3) == (1, 2)"]),
        ("For x = 3 the output should be 'a'.", ["assert f(3) == 'a'"]),
        ("f(__import__('os').system('x')) == 1", []),
        ("f(1) == " + "[" * 5_000, []),
        ("f(" * 2_000, []),
    ],
)
def test_examples_become_asserts(docstring: str, tests: list[str]) -> None:
    assert list(docstring_tests(prompt(docstring), "f")) == tests


def test_arguments_are_told_by_name_too() -> None:
    told = "For s = 'ab', c = 1, the result should be ('b', False)"
    docstring = f"{told}\n    Input:\n      s : 'x'\n      c : 2\n    Output: 6"
    found = docstring_tests(prompt(docstring, "s, c"), "f")
    assert found == ("assert f('x', 2) == 6", "assert f('ab', 1) == ('b', False)")


def test_examples_of_another_function_do_not_count() -> None:
    source = 'def g(x):\n    """\n    >>> g(1)\n    1\n    """\n\n' + prompt(">>> f(1)\n    2")
    assert docstring_tests(source, "f") == ("assert f(1) == 2",)


def test_a_text_that_is_no_program_may_have_examples() -> None:
    assert docstring_tests("Write f such that f(2) == 4, please.\nf(3) == 6", "f") == ("assert f(3) == 6",)


@given(st.text(alphabet="f(1)[]{}'\"= >->\n:#.,\\InputOr\u279e", max_size=120))
def test_any_text_has_examples_or_none(text: str) -> None:
    for test in docstring_tests(prompt(text), "f"):
        compile(test, "test", "exec")
