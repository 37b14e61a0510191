"""The answer that a text gives, looked for from the most to the least explicit place.

A chain that was cut (``complete=False``) only answers where an answer is explicit and *closed*; otherwise it
abstains. Half a number is another number, and an intermediate result is no answer: truncated chains that vote
win elections.
"""

from __future__ import annotations

import re

from thinkctl.answers.boxes import last_box, last_open_box
from thinkctl.answers.dates import dates_in
from thinkctl.answers.keys import is_number
from thinkctl.answers.numerals import last_number, numbers_in
from thinkctl.answers.statements import final_line, hash_lines, statements, tail

__all__ = ["boxed", "date", "free_text", "hashes", "number"]

_LONGEST_NUMBER = 200
_WORD = re.compile(r"[^\W\d_]{2,}")
_FEWEST_WORDS = 3
_IN_MATHS = re.compile(r"[=+*^_\\<>{}\u2212]|\s-\s|(?<!\d)/|/(?!\d)")
_NUMBERED_HEADING = re.compile(r"\W*\d+[.):]?\s+[A-Z]")


def boxed(text: str, *, complete: bool) -> str | None:
    """Give the last box; else a ``####`` line; else, if complete, an open box, "the answer is", or the last number."""
    return last_box(text) or _hashed(text, complete=complete) or (_fallback(text) if complete else None)


def hashes(text: str, *, complete: bool) -> str | None:
    """Give the last ``####`` line that answers; else as :func:`boxed`."""
    return _hashed(text, complete=complete) or boxed(text, complete=complete)


def number(text: str, *, complete: bool) -> str | None:
    """Give the first of the same places that names one number.

    A box, a ``####`` line or a stated formula that is no number abstains: no other number in the text is meant then.
    """
    explicit = last_box(text) or _hashed(text, complete=complete)
    if explicit or not complete:
        return explicit if explicit and _is_number(explicit) else None
    if (found := last_open_box(text)) and _is_number(found):
        return found
    for statement in statements(text):
        if (found := _only_number(statement)) and _is_number(found):
            return found
        if _IN_MATHS.search(statement):
            return None
    found = last_number(text)
    return found if found and _is_number(found) else None


def date(text: str, *, complete: bool) -> str | None:
    """Give the date in the last box; else, if complete, the first after "the answer is" or the last in the text."""
    box = last_box(text)
    if box or not complete:
        places = [dates_in(box)[-1:]] if box else []
    else:
        places = [*(dates_in(statement)[:1] for statement in statements(text)), dates_in(text)[-1:]]
    return next((place[0] for place in places if place), None)


def free_text(text: str, *, complete: bool) -> str | None:
    """Give what follows "Final answer:"; else, if complete, the whole text."""
    return final_line(text, complete=complete) or (text.strip() or None if complete else None)


def _fallback(text: str) -> str | None:
    statement = next(statements(text), "")
    if len(_WORD.findall(statement)) >= _FEWEST_WORDS and not _IN_MATHS.search(statement):
        statement = _only_number(statement) or statement
    return last_open_box(text) or statement or last_number(text)


def _hashed(text: str, *, complete: bool) -> str | None:
    """Give the last ``####`` line that is a number, or that ends the text: others are headings."""
    lines = hash_lines(text, complete=complete)
    for line in lines:
        if _is_number(line) and not _NUMBERED_HEADING.match(line):
            return line
    return lines[0] if lines and complete and tail(text).rstrip().endswith(lines[0]) else None


def _only_number(statement: str) -> str | None:
    """Give the statement if it is a number, or the only number in its prose: "there are 12 apples in all".

    Of a calculation it is the right-hand side: ``3 + 4 = 7``.
    """
    if _is_number(statement):
        return statement
    if _IN_MATHS.search(statement):
        return statement.rpartition("=")[2].strip() or None
    numbers = numbers_in(statement)
    return numbers[0] if len(numbers) == 1 else None


def _is_number(answer: str) -> bool:
    return len(answer) <= _LONGEST_NUMBER and is_number(answer)
