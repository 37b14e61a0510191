"""Questions with a reference answer, out of rows: the problems on one side, the references on the other."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast, final

from pydantic import ValidationError

from thinkctl.answers import FORMS, form
from thinkctl.errors import ConfigurationError
from thinkctl.evals.gold import is_right
from thinkctl.evals.tasks.reading import Row
from thinkctl.evals.tasks.spec import known
from thinkctl.evals.tasks.task import Grader
from thinkctl.types import Problem

__all__ = ["Columns", "Questions", "by_answer", "questions_of"]

_LETTERS: Final = "ABCDEFGHIJ"
_BY_ALGEBRA: Final = frozenset({"boxed", "hashes", "math"})
_NUMBER: Final = re.compile(r"-?[0-9]+(?:/[1-9][0-9]*)?")


@final
@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns are called: of several names the first that a row has."""

    question: tuple[str, ...] = ("question",)
    answer: tuple[str, ...] = ("answer",)
    ids: tuple[str, ...] = ("id",)
    choices: tuple[str, ...] = ("choices",)
    form: tuple[str, ...] = ("form",)


@final
@dataclass(frozen=True, slots=True)
class Questions:
    """Problems, and the reference answer of each by its id. ``chance`` is the accuracy of guessing, in [0, 1]."""

    problems: tuple[Problem, ...]
    references: Mapping[str, str]
    chance: float = 0.0


@final
@dataclass(frozen=True, slots=True)
class _Read:
    row: Row
    id: str
    question: str
    answer: str
    form: str
    choices: tuple[str, ...]


def questions_of(
    rows: Sequence[Row],
    columns: Columns | None = None,
    *,
    form_name: str = "",
    put: Callable[[str], str] = str,
    prefix: str = "",
    choices_in: Callable[[str], int] = lambda _question: 0,
) -> Questions:
    """Return the questions of rows, in their order. Other columns are left alone.

    The form is that of the row, else ``form_name``, else ``choice`` where there are choices, ``number`` where every
    answer is a number, and ``boxed``. ``put`` makes of a question what is asked. A row without an id is called by
    ``prefix`` and its line. ``choices_in`` says how many choices a question's own text lists, for the chance of
    guessing.

    Raises ``ConfigurationError`` with the line for a row that is none, and for two with one id.
    """
    names = columns or Columns()
    read = [_read(row, names, prefix) for row in rows]
    seen: dict[str, int] = {}
    for each in read:
        if each.id in seen:
            raise each.row.error(f"the id {each.id!r} stands in line {seen[each.id]} too; ids are unique")
        seen[each.id] = each.row.line
    open_answers = [each.answer for each in read if not each.choices]
    usual = form_name or ("number" if all(map(_is_number, open_answers)) else "boxed")
    problems, references, guessed = [], {}, 0.0
    for each in read:
        chosen = each.form or ("choice" if each.choices and not form_name else usual)
        problems.append(_problem(each, chosen, put))
        references[each.id] = _letter_of(each) if each.choices else each.answer
        number = len(each.choices) or choices_in(each.question)
        guessed += 1 / number if number else 0.0
    return Questions(tuple(problems), references, guessed / len(read))


def by_answer(references: Mapping[str, str]) -> Grader:
    """Return a grader that compares with references, in the form of each problem; mathematics by algebra."""

    async def grade(problem: Problem, text: str) -> bool:
        gold = references[problem.id]
        if problem.form in _BY_ALGEBRA:  # may wait for a process that computes
            return await asyncio.to_thread(is_right, text, gold, problem.form)
        return is_right(text, gold, problem.form)

    return grade


def _read(row: Row, columns: Columns, prefix: str) -> _Read:
    question = _text(row, columns.question, "a question")
    answer = _text(row, columns.answer, "an answer")
    if question is None:
        raise row.error(_missing(columns.question, row))
    if answer is None:
        raise row.error(_missing(columns.answer, row))
    name = _text(row, columns.ids, "an id") or f"{prefix}-{row.line}".strip("-")
    written = _text(row, columns.form, "a form") or ""
    if written and written not in FORMS:
        raise row.error(f"the form {written!r} is not known; {known(FORMS, written)}")
    return _Read(row, name, question, answer, written, _choices(row, columns))


def _missing(wanted: Sequence[str], row: Row) -> str:
    return (
        f"there is no column {' or '.join(map(repr, wanted))}; the row has {', '.join(row.values) or 'none'}"
    )


def _text(row: Row, columns: Sequence[str], what: str) -> str | None:
    """Return a text or number of a row as text; ``None`` where the row has no such column, or nothing in it."""
    name = next((each for each in columns if row.values.get(each) is not None), None)
    if name is None:
        return None
    value: Any = row.values[name]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise row.error(f"{name}: {value} is no {what.rpartition(' ')[2]}")
        value = int(value) if value.is_integer() else value
    if isinstance(value, list) and len(value) == 1:  # as some sets write their only answer
        value = value[0]
    if isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str | int | float):
        raise row.error(f"{name}: expected {what} as text or number, got {type(value).__name__}")
    text = str(value)
    if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
        raise row.error(f"{name}: it holds half of a character (a lone surrogate); mend the text")
    if not text.strip():
        if what in ("an id", "a form"):
            return None
        raise row.error(f"{name}: expected {what}, got an empty text")
    return text.strip() if what != "a question" else text.strip("\n")


def _choices(row: Row, columns: Columns) -> tuple[str, ...]:
    name = next((each for each in columns.choices if row.values.get(each)), None)
    if name is None:
        return ()
    value: Any = row.values[name]
    parts = [part.strip() for part in value.split("|")] if isinstance(value, str) else value
    if isinstance(parts, dict):  # {"A": "...", "B": "..."}
        parts = list(cast("dict[str, Any]", parts).values())
    found = parts if isinstance(parts, list) else []
    texts = [str(each) for each in found if isinstance(each, str | int | float) and str(each).strip()]
    if not 2 <= len(texts) <= len(_LETTERS) or len(texts) < len(found):
        raise row.error(
            f"{name}: expected 2 to {len(_LETTERS)} choices, a list or a text with | between them, "
            f"got {str(value)[:60]!r}"
        )
    return tuple(texts)


def _letter_of(each: _Read) -> str:
    rules, letters = form("choice"), _LETTERS[: len(each.choices)]
    by_letter = rules.key(each.answer) if len(each.answer) <= len("(A).") else ""
    same = [letter for letter, text in zip(letters, each.choices, strict=True) if text == each.answer]
    found = {*same, *([by_letter] if by_letter in letters and by_letter else [])}
    if len(found) == 1:
        return found.pop()
    raise each.row.error(
        f"the answer {each.answer[:60]!r} is {'none' if not found else 'more than one'} of the choices; "
        f"write its letter, {letters[0]} to {letters[-1]}"
    )


def _problem(each: _Read, form_name: str, put: Callable[[str], str]) -> Problem:
    question = put(each.question)
    if each.choices:
        listed = [f"({letter}) {text}" for letter, text in zip(_LETTERS, each.choices, strict=False)]
        question = "\n".join([question, *listed])
    try:
        return Problem.model_validate({"id": each.id, "form": form_name, "messages": question})
    except ValidationError as error:
        raise each.row.error(f"this is no problem: {error.errors()[0]['msg']}") from None


def _is_number(answer: str) -> bool:
    return _NUMBER.fullmatch(form("number").key(answer)) is not None


def check_form(name: str) -> None:
    """Raise ``ConfigurationError`` for a form that is not known."""
    if name and name not in FORMS:
        raise ConfigurationError(f"form={name!r} is not known; {known(FORMS, name)}")
