"""Find the last JSON object or array in a text, and write JSON canonically."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TypeAlias, final

from pydantic import JsonValue

from thinkctl.answers.characters import collapse
from thinkctl.answers.fences import blocks
from thinkctl.answers.keys import settle
from thinkctl.answers.numerals import spelling

__all__ = ["closes_json", "json_key", "json_value", "last_json"]


@final
@dataclass(frozen=True, slots=True)
class _Number:
    """A JSON number by its canonical spelling: exact, and never built, so ``1e999999999`` costs nothing."""

    text: str


_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | _Number | bool | None"

_DECODER = json.JSONDecoder(
    parse_int=lambda digits: _Number(spelling(digits)),
    parse_float=lambda digits: _Number(spelling(digits)),
    parse_constant=_Number,
    strict=False,  # models write line breaks inside strings
)
_FINDER = json.JSONDecoder(
    parse_int=str, parse_float=str, parse_constant=str, strict=False
)  # only finds the end
_OPENING = re.compile(
    r"\{(?=\s*(?:\"|\Z))"
    r"|(?<![A-Za-z}^_\\])\{(?=\s*\})"  # empty braces after a letter are LaTeX's
    r"|\[(?=\s*(?:[\[\]{\"\d\-tfnNI]|\Z))"
)
_AFTER_KEY = re.compile(r"['\"]\s*:\s*\Z")  # inside an object that is no JSON, such as Python's {'a': [1]}
_LONGEST_GAP = 20
_CUT_OFF = re.compile(r"[a-zA-Z]{0,8}|-")
_LONGEST = 20_000
_WORK_PER_CHARACTER = 4
_WORK_TO_START = 100_000
_WORK_TOO_DEEP = 20_000
_WORK_PER_ERROR = 64  # the line number that a decoding error counts costs about a 64th of the text before it


def last_json(text: str, *, complete: bool) -> str | None:
    """Give the last whole JSON object or array: of a fenced block that is one, else anywhere in the text.

    A text that ends inside an object or array was about to answer: if it is not complete it abstains, and no
    part of the unfinished value counts. The work is bounded; hostile text that exhausts it yields what was
    found until then.
    """
    fenced = [block.content.strip() for block in blocks(text) if block.closed and _is_value(block.content)]
    return fenced[-1] if fenced else _last_bare(text, complete=complete)


def _is_value(text: str) -> bool:
    text = text.strip()
    if not text.startswith(("{", "[")):
        return False
    try:
        _FINDER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _last_bare(text: str, *, complete: bool) -> str | None:
    text = text.rstrip()
    found, position = None, 0
    work = _WORK_TO_START + _WORK_PER_CHARACTER * len(text)
    for opening in _OPENING.finditer(text):
        start = opening.start()
        if start < position:
            continue
        try:
            _, position = _FINDER.raw_decode(text, start)
            if not _AFTER_KEY.search(text, max(0, start - _LONGEST_GAP), start):
                found = text[start:position]
        except json.JSONDecodeError as error:
            if _ends_inside(text, error):
                position = len(text)
                found = found if complete else None
            work -= error.pos - start + error.pos // _WORK_PER_ERROR + 1
        except RecursionError:
            work -= _WORK_TOO_DEEP
        if work < 0:
            break
    return found


def _ends_inside(text: str, error: json.JSONDecodeError) -> bool:
    """Say whether decoding failed only because the text ends."""
    return error.msg.startswith("Unterminated string") or _CUT_OFF.fullmatch(text, error.pos) is not None


def json_key(answer: str) -> str:
    """Give the key of a JSON value: sorted keys, no blanks, numbers by value (``1.0`` is ``1``).

    ``NaN`` and ``Infinity`` are kept as Python writes them. What is no JSON is compared by its text, with
    case.
    """
    return settle(answer, _canonical, _LONGEST)


def json_value(answer: str) -> JsonValue:
    """Give the value of a JSON answer of at most 20 000 characters; ``None`` for what is none."""
    if len(answer) > _LONGEST:
        return None
    try:
        value: JsonValue = json.loads(answer, parse_constant=str, strict=False)
    except (ValueError, RecursionError):
        return None
    return value


def _canonical(text: str) -> str:
    try:
        value: _Json = _DECODER.decode(text.strip())
        return _write(value)
    except (ValueError, RecursionError):
        return collapse(text)


def _write(value: _Json) -> str:
    if isinstance(value, _Number):
        return value.text
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_write(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_write, value)) + "]"
    return json.dumps(value)


def closes_json(text: str) -> bool:
    """Say whether ``text``, generated after an opening fence, holds a whole object or array or closes the fence."""
    text = text.lstrip()
    try:
        if text.startswith(("{", "[")):
            _FINDER.raw_decode(text)
            return True
    except (ValueError, RecursionError):
        pass
    return "```" in text
