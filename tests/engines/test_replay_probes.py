"""Probes that were recorded are played again where they were made, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from thinkctl import Controller
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engine, StoppingPolicy
from thinkctl.strategies import SelfConsistency
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Decision, History, Needs, ProbeRequest, Problem, Run


@dataclass(frozen=True)
class Watches:
    """A policy that probes every sample at the same places and does nothing else."""

    at: tuple[int, ...] = (32, 64)
    logprobs: int | None = 2

    @property
    def needs(self) -> Needs:
        return Needs(probes=True, probe_logprobs=self.logprobs)

    def decide(self, history: History) -> Decision:
        return Decision(
            probe=tuple(
                ProbeRequest(sample.index, max_tokens=8, logprobs=self.logprobs, at=place)
                for sample in history.in_flight
                for place in self.at
                if sample.thinking_tokens >= place and place not in {probe.at for probe in sample.probes}
            )
        )


def probed(engine: Engine, policy: StoppingPolicy, samples: int = 2) -> Run:
    return run(Controller(engine, SelfConsistency(samples), policy=policy).solve(Problem.of("2+2?")))


def seen(found: Run) -> list[list[tuple[object, ...]]]:
    return [
        [(probe.at, probe.text, probe.answer and probe.answer.key, probe.logprobs) for probe in sample.probes]
        for sample in found.samples
    ]


def test_probes_are_played_again_where_they_were_made() -> None:
    script = Script("w " * 100 + "\\boxed{4}", 0.1, conclusion=lambda forced, at: "5}" if at < 50 else "4}")
    recorded = probed(ScriptedEngine([script]), Watches())
    assert [[probe[:3] for probe in probes] for probes in seen(recorded)] == [
        [(32, "5}", "5"), (64, "4}", "4")]
    ] * 2
    again = probed(ReplayEngine([recorded]), Watches())
    assert seen(again) == seen(recorded)
    assert [sample.text for sample in again.samples] == [sample.text for sample in recorded.samples]
    assert again.receipt.probe_tokens == recorded.receipt.probe_tokens


def test_a_probe_that_nobody_made_says_nothing_and_hurts_nobody() -> None:
    script = Script("w " * 100 + "\\boxed{4}", 0.1, conclusion="4}")
    recorded = probed(ScriptedEngine([script]), Watches())
    again = probed(ReplayEngine([recorded]), Watches(at=(32, 48)))
    assert [[probe.answer is not None for probe in sample.probes] for sample in again.samples] == [
        [True, False]
    ] * 2
    assert [sample.answer and sample.answer.key for sample in again.samples] == ["4", "4"]


def test_log_probabilities_of_probes_are_there_without_those_of_samples() -> None:
    script = Script("w " * 100 + "\\boxed{4}", 0.1, conclusion="4}")
    engine = ReplayEngine([probed(ScriptedEngine([script]), Watches())])
    assert (engine.caps.logprobs, engine.caps.probe_logprobs) == (-1, 2)
    with pytest.raises(ConfigurationError, match="probe with 3 alternatives"):
        Controller(engine, SelfConsistency(1), policy=Watches(logprobs=3))
