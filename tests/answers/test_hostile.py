"""Text made to hurt: everything stays total, and linear in the length of the text.

Time is the processor's, not the clock's, so a busy machine does not fail these tests.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from thinkctl.answers import FORMS, form

REPEATED = (
    *(
        "{",
        "}",
        "{}",
        "{\n",
        "(",
        "[",
        "[1,",
        '{"a":',
        '{"',
        '["',
        '[ "',
        '{"a":1}',
        "\\",
        "\\{",
        "\\[",
        "$",
        "|",
    ),
    *(
        "\\boxed{",
        "\\boxed{ ",
        "\\frac",
        "\\frac{1}{",
        "\\frac12",
        "\\sqrt[",
        "\\text{",
        "\\begin{a}",
        "\\left(",
    ),
    *("9", "1,", "1 ", "1 000 ", "1.", "1:", "1/", "1e9", "1{,}000", "1,\\!", ".", "-", "½", "²", "−", "5%"),
    *(
        "answer is ",
        "answer ",
        "final answer:",
        "Final answer: x\n",
        "#### x\n",
        "#### 1 x^{2}\n",
        "####",
        "\n",
        " ",
    ),
    *(
        "```\n",
        "```python\n",
        "`",
        "~~~~\n",
        "*",
        "**A",
        "A ",
        "(A)",
        "May 1, 2021 ",
        "1/2/2021 ",
        "May ",
        "x=",
        "_",
        "^",
    ),
    *("\ud800", "\0", "😀", "İ", "ß", "'", '"', "sha256:", "true", "null,"),
)
NESTED = {
    "boxes that all close": "\\boxed{" * 10_000 + "5" + "}" * 10_000,
    "a box of a hundred thousand braces": "\\boxed{" + "{" * 100_000 + "}" * 100_001,
    "brackets": "[" * 50_000 + "]" * 50_000,
    "parentheses": "(" * 900 + "5" + ")" * 900,
    "objects": '{"a":' * 15_000 + "1" + "}" * 15_000,
    "objects that fit": '{"a":' * 300 + "1" + "}" * 300,
    "a string that never ends": "[" * 1_000 + '"' + "a" * 100_000,
    "fractions": "\\frac{1}{" * 200 + "2" + "}" * 200,
    "braces": "{" * 900 + "5" + "}" * 900,
    "a long exponent": "1e" + "9" * 100_000,
    "many numbers": "[" + "1," * 50_000 + "1]",
    "a huge product of exponents": "\\frac{1e400}{" * 100 + "1e-400" + "}" * 100,
}


def work(text: str) -> None:
    for found in FORMS.values():
        found.extract(text)
        found.extract(text, complete=False)
        found.closed(text)
        once = found.key(text)
        assert found.key(once) == once
        assert len(once) <= 2_000


def seconds(action: Callable[[], object]) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


@pytest.mark.parametrize("piece", REPEATED, ids=ascii)
def test_repeated_text_is_read_in_linear_time(piece: str):
    """All forms, five calls each, on 2 kB (there keys are computed in full) and 100 kB. Quadratic would be minutes."""
    short, long = (piece * (size // len(piece) + 1) for size in (1_900, 100_000))
    assert seconds(partial(work, short[:1_900])) < 5
    assert seconds(partial(work, long[:100_000])) < 5


@pytest.mark.parametrize("text", NESTED.values(), ids=list(NESTED))
def test_nested_text_needs_no_recursion_and_no_time(text: str):
    assert seconds(partial(work, text)) < 5


@pytest.mark.parametrize("piece", ["{}", '{"a":', "```\n", "1,"])
def test_a_megabyte_is_read_too(piece: str):
    text = (piece * (1_000_000 // len(piece) + 1))[:1_000_000]
    for found in FORMS.values():
        assert seconds(partial(found.extract, text)) < 5
        assert seconds(partial(found.key, text)) < 5


def test_a_huge_exponent_is_never_built():
    for spelling in ("1e999999999", "1e-999999999", "10^{999999999}", r"2 \times 10^{99999999999}", "-5e400"):
        assert seconds(partial(form("boxed").key, spelling)) < 0.5


def test_deep_brackets_around_a_number_are_still_that_number():
    assert form("boxed").key("(" * 900 + "5" + ")" * 900) == "5"
    assert (
        form("boxed").extract("\\boxed{" + "{" * 50_000 + "5" + "}" * 50_001)
        == "{" * 50_000 + "5" + "}" * 50_000
    )


def test_an_answer_at_the_end_of_a_megabyte_is_found():
    assert form("boxed").extract("{ [ ( 12 ) ] } " * 100_000 + r"\boxed{7}") == "7"
    assert form("number").extract("a 12 " * 200_000 + "so it is 7") == "7"
    assert form("json").extract(r"\frac{1}{2} [x] " * 60_000 + '{"a": 7}') == '{"a": 7}'
