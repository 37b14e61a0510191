"""The conformance checks: they pass what keeps the rules and name the rule that is broken."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from thinkctl.protocols import Selector, StoppingPolicy, Strategy
from thinkctl.selectors import Majority
from thinkctl.testing import check_policy, check_selector, check_strategy, histories
from thinkctl.testing.pure import no_world
from thinkctl.types import Answer, Decision, Finish, History, ProbeRequest, Request, Sample

# -- parts that keep the rules ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class StopAt:
    """Stop at so many votes."""

    votes: int = 3

    def decide(self, history: History) -> Decision:
        short = self.votes - len(history.answers)
        return Decision(stop=short <= 0, more=max(short, 1))


@dataclass(frozen=True)
class Dice:
    """Stop by seeded chance, and probe what is in flight."""

    chance: float = 0.1

    def decide(self, history: History) -> Decision:
        draw = random.Random(f"{history.seed}:{history.bought}").random()
        probes = tuple(ProbeRequest(sample.index, " So") for sample in history.in_flight)
        return Decision(stop=draw < self.chance, probe=probes, confidence=draw)


@dataclass(frozen=True)
class Chain:
    """Ask once, then go on from the sample before."""

    n: int = 4
    selector: Selector = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        if history.in_flight or history.bought >= self.n:
            return ()
        parent = history.bought - 1 if history.bought else None
        return [Request(history.problem.messages, parent=parent, extend=" Wait," * (parent is not None))]


@dataclass(frozen=True)
class Endless:
    """Always ask for more."""

    selector: Selector = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        return [Request(history.problem.messages)] * 3


@pytest.mark.parametrize("policy", [StopAt(), StopAt(1), Dice()])
def test_policies_that_keep_the_rules_pass(policy: StoppingPolicy) -> None:
    check_policy(policy)


@pytest.mark.parametrize("strategy", [Chain(), Chain(1), Endless()])
def test_strategies_that_keep_the_rules_pass(strategy: Strategy) -> None:
    check_strategy(strategy)


def test_a_selector_that_keeps_the_rules_passes() -> None:
    check_selector(Majority())


# -- policies that break one -----------------------------------------------------------------------------------

Decide = Callable[[History], Any]


def a_policy(decide: Decide) -> StoppingPolicy:
    @dataclass(frozen=True)
    class Broken:
        def decide(self, history: History) -> Any:
            return decide(history)

    return Broken()


def spoil(history: History) -> Decision:
    object.__setattr__(history, "elapsed", history.elapsed + 1)
    return Decision()


def with_a_file(history: History) -> Decision:
    with open(os.devnull) as file:  # noqa: PTH123
        return Decision(why=file.read())


def more_than_it_needs(history: History) -> Decision:
    return Decision(stop=len(history.answers) >= 3, more=5)


@pytest.mark.parametrize(
    ("decide", "rule"),
    [
        (lambda history: None, "return a Decision"),
        (lambda history: Decision(confidence=time.monotonic()), "time is history.elapsed"),
        (lambda history: Decision(confidence=random.random()), "randomness is random.Random"),
        (lambda history: Decision(confidence=random.Random().random()), "without a seed"),
        (lambda history: Decision(why=os.urandom(2).hex()), "randomness is random.Random"),
        (lambda history: Decision(why=Path(os.devnull).read_text()), "no I/O"),
        (with_a_file, "no I/O"),
        (lambda history: Decision(stop=history.samples[0].finished), "on 'empty' raised IndexError"),
        (lambda history: Decision(confidence=1 / len(history.answers or [0])), None),
        (lambda history: Decision(confidence=1.5), r"not in \[0, 1\]"),
        (lambda history: Decision(confidence=float("nan")), r"not in \[0, 1\]|for the same history"),
        (lambda history: Decision(more=0), "more=0"),
        (lambda history: Decision(stop=True, more=0), None),
        (lambda history: Decision(cut=(0,)), "not in flight"),
        (lambda history: Decision(conclude=tuple(range(history.bought))), "not in flight"),
        (lambda history: Decision(cut=tuple(s.index for s in history.in_flight) * 2), "twice"),
        (lambda history: Decision(probe=(ProbeRequest(99),)), "not in flight"),
        (lambda history: Decision(thinking_tokens=-1), "not a number of tokens"),
        (lambda history: Decision(why=str(id(history))), "for an equal history"),
        (spoil, "changed the history"),
        (more_than_it_needs, "stops after 3 further votes"),
    ],
)
def test_a_broken_rule_of_policies_is_named(decide: Decide, rule: str | None) -> None:
    if rule is None:
        check_policy(a_policy(decide))
        return
    with pytest.raises(AssertionError, match=rule):
        check_policy(a_policy(decide))


def test_a_policy_that_keeps_count_of_its_calls_is_caught() -> None:
    calls = []

    def decide(history: History) -> Decision:
        calls.append(1)
        return Decision(stop=len(calls) % 2 == 0)

    with pytest.raises(AssertionError, match="for the same history"):
        check_policy(a_policy(decide))


# -- parts whose fields break a rule ---------------------------------------------------------------------------


@dataclass
class Thawed:
    votes: int = 3

    def decide(self, history: History) -> Decision:
        return Decision()


@dataclass(frozen=True, eq=False)
class Unequal:
    def decide(self, history: History) -> Decision:
        return Decision()


@dataclass(frozen=True)
class Infinite:
    limit: float = float("inf")

    def decide(self, history: History) -> Decision:
        return Decision()


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        (Thawed(), "not a frozen dataclass"),
        (Unequal(), "does not equal a copy"),
        (Infinite(), "not plain JSON"),
    ],
)
def test_a_part_must_be_a_frozen_value_with_a_plain_spec(policy: StoppingPolicy, rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_policy(policy)


def test_something_else_is_no_part() -> None:
    with pytest.raises(AssertionError, match="no method decide"):
        check_policy(Majority())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="no method select"):
        check_selector(StopAt())  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="no method propose"):
        check_strategy(StopAt())  # type: ignore[arg-type]


# -- selectors and strategies that break one -------------------------------------------------------------------


def a_selector(select: Callable[[History], Any]) -> Selector:
    @dataclass(frozen=True)
    class Broken:
        def select(self, history: History) -> Any:
            return select(history)

    return Broken()


@pytest.mark.parametrize(
    ("select", "rule"),
    [
        (lambda history: None, "although 1 samples answered"),
        (lambda history: "4", "return an Answer or None"),
        (lambda history: Answer("4", "4", 99), "no answer of a settled sample"),
        (
            lambda history: next((s.answer for s in reversed(history.samples) if s.answer), None),
            "no answer of a settled sample",
        ),
    ],
)
def test_a_broken_rule_of_selectors_is_named(select: Callable[[History], Any], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_selector(a_selector(select))


def a_strategy(propose: Callable[[History], Any], chosen: Selector | None = None) -> Strategy:
    @dataclass(frozen=True)
    class Broken:
        selector: Selector = field(default_factory=lambda: chosen or Majority())

        def propose(self, history: History) -> Any:
            return propose(history)

    return Broken()


def requests(**changes: Any) -> Callable[[History], list[Request]]:
    return lambda history: [replace(Request(history.problem.messages), **changes)]


def on_with_another_model(history: History) -> list[Request]:
    own = [sample for sample in history.samples if sample.request.model == "one" and sample.finished]
    if not own:
        return [Request(history.problem.messages, model="one")]
    return [Request(history.problem.messages, model="other", parent=own[0].index)]


@pytest.mark.parametrize(
    ("propose", "rule"),
    [
        (lambda history: None, "a sequence of requests"),
        (lambda history: ["4"], "among its requests"),
        (requests(messages=()), "needs messages"),
        (requests(messages=[]), "not a tuple of messages"),
        (requests(parent=0), "none of the 0 samples"),
        (requests(parent=-1), "parent=-1"),
        (requests(parent=True), "parent=True"),
        (requests(reopen=True), "reopen needs a parent"),
        (requests(model=""), "names no model"),
        (requests(until=3), "until=3 is not a text"),
        (requests(tag=None), "tag=None is not a text"),
        (on_with_another_model, "token ids mean something else"),
        (
            lambda history: [Request((), parent=history.in_flight[0].index)] if history.in_flight else [],
            "still in flight",
        ),
        (
            lambda history: [Request(history.problem.messages)] if time.time() else [],
            "time is history.elapsed",
        ),
    ],
)
def test_a_broken_rule_of_strategies_is_named(propose: Callable[[History], Any], rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        check_strategy(a_strategy(propose))


def test_a_strategy_answers_for_its_selector() -> None:
    with pytest.raises(AssertionError, match="no answer of a settled sample"):
        check_strategy(a_strategy(lambda history: (), a_selector(lambda history: Answer("4", "4", 99))))


def test_a_strategy_is_followed_on_its_own_requests() -> None:
    """It fails only on a history that nobody else makes: its own third request went on from its second."""

    def propose(history: History) -> list[Request]:
        assert not any(sample.request.parent == 1 for sample in history.samples), "came so far"
        if history.in_flight:
            return []
        return [Request(history.problem.messages, parent=history.bought - 1 if history.bought else None)]

    with pytest.raises(AssertionError, match="came so far"):
        check_strategy(a_strategy(propose))


def test_a_strategy_that_asks_for_steps_gets_steps_and_ends_of_chains() -> None:
    """It fails where a chain of its own has gone on and then ended."""

    def propose(history: History) -> list[Request]:
        own = [sample for sample in history.samples if sample.request.until == "!"]
        ended = [
            sample for sample in own if sample.request.parent is not None and sample.finish is Finish.STOP
        ]
        assert not ended, "a chain of steps ended"
        if history.in_flight:
            return []
        going_on = [sample.index for sample in own if sample.finish is Finish.STEP]
        return [Request(history.problem.messages, parent=max(going_on, default=None), until="!")]

    with pytest.raises(AssertionError, match="a chain of steps ended"):
        check_strategy(a_strategy(propose))


# -- what they are made of -------------------------------------------------------------------------------------


def test_the_histories_are_the_same_every_time_and_cover_what_can_be() -> None:
    known = histories()
    assert known == histories()
    samples: list[Sample] = [sample for history in known.values() for sample in history.samples]
    assert {sample.finish for sample in samples} >= {None, "stop", "length", "cut", "error", "step"}
    assert len({sample.model for sample in samples}) > 1
    assert any(sample.request.tag for sample in samples)
    assert any(history.walled and history.in_flight for history in known.values())
    assert any(sample.probes for sample in samples)
    assert any(sample.request.parent is not None for sample in samples)
    assert any(history.bought >= 200 for history in known.values())


def test_other_threads_keep_their_clock() -> None:
    told = []
    with no_world("this test"):
        thread = threading.Thread(target=lambda: told.append(time.monotonic()))
        thread.start()
        thread.join()
        seeded = random.Random("0:1").random()
    assert told
    assert seeded == random.Random("0:1").random()


def test_the_world_comes_back() -> None:
    with pytest.raises(AssertionError, match="this test used time"), no_world("this test"):
        time.time()
    assert time.time() > 0
    assert random.random() < 1
