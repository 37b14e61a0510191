"""Policies that only watch: everything is computed, and each says what it would have saved."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.controller.rig import Asks, keys, says, solve, words
from thinkctl import AdaptiveConsistency, Budget, ThinkingCap
from thinkctl.runfile.codec import dump_run, load_run
from thinkctl.stopping import CannotBeOvertaken
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Decision, History, Needs, ProbeRequest, Role, StopReason


@dataclass(frozen=True)
class Exits:
    """A policy that probes at so many tokens and concludes a thought on its probe."""

    at: int = 20

    @property
    def needs(self) -> Needs:
        return Needs(probes=True)

    def decide(self, history: History) -> Decision:
        ripe = [sample for sample in history.in_flight if sample.thinking_tokens >= self.at]
        return Decision(
            probe=tuple(ProbeRequest(each.index, at=self.at) for each in ripe if not each.probes),
            conclude=tuple(each.index for each in ripe if each.probes and each.probes[-1].answer is not None),
        )


@dataclass(frozen=True)
class Breaks:
    """A policy that fails."""

    needs: Needs = Needs()

    def decide(self, history: History) -> Decision:
        raise ZeroDivisionError("no votes")


def voting() -> ScriptedEngine:
    return ScriptedEngine([says("4"), says("4"), says("4"), says("4"), says("5"), says("5")])


def test_everything_is_computed_and_each_policy_says_what_it_would_have_saved() -> None:
    found = solve(voting(), Asks(6), shadows=[AdaptiveConsistency(), CannotBeOvertaken(6)])
    assert (found.stop, found.history.bought, keys(found)) == (
        StopReason.DONE,
        6,
        ["4", "4", "4", "4", "5", "5"],
    )
    adaptive, safe = found.shadows
    assert adaptive.policy == {"name": "adaptive-consistency", "confidence": 0.95}
    assert (adaptive.stopped, adaptive.samples, adaptive.changed) == (True, 4, False)
    assert (safe.samples, safe.answer and safe.answer.key) == (3, "4")
    each = found.history.usage.generated_tokens // 6
    assert (adaptive.tokens, adaptive.saved_tokens) == (4 * each, 2 * each)


def test_a_shadow_tells_that_the_answer_would_have_been_another() -> None:
    engine = ScriptedEngine([says("5"), says("5"), *[says("4")] * 5])
    (shadow,) = solve(engine, Asks(7), shadows=[AdaptiveConsistency(0.8)]).shadows
    assert (shadow.answer and shadow.answer.key, shadow.changed, shadow.samples) == ("5", True, 2)


def test_a_shadow_beside_a_policy_that_acts_sees_what_that_has_left_over() -> None:
    found = solve(voting(), Asks(6), policy=AdaptiveConsistency(), shadows=[CannotBeOvertaken(6)])
    assert (found.history.bought, found.shadows[0].samples) == (4, 3)


def test_probes_that_a_shadow_needs_are_made_and_billed_and_nothing_else_is_done() -> None:
    script = Script(f"{words(60)} \\boxed{{4}}", 0.1, conclusion="5}")
    found = solve(ScriptedEngine([script]), Asks(1), shadows=[Exits()], decide_every=1)
    (sample,) = found.samples
    assert (keys(found), sample.concluded, [probe.at for probe in sample.probes]) == (["4"], False, [20])
    assert {line.role for line in found.receipt.lines} == {Role.SAMPLE, Role.PROBE}
    (shadow,) = found.shadows
    assert (shadow.answer and shadow.answer.key, shadow.changed, shadow.unknown) == ("5", True, 0)
    conclusion = sample.probes[0].forced_tokens + 1
    assert shadow.tokens == 20 + sample.usage.probe_tokens + conclusion


def test_a_thought_that_would_have_been_closed_without_a_probe_is_unknown() -> None:
    engine = ScriptedEngine([says("4", 80)])
    (shadow,) = solve(engine, Asks(1), shadows=[ThinkingCap(40)]).shadows
    assert (shadow.unknown, shadow.answer, shadow.changed) == (1, None, True)
    assert shadow.tokens == 40, "a cap holds to the token, though it is looked at every 32"


@pytest.mark.parametrize("needs", [Needs(), Needs(probes=True)], ids=["watching", "probing"])
def test_a_shadow_that_fails_breaks_nothing_and_says_why(needs) -> None:
    found = solve(voting(), Asks(6), shadows=[Breaks(needs), AdaptiveConsistency()])
    assert (found.history.bought, found.answer and found.answer.key) == (6, "4")
    broken, sound = found.shadows
    assert broken.error == "ZeroDivisionError: no votes"
    assert (sound.error, sound.samples) == ("", 4)


def test_a_run_that_its_deadline_ended_is_returned_at_once_without_shadows() -> None:
    engine = ScriptedEngine([says("4", 50, seconds_per_token=0.1)])
    found = solve(engine, Asks(3), Budget(seconds=2), shadows=[AdaptiveConsistency()])
    assert (found.stop, found.shadows) == (StopReason.SECONDS, ())


def test_shadows_are_in_the_run_file() -> None:
    found = solve(voting(), Asks(6), shadows=[AdaptiveConsistency(), Breaks()])
    assert load_run(json.loads(json.dumps(dump_run(found)))).shadows == found.shadows
