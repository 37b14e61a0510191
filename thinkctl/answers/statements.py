"""Where prose states its answer: ``#### 12`` lines, "the answer is 12" sentences, "Final answer: 12" lines."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["FINAL_ANSWER", "final_line", "hash_lines", "statements", "tail"]

FINAL_ANSWER = r"(?im)^[ \t*_>#]{0,8}(?:the )?final answer[ \t*_]{0,4}(?:is)?[ \t*_]{0,4}:[ \t*_]{0,4}"
"""Pattern of a line that announces the answer; the answer begins where it ends."""

_TAIL = 20_000  # prose states its answer at the end; further back are intermediate results
_MOST = 10
_LONGEST_STATEMENT = 100
_WINDOW = 400
_HASHES = re.compile(r"^[ \t]*####(?!#)([^\n]*)(\n?)", re.MULTILINE)
_STATED = re.compile(
    r"\banswer(?: to (?:the|this) (?:question|problem))?[ \t*_]{0,4}"
    r"(?:(?:is|was|are|equals|would be|will be|must be)(?![A-Za-z])|[:=])[ \t*_:=]{0,8}",
    re.IGNORECASE,
)
_FINAL = re.compile(FINAL_ANSWER)
_SENTENCE_END = re.compile(r"[.!?](?=\s|$|\*\*)")
_ONLY_MARKS = frozenset({"", "$$", "$", r"\[", r"\]", r"\(", "**"})


def tail(text: str) -> str:
    """Give the end of ``text`` in which an answer is looked for when nothing marks it."""
    return text[-_TAIL:]


def hash_lines(text: str, *, complete: bool) -> list[str]:
    """List the contents of the last ``####`` lines, last first. A line without its newline counts only if complete."""
    lines = [found[1].strip() for found in _HASHES.finditer(text) if complete or found[2]]
    return [line for line in lines[: -_MOST - 1 : -1] if line]


def statements(text: str) -> Iterator[str]:
    """Yield what follows "the answer is" or "Answer:", last first: the rest of the sentence, at most 100 characters.

    If nothing else is on the line, it is the next line. Denials ("the answer is not 5") are passed over.
    """
    end = tail(text)
    for found in reversed(list(_STATED.finditer(end))[-_MOST:]):
        statement = _sentence(end[found.end() : found.end() + _WINDOW])
        if (
            statement
            and len(statement) <= _LONGEST_STATEMENT
            and not statement.lower().startswith(("not ", "n't"))
        ):
            yield statement


def _sentence(text: str) -> str:
    line = _first_line(text)
    return _SENTENCE_END.split(line, maxsplit=1)[0].strip(' \t*_`"')


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip() not in _ONLY_MARKS), "")


def final_line(text: str, *, complete: bool) -> str | None:
    """Give what follows the last "Final answer:" on its line, or the next line if nothing does; else ``None``."""
    announced = list(_FINAL.finditer(text))
    if not announced:
        return None
    rest = text[announced[-1].end() :].lstrip()
    return rest.partition("\n")[0].strip(" \t\r*") or None if complete or "\n" in rest else None
