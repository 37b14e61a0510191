"""Answers of a given shape: JSON that fits a schema, text that matches a pattern."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, field_validator

from thinkctl import Problem, registry
from thinkctl.errors import ConfigurationError, RequestFailed
from thinkctl.protocols import Verifier
from thinkctl.testing import history_of, sample_of
from thinkctl.types import Verdict, spec_of
from thinkctl.verifiers import Matches, Schema
from thinkctl.verifiers.script import ScriptRun, ask_script


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)


class Order(BaseModel):
    items: list[Item]
    currency: Literal["EUR", "USD"] = "EUR"

    @field_validator("items")
    @classmethod
    def _no_name_twice(cls, value: list[Item]) -> list[Item]:
        if len({item.name for item in value}) < len(value):
            raise ValueError("a name is there twice")
        return value


@dataclass
class Point:
    x: int
    y: int


def here(name: str) -> str:
    return f"{__name__}:{name}"


def judged(verifier: Verifier, answer: str | None, problem: Problem | None = None) -> Verdict:
    sample = sample_of(answer)
    return asyncio.run(
        verifier.judge(history_of(sample, problem=problem or Problem.of("Which?")), sample, {})
    )


# -- JSON ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        ("Order", '{"items": [{"name": "tea", "price": 3.5}]}'),
        ("Order", '```json\n{"items": [], "currency": "USD"}\n```'),
        ("Order", 'Here it is: {"items": []}'),
        ("Point", '{"x": 1, "y": 2}'),
    ],
)
def test_json_that_fits_passes(model, answer) -> None:
    assert judged(Schema(here(model)), answer) == Verdict(1.0, passed=True)


def test_what_is_wrong_is_listed_by_its_path() -> None:
    verdict = judged(Schema(here("Order")), '{"items": [{"price": -1}, 3], "currency": "GBP"}')
    assert (verdict.score, verdict.passed) == (0.0, False)
    assert verdict.feedback.splitlines() == [
        "The answer does not fit:",
        "items.0.name: Field required, not {'price': -1}",
        "items.0.price: Input should be greater than 0, not -1",
        "items.1: Input should be an object, not 3",
        "currency: Input should be 'EUR' or 'USD', not 'GBP'",
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (
            '{"items": [{"name": "a", "price": 1}, {"name": "a", "price": 1}]}',
            "items: Value error, a name is there twice",
        ),
        ('{"items": ', "as a whole: Invalid JSON"),
        ("no JSON", "as a whole: Invalid JSON"),
        ("", "as a whole: Invalid JSON"),
        (None, "no answer"),
        ("[" * 100_000, "as a whole: Invalid JSON"),
        ('{"items": [' + ",".join(["3"] * 50) + "]}", "and 42 more"),
        ('"' + "x" * 300_000 + '"', "longer than 200000 characters"),
    ],
)
def test_what_does_not_fit_fails_with_the_reason(answer, says) -> None:
    verdict = judged(Schema(here("Order")), answer)
    assert verdict.passed is False
    assert says in verdict.feedback
    assert len(verdict.feedback) < 2_000


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}, "required": ["n"]}


@pytest.mark.parametrize(
    ("answer", "passes", "says"),
    [
        ('{"n": 3}', True, ""),
        ('{"n": 2}', False, "does not fit"),
        ("{}", False, "'n' is missing"),
        ("3 4", False, "JSON"),
    ],
)
def test_a_problem_may_give_its_schema(answer, passes, says) -> None:
    given_ = Problem.model_validate({"messages": "Which?", "given": {"json_schema": SCHEMA}})
    verdict = judged(Schema(), answer, given_)
    assert verdict.passed is passes
    assert says in verdict.feedback


def test_a_typed_problem_has_its_schema_with_it() -> None:
    typed = Problem.of("Which?", answer_type=Order)
    assert isinstance(typed, Problem)
    sample = sample_of('{"items": []}')
    assert asyncio.run(Schema().judge(history_of(sample).__class__(typed), sample, {})).passed is True


def test_a_problem_without_any_schema_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="gives no schema"):
        judged(Schema(), "{}")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("Order", "names no class"),
        ("nowhere_at_all:Order", "cannot be found"),
        ("os:nothing", "cannot be found"),
        ("os:system", "no pydantic model"),  # pydantic would call a function
        ("builtins:dict", "no pydantic model"),
        ("os:path.join", "no pydantic model"),
    ],
)
def test_what_is_no_model_is_refused(model, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Schema(model)


@given(st.text(max_size=60))
def test_any_text_is_checked(text) -> None:
    assert judged(Schema(here("Order")), text).passed in (True, False)


# -- patterns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "knobs", "answer", "passes"),
    [
        (r"\d{4}-\d\d-\d\d", {}, "2024-02-20", True),
        (r"\d{4}-\d\d-\d\d", {}, "on 2024-02-20", False),
        (r"\d{4}-\d\d-\d\d", {"whole": False}, "on 2024-02-20", True),
        (r"(?i)yes|no", {}, "YES", True),
        ("a", {}, "", False),
        ("a", {}, "\ud800", False),
    ],
)
def test_a_pattern_matches_as_a_whole_or_anywhere(pattern, knobs, answer, passes) -> None:
    assert judged(Matches(pattern, **knobs), answer).passed is passes


def test_what_was_expected_is_said_in_words_or_as_the_pattern() -> None:
    assert (
        judged(Matches("a+"), "b").feedback == "The answer is not what was asked for: text that matches a+."
    )
    assert (
        judged(Matches("a+", what="some a"), "b").feedback == "The answer is not what was asked for: some a."
    )
    assert judged(Matches("a+"), None).feedback == "There is no answer."


def test_a_pattern_that_backtracks_for_ever_is_ended() -> None:
    began = time.monotonic()
    verdict = judged(Matches("(a+)+b", seconds=0.2), "a" * 60)
    assert verdict.passed is False
    assert verdict.feedback == "The answer could not be matched within 0.2 s."
    assert time.monotonic() - began < 10


@settings(max_examples=5)
@given(st.text(max_size=60))
def test_any_text_is_matched(text) -> None:
    assert judged(Matches("(?s).*"), text).passed is True


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"pattern": "(a"}, "no regular expression"),
        ({"pattern": "a" * 20_000}, "longer than"),
        ({"pattern": "a", "seconds": 0}, "seconds=0"),
    ],
)
def test_what_cannot_be_matched_is_refused(knobs, says) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Matches(**knobs)


# -- scripts ---------------------------------------------------------------------------------------------------------


def test_a_script_that_does_not_start_is_a_failed_request(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise SystemExit(1)")
    with pytest.raises(RequestFailed, match="did not start"):
        asyncio.run(ask_script(tmp_path / "broken.py", {}, 1.0))


def test_a_script_that_was_killed_before_it_began_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(f"open({str(tmp_path / 'began')!r}, 'w')")
    run = ScriptRun(tmp_path / "script.py")
    run.kill()
    assert run.ask({}, 1.0) == ()
    assert not (tmp_path / "began").exists()


def test_what_a_script_broke_off_says_nothing(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("""print('{"ready": true}\\n{"one": 1}\\n{"two": ', end='')""")
    assert asyncio.run(ask_script(script, {}, 5.0)) == [{"ready": True}, {"one": 1}]


@pytest.mark.parametrize("part", [Schema(), Matches("a", what="an a")], ids=repr)
def test_they_are_registered_verifiers(part) -> None:
    assert isinstance(part, Verifier)
    assert registry.build(spec_of(part)) == part
