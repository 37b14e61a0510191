"""Which parameter of a policy is calibrated, and the values that are tried."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.evals.knobs import KNOBS, knob_for, turned, value_at
from thinkctl.stopping import (
    AdaptiveConsistency,
    AnswerConfidence,
    CannotBeOvertaken,
    EValue,
    Margin,
    Patient,
    ThinkingCap,
    Window,
    all_of,
    any_of,
)
from thinkctl.types import Decision

WITHOUT = {"all-of", "any-of", "every-tokens", "no-thinking", "patient", "repetition-guard", "warm-up"}
"""Policies that are made of others, or that nothing recorded can tell the risk of."""
EXAMPLES = {
    "cannot-be-overtaken": "cannot-be-overtaken(8)",
    "expected-improvement": "expected-improvement(1000)",
    "thinking-cap": "thinking-cap(100)",
    "value-of-computation": "value-of-computation(1000)",
}


@dataclass(frozen=True)
class Theirs:
    """Somebody else's policy."""

    depth: int = 3
    inner: object = None

    def decide(self, history):
        return Decision()


def test_every_stopping_policy_of_ours_has_a_known_knob_or_a_reason_not_to():
    assert {*KNOBS, *WITHOUT} == {*registry.names("stopping")}


@pytest.mark.parametrize("name", sorted(name for name, family in KNOBS.items() if family is not None))
def test_every_value_of_a_grid_is_one_that_the_policy_takes_the_most_careful_first(name):
    family, policy = KNOBS[name], registry.policy(EXAMPLES.get(name) or name)
    assert family is not None
    knob = knob_for(policy)
    assert (knob.path, knob.grid) == (family.parameter, family.grid)
    assert len(knob.grid) > 10
    assert all((one > other) is family.careful_is_high for one, other in itertools.pairwise(knob.grid))
    for value in knob.grid:
        again = registry.policy(registry.write(turned(policy, knob.path, value)))
        assert value_at(again, knob.path) == value


@pytest.mark.parametrize(
    ("policy", "path"),
    [
        (any_of(AnswerConfidence(), ThinkingCap(100), CannotBeOvertaken(8)), None),
        (any_of(AnswerConfidence(), CannotBeOvertaken(8)), "policies.0.threshold"),
        (Patient(AnswerConfidence(), 2), "policy.threshold"),
        (all_of(CannotBeOvertaken(8), Patient(EValue(), 2)), "policies.1.policy.delta"),
        (Theirs(inner=Window()), "inner.size"),
    ],
)
def test_a_knob_is_found_within_other_policies_if_it_is_the_only_one(policy, path):
    if path is None:
        with pytest.raises(
            ConfigurationError, match=r"policies\.0\.threshold, policies\.1\.tokens; choose one"
        ):
            knob_for(policy)
        path = "policies.0.threshold"
    knob = knob_for(policy, path)
    assert knob.path == path
    assert value_at(turned(policy, path, knob.grid[0]), path) == knob.grid[0]
    assert turned(policy, path, value_at(policy, path)) == policy


@pytest.mark.parametrize(
    ("policy", "path", "grid", "said"),
    [
        (CannotBeOvertaken(8), None, None, "no threshold to calibrate: it never changes the answer"),
        (Theirs(), None, None, "nothing is known of theirs's parameters; name one with knob="),
        (Theirs(), "depth", None, "nothing is known of theirs's depth; give a grid"),
        (Theirs(), "width", (1,), "theirs has no 'width'"),
        (any_of(Margin()), "policies.1.votes", (1,), "1 parts has no '1'"),
        (Margin(), "votes", (), "is empty or repeats a value"),
        (Margin(), "votes", (3, 3), "is empty or repeats a value"),
        (Margin(), "votes", (3, 4), "which is the highest; got 3, 4"),
        (EValue(), "delta", (0.1, 0.05), "which is the lowest; got 0.1, 0.05"),
        (AdaptiveConsistency(), "confidence", (0.9, 0.4), "confidence=0.4"),
    ],
)
def test_a_knob_that_cannot_be_turned_says_why(policy, path, grid, said):
    with pytest.raises(ConfigurationError) as error:
        knob_for(policy, path, grid)
    assert said in str(error.value)


def test_a_grid_of_ones_own_is_tried_in_the_order_given():
    assert knob_for(Theirs(), "depth", (1, 5, 2)).grid == (1, 5, 2)
    assert turned(Theirs(), "depth", 5) == Theirs(5)
