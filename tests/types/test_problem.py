"""Problems, messages, sampling and requests."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from thinkctl.types import Message, Problem, Request, Sampling

texts = st.text(min_size=1, max_size=50).filter(str.strip)


def problem(text: Any, **more: Any) -> Problem:
    return Problem.model_validate({"messages": text, **more})


def test_a_text_is_one_user_message() -> None:
    assert problem("2+2?") == Problem(messages=(Message(role="user", content="2+2?"),))
    assert Problem.of("2+2?", "choice").form == "choice"


def test_a_problem_is_taken_as_it_is() -> None:
    known = problem("2+2?", id="mine")
    assert Problem.of(known) is known


def test_the_id_follows_from_the_content_and_is_the_same_in_every_process() -> None:
    """It is in run files: this very value must never change."""
    assert problem("What is 17*23-4?").id == "6ce793819992"
    code = "from thinkctl.types import Problem; print(Problem.of('What is 17*23-4?').id)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6ce793819992"


@given(texts, texts, st.sampled_from(["boxed", "number"]), st.sampled_from(["boxed", "number"]))
def test_ids_are_equal_exactly_where_problems_are(one: str, other: str, form: str, other_form: str) -> None:
    first, second = problem(one, form=form), problem(other, form=other_form)
    assert (first.id == second.id) == (first == second) == ((one, form) == (other, other_form))


@given(st.lists(st.tuples(st.sampled_from(["user", "system"]), texts), min_size=1, max_size=3))
def test_the_way_a_conversation_is_cut_into_messages_is_part_of_the_id(turns: list[tuple[str, str]]) -> None:
    apart = problem([{"role": role, "content": text} for role, text in turns])
    together = problem([{"role": "user", "content": "".join(text for _, text in turns)}])
    assert (apart.id == together.id) == (apart.messages == together.messages)


def test_an_id_that_was_given_is_kept() -> None:
    assert problem("2+2?", id="gsm8k/17").id == "gsm8k/17"


def test_half_a_surrogate_does_not_break_the_id() -> None:
    assert len(Problem.of("a \ud83d b").id) == 12


@pytest.mark.parametrize("text", ["", "  ", [{"role": "user", "content": "\n"}], []])
def test_an_empty_problem_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        problem(text)


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([("user", "One?"), ("assistant", "1"), ("user", "Two?")], "Two?"),
        ([("user", "One?"), ("tool", "data")], "One?"),
        ([("system", "Prove it.")], ""),
    ],
)
def test_the_text_for_people_is_the_last_user_turn(turns: list[tuple[str, str]], text: str) -> None:
    assert problem([{"role": role, "content": content} for role, content in turns]).text == text


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": "x", "answer": "4"},
        {"messages": [{"role": "teacher", "content": "x"}]},
        {"messages": [{"role": "user", "content": "x", "name": "y"}]},
    ],
)
def test_what_a_problem_does_not_have_is_refused(fields: dict[str, Any]) -> None:
    """Above all the reference answer: only a grader has that."""
    with pytest.raises(ValidationError):
        Problem.model_validate(fields)


@given(texts)
def test_a_problem_survives_json(text: str) -> None:
    made = problem(text.encode("utf-8", "ignore").decode() or "x")
    assert Problem.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": 2},
        {"max_tokens": 0},
        {"thinking_tokens": -1},
        {"logprobs": 21},
        {"seed": 4},
    ],
    ids=str,
)
def test_sampling_out_of_range_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Sampling.model_validate(fields)


def test_a_request_asks_for_one_thinking_sample_of_the_first_model_unless_told() -> None:
    request = Request(problem("2+2?").messages)
    assert (request.parent, request.reopen, request.extend, request.think, request.model) == (
        None,
        False,
        "",
        True,
        None,
    )
    assert request.sampling == Sampling()
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.think = False  # type: ignore[misc]


def test_what_is_given_is_part_of_the_problem_and_of_its_id() -> None:
    """Two puzzles with the same text and other numbers are two problems; without anything given nothing changes."""
    one = Problem.model_validate({"messages": "Make 24.", "given": {"numbers": [4, 4, 6, 8], "target": 24}})
    other = one.model_copy(update={"given": {"numbers": [1, 2, 3, 4], "target": 24}, "id": ""})
    assert Problem.model_validate(one.model_dump(mode="json")) == one
    assert Problem.model_validate(other.model_dump()).id != one.id
    assert (
        one.id
        != Problem.of("Make 24.").id
        == Problem.model_validate({"messages": "Make 24.", "given": {}}).id
    )
    assert hash(one) == hash(one.model_copy())


@pytest.mark.parametrize("given", [{"f": print}, {"f": object()}, [1], {1: 2}, {"x": float("nan")}])
def test_what_is_given_must_be_plain_json(given: object) -> None:
    with pytest.raises(ValidationError, match="given"):
        Problem.model_validate({"messages": "Q", "given": given})
