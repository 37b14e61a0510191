"""Answers made to hurt: comparing them neither hangs, nor crashes, nor runs them."""

from __future__ import annotations

import importlib.util
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from thinkctl.answers import Equality, canonical, classes, equal

pytestmark = [
    pytest.mark.worker,
    pytest.mark.skipif(importlib.util.find_spec("math_verify") is None, reason="needs thinkctl[math]"),
]

SECONDS = 0.5
START = 6.0  # a worker that had to be killed is replaced within this, on a busy machine too
NAMED = {
    "a tower of powers": "9**9**9**9",
    "a tower of powers in LaTeX": "9^{9^{9^{9}}}",
    "a tower of two powers": "9^{9^{9}}",
    "ten thousand nested fractions": r"\frac{1}{" * 10_000 + "2" + "}" * 10_000,
    "thirty nested fractions": r"\frac{1}{1+" * 30 + "x" + "}" * 30,
    "nested roots": r"\sqrt{2+" * 25 + "x" + "}" * 25,
    "nested boxes": r"\boxed{" * 5_000 + "5" + "}" * 5_000,
    "open boxes": r"\boxed{" * 5_000,
    "more digits than Python converts": "7" * 5_000,
    "a hundred thousand digits": "1" * 100_000,
    "a factorial": "10**9!",
    "a factorial of a factorial": "((99!)!)!",
    "a factorial of a number that fits": "9999!",
    "a binomial": r"\binom{10^9}{5\cdot 10^8}",
    "a sum": r"\sum_{n=1}^{10^9} \frac{1}{n^n}",
    "an integral": r"\int_0^1 \frac{\sin(x^x)}{\ln(1+x^5)} dx",
    "a product of thousands": "(x+1)(x+2)" * 50,
    "a power to expand": "(a+b+c+d+e+f)^{999}",
    "a decimal exponent": "1e999999999",
    "NUL": "5\0",
    "lone surrogates": "\ud800\udfff",
    "right to left": "\u202e5\u202c",
    "combining characters": "5" + "\u0301" * 1_000,
    "digits of another script": "\u0661\u0662",
    "zero width": "1\u200b2\u200d3",
    "unbalanced braces": "{" * 500 + "}" * 499,
    "unbalanced brackets": "(" * 300 + "5",
    "a megabyte of braces": "{}" * 500_000,
    "a megabyte of digits": "9" * 1_000_000,
    "a megabyte of text": "a b " * 250_000,
    "a call": '__import__("pathlib").Path("owned").touch()',
    "a call in text": r'\text{__import__("pathlib").Path("owned").touch()}',
    "an attribute": "().__class__.__bases__[0].__subclasses__()",
    "a relation": "x^{x^{x}}=x^{x+1}",
    "an equation of high degree": "x^{97}-x^{53}+x^{11}-1=0",
    "many variables": "+".join(f"{letter}^3" for letter in "abcdfghjklmnopqrstuvwxyz"),
    "a set of hundreds": r"\{" + ", ".join(rf"\sqrt{{{n}}}" for n in range(60)) + r"\}",
    "a format": "%s%n{0}{x}",
    "a line": "1\n2\n3",
    "nothing but commands": "\\" * 300,
}
PIECES = (
    *(
        r"\frac{",
        r"\sqrt{",
        r"\boxed{",
        r"\text{",
        r"\left(",
        r"\right)",
        r"\begin{pmatrix}",
        r"\end{pmatrix}",
    ),
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        r"\{",
        r"\}",
        "^",
        "_",
        "!",
        "&",
        r"\\",
        ",",
        "=",
        "<",
        ">",
        "|",
        "$",
        "%",
    ),
    *(
        "9",
        "99999",
        "0",
        "1e9",
        "x",
        "y",
        "i",
        "e",
        r"\pi",
        "+",
        "-",
        "*",
        "**",
        "/",
        ".",
        " ",
        r"\pm ",
        r"\cup ",
    ),
    *(
        r"\sin ",
        r"\log_",
        r"\int ",
        r"\sum_",
        r"\infty ",
        "or",
        "and",
        "\0",
        "\ud800",
        "½",
        "²",
        "−",
        "\u202e",
        "\n",
    ),
)


def generated() -> list[str]:
    """A thousand strings: those that have names, and random ones, most of them short, since long ones are refused."""
    chance = random.Random("hostile")
    strings = list(NAMED.values())
    while len(strings) < 1_000:
        length = chance.choice((2, 4, 8, 16, 64, 512, 4_096))
        strings.append("".join(chance.choices(PIECES, k=length)))
    return strings


def test_a_thousand_hostile_answers_are_compared_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    equal("sqrt(8)", "2 sqrt(2)")  # the first worker starts
    slowest, rungs, begun = 0.0, Counter[str](), time.monotonic()
    for place, text in enumerate(generated()):
        started = time.monotonic()
        found = equal(text, ("x", "5", text + "+0", r"\sqrt{2}")[place % 4], seconds=SECONDS)
        slowest = max(slowest, time.monotonic() - started)
        rungs[found.rung] += 1
        assert isinstance(found, Equality)
    print(f"{time.monotonic() - begun:.1f} s, slowest {slowest:.2f} s, {dict(rungs)}")  # noqa: T201
    assert slowest < SECONDS + START
    assert rungs.total() == 1_000
    assert rungs["timed out"] + rungs["crashed"] < 30
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", NAMED.values(), ids=list(NAMED))
def test_a_hostile_answer_has_a_short_canonical_writing(text: str):
    begun = time.monotonic()
    assert len(canonical(text[:700], seconds=SECONDS)) <= 2_000
    assert time.monotonic() - begun < 60 * SECONDS + START


def test_hostile_answers_are_in_classes_of_their_own():
    texts = ["9**9**9**9", "\ud800", "{" * 50, "1" * 100_000, "5\0", "5"]
    assert classes(texts, seconds=SECONDS) == (0, 1, 2, 3, 4, 5)
