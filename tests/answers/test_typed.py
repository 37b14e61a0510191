"""Answers of a type: read from a text, held to the type, completed where they were cut, counted on their value."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from thinkctl.answers import Form, form, form_of
from thinkctl.errors import ConfigurationError
from thinkctl.types import Problem


class Street(BaseModel):
    name: str
    number: int


class Person(BaseModel):
    name: str
    age: int
    home: Street | None = None
    tags: list[Literal["new", "old"]] = []
    score: float = 0.5


class Tree(BaseModel):
    label: str
    leaves: list[Tree] = []


def typed(what: Any) -> Form:
    return form_of(Problem.of("Who?", answer_type=what))


CODE = re.compile(r"[A-Z]{2}-\d+")
TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "bool": bool,
    "choice": Literal["Paris", "New York", 3],
    "pattern": CODE,
    "model": Person,
    "list": list[int],
    "union": int | None,
}
VALID: dict[str, st.SearchStrategy[str]] = {
    "int": st.integers(-(10**17), 10**17).map(str),
    "float": st.decimals(-1000, 1000, places=3).map(str),
    "bool": st.sampled_from(["true", "false"]),
    "choice": st.sampled_from(["Paris", "New York", "3"]),
    "pattern": st.from_regex(re.compile(CODE.pattern, re.ASCII), fullmatch=True),
    "model": st.builds(
        Person,
        name=st.text('abc éß"{}\\/', max_size=5),
        age=st.integers(),
        home=st.none() | st.builds(Street, name=st.just("x, y"), number=st.integers(0, 9)),
        tags=st.lists(st.sampled_from(["new", "old"]), max_size=2),
        score=st.sampled_from([0.5, -1.25, 3.0]),
    ).map(lambda person: person.model_dump_json()),
    "list": st.lists(st.integers()).map(json.dumps),
    "union": st.integers().map(str) | st.just("null"),
}
ENDS = {"model": "", "list": "", "union": "\n"}


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_every_beginning_of_a_valid_answer_is_completed_to_a_valid_one(
    name: str, data: st.DataObject
) -> None:
    found = typed(TYPES[name])
    whole = data.draw(VALID[name])
    said = whole + ENDS.get(name, "}")
    cut = said[: data.draw(st.integers(1, len(said)))]
    completed = found.completed(cut)
    assert completed is not None
    assert found.extract(found.cue + completed + ENDS.get(name, "}"), complete=True) == completed
    if len(cut) == len(said):
        assert found.key(completed) == found.key(whole)
    if name == "model":
        Person.model_validate_json(completed)


@pytest.mark.parametrize("name", TYPES)
@given(data=st.data())
def test_a_valid_answer_is_found_and_ends_just_there(name: str, data: st.DataObject) -> None:
    found = typed(TYPES[name])
    whole = data.draw(VALID[name])
    end = ENDS.get(name, "}")
    answer = found.extract(found.cue + whole + end, complete=False)
    assert answer is not None
    assert found.key(answer) == found.key(whole) == found.key(found.key(whole))
    assert found.closed(whole + end)
    assert not found.closed(whole[:-1]) or not end


@pytest.mark.parametrize("name", TYPES)
@given(said=st.text(max_size=30) | st.text('{}[]":,0-1tfnul"PNae \n`\\', max_size=40))
def test_whatever_a_model_says_is_of_the_type_or_no_answer(name: str, said: str) -> None:
    found = typed(TYPES[name])
    for text in (said, found.cue + said):
        for answer in (found.extract(text, complete=True), found.extract(text, complete=False)):
            assert answer is None or found.extract(found.cue + answer + ENDS.get(name, "}"), complete=True)
    found.closed(said)
    found.key(said)
    completed = found.completed(said)
    assert completed is None or found.extract(found.cue + completed, complete=True) is not None


@pytest.mark.parametrize(
    ("what", "said", "completed"),
    [
        (int, "1", "1"),
        (int, "-", "0"),
        (int, "", None),
        (int, " ", None),
        (int, "about", None),
        (float, "1.", "1"),
        (bool, "t", "true"),
        (Literal["Prague", "Paris"], "P", "Paris"),
        (Person, '{"na', '{"name":"","age":0}'),
        (Person, '\n{"name": "Zo\u00eb\ufffd', '\n{"name": "Zo\u00eb","age":0}'),
        (list[int], "[1, ", "[1, 0]"),
        (Person, '{"name": "x"} and', None),
    ],
)
def test_the_shortest_answer_is_taken(what: Any, said: str, completed: str | None) -> None:
    found = typed(what).completed(said)
    assert found == (completed.strip() if completed else completed)


def test_what_breaks_a_bound_that_no_expression_tells_is_no_answer() -> None:
    class Adult(BaseModel):
        age: int = Field(ge=18)

    found = typed(Adult)
    assert found.completed('{"age": 2') is None
    assert found.completed('{"age": 20') == '{"age": 20}'
    assert found.extract('```json\n{"age": 7}\n```', complete=True) is None


@pytest.mark.parametrize(
    ("what", "text", "answer"),
    [
        (int, "I have 3 apples and 5 pears.", None),
        (int, "So the answer is 17.", "17"),
        (int, "so \\boxed{1,024}", "1024"),
        (int, "so \\boxed{3.5}", None),
        (float, "so \\boxed{\\frac{1}{4}}", "0.25"),
        (float, "so \\boxed{1/3}", None),
        (bool, "The answer is Yes.", "true"),
        (Literal["Paris", "Rome"], "The answer is **paris**.", "Paris"),
        (Literal["Paris", "Rome"], "I have been to Paris.", None),
        (CODE, "\\boxed{AB-1}", "AB-1"),
        (CODE, "\\boxed{ab-1}", None),
        (Person, 'It is {"name": "Ann", "age": 3}.', '{"name": "Ann", "age": 3}'),
        (Person, 'It is {"name": "Ann"}.', None),
        (Person, 'It is {"name": "Ann", "age": "three"}.', None),
        (list[int], "[1, 2] and then [3]", "[3]"),
    ],
)
def test_only_what_is_stated_and_of_the_type_counts(what: Any, text: str, answer: str | None) -> None:
    assert typed(what).extract(text, complete=True) == answer


def test_a_cut_text_answers_only_where_the_answer_is_whole() -> None:
    found = typed(int)
    assert found.extract("The answer is 12", complete=False) is None
    assert found.extract("so \\boxed{12} since", complete=False) == "12"
    assert found.extract("\\boxed{12", complete=False) is None


@pytest.mark.parametrize(
    ("what", "alike"),
    [
        (int, ["3", " 3 ", "3.0", "+3"]),
        (float, ["0.5", "1/2", ".50"]),
        (bool, ["true", "Yes", "TRUE"]),
        (
            Person,
            [
                '{"name": "Ann", "age": 3}',
                '{"age": "3", "name": "Ann", "home": null}',
                '{"age": 3.0, "tags": [], "name": "Ann", "score": 0.50, "hair": "red"}',
            ],
        ),
    ],
    ids=str,
)
def test_votes_are_counted_on_the_value(what: Any, alike: list[str]) -> None:
    assert len({typed(what).key(one) for one in alike}) == 1


def test_a_type_is_asked_for_in_words() -> None:
    assert "an integer, within \\boxed{}" in typed(int).instruction
    assert "one of Paris, Rome," in typed(Literal["Paris", "Rome"]).direct
    asked = typed(Person).instruction
    assert json.loads(asked[asked.index("{") :])["required"] == ["name", "age"]
    assert '"title"' not in asked


def test_a_type_within_itself_is_followed_a_little_way() -> None:
    cut = '{"label":"a","leaves":[{"la'
    completed = typed(Tree).completed(cut)
    assert completed is not None
    assert Tree.model_validate_json(completed).leaves == [Tree(label="")]


def test_without_a_type_a_problem_has_the_form_it_names() -> None:
    assert form_of(Problem.of("Who?", "choice")) is form("choice")
    assert form("json").constraint is None
    assert form("json").completed('{"a') is None
    with pytest.raises(ValueError, match="unknown answer form 'typed'"):
        form("typed")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (re.compile("a(?=b)"), "to which no answer can be held"),
        (re.compile(r"[^\d\D]"), "no text at all"),
        ({"kind": "json", "json_schema": '{"not": {}}'}, "has 'not', which is not read"),
        ({"kind": "json", "json_schema": '{"$ref": "#/$defs/A"}'}, "no regular expression|does not have"),
    ],
    ids=str,
)
def test_a_type_to_which_nothing_can_be_held_is_refused(what: Any, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        typed(what)
