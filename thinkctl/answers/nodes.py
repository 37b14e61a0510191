"""The parts of an answer after tokenising, and how they are written one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, final

__all__ = ["Kind", "Node", "write"]

Kind = Literal[
    "number",
    "word",
    "unit",
    "command",
    "symbol",
    "braces",
    "group",
    "fraction",
    "root",
    "power",
    "index",
    "argument",
]


@final
@dataclass(frozen=True, slots=True)
class Node:
    r"""One operand, operator or bracketed part of an answer, already canonical.

    ``text`` is what is written and ``value`` the exact value if there is one. ``raw`` are the digits of a
    number as they came. ``parts`` is the content of braces, or of a round bracket around one element. A
    ``unit`` is a word in ``\text{}``. ``spaced`` says that a blank stood before the node.
    """

    kind: Kind
    text: str
    value: Fraction | None = None
    spaced: bool = False
    raw: str = ""
    parts: tuple[Node, ...] = ()


def write(nodes: Sequence[Node]) -> str:
    """Write ``nodes`` one after another with exactly the blanks that are needed to read the same nodes again."""
    pieces: list[str] = []
    last = ""
    for node in nodes:
        if not node.text:
            continue
        if last and _fuses(last, node.text):
            pieces.append(" ")
        pieces.append(node.text)
        last = node.text
    return "".join(pieces).strip()


def _fuses(left: str, right: str) -> bool:
    before, after = left[-1], right[0]
    if before.isalpha():
        return after.isalpha()
    if before.isdigit():
        return after.isdigit() or after == "." or right in {"e", "E"}
    return before == "," or (before == "." and after.isdigit())
