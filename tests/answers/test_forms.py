"""Forms: what they ask, what they force, when a forced answer is finished."""

from __future__ import annotations

import dataclasses
import re

import pytest

from thinkctl.answers import FORMS, form

ANSWERS = {
    "boxed": r"\frac{1}{2}}",
    "hashes": "12\n",
    "number": "12}",
    "choice": "B}",
    "json": '{"a": [1]}',
    "code": "python\nx = 1\n```",
    "text": "yajo\n",
    "date": "05/01/2021}",
    "math": r"\{1, \sqrt{2}\}}",
}
"""What completes an answer at its last character. ``tool-calls`` are complete where something else follows them."""


def test_there_are_ten_forms():
    assert set(FORMS) == {*ANSWERS, "tool-calls"}
    assert all(form(name) is FORMS[name] and FORMS[name].name == name for name in FORMS)


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown answer form 'box'; known forms: boxed, hashes, number"):
        form("box")
    with pytest.raises(ValueError, match="unknown answer form 'box'"):
        dataclasses.replace(form("boxed"), name="box")


def test_the_sentences_of_a_form_may_be_replaced():
    german = dataclasses.replace(form("boxed"), instruction="Antworte in \\boxed{}.")
    assert german != form("boxed")
    assert german.extract(r"\boxed{7}") == "7"


@pytest.mark.parametrize("name", ANSWERS)
def test_a_forced_answer_is_found_although_the_thought_was_cut(name: str):
    found = form(name)
    text = "I was thinking that 3 and" + "\n" + found.cue + ANSWERS[name]
    assert found.extract(text, complete=False) is not None


@pytest.mark.parametrize("name", ANSWERS)
def test_a_forced_answer_is_closed_exactly_at_its_end(name: str):
    answer = ANSWERS[name]
    assert [form(name).closed(answer[:end]) for end in range(len(answer) + 1)] == [False] * len(answer) + [
        True
    ]


@pytest.mark.parametrize("name", ANSWERS)
def test_a_closed_answer_stays_closed(name: str):
    assert form(name).closed(ANSWERS[name] + "\nand more")


@pytest.mark.parametrize("name", FORMS)
def test_the_opening_is_found_where_the_cue_stands(name: str):
    found = form(name)
    assert found.opening is not None
    thought = "Let x_{1} be 3 of [these].\n"
    match = re.search(found.opening, thought + found.cue + ANSWERS.get(name, '{"name": "f"}'))
    assert match is not None
    assert match.start() == len(thought)


def test_a_heading_does_not_open_an_answer():
    opening = form("hashes").opening
    assert opening is not None
    assert re.search(opening, "#### Step 1\n") is None


def test_escaped_braces_do_not_close_a_box():
    assert not form("boxed").closed(r"\{1, 2\}")
    assert form("boxed").closed(r"\{1, 2\}}")
    assert not form("boxed").closed(r"\boxed{1}")


def test_blank_lines_do_not_finish_an_answer():
    assert not form("hashes").closed("\n\n 12")
    assert form("hashes").closed("\n\n 12\n")
