"""Tool calls as answers: found in a text as models write them, and compared by what they call.

Models trained on tools write ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``, one for each call; the
protocol of OpenAI has a list of ``{"name": ..., "arguments": ...}`` or ``{"function": {...}}``, arguments as text.
Nothing is ever called here.
"""

# JSON of any shape: what an isinstance finds has no known parts.
# pyright: standard

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, final

from thinkctl.answers.json_values import json_key, last_json
from thinkctl.answers.keys import settle, text_key

__all__ = ["ToolCall", "calls_in", "closes_calls", "last_calls", "tools_key"]

_CALL: Final = re.compile(r"<tool_call>(.*?)</tool_call>", re.DOTALL)
_OPEN: Final = "<tool_call>"
_CLOSE: Final = "</tool_call>"
_MOST: Final = 64
_LONGEST: Final = 100_000
_LONGEST_NAME: Final = 200


@final
@dataclass(frozen=True, slots=True, order=True)
class ToolCall:
    """One call. ``arguments`` are canonical JSON: names sorted, numbers by value."""

    name: str
    arguments: str = "{}"


def calls_in(answer: str) -> tuple[ToolCall, ...]:
    """Read the calls of an answer in the order it has them; none where any of it is no call."""
    if len(answer) > _LONGEST:
        return ()
    marked = [found[1] for found in _CALL.finditer(answer)]
    values = [_decoded(text) for text in marked] if marked else _listed(_decoded(answer))
    calls = [_call_of(value) for value in values]
    if not calls or len(calls) > _MOST:
        return ()
    return tuple(call for call in calls if call is not None) if None not in calls else ()


def last_calls(text: str, *, complete: bool) -> str | None:
    """Give the last calls in a text: the marked ones that follow each other at its end, else the last JSON of calls.

    A call that was cut makes the whole answer abstain, since half of the calls is another answer. Where a turn
    ended by itself its last closing mark may be missing.
    """
    text = text[-_LONGEST:]
    opened = text.rfind(_OPEN)
    if opened >= 0:
        if text.find(_CLOSE, opened) < 0:
            if not complete or not calls_in(text[opened:] + _CLOSE):
                return None
            text = text.rstrip() + _CLOSE
        found = "\n".join(_last_group(text))
        return found if calls_in(found) else None
    stated = last_json(text, complete=complete)
    return stated if stated is not None and calls_in(stated) else None


def _last_group(text: str) -> list[str]:
    """Return the marked calls at the end that only blanks part from each other: earlier ones were called before."""
    group: list[str] = []
    last = -1
    for found in _CALL.finditer(text):
        if text[last : found.start()].strip():
            group = []
        group.append(found[0])
        last = found.end()
    return group


def tools_key(answer: str) -> str:
    """Give the key of calls: neither their order nor how their arguments are written matters."""
    return settle(answer, _canonical, _LONGEST)


def _canonical(answer: str) -> str:
    calls = sorted(calls_in(answer))
    if not calls:
        return text_key(answer)
    listed = (f'{{"arguments":{call.arguments},"name":{json.dumps(call.name)}}}' for call in calls)
    return f"[{','.join(listed)}]"


def closes_calls(text: str) -> bool:
    """Say whether ``text``, generated after an opening mark, closes it and opens no other call."""
    _, closing, rest = text.rpartition(_CLOSE)
    return bool(closing) and bool(rest.strip()) and not _OPEN.startswith(rest.strip()[: len(_OPEN)])


def _decoded(text: str) -> Any:
    try:
        return json.loads(
            text, parse_int=_Written, parse_float=_Written, parse_constant=_Written, strict=False
        )
    except (ValueError, RecursionError):
        return None


class _Written(str):
    """A JSON number as it is written: it is never built, however large."""

    __slots__ = ()


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    return value if isinstance(value, list) else [value]


def _call_of(value: Any) -> ToolCall | None:
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict):
        return None
    name = value.get("name")
    arguments = value.get("arguments", value.get("parameters", {}))
    if isinstance(arguments, str) and not isinstance(arguments, _Written):
        arguments = _decoded(arguments) if arguments.strip() else {}
    if type(name) is not str or not 0 < len(name) <= _LONGEST_NAME or not isinstance(arguments, dict):
        return None
    try:
        return ToolCall(name, json_key(_spelled(arguments)))
    except RecursionError:
        return None


def _spelled(value: Any) -> str:
    """Write JSON with its numbers as they were."""
    if isinstance(value, _Written):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{_spelled(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_spelled, value)) + "]"
    return json.dumps(value)
