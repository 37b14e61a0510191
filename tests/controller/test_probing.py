"""Probes: what a sample would say now, billed, inside the budget, and never in the way of the run."""

from __future__ import annotations

import pytest

from tests.controller.rig import Asks, decides, endless, keys, probing, slow, solve, words
from thinkctl import Budget, Sampling
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Decision, ProbeRequest, Role


def answering(forced: str, at: int) -> str:
    """Answer as a thought does that changes its mind after 20 tokens."""
    return "5}" if at < 20 else "4}"


def test_a_probe_shows_what_a_sample_would_say_now_and_is_on_the_bill() -> None:
    script = Script(f"{words(40)} \\boxed{{4}}", 0.1, conclusion=answering)
    found = solve(ScriptedEngine([script]), Asks(1), policy=probing(10, 30), decide_every=1)
    (sample,) = found.samples
    assert [(probe.at, probe.text, probe.answer and probe.answer.key) for probe in sample.probes] == [
        (10, "5}", "5"),
        (30, "4}", "4"),
    ]
    assert sample.text == script.text, "the sample itself goes on undisturbed"
    (line,) = [line for line in found.receipt.lines if line.role is Role.PROBE]
    assert (line.usage.requests, line.usage.probe_tokens, found.receipt.probe_tokens) == (2, 2, 2)
    assert sample.usage.probe_tokens == 2


def test_a_probe_forces_the_text_that_it_was_given_and_keeps_to_its_tokens() -> None:
    def echo(forced: str, at: int) -> str:
        return f"{forced}{words(30)}"

    script = Script(words(40), 0.1, conclusion=echo)
    policy = probing(5, text="\nSure?", max_tokens=4, logprobs=2)
    (sample,) = solve(ScriptedEngine([script]), Asks(1), policy=policy, decide_every=1).samples
    (probe,) = sample.probes
    assert probe.text == "\nSure?w w w w"
    assert probe.logprobs is not None
    assert [len(logprob.top) for logprob in probe.logprobs] == [2] * 4


def test_a_probe_is_greedy() -> None:
    engine = ScriptedEngine([Script(words(40), 0.1)])
    solve(
        engine,
        Asks(1, Sampling(temperature=0.9, top_p=0.8, top_k=7, min_p=0.1)),
        policy=probing(5),
        decide_every=1,
    )
    spec = engine.log[1].spec
    assert (spec.temperature, spec.top_p, spec.top_k, spec.min_p, spec.seed) == (0, 1, 0, 0, None)


def test_the_same_probe_is_not_made_twice_at_once() -> None:
    """The policy does not see a probe that runs, so it goes on asking: at every token of both samples."""
    script = Script(words(40), 0.1, conclusion=words(10))
    found = solve(ScriptedEngine([script]), Asks(2), policy=probing(5), decide_every=1)
    assert [len(sample.probes) for sample in found.samples] == [1, 1]


def test_a_probe_that_cannot_be_paid_for_is_left_out_and_does_not_spin() -> None:
    policy = decides(
        lambda history: Decision(
            probe=tuple(ProbeRequest(each.index, max_tokens=500) for each in history.in_flight)
        )
    )
    found = solve(
        ScriptedEngine([slow(endless())]), Asks(1), Budget(tokens=300), policy=policy, decide_every=8
    )
    assert (found.receipt.probe_tokens, keys(found)) == (0, ["4"])
    assert len(policy.seen) < 300 // 8 + 8


def test_a_probe_can_be_paid_for_beside_a_sample_that_may_think_for_long() -> None:
    """Its grant is not all that there is."""
    found = solve(
        ScriptedEngine([endless(seconds_per_token=0.1)]),
        Asks(1),
        Budget(tokens=4000),
        policy=probing(20, 500),
    )
    assert len(found.samples[0].probes) == 2


def test_probes_never_touch_the_reserve_for_concluding() -> None:
    policy = decides(
        lambda history: Decision(
            probe=tuple(ProbeRequest(each.index, max_tokens=8) for each in history.in_flight)
        )
    )
    script = endless(conclusion=f"{words(11)} 4}}", seconds_per_token=0.1)
    found = solve(
        ScriptedEngine([script]),
        Asks(1, Sampling(max_tokens=40)),
        Budget(tokens=80),
        policy=policy,
        decide_every=2,
    )
    assert found.receipt.probe_tokens > 0
    assert (found.answer and found.answer.text) == f"{words(11)} 4"


def test_a_probe_that_fails_says_nothing_and_hurts_nobody() -> None:
    script = Script(f"{words(40)} \\boxed{{4}}", 0.1)
    engine = ScriptedEngine([script], context=60)
    found = solve(engine, Asks(1), policy=probing(30, max_tokens=50), decide_every=1)
    assert keys(found) == ["4"]
    assert [probe.answer for probe in found.samples[0].probes[:1]] == [None]
    assert found.receipt.probe_tokens == 0


def test_a_probe_in_flight_is_aborted_with_the_run() -> None:
    """It would take ten seconds; the run ends a tenth of a second after it began."""
    script = Script(f"{words(5)} \\boxed{{4}}", 0.1, conclusion=words(100))
    engine = ScriptedEngine([script], waste=1)
    found = solve(engine, Asks(1), policy=probing(5, max_tokens=100), decide_every=1)
    assert found.seconds == pytest.approx(0.7)
    assert found.receipt.probe_tokens < 4
