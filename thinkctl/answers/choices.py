"""The letter of a multiple-choice answer, A to J."""

from __future__ import annotations

import re

from thinkctl.answers.boxes import last_box
from thinkctl.answers.keys import LONGEST_TEXT, settle, text_key
from thinkctl.answers.statements import hash_lines, statements, tail

__all__ = ["choice", "choice_key", "letter"]

_LONGEST = 2_000
_DRESS = re.compile(r"\\[A-Za-z]*|[\s{}$*_`'\"]+")
_NAME = r" ?(?i:option |choice |answer |letter )?"
_ALONE = re.compile(rf"{_NAME}[(\[]? ?([A-Ja-j]) ?[)\].:]? ?")
_LEADING = re.compile(
    rf"{_NAME}(?:"
    r"[(\[] ?([A-Ja-j]) ?[)\]]"
    r"|([A-J]) ?[).:](?!\w)"
    r")"
)
_STATED = re.compile(
    rf"{_NAME}(?:"
    r"[(\[] ?([A-Ja-j]) ?[)\]]"
    r"|([B-HJ])(?![\w'-])"
    r"|([AI])(?![\w'-])(?! (?!because|since|as )[a-z])"  # not the article and not the pronoun
    r")"
)
_BOLD = re.compile(r"\*\*\(?([A-J])(?:[).:]{0,2}\*\*|[).:]{1,2} ?[^*\n]{1,200}\*\*)")
_BRACKETED = re.compile(r"\(([A-J])\)")
_STANDALONE = re.compile(
    r"(?<![\w'.-])([B-HJ])(?![\w'-])"
    r"|(?<![\w'.-])(A)(?=[ \t]*(?:[.):,;]|$))"
    r"|^[ \t]*(I)(?=[ \t]*[.)]?[ \t]*$)",
    re.MULTILINE,
)


def choice(text: str, *, complete: bool) -> str | None:
    """Give the chosen letter, from the most to the least explicit place: box, ``####``, "answer is", bold, brackets.

    A cut text may only name a letter in a box or a whole ``####`` line: ``(B)`` in a thought is an option
    discussed.
    """
    for explicit in (last_box(text), *hash_lines(text, complete=complete)):
        if explicit and (found := letter(explicit)):
            return found
    return _mentioned(text) if complete else None


def _mentioned(text: str) -> str | None:
    for statement in statements(text):
        if found := _upper(_STATED.match(_undressed(statement))):
            return found
    end = tail(text)
    for pattern in (_BOLD, _BRACKETED, _STANDALONE):
        mentions = list(pattern.finditer(end))
        if mentions:
            return _upper(mentions[-1])
    return None


def letter(answer: str) -> str | None:
    """Give the letter that is all of ``answer``, or that leads it as in ``(B) Paris``; ``None`` without one."""
    if len(answer) > _LONGEST:
        return None
    text = _undressed(answer)
    return _upper(_ALONE.fullmatch(text) or _LEADING.match(text))


def choice_key(answer: str) -> str:
    """Give the key of a choice: its capital letter; what names no letter is compared as text."""
    return settle(answer, lambda text: letter(text) or text_key(text), LONGEST_TEXT)


def _undressed(text: str) -> str:
    return " ".join(_DRESS.sub(" ", text).split())


def _upper(found: re.Match[str] | None) -> str | None:
    if found is None:
        return None
    return next(group for group in found.groups() if group).upper()
