"""Numbers as they are spelled: read one exactly, spell one canonically, find the last one in prose.

Every number is bounded before it is built: at most :data:`MAX_DIGITS` digits on either side, so
``1e999999999`` costs nothing. A longer number has no value here; it is compared by its spelling.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

__all__ = [
    "MAX_DIGITS",
    "fits",
    "last_number",
    "literal_at",
    "literal_value",
    "numbers_in",
    "show",
    "spelling",
]

MAX_DIGITS = 500
"""Longest numerator, denominator and largest decimal exponent of a number that is compared by value."""

_TAIL = 20_000  # prose states its answer at the end; looking further back costs time and finds intermediate results
_MAX_BITS = int(MAX_DIGITS * 3.3219) + 1
_MAX_EXPONENT_CHARACTERS = 6

_LITERAL = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+(?![0-9A-Za-z]))?")
_COMMA_RUN = re.compile(r"[0-9]+(?:,[0-9]+)+")
_WESTERN = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+")
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
_DECIMALS = re.compile(r"\.[0-9]+")

_SEPARATOR = r"(?:[ \u00a0\u2009\u202f]|\\,|\{,\}|,\\!)"
_IN_PROSE = re.compile(
    r"(?:(?<![\w)\]}.^])[-+\u2212\u2013])?"  # a sign, unless it subtracts
    r"(?:\\?[$\u20ac\u00a3\u00a5\u20b9] ?)?"
    r"(?:"
    r"(?<![\w.^])(?:\d{1,9} ?)?\\[dt]?frac ?(?:\{[^{}\n]{1,20}\} ?\{[^{}\n]{1,20}\}|\d\d)"
    rf"|(?<![\w.^:/,])(?<![\^_]\{{)[1-9]\d{{0,2}}(?:{_SEPARATOR}\d{{3}}(?!\d))+(?:\.\d+)?"
    r"|(?<![\w.^])(?<![\^_]\{)\.?\d(?:[\d,.:/]*\d)?(?:[eE][-+]?\d+)?"
    r")"
    r"(?: ?\\?%)?"
)
_ORDINALS = ("st", "nd", "rd", "th")


def literal_at(text: str, position: int, *, grouped: bool) -> tuple[str, int]:
    """Read the number that must begin at ``position``: its digits without separators, and where it ends.

    ``grouped`` says whether commas may group thousands (``1,234`` or ``1,00,000``); in a tuple they may not.
    A run of commas that groups nothing (``1,5``, ``0,500``, ``12,34``) is no number: the first part is read
    alone.
    """
    run = _COMMA_RUN.match(text, position) if grouped else None
    if run and (_WESTERN.fullmatch(run.group()) or _INDIAN.fullmatch(run.group())):
        decimals = _DECIMALS.match(text, run.end())
        end = decimals.end() if decimals else run.end()
        return text[position:end].replace(",", ""), end
    literal = _LITERAL.match(text, position)
    if literal is None:
        raise ValueError(f"no number begins at position {position} of {text[position : position + 20]!r}")
    return literal.group(), literal.end()


def literal_value(literal: str) -> Fraction | None:
    """Give the exact value of an unsigned literal such as ``12``, ``.5``, ``1e6``; ``None`` if it is too long."""
    return Fraction(literal) if _is_short(literal) else None


def _is_short(literal: str) -> bool:
    mantissa, _, exponent = literal.lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > _MAX_EXPONENT_CHARACTERS:
        return False
    return abs(int(exponent or "0")) + len(mantissa) <= MAX_DIGITS


def spelling(literal: str) -> str:
    """Spell a decimal literal, with or without sign, canonically: ``007.50`` is ``7.5``, ``1e3`` is ``1000``.

    A literal that is too long for a value keeps its exponent; then only case and leading zeros are made
    equal.
    """
    sign = "-" if literal.startswith("-") else ""
    digits = literal.lstrip("+-").lower()
    if "e" in digits:
        if not _is_short(digits):
            return sign + digits
        digits = format(Decimal(digits), "f")
    whole, _, decimals = digits.partition(".")
    whole, decimals = whole.lstrip("0") or "0", decimals.rstrip("0")
    spelled = f"{whole}.{decimals}" if decimals else whole
    return spelled if spelled == "0" else sign + spelled


def fits(value: Fraction) -> bool:
    """Say whether numerator and denominator are short enough to be a key."""
    return max(value.numerator.bit_length(), value.denominator.bit_length()) <= _MAX_BITS


def show(value: Fraction) -> str:
    """Spell a value as the key of all its spellings: ``-3`` or ``1/2`` in lowest terms."""
    return str(value)


def numbers_in(text: str) -> list[str]:
    """List the numbers near the end of ``text`` as they are written, with sign, currency and percent sign.

    Exponents (``cm^2``), indices (``x_2``), digits inside words (``H2O``) and ordinals (``2nd``) are not
    numbers. A run such as ``4:30`` or ``3,4`` is one entry: half of it would be a different number.
    """
    tail = text[-_TAIL:]
    return [
        found.group().strip()
        for found in _IN_PROSE.finditer(tail)
        if not tail.startswith(_ORDINALS, found.end())
    ]


def last_number(text: str) -> str | None:
    """Give the last of :func:`numbers_in`, or ``None``."""
    found = numbers_in(text)
    return found[-1] if found else None
