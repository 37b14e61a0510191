"""Stopping within samples and across them on the real engine, sixteen samples in flight, in process and over HTTP.

One engine serves all of it. What happened is gathered once; each test then looks at one promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from tests.engines.conftest import gathered
from thinkctl import (
    AdaptiveConsistency,
    Budget,
    Controller,
    Problem,
    Run,
    Sampling,
    SelfConsistency,
)
from thinkctl.hindsight import hindsight
from thinkctl.protocols import Engine, StoppingPolicy
from thinkctl.selectors import Majority
from thinkctl.stopping import (
    AnswerConfidence,
    AnswerStable,
    EntropyAfterThinking,
    FlipProbability,
    LowConfidence,
    Margin,
)
from thinkctl.types import Decision, EngineCounters, Finish, History, Needs, Origin, Role, needs_of

pytestmark = pytest.mark.engine

AT_ONCE = 16
QUESTION = (
    "A shop sells pens at 3 dollars each. Tom buys 14 pens and pays with a note of 50. What does he get back?"
)
SAMPLING = Sampling(temperature=0.8, max_tokens=112)
WITHIN: dict[str, StoppingPolicy] = {
    "answer-confidence": AnswerConfidence(0.3, every=16, max_tokens=6, guard=None),
    "entropy-after-thinking": EntropyAfterThinking(delta=0.5, alpha=1.0, every=16, top=10, guard=None),
    "answer-stable": AnswerStable(k=2, every=16, max_tokens=6, guard=None),
    "low-confidence": LowConfidence(eta=5, window=8, warm_up=4, top=5, guard=None),
}
VOTING = [f"Tom has {n} boxes with {n % 7 + 2} pens each. How many pens is that?" for n in range(3, 7)]


@dataclass
class Noting:
    """A policy that notes how long each sample was, as it saw it, when it first decided to end it."""

    inner: StoppingPolicy
    seen: dict[int, int] = field(default_factory=dict[int, int])
    most_in_flight: int = 0

    @property
    def needs(self) -> Needs:
        return needs_of(self.inner)

    def decide(self, history: History) -> Decision:
        decision = self.inner.decide(history)
        self.most_in_flight = max(self.most_in_flight, len(history.in_flight))
        for index in (*decision.cut, *decision.conclude):
            self.seen.setdefault(index, len(history.samples[index].token_ids))
        return decision


@dataclass
class Found:
    """A run under a policy, what that policy saw, and what the engine counted."""

    run: Run
    policy: Noting
    truth: EngineCounters


@dataclass
class Evidence:
    within: dict[str, Found] = field(default_factory=dict[str, Found])
    across: list[Run] = field(default_factory=list[Run])
    batch: list[Run] = field(default_factory=list[Run])
    batch_truth: EngineCounters = EngineCounters()


async def spent(engine: Engine, before: EngineCounters) -> EngineCounters:
    after = await engine.counters()
    return EngineCounters(
        generated_tokens=(after.generated_tokens or 0) - (before.generated_tokens or 0), running=after.running
    )


@pytest.fixture(scope="module", params=["in process", "over HTTP"])
def evidence(request: pytest.FixtureRequest) -> Evidence:
    async def gather(inner: Engine) -> Evidence:
        found = Evidence()
        for name, policy in WITHIN.items():
            before, noting = await inner.counters(), Noting(policy)
            first = policy.warm_up if isinstance(policy, LowConfidence) else 0  # they run alone
            controller = Controller(
                inner, SelfConsistency(AT_ONCE + first, sampling=SAMPLING), policy=noting, decide_every=8
            )
            run = await controller.solve(QUESTION, Budget(tokens=6_000), seed=1)
            found.within[name] = Found(run, noting, await spent(inner, before))
        voting = Controller(inner, SelfConsistency(AT_ONCE, sampling=SAMPLING), policy=AdaptiveConsistency())
        found.across = [run async for run in voting.solve_many(VOTING[:2], at_once=1)]
        before = await inner.counters()
        batch = Controller(inner, SelfConsistency(AT_ONCE, sampling=SAMPLING), policy=Margin(3))
        problems = [Problem.of(question) for question in VOTING]
        found.batch = [
            run
            async for run in batch.solve_many(
                problems, Budget(tokens=1_200), at_once=AT_ONCE, allocation=FlipProbability()
            )
        ]
        found.batch_truth = await spent(inner, before)
        return found

    return gathered(request, gather, streams=2 * AT_ONCE)


def generated(runs: Sequence[Run]) -> int:
    return sum(run.receipt.generated_tokens for run in runs)


# -- within a sample ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHIN)
def test_sixteen_samples_are_in_flight_and_the_bill_is_the_engine_s_own_count(evidence, name) -> None:
    found = evidence.within[name]
    assert found.policy.most_in_flight == AT_ONCE
    assert found.run.receipt.generated_tokens == found.truth.generated_tokens
    assert found.truth.running == 0


@pytest.mark.parametrize("name", list(WITHIN)[:3])
def test_thoughts_are_concluded_on_their_probes_and_the_probes_are_on_the_bill(evidence, name) -> None:
    run = evidence.within[name].run
    probed = [sample for sample in run.samples if sample.probes]
    ended = [
        sample
        for sample in run.samples
        if sample.concluded and sample.index in evidence.within[name].policy.seen
    ]
    assert len(probed) >= AT_ONCE // 2
    assert ended, "no thought was concluded: nothing is shown"
    (line,) = [line for line in run.receipt.lines if line.role is Role.PROBE]
    assert line.usage.probe_tokens == sum(sample.usage.probe_tokens for sample in run.samples) > 0
    assert all(probe.at % 8 == 0 and probe.forced for sample in probed for probe in sample.probes)
    assert run.answer is not None


def test_a_sample_that_is_less_confident_than_the_first_ones_is_cut_and_abstains(evidence) -> None:
    found = evidence.within["low-confidence"]
    cut = [sample for sample in found.run.samples if sample.index in found.policy.seen]
    assert cut, "nothing was cut: nothing is shown"
    assert {sample.finish for sample in cut} == {Finish.CUT}
    assert all(sample.answer is None for sample in cut)
    assert found.run.answer is not None


@pytest.mark.parametrize("name", WITHIN)
def test_tokens_after_a_decision_to_end_a_sample_are_few_and_counted(evidence, name, record_property) -> None:
    """What came between the decision and the end, and what was computed and never delivered."""
    found = evidence.within[name]
    after: dict[int, int] = {}
    for index, seen in found.policy.seen.items():
        sample = found.run.samples[index]
        own = 0
        for segment in sample.segments:
            if segment.origin is Origin.FORCED:
                break
            own += len(segment.token_ids)
        after[index] = own - seen + sample.usage.wasted_tokens
    assert max(after.values()) <= 24, after
    assert sum(after.values()) / len(after) <= 12


# -- across samples ----------------------------------------------------------------------------------------------


def test_without_speculation_exactly_the_samples_of_the_sequential_rule_are_taken(evidence) -> None:
    for run in evidence.across:
        assert hindsight(AdaptiveConsistency(), run.history, Majority()).samples == run.history.bought
        assert Finish.CUT not in {sample.finish for sample in run.samples}
    first = [
        sum(sample.started < (run.samples[0].ended or 0) for sample in run.samples) for run in evidence.across
    ]
    assert min(first) >= 4, "four votes at least are needed, so four samples run at once"


def test_one_budget_over_a_batch_holds_and_everybody_gets_an_answer(evidence) -> None:
    assert generated(evidence.batch) == evidence.batch_truth.generated_tokens <= 1_200
    assert len(evidence.batch) == len(VOTING)
    assert all(run.history.bought for run in evidence.batch)
    assert sum(run.answer is not None for run in evidence.batch) >= len(VOTING) - 1
    assert evidence.batch_truth.running == 0
