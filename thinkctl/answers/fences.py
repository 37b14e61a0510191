"""Find fenced code blocks (three or more backticks or tildes at the start of a line), in one pass over the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

__all__ = ["Block", "blocks", "closes_block", "last_block"]

_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})([^\n]*)", re.MULTILINE)
_CLOSING = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t\r]*$", re.MULTILINE)

_SHOWN = frozenset({"console", "out", "output", "plaintext", "result", "stdout", "text", "txt"})
"""Languages of blocks that show what code prints."""


@final
@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: the word after its opening fence, its lines, and whether a closing fence follows."""

    language: str
    content: str
    closed: bool


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of ``text``; the last one may be open.

    A block is closed by a bare fence of the same sign, at least as long as the opening one. The indent of the
    opening fence (a block in a list) is taken off every line.
    """
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        _, mark, rest = fence.groups()
        if opening is None:
            if "`" not in rest:  # else it is inline code on one line
                opening = fence
        elif not rest.strip() and mark.startswith(opening[2]):
            yield _block(opening, text[opening.end() + 1 : fence.start()], closed=True)
            opening = None
    if opening is not None:
        yield _block(opening, text[opening.end() + 1 :], closed=False)


def _block(opening: re.Match[str], content: str, *, closed: bool) -> Block:
    indent, _, language = opening.groups()
    if indent:
        content = "\n".join(line.removeprefix(indent) for line in content.split("\n"))
    return Block(language.strip().lower(), content.removesuffix("\n"), closed)


def last_block(text: str, *, complete: bool) -> str | None:
    """Give the content of the last closed block that is not empty.

    A block that is marked as what code prints counts only where there is no other: models like to show what they
    believe their program says. Only a complete text may end inside its block: generation stopped at the fence and did
    not keep it.
    """
    last = shown = None
    for block in blocks(text):
        if block.content.strip() and (block.closed or complete):
            if block.language in _SHOWN:
                shown = block.content
            else:
                last = block.content
    return shown if last is None else last


def closes_block(text: str) -> bool:
    """Say whether ``text``, generated after an opening fence, closes it: a bare fence on a later line."""
    first_line_end = text.find("\n")
    return first_line_end >= 0 and _CLOSING.search(text, first_line_end + 1) is not None
