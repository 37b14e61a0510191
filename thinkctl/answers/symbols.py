r"""The normalised writing of a mathematical answer, and which answers are not computed with at all."""

from __future__ import annotations

import re

from thinkctl.answers.characters import collapse, plain
from thinkctl.answers.keys import LONGEST, math_key, settle
from thinkctl.answers.nodes import Node
from thinkctl.answers.shapes import shape
from thinkctl.answers.units import unit_factor

__all__ = ["refusal", "structure_key", "writing"]

LONGEST_COMPUTED = 600
"""Longest normalised answer, in characters, that is given to the computer algebra system."""

_DEEPEST = 40
_TRIGONOMETRIC = re.compile(r"\\?(?<![A-Za-z])(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])")
_DEGREES = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:\^ ?\{? ?\\circ ?\}?|\u00b0|\\degree(?![A-Za-z]))")
_PYTHON_POWER = re.compile(r"(?<=[\w)}\]])\*\*(?=[\w({\\-])")
_NAMES = re.compile(
    r"(?<![\\A-Za-z])(sqrt|pi|infty|sin|cos|tan|cot|csc|arcsin|arccos|arctan|sinh|cosh|tanh|gcd|ln|log|exp|theta|alpha|beta)"
    r"(?![A-Za-z])"
)
_INFINITY = re.compile(r"(?<![\\A-Za-z])(?:infinity|oo)(?![A-Za-z])")
_JOINED = re.compile(
    r",? *(?:\\(?:text|mbox|textrm|mathrm) *\{ *(and|or) *\}|(?<![A-Za-z\\])(and|or)(?![A-Za-z])) *"
)
_ORDER = re.compile(r"[<>]|\\(?:l|g)(?:eq?|t)(?![A-Za-z])")
_REPEATING = re.compile(r"([0-9]{0,20})\.([0-9]{0,20}) ?\\(?:overline|bar) ?\{ ?([0-9]{1,20}) ?\}")
_UNIT = re.compile(
    r"(?<=[0-9}i]) *(?:\\[ ,;])? *\\(?:text|mathrm|mbox|textrm) ?\{([A-Za-z ./]{2,30})\} ?(?:\^ ?\{?[23]\}?)? *$"
)
_DIGIT_OR_EQUALS = re.compile(r"[0-9=]")
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_TOO_LARGE = re.compile(
    r"[0-9]{400}"  # many digits
    r"|\^\{?[(+-]*[0-9]{5}"  # a power with a large exponent
    r"|\^\{[^{}]*\^\{[^{}]*\^"  # a tower of powers
    r"|[0-9]{5}[)}]?!"  # the factorial of a large number
    r"|!{3}"
    r"|[0-9]e[+-]?[0-9]{3}"
)
_NO_LATEX = re.compile(r"\^\{[^{}]*\}\^|\\(?:frac|sqrt)(?:\{\})|\\frac\{[^{}]*\}\{\}|[-+*/^_=]$|^[*/^_]")
_BRACES = re.compile(r"\\.|[{}()\[\]]", re.DOTALL)


def writing(answer: str) -> str:
    r"""Give the key of ``answer``, after more spellings have been made equal than a key alone allows.

    ``x**2`` becomes ``x^{2}``, ``sqrt(2)`` a root, ``1 or 2`` and ``1; 2`` lists, and degrees in an expression
    with sine or cosine become radians. Like a key it is total and at most ``keys.LONGEST`` characters long.
    """
    return math_key(answer if len(answer) > LONGEST else _prepared(answer))


def _prepared(answer: str) -> str:
    text = _PYTHON_POWER.sub("^", plain(answer))
    text = _NAMES.sub(r"\\\1 ", _INFINITY.sub(r"\\infty ", text))
    text = _UNIT.sub(_without_unit, _REPEATING.sub(_as_fraction, text))
    if _TRIGONOMETRIC.search(text):
        text = _DEGREES.sub(r"(\\frac{\1\\pi}{180})", text)
    if _DIGIT_OR_EQUALS.search(text):
        conditions = _ORDER.search(text)
        text = _JOINED.sub(lambda found: r"\cup " if conditions and "or" in found.groups() else ", ", text)
        text = text if r"\;" in text else text.replace(";", ",")
    return collapse(text)


def _as_fraction(found: re.Match[str]) -> str:
    r"""Write ``0.1\overline{6}`` as a fraction."""
    whole, once, again = found.groups()
    nines = 10 ** len(again) - 1
    top = int(f"{whole}{once}" or "0") * nines + int(again)
    return f"\\frac{{{top}}}{{{nines * 10 ** len(once)}}}"


def _without_unit(found: re.Match[str]) -> str:
    """Drop the unit after an expression; a key drops it after a number."""
    words = found[1].replace("/", " ").replace(".", " ").split()
    is_unit = bool(words) and unit_factor([Node("unit", word) for word in words]) == 1
    return "" if is_unit else found.group()


def refusal(answer: str, written: str) -> str | None:
    """Say why an answer is not computed with; ``None`` if it may be. ``written`` is its writing.

    What would need more than seconds or megabytes is recognised by its looks: length, depth, digits, exponents,
    towers of powers, factorials. So is what no parser could read. The rest is bounded by the worker's limits.
    """
    if len(answer) > LONGEST or len(written) > LONGEST_COMPUTED:
        return "too large"
    if _NO_CHARACTER.search(answer):
        return "unparsable"
    braces = depth = deepest = 0
    for found in _BRACES.finditer(written):
        mark = found.group()
        braces += (mark == "{") - (mark == "}")
        depth += (mark in "{([") - (mark in "})]")
        deepest = max(deepest, depth)
        if braces < 0:
            return "unparsable"
    if braces or depth or _NO_LATEX.search(written):
        return "unparsable"
    return "too large" if deepest > _DEEPEST or _TOO_LARGE.search(written) else None


def structure_key(answer: str) -> str:
    r"""Give the key of an answer by all rules that need no algebra, in well under a millisecond.

    Beyond :func:`thinkctl.answers.keys.math_key`, lists of solutions lose their order, ``1 \pm 2`` is two values, and
    ``x > 3`` an interval. Total, idempotent, and at most ``keys.LONGEST`` characters.
    """
    return settle(answer, _structured)


def _structured(text: str) -> str:
    written = writing(text)
    return written if refusal(text, written) else shape(written).text
