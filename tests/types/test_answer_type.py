"""Which Python types are types of an answer, and how a problem carries one."""

from __future__ import annotations

import dataclasses
import enum
import json
import re
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from thinkctl.types import AnswerType, Problem


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: int
    y: float = 0.0


@dataclasses.dataclass
class Pair:
    left: int


@pytest.mark.parametrize(
    ("what", "known"),
    [
        (int, {"kind": "integer"}),
        (float, {"kind": "number"}),
        (bool, {"kind": "boolean"}),
        (Literal["a", 3, True], {"kind": "choice", "choices": ("a", 3, True)}),
        (Colour, {"kind": "choice", "choices": ("red", "blue")}),
        (re.compile(r"[A-Z]\d+"), {"kind": "pattern", "pattern": r"[A-Z]\d+"}),
    ],
    ids=str,
)
def test_a_python_type_is_a_small_value(what: Any, known: dict[str, Any]) -> None:
    assert AnswerType.of(what) == AnswerType(**known)


@pytest.mark.parametrize("what", [Point, Pair, list[int], Point | None, dict[str, int], list], ids=str)
def test_whatever_pydantic_has_a_schema_of_is_json(what: Any) -> None:
    found = AnswerType.of(what)
    assert found.kind == "json"
    assert isinstance(json.loads(found.json_schema), dict)
    assert AnswerType.of(found) is found


def test_the_types_of_outlines_are_understood() -> None:
    types = pytest.importorskip("outlines.types")
    assert AnswerType.of(types.Regex("a+")).pattern == "a+"
    assert AnswerType.of(types.Choice(["a", "b"])).choices == ("a", "b")
    assert AnswerType.of(types.JsonSchema(Point)).json_schema == AnswerType.of(Point).json_schema
    assert re.fullmatch(AnswerType.of(types.either("ab", types.Regex("[0-9]"))).pattern, "7")
    with pytest.raises(ValueError, match="CFG"):
        AnswerType.of(types.CFG('start: "a"'))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (str, "every text is one"),
        (object, "every text is one"),
        (3, "not understood; give a pydantic model"),
        ([int], "not understood"),
        (Literal[b"a"], "choices are texts"),
        (Literal["3", 3], "written alike"),
        (re.compile("a", re.IGNORECASE), "has no flags"),
        (re.compile(b"a"), "is of text"),
        (type("Odd", (), {}), "no JSON schema"),
        (print, "not understood"),
    ],
    ids=str,
)
def test_what_is_no_type_is_told_what_one_is(what: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Problem.of("2+2?", answer_type=what)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "choice"},
        {"kind": "integer", "pattern": "a"},
        {"kind": "json", "json_schema": "[1]"},
        {"kind": "json", "json_schema": "{"},
        {"kind": "poem"},
        {"kind": "pattern", "pattern": "a" * 60_000},
    ],
)
def test_a_type_that_was_written_by_hand_is_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Problem.model_validate({"messages": "2+2?", "answer_type": wrong})


def test_a_problem_with_a_type_has_the_form_typed() -> None:
    typed = Problem.of("2+2?", answer_type=int)
    assert isinstance(typed, Problem)
    assert (typed.form, typed.answer_type) == ("typed", AnswerType(kind="integer"))
    assert Problem.model_validate({"messages": "2+2?", "form": "typed", "answer_type": int}) == typed
    for form, what in (("boxed", int), ("typed", None)):
        with pytest.raises(ValidationError, match="do not go together"):
            Problem.model_validate({"messages": "2+2?", "form": form, "answer_type": what})


@pytest.mark.parametrize("what", [int, Literal["a\ud83d", 3], Point], ids=str)
def test_a_problem_is_the_same_after_json(what: Any) -> None:
    typed = Problem.of("2+2?", answer_type=what)
    assert isinstance(typed, Problem)
    written = typed.model_dump(mode="json", exclude_defaults=True)
    assert Problem.model_validate(json.loads(json.dumps(written))) == typed


def test_the_type_is_part_of_the_id_and_no_type_leaves_the_id_as_it_was() -> None:
    asked = "What is 17*23-4?"
    ids = {Problem.of(asked, answer_type=what).id for what in (int, float, None, Point, Colour)}
    assert len(ids) == 5
    assert "6ce793819992" in ids
