r"""Find ``\boxed{...}`` with nested braces, in one pass over the text."""

from __future__ import annotations

import re

__all__ = ["closes_box", "last_box", "last_open_box"]

_MARK = re.compile(r"(?P<box>\\(?:boxed|fbox)\s*\{)|\\[\s\S]|[{}]")
_BRACE = re.compile(r"\\[\s\S]|[{}]")
_OPENED = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])[ \t]*\{?")
_FIRST_WORD = re.compile(r"[^\s{}$]+")
_EMPTY = re.compile(r"(?:[\s.$?_]|\\[cl]?dots(?![A-Za-z]))*")


def last_box(text: str) -> str | None:
    r"""Give the content of the last closed ``\boxed{}`` or ``\fbox{}``, or ``None``.

    Of nested boxes it is the innermost. Empty boxes and ``\boxed{...}`` only repeat the instruction and are passed
    over. Escaped braces do not count.
    """
    last = (0, 0)  # where the content begins and ends
    open_boxes: list[
        tuple[int, int]
    ] = []  # where the content begins, and how many braces were open before it
    depth = 0
    for mark in _MARK.finditer(text, max(0, text.find("\\"))):
        found = mark.group()
        if found == "}":
            depth = max(0, depth - 1)
            if open_boxes and open_boxes[-1][1] == depth:
                start, _ = open_boxes.pop()
                if start > last[0] and not _is_empty(text, start, mark.start()):
                    last = (start, mark.start())
        elif found == "{":
            depth += 1
        elif mark.lastgroup == "box":
            open_boxes.append((mark.end(), depth))
            depth += 1
    return text[slice(*last)].strip() or None


def _is_empty(text: str, start: int, end: int) -> bool:
    filler = _EMPTY.match(text, start, end)
    return filler is not None and filler.end() == end


def last_open_box(text: str) -> str | None:
    r"""Give what follows the last ``\boxed`` up to the end of its line, if its braces are missing or never close.

    Without a brace, the answer is the first word (``\boxed 72``). Only for a chain that ended by itself: in a
    truncated one the answer may be incomplete.
    """
    mark = _OPENED.match(text, max(text.rfind(r"\boxed"), text.rfind(r"\fbox"), 0))
    if mark is None:
        return None
    content = text[mark.end() :].partition("\n")[0].strip()
    if not mark.group().endswith("{"):
        word = _FIRST_WORD.match(content)
        content = word.group().rstrip(".,;") if word else ""
    return content.rstrip("$. ") or None


def closes_box(text: str) -> bool:
    r"""Say whether ``text``, generated after ``\boxed{``, closes that brace."""
    depth = 1
    for brace in _BRACE.finditer(text):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if not depth:
            return True
    return False
