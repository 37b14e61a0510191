r"""Find ``\boxed{...}`` with nested braces, in one pass over the text."""

from __future__ import annotations

import re

__all__ = ["closes_box", "last_box", "last_open_box"]

_BOX = r"\\(?:boxed|fbox)\s*\{"
_FLAT = r"(?:\{[^{}\\]*\}[^{}\\]*)+"
_MARK = re.compile(  # runs of braces at once: hostile text is full of them
    rf"(?P<box>{_BOX})|(?P<flat>{_FLAT})|\\[\s\S]|\{{+|\}}+"
)
_FIRST = re.compile(_BOX)
_OPENED = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])[ \t]*\{?")
_FIRST_WORD = re.compile(r"[^\s{}$]+")
_EMPTY = re.compile(r"(?:[\s.$?_]|\\[cl]?dots(?![A-Za-z]))*")


def last_box(text: str) -> str | None:
    r"""Give the content of the last closed ``\boxed{}`` or ``\fbox{}``, or ``None``.

    Of nested boxes it is the innermost. Empty boxes and ``\boxed{...}`` only repeat the instruction and are
    passed over. Escaped braces do not count.
    """
    first = _FIRST.search(text)
    last = (0, 0)  # where the content begins and ends
    # Where the content of an open box begins, and how many braces were open before it.
    open_boxes: list[tuple[int, int]] = []
    depth = 0
    for mark in _MARK.finditer(text, first.start()) if first else ():
        run = mark.group()
        if mark.lastgroup == "box":
            open_boxes.append((mark.end(), depth))
            depth += 1
        elif mark.lastgroup == "flat":
            continue
        elif run[0] == "{":
            depth += len(run)
        elif run[0] == "}":
            while open_boxes and open_boxes[-1][1] >= depth - len(run):
                start, outside = open_boxes.pop()
                end = mark.start() + depth - outside - 1
                if start > last[0] and not _is_empty(text, start, end):
                    last = (start, end)
            depth = max(0, depth - len(run))
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
    if mark.group().endswith("{"):
        content = "" if closes_box(content) else content
    else:
        word = _FIRST_WORD.match(content)
        content = word.group().rstrip(".,;") if word else ""
    return content.rstrip("$. ") or None


def closes_box(text: str) -> bool:
    r"""Say whether ``text``, generated after ``\boxed{``, closes that brace."""
    depth = 1
    for mark in _MARK.finditer(text):
        run = mark.group()
        if mark.lastgroup == "box":
            depth += 1
        elif run[0] == "}":
            depth -= len(run)
        elif run[0] == "{" and mark.lastgroup != "flat":
            depth += len(run)
        if depth <= 0:
            return True
    return False
