"""Specs: a part as plain data."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from thinkctl import AdaptiveConsistency, ChainOfThought, SelfConsistency, ThinkingCap, any_of
from thinkctl.selectors import BestScore
from thinkctl.types import Problem, Sampling, name_of, spec_of


class Color(enum.Enum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    inner: object = BestScore()
    several: tuple[object, ...] = (ThinkingCap(3), 2, None)
    price: Decimal = Decimal("0.10")
    color: Color = Color.RED
    table: dict[Any, Any] = field(default_factory=lambda: {1: ThinkingCap(4), "x": [1.5]})
    sampling: Sampling = Sampling(temperature=0)
    problem: Problem = Problem.of("2+2?")


class PlainPart:
    """No dataclass: it has only its name."""


@pytest.mark.parametrize(
    ("part", "name"),
    [
        (SelfConsistency(), "self-consistency"),
        (SelfConsistency, "self-consistency"),
        (ChainOfThought(), "chain-of-thought"),
        (type("ABMCTS", (), {}), "abmcts"),
        (type("LLMJudge", (), {}), "llm-judge"),
        (type("BestOf3Votes", (), {}), "best-of3-votes"),
        (PlainPart(), "plain-part"),
    ],
)
def test_the_name_of_a_part_follows_from_its_class(part: object, name: str) -> None:
    assert name_of(part) == name


def test_a_spec_is_the_name_and_the_parameters() -> None:
    assert spec_of(AdaptiveConsistency(0.9)) == {"name": "adaptive-consistency", "confidence": 0.9}
    assert spec_of(SelfConsistency(5)) == {
        "name": "self-consistency",
        "n": 5,
        "weight": None,
        "sampling": {},
    }


def test_parts_in_parts_become_specs_in_specs() -> None:
    assert spec_of(any_of(ThinkingCap(9), AdaptiveConsistency())) == {
        "name": "any-of",
        "policies": [
            {"name": "thinking-cap", "tokens": 9},
            {"name": "adaptive-consistency", "confidence": 0.95},
        ],
    }


def test_every_value_becomes_plain_and_survives_json() -> None:
    spec = spec_of(Part())
    assert spec == json.loads(json.dumps(spec))
    assert spec["several"] == [{"name": "thinking-cap", "tokens": 3}, 2, None]
    assert (spec["price"], spec["color"], spec["sampling"]) == ("0.10", "red", {"temperature": 0.0})
    assert spec["table"] == {"1": {"name": "thinking-cap", "tokens": 4}, "x": [1.5]}


def test_a_part_that_is_no_dataclass_has_only_its_name() -> None:
    assert spec_of(PlainPart()) == {"name": "plain-part"}


def test_a_field_that_is_not_to_be_shown_is_in_no_spec() -> None:
    @dataclass(frozen=True)
    class Hosted:
        model: str
        key: str = field(default="secret", repr=False)

    assert spec_of(Hosted("large")) == {"name": "hosted", "model": "large"}
