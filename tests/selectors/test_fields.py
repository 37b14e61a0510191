"""Votes on fields."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from thinkctl.selectors import FieldwiseMajority, Majority
from thinkctl.testing import check_selector, history_of
from thinkctl.types import Answer, History, Problem


class Home(BaseModel):
    city: str
    floor: int = 0


class Person(BaseModel):
    name: str
    age: int
    home: Home | None = None


def voted(*answers: Any, what: Any = Person) -> Answer | None:
    texts = [
        answer if answer is None or isinstance(answer, str) else json.dumps(answer) for answer in answers
    ]
    return FieldwiseMajority().select(history_of(*texts, problem=Problem.of("Who?", answer_type=what)))


def person(name: str, age: int, city: str | None = None, floor: int = 0) -> dict[str, Any]:
    home = None if city is None else {"city": city, "floor": floor}
    return {"name": name, "age": age, "home": home}


def test_it_conforms() -> None:
    check_selector(FieldwiseMajority())


def test_each_field_has_its_own_majority() -> None:
    answer = voted(person("Ann", 3), person("Ann", 4), person("Bob", 4))
    assert answer is not None
    assert (answer.text, answer.sample) == (json.dumps(person("Ann", 4)), 1)


def test_what_nobody_said_as_a_whole_comes_from_the_sample_that_agrees_most() -> None:
    answer = voted(person("Ann", 1, "Rome"), person("Bob", 2, "Rome"), person("Ann", 2, "Bonn"))
    assert answer is not None
    assert json.loads(answer.text) == person("Ann", 2, "Rome")
    assert answer.sample == 0
    assert answer.key == '{"age":2,"home":{"city":"Rome","floor":0},"name":"Ann"}'


@pytest.mark.parametrize(
    ("homes", "won"),
    [
        ([("Rome", 1), ("Rome", 2), ("Bonn", 2)], ("Rome", 2)),
        ([None, ("Rome", 2), ("Bonn", 2)], ("Rome", 2)),
        ([None, None, ("Bonn", 2)], None),
        ([None, ("Rome", 1)], None),
        ([("Rome", 1), None], ("Rome", 1)),
    ],
)
def test_within_an_object_those_vote_who_have_one_and_ties_go_to_the_first(homes: Any, won: Any) -> None:
    said = [person("Ann", 1) if home is None else person("Ann", 1, *home) for home in homes]
    answer = voted(*said)
    assert answer is not None
    assert json.loads(answer.text)["home"] == (None if won is None else {"city": won[0], "floor": won[1]})


def test_defaults_and_spelling_do_not_split_a_vote() -> None:
    answer = voted(person("Ann", 5), '{"age": "4", "name": "Bob"}', person("Cid", 4))
    assert answer is not None
    assert json.loads(answer.text)["age"] == 4


def test_a_field_is_left_out_where_most_leave_it_out() -> None:
    texts = ['{"a": 1}', '{"a": 1, "b": 2}', '{"a": 2}', '{"b": 2, "a": 2, "c": 1}', '{"a": 2}']
    selected = FieldwiseMajority().select(
        history_of(*texts, problem=Problem.model_validate({"messages": "Q", "form": "json"}))
    )
    assert selected is not None
    assert json.loads(selected.text) == {"a": 2}


def test_what_is_not_of_the_type_together_gives_way_to_the_majority() -> None:
    mixed = {"anyOf": [_only("a", 1), _only("b", 2), _only("a", 3), _only("c", 2)]}
    what = {"kind": "json", "json_schema": json.dumps(mixed)}
    problem = Problem.model_validate({"messages": "Q", "answer_type": what})
    texts = ['{"k": "a", "v": 1}', '{"k": "b", "v": 2}', '{"k": "a", "v": 3}', '{"k": "c", "v": 2}']
    history = history_of(*texts, problem=problem)
    assert FieldwiseMajority().select(history) == Majority().select(history)


def _only(kind: str, value: int) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"k": {"const": kind}, "v": {"const": value}},
        "required": ["k", "v"],
    }


@pytest.mark.parametrize(
    ("what", "texts", "won"), [(int, ["3", "4", "4"], "4"), (list[int], ["[1]", "[2]", "[2]"], "[2]")]
)
def test_answers_without_fields_are_voted_on_as_a_whole(what: Any, texts: list[str], won: str) -> None:
    answer = voted(*texts, what=what)
    assert answer is not None
    assert answer.text == won


def test_nobody_who_abstains_votes() -> None:
    assert voted(None, None) is None
    answer = voted(None, person("Ann", 3))
    assert answer is not None
    assert answer.sample == 1


people = st.builds(
    person, st.sampled_from("AB"), st.integers(0, 2), st.none() | st.sampled_from("CD"), st.integers(0, 1)
)


@given(st.lists(people, min_size=1, max_size=7))
def test_the_result_is_of_the_type_and_no_field_loses_its_vote(said: list[dict[str, Any]]) -> None:
    answer = voted(*said)
    assert answer is not None
    won = json.loads(answer.text)
    Person.model_validate(won)
    for name in ("name", "age"):
        values = [one[name] for one in said]
        assert won[name] == max(values, key=values.count)
    assert 0 <= answer.sample < len(said)


@given(people, st.integers(1, 5))
def test_unanimity_wins(one: dict[str, Any], times: int) -> None:
    history: History = history_of(*[json.dumps(one)] * times, problem=Problem.of("Who?", answer_type=Person))
    assert FieldwiseMajority().select(history) == history.answers[0]
