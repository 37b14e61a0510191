r"""The canonical key of an answer: the string on which votes are counted.

**The contract.** A key function is total (it never raises), idempotent, and bounded: a key is never longer
than :data:`LONGEST`; what does not fit or never settles becomes its SHA-256 digest. Two answers get one key
only when they say the same thing by exact rules; when in doubt they stay apart, because a split vote can lose
but a wrongly joined one can win. Equality that needs algebra (``\frac{\sqrt{3}}{3}`` and
``\frac{1}{\sqrt{3}}``) is not decided here: whoever has a computer algebra system compares *keys*, which are
valid LaTeX, and joins their votes. That is the only seam.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from thinkctl.answers.characters import bare, collapse, plain
from thinkctl.answers.dates import clock, iso
from thinkctl.answers.expressions import elements
from thinkctl.answers.nodes import Node
from thinkctl.answers.tokens import tokens
from thinkctl.answers.values import spell

__all__ = ["LONGEST", "LONGEST_TEXT", "code_key", "date_key", "is_number", "math_key", "settle", "text_key"]

LONGEST = 2_000
"""Longest key in characters; a longer one is replaced by its digest."""

LONGEST_TEXT = 1_000_000
"""Longest free text, in characters, that is compared without case and spacing; a longer one by its digest."""

_ROUNDS = 6
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_RATIONAL = re.compile(r"-?[0-9]+(?:/[1-9][0-9]*)?")
_COMMON = re.compile(r"-?[1-9][0-9]{0,17}")  # already a key; nearly every answer of a word problem
_SHORTEST_FOLDED = 3
_IN_WORDS = frozenset("-'.!?")
_SHORT_WORDS = frozenset({"a", "A", "I"})
_OF_CONSTANTS = re.compile(r"\\(?:frac|sqrt|pi|infty|pm)(?![A-Za-z])")


def settle(text: str, rewrite: Callable[[str], str], longest: int = LONGEST) -> str:
    """Rewrite ``text`` until it no longer changes. Idempotent by construction.

    A text longer than ``longest`` is not rewritten, and what never settles or is too long for a key becomes a
    digest.
    """
    if _DIGEST.fullmatch(text):
        return text
    if len(text) > longest:
        return _digest(collapse(text))
    for _ in range(_ROUNDS):
        rewritten = rewrite(text)
        if rewritten == text:
            return text if len(text) <= LONGEST else _digest(text)
        if len(rewritten) > longest:
            break
        text = rewritten
    return _digest(text)


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def text_key(answer: str) -> str:
    """Give the key of free text: case and the amount of whitespace do not matter."""
    return settle(answer, lambda text: collapse(text.casefold()), LONGEST_TEXT)


def code_key(answer: str) -> str:
    """Give the key of a program: blank lines and blanks at the ends of lines do not matter."""
    return settle(answer, _without_blanks, LONGEST_TEXT)


def _without_blanks(code: str) -> str:
    lines = (line.rstrip() for line in code.split("\n"))
    return "\n".join(line for line in lines if line)


def date_key(answer: str) -> str:
    """Give the key of a date, ``YYYY-MM-DD``; what is no date is compared as text."""
    return settle(answer, lambda text: iso(bare(plain(text))) or collapse(text.casefold()))


def math_key(answer: str) -> str:
    r"""Give the key of a mathematical answer: a number in lowest terms, else the canonical writing of the expression.

    ``0.5``, ``.50``, ``\frac12`` and ``1/2`` are ``1/2``; ``1,234.50``, ``$1234.5`` and ``1234.5 dollars``
    are ``2469/2``. Tuples, intervals, matrices and lists keep their structure and order; sets lose theirs.
    ``x = 5`` is ``5``, but ``y = 2x + 3`` stays an equation. ``50%`` is ``50`` and not ``1/2``: see
    :mod:`thinkctl.answers.units`. Dates are ISO. Words are compared without case, letters are not (``x`` and
    ``X`` are two variables).
    """
    return answer if _COMMON.fullmatch(answer) else settle(answer, _rewrite)


def is_number(answer: str) -> bool:
    """Say whether the key of ``answer`` is one exact rational number."""
    return _RATIONAL.fullmatch(math_key(answer)) is not None


def _rewrite(text: str) -> str:
    text = bare(plain(text))
    if len(text) > LONGEST:
        return text
    return iso(text) or clock(text) or _expression(text)


def _expression(text: str) -> str:
    parts = [_unwrapped(part) for part in elements(tokens(text))]
    return bare(", ".join(_folded(part) for part in _without_names(parts)))


def _unwrapped(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Drop a leading ``=`` and the round bracket around a whole answer: ``(B)`` is ``B``, ``(5)`` is ``5``."""
    if len(nodes) > 1 and nodes[0].text in {"=", r"\approx"}:
        nodes = nodes[1:]
    return nodes[0].parts if len(nodes) == 1 and nodes[0].kind == "group" and nodes[0].parts else nodes


def _without_names(parts: Sequence[tuple[Node, ...]]) -> list[tuple[Node, ...]]:
    """Drop ``x =`` before constants, if it is the same name everywhere: ``x=1, y=2`` says more than ``1, 2``."""
    named = [part for part in parts if len(part) > 2 and part[1].text == "=" and _is_name(part[0])]
    if len({part[0].text for part in named}) != 1 or not all(_is_constant(part[2:]) for part in named):
        return list(parts)
    return [part[2:] if part in named else part for part in parts]


def _is_name(node: Node) -> bool:
    return node.kind == "command" or (node.kind in {"word", "unit"} and len(node.text) == 1)


def _is_constant(nodes: Sequence[Node]) -> bool:
    r"""Say whether no letter stands in ``nodes``: ``r = \theta`` is a curve and not an angle."""
    return not any(character.isalpha() for character in _OF_CONSTANTS.sub("", spell(nodes)))


def _folded(nodes: tuple[Node, ...]) -> str:
    """Spell an element, without case if it consists of words: ``Yes`` is ``yes``, but ``AB`` is not ``ab``."""
    words = [node.text for node in nodes if node.kind in {"word", "unit"}]
    in_words = all(node.kind in {"word", "unit"} or node.text in _IN_WORDS for node in nodes)
    text = spell(nodes)
    if not in_words or any(len(word) == 1 and word not in _SHORT_WORDS for word in words):
        return text
    is_prose = any(len(word) >= _SHORTEST_FOLDED or word.lower() == "no" for word in words)
    return text.casefold() if is_prose else text
