"""Recorded samples of real models: the figures that a correct Adaptive-Consistency reproduces, to the token.

The pools are not part of this project. They are read from ``$THINKCTL_SHARED`` or from ``../shared``.
Every sample is fed to the policy itself, one at a time in the recorded order, ties to the first seen.
"""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from thinkctl.protocols import StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.stopping import AdaptiveConsistency, CannotBeOvertaken, any_of
from thinkctl.types import Answer, Finish, History, Problem, Request, Sample

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
POOLS = SHARED / "data" / "pools"
PROBLEM = Problem.of("?")

GSM8K = "gsm8k_gpt4omini_1318x40"
LETTERS = "last_letters_gpt35_500x40"
DATE = "date_gpt35_369x40_raw"
PADDED_DATE = "date_gpt35_369x40_normalised"
MATH = "math100_r1_llama8b_100x16"


@dataclass(frozen=True)
class Question:
    """The samples of one question in recorded order, and for each canonical answer whether it is right."""

    samples: tuple[Sample, ...]
    tokens: tuple[int, ...]
    right: dict[str, bool]


@cache
def pool(name: str) -> list[Question]:
    path = POOLS / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(
            f"the recorded pool {path.name} is not there; set THINKCTL_SHARED to the folder with data/pools"
        )
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [question(json.loads(line)["samples"]) for line in lines]


def question(recorded: list[dict[str, Any]]) -> Question:
    keys = [key_of(one) for one in recorded]
    samples = tuple(sample(index, key) for index, key in enumerate(keys))
    right = {key: one["correct"] for key, one in zip(keys, recorded, strict=True) if key is not None}
    return Question(samples, tuple(one.get("tokens", 0) for one in recorded), right)


def key_of(recorded: dict[str, Any]) -> str | None:
    """Return the canonical value; spellings that the recorded grader found right are one value ("2.0", "2")."""
    if recorded["answer"] in (None, "invalid"):
        return None
    return "right" if recorded["correct"] else f"wrong: {recorded['answer']}"


def sample(index: int, key: str | None) -> Sample:
    answer = None if key is None else Answer(key, key, index)
    return Sample(index, Request(PROBLEM.messages), finish=Finish.STOP, answer=answer)


def fed(one: Question, policy: StoppingPolicy | None, cap: int) -> History:
    """Feed one sample after the other until the policy stops."""
    if policy is None:
        return History(PROBLEM, samples=one.samples[:cap])
    history = History(PROBLEM)
    for place in one.samples[:cap]:
        history = history.received(place)
        if policy.decide(history).stop:
            break
    return history


def replayed(name: str, policy: StoppingPolicy | None, cap: int = 40) -> tuple[float, float, int]:
    """Return accuracy in percent, mean samples and total tokens."""
    right = bought = tokens = 0
    questions = pool(name)
    for one in questions:
        history = fed(one, policy, cap)
        answer = Majority().select(history)
        right += answer is not None and one.right[answer.key]
        bought += history.bought
        tokens += sum(one.tokens[: history.bought])
    return round(100 * right / len(questions), 2), round(bought / len(questions), 3), tokens


@pytest.mark.parametrize(
    ("name", "confidence", "accuracy", "samples", "tokens"),
    [
        (GSM8K, None, 94.23, 40.0, 7_004_327),
        (GSM8K, 0.80, 93.78, 2.770, 506_635),
        (GSM8K, 0.90, 94.39, 4.652, 881_853),
        (GSM8K, 0.95, 94.23, 6.266, 1_181_304),
        (GSM8K, 0.99, 94.23, 9.272, 1_741_813),
        (LETTERS, None, 83.00, 40.0, None),
        (LETTERS, 0.80, 82.60, 2.612, None),
        (LETTERS, 0.90, 82.80, 4.694, None),
        (LETTERS, 0.95, 82.80, 6.326, None),
        (LETTERS, 0.99, 83.00, 9.418, None),
        (DATE, None, 65.04, 40.0, None),
        (DATE, 0.80, 64.77, 4.260, None),
        (DATE, 0.90, 64.77, 7.740, None),
        (DATE, 0.95, 65.04, 10.103, None),
        (DATE, 0.99, 65.04, 14.108, None),
        (PADDED_DATE, None, 77.78, 40.0, None),
        (PADDED_DATE, 0.80, 77.24, 3.003, None),
        (PADDED_DATE, 0.90, 76.96, 5.295, None),
        (PADDED_DATE, 0.95, 77.51, 7.225, None),
        (PADDED_DATE, 0.99, 77.78, 10.501, None),
        (MATH, None, 90.00, 16.0, None),
        (MATH, 0.80, 89.00, 4.210, None),
        (MATH, 0.90, 90.00, 5.870, None),
        (MATH, 0.95, 90.00, 7.000, None),
        (MATH, 0.99, 90.00, 9.430, None),
    ],
)
def test_adaptive_consistency_reproduces_the_published_replays(
    name, confidence, accuracy, samples, tokens
) -> None:
    policy = None if confidence is None else AdaptiveConsistency(confidence)
    spent = replayed(name, policy)
    assert spent[:2] == (accuracy, samples)
    assert tokens is None or spent[2] == tokens


@pytest.mark.parametrize(
    ("name", "cap"), [(GSM8K, 40), (LETTERS, 40), (DATE, 40), (PADDED_DATE, 40), (MATH, 16)]
)
def test_the_exact_stop_gives_the_answers_of_all_samples_for_fewer(name, cap) -> None:
    policy = CannotBeOvertaken(cap)
    for one in pool(name):
        stopped, everything = fed(one, policy, cap), fed(one, None, cap)
        assert Majority().select(stopped) == Majority().select(everything)
    assert replayed(name, policy, cap)[1] < 0.75 * cap


def test_both_rules_together_cost_no_more_than_either() -> None:
    rule = AdaptiveConsistency()
    both = replayed(PADDED_DATE, any_of(rule, CannotBeOvertaken(40)))
    assert both[1] < replayed(PADDED_DATE, rule)[1]
    assert both[0] == 77.51
