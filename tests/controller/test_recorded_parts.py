"""A run says which parts made it, the verifier among them, whichever way it ends."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from thinkctl import Budget, Controller, Prices, SelfConsistency
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import EngineUnavailable
from thinkctl.protocols import Engines
from thinkctl.runfile import read, write
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import History, Run, Sample, StopReason, Verdict, spec_of


@dataclass(frozen=True)
class LikesFour:
    """Pass the answer 4."""

    strict: bool = True

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        passed = sample.answer is not None and sample.answer.key == "4"
        return Verdict(float(passed), passed=passed)


SPEC = {"name": "likes-four", "strict": True}


def test_a_run_names_the_verifier_that_judged_its_samples() -> None:
    controller = Controller(ScriptedEngine(["4", "5"]), SelfConsistency(2), verifier=LikesFour())
    assert run(controller.solve("What is 2+2?")).verifier == SPEC


def test_a_run_without_a_verifier_names_none() -> None:
    assert run(Controller(ScriptedEngine(["4"]), SelfConsistency(1)).solve("What is 2+2?")).verifier is None


def test_a_run_whose_engine_died_names_it_too() -> None:
    engine = ScriptedEngine([Script("4 and 5", die_after=1)])
    with pytest.raises(EngineUnavailable) as raised:
        run(Controller(engine, SelfConsistency(1), verifier=LikesFour()).solve("What is 2+2?"))
    assert raised.value.run is not None
    assert raised.value.run.verifier == SPEC


def test_a_run_that_could_not_be_paid_for_names_it_too() -> None:
    controller = Controller(
        ScriptedEngine(["4"]), SelfConsistency(1), verifier=LikesFour(), prices=Prices.per_gpu_hour(3600)
    )
    found = run(controller.solve("What is 2+2?", Budget(dollars=Decimal("0.0000001"))))
    assert (found.stop, found.samples, found.verifier) == (StopReason.DOLLARS, (), SPEC)


def test_the_verifier_survives_the_file_and_a_replay_of_it(tmp_path: Path) -> None:
    engine, path = ScriptedEngine(["4", "5"]), tmp_path / "runs.jsonl"
    recorded: Run = run(
        Controller(engine, SelfConsistency(2), verifier=LikesFour(strict=False)).solve("What is 2+2?")
    )
    write(path, [recorded], card=engine.card)
    (known,) = read(path)
    again = run(
        Controller(ReplayEngine([known]), SelfConsistency(2), verifier=LikesFour(strict=False)).solve(
            known.history.problem
        )
    )
    assert known.verifier == again.verifier == spec_of(LikesFour(strict=False))
