r"""Answers of a type: how one is held to it, found in a text, completed where it was cut, and compared.

A scalar is asked for in ``\boxed{}``, whose closing brace ends it; any other value as JSON in a fence. What a model
says is checked whatever the engine promised, and what is not of the type is no answer.
"""

from __future__ import annotations

import functools
import importlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, final

from pydantic import JsonValue

from thinkctl.answers.automaton import Automaton, automaton, without_anchors
from thinkctl.answers.boxes import closes_box, last_box
from thinkctl.answers.json_values import closes_json, json_key, json_value, last_json
from thinkctl.answers.keys import math_key, text_key
from thinkctl.answers.schemas import Schema, Unfit
from thinkctl.answers.statements import final_line, hash_lines, statements
from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.types import AnswerType, Constraint

__all__ = ["TypedRules", "rules_of"]

_BOX: Final = "\\boxed{"
_FENCE: Final = "```json\n"
_INTEGER: Final = "-?(0|[1-9][0-9]{0,17})"
_SCALARS: Final[Mapping[str, str]] = {
    "integer": _INTEGER,
    "number": rf"{_INTEGER}(\.[0-9]{{1,18}})?",
    "boolean": "(true|false)",
}
_WHAT: Final[Mapping[str, str]] = {
    "integer": "your final answer, an integer,",
    "number": "your final answer, a decimal number,",
    "boolean": "your final answer, true or false,",
}
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")
_MOST_TRIES: Final = 50
_LONGEST: Final = 100_000
"""Characters of a JSON answer."""
_TRUTHS: Final = {"true": "true", "yes": "true", "false": "false", "no": "false"}


@final
@dataclass(frozen=True, slots=True)
class TypedRules:
    """What there is to know of the answers of one type.

    ``read`` gives the canonical text of what is of the type, ``None`` for what is not. Of generated text the
    ``cue`` comes first and ``end`` last.
    """

    cue: str
    end: str
    what: str
    opening: str
    constraint: Constraint
    read: Callable[[str], str | None]
    is_json: bool
    may_be_bare: bool = False

    def extract(self, text: str, *, complete: bool) -> str | None:
        """Give the answer in ``text``: what follows the cue at its start, else what it states anywhere."""
        if text.startswith(self.cue):
            said = text[len(self.cue) :]
            found = self._stated(said)
            if found is None and complete:
                found = self._if_read(said.strip())
            if found is not None:
                return found
        candidates = self._candidates(text, complete=complete)
        return next((found for one in candidates if one and (found := self._if_read(one)) is not None), None)

    def key(self, answer: str) -> str:
        """Give the string on which votes are counted."""
        value = self.read(answer)
        if value is None:
            return text_key(answer)
        return json_key(value) if self.is_json else value

    def value(self, answer: str) -> JsonValue:
        """Give the value of an answer that is JSON; ``None`` for other types, and for what is not of the type."""
        return json_value(self.read(answer) or "") if self.is_json else None

    def closes(self, said: str) -> bool:
        """Say whether ``said``, generated after the cue, holds a whole answer or has ended without one."""
        if self.is_json:
            return closes_json(said) if not self.may_be_bare else "\n" in said.strip(" ") or "```" in said
        return closes_box(said) or self._stated(said) is not None

    def completed(self, said: str) -> str | None:
        """Give the shortest answer that begins with ``said``, which was cut after the cue; of several the first.

        ``None`` where nothing was said, where it is no beginning of an answer, or where bounds that no regular
        expression tells are broken.
        """
        said = said.rstrip("\ufffd")
        if not said.strip() or len(said) > _LONGEST:
            return None
        whole = self._automaton.completed(said) or self._automaton.completed(said.lstrip())
        return None if whole is None else self._if_read(whole.removesuffix(self.end))

    @property
    def _automaton(self) -> Automaton:
        return automaton(self.constraint.regex)

    def _if_read(self, text: str) -> str | None:
        """Give the answer as people read it: JSON as it was written, a scalar canonically."""
        text = text.strip()
        value = self.read(text)
        return text if value is not None and self.is_json else value

    def _stated(self, said: str) -> str | None:
        """Give the answer that ``said`` begins with, if its end is there."""
        if self.is_json and not self.may_be_bare:
            return _first_json(said, self._if_read)
        place = -1
        for _ in range(_MOST_TRIES):
            place = said.find(self.end, place + 1)
            if place < 0:
                return None
            if (found := self._if_read(said[:place])) is not None:
                return found
        return None

    def _candidates(self, text: str, *, complete: bool) -> Iterator[str | None]:
        if self.is_json:
            yield last_json(text, complete=complete)
            if complete and self.may_be_bare:
                yield text
        yield last_box(text)
        if complete and not self.is_json:
            yield final_line(text, complete=True)
            yield from hash_lines(text, complete=True)
            yield from statements(text)
            yield text


@functools.lru_cache(maxsize=64)
def rules_of(answer_type: AnswerType) -> TypedRules:
    """Return the rules of a type.

    Raises ``ConfigurationError`` for a schema or a pattern that no answer can be held to, and ``MissingExtra``
    without ``outlines_core``.
    """
    rules = _json_rules(answer_type) if answer_type.kind == "json" else _scalar_rules(answer_type)
    if not automaton(rules.constraint.regex).accepts_start(""):
        raise ConfigurationError("no text at all is an answer of this type; check its pattern")
    return rules


def _scalar_rules(answer_type: AnswerType) -> TypedRules:
    kind = answer_type.kind
    read: Callable[[str], str | None]
    if kind == "choice":
        named = {str(_plain(choice)): choice for choice in answer_type.choices}
        content = f"({'|'.join(_escaped(name) for name in named)})"
        what = f"your final answer, one of {', '.join(named)},"
        read = functools.partial(_chosen, tuple(named))
    elif kind == "pattern":
        bare = without_anchors(answer_type.pattern)
        content = f"({bare})"
        what = f"your final answer, text that matches the regular expression {bare},"
        read = functools.partial(_matching, automaton(content))
    else:
        content, what = _SCALARS[kind], _WHAT[kind]
        read = {"integer": _whole, "number": _decimal, "boolean": _truth}[kind]
    return TypedRules(
        cue=_BOX,
        end="}",
        what=what,
        opening=r"\\(?:boxed|fbox)\s{0,4}\{",
        constraint=Constraint(content + r"\}"),
        read=read,
        is_json=False,
    )


def _json_rules(answer_type: AnswerType) -> TypedRules:
    schema = Schema(answer_type.json_schema)
    bare = not schema.kinds or not schema.kinds <= {"object", "array"}
    end = "\n" if bare else ""
    return TypedRules(
        cue=_FENCE,
        end=end,
        what=schema.shown,
        opening=r"(?m)^[ \t]{0,8}(?:```json\b|[{\[][ \t]{0,8}(?:[\"\[{\]}]|$))",
        constraint=Constraint(_regex_of(answer_type.json_schema) + end, answer_type.json_schema),
        read=functools.partial(_fitting, schema),
        is_json=True,
        may_be_bare=bare,
    )


def _regex_of(schema: str) -> str:
    try:
        outlines: Any = importlib.import_module("outlines_core.json_schema")
    except ImportError as error:
        raise MissingExtra(
            "typed answers that are JSON need outlines_core; install thinkctl[typed]"
        ) from error
    try:
        return f"({outlines.build_regex_from_schema(schema, ' ?')})"
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"no regular expression describes the schema of the answer ({error}); say it more simply"
        ) from None


def _escaped(text: str) -> str:
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)


def _plain(choice: object) -> object:
    return json.dumps(choice) if isinstance(choice, bool | int | float) else choice


# ------------------------------------------------------------------- the canonical text of what is of a type


def _whole(text: str) -> str | None:
    value = _decimal(text)
    return value if value is not None and re.fullmatch(r"-?[0-9]+", value) else None


def _decimal(text: str) -> str | None:
    """Give a number as a decimal fraction; a fraction that is none (1/3) is no such number."""
    found = re.fullmatch(r"(-?[0-9]{1,60})(?:/([1-9][0-9]{0,60}))?", math_key(text))
    if found is None:
        return None
    top, bottom = int(found[1]), int(found[2] or 1)
    places, rest = 0, bottom
    for prime in (10, 2, 5):
        while rest % prime == 0:
            rest //= prime
            places += 1
    if rest != 1:
        return None
    scaled = abs(top) * 10**places // bottom
    digits = str(scaled).rjust(places + 1, "0")
    whole, part = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    sign = "-" if top < 0 else ""
    return f"{sign}{whole}.{part}" if part else f"{sign}{whole}"


def _truth(text: str) -> str | None:
    return _TRUTHS.get(text_key(text).rstrip("."))


def _chosen(choices: tuple[str, ...], text: str) -> str | None:
    if text in choices:
        return text
    alike = [choice for choice in choices if text_key(choice) == text_key(text)]
    return alike[0] if len(alike) == 1 else None


def _matching(machine: Automaton, text: str) -> str | None:
    return text if machine.matches(text) else None


def _fitting(schema: Schema, text: str) -> str | None:
    if len(text) > _LONGEST:
        return None
    try:
        value = schema.fitted(json.loads(text, parse_constant=_refuse, strict=False))
        return json.dumps(value, sort_keys=True, ensure_ascii=False)
    except (ValueError, RecursionError, OverflowError):
        return None


def _refuse(name: str) -> Any:
    raise Unfit(f"{name} is no JSON")


def _first_json(said: str, read: Callable[[str], str | None]) -> str | None:
    said = said.lstrip()
    try:
        _, end = json.JSONDecoder(strict=False).raw_decode(said[:_LONGEST])
    except (ValueError, RecursionError):
        return None
    return read(said[:end])
