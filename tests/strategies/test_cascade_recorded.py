"""The cascade on DATE, from recorded samples: chains and programs of GPT-3.5, then GPT-4, all through the controller.

Published for the samples of Yue et al. (arXiv:2310.03094): 89.5 +- 0.3 with about a quarter escalated, where GPT-4
alone has 88.9. Dates are compared as dates.
"""

from __future__ import annotations

import os
import random
import statistics
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.controller.rig import Judges
from thinkctl import Controller, Problem
from thinkctl.answers import form
from thinkctl.engines.replay import ReplayEngine
from thinkctl.protocols import Engines, StoppingPolicy
from thinkctl.runfile import Pool, Recorded, read_pool
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.strategies import Cascade, Mixture, ProgramOfThought, SelfConsistency, Using
from thinkctl.testing import run
from thinkctl.types import ModelCard, Sample, Verdict

POOLS = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "pools"
NAMES = {
    "chains": "date_gpt35_cot1_369x20",
    "programs": "date_gpt35_pot1_369x20",
    "large": "date_gpt4_cot1_369x3",
}
SHUFFLES = int(os.environ.get("THINKCTL_SHUFFLES", "3"))

pytestmark = pytest.mark.skipif(
    not all((POOLS / f"{name}.jsonl.gz").exists() for name in NAMES.values()),
    reason=f"the recorded pools are not in {POOLS}; set THINKCTL_SHARED",
)


@dataclass(frozen=True)
class Outcome:
    """Of all questions in one order: percent right, percent escalated, small samples a question."""

    accuracy: float
    escalated: float
    small: float


async def was_run(sample: Sample, engines: Engines) -> Verdict:
    """The programs of the pool were run when it was made: their answers are what they gave."""
    return Verdict()


def engine(pool: Pool, name: str, dice: random.Random | None) -> ReplayEngine:
    def shuffled(recorded: Recorded) -> Recorded:
        samples = list(recorded.samples)
        if dice is not None:
            dice.shuffle(samples)
        return replace(recorded, samples=tuple(samples))

    return ReplayEngine(map(shuffled, pool), card=ModelCard(name=name))


def replayed(small: Mixture, policy: StoppingPolicy | float, shuffle: int | None) -> Outcome:
    pools = {name: read_pool(POOLS / f"{file}.jsonl.gz") for name, file in NAMES.items()}
    dice = None if shuffle is None else random.Random(shuffle)
    engines = {name: engine(pool, name, None if name == "large" else dice) for name, pool in pools.items()}
    strategy = Cascade(small, Using(SelfConsistency(3), "large"), policy)
    controller = Controller(engines, strategy, verifier=Judges(was_run))
    key, gold = form("date").key, pools["large"].gold
    right, escalated, small_samples = [], [], []

    async def main() -> None:
        for recorded, of_large in zip(pools["chains"], pools["large"], strict=True):
            assert recorded.question == of_large.question
            problem = Problem.model_validate({"messages": recorded.question, "form": "date"})
            found = await controller.solve(problem)
            right.append(found.answer is not None and found.answer.key == key(gold[of_large.id] or ""))
            by_large = sum(sample.model == "large" for sample in found.samples)
            assert by_large in {0, 3}
            escalated.append(by_large > 0)
            small_samples.append(len(found.samples) - by_large)

    run(main())
    return Outcome(
        100 * statistics.mean(right), 100 * statistics.mean(escalated), statistics.mean(small_samples)
    )


def mixed(each: int) -> Mixture:
    chains, programs = SelfConsistency(each), ProgramOfThought(each)
    return Mixture((Using(chains, "chains"), Using(programs, "programs")))


def test_a_cascade_beats_the_large_model_alone_and_asks_it_about_a_quarter() -> None:
    """Ten small samples at most, chains and programs in turn; published: 89.5, 25.6 % and 7.2 samples."""
    outcomes = [replayed(mixed(5), AdaptiveConsistency(0.99), shuffle) for shuffle in range(SHUFFLES)]
    accuracy = statistics.mean(outcome.accuracy for outcome in outcomes)
    assert accuracy == pytest.approx(89.5, abs=0.6)
    assert accuracy > 88.89, "which the large model has alone"
    assert statistics.mean(outcome.escalated for outcome in outcomes) == pytest.approx(25.6, abs=3)
    assert statistics.mean(outcome.small for outcome in outcomes) == pytest.approx(7.2, abs=0.2)


@pytest.mark.parametrize(
    ("small", "policy", "expected"),
    [
        ("both", 0.001, Outcome(79.95, 0.0, 20)),
        ("both", 0.8, Outcome(89.70, 26.56, 20)),
        ("chains", 0.8, Outcome(84.82, 15.99, 20)),
    ],
    ids=str,
)
def test_agreement_of_words_and_programs_is_worth_more_than_that_of_words_alone(
    small, policy, expected
) -> None:
    """In the order in which they were recorded; chains alone are wrong more often where they agree."""
    alone = Mixture((Using(SelfConsistency(20), "chains"),))
    found = replayed(mixed(10) if small == "both" else alone, policy, None)
    assert (found.accuracy, found.escalated, found.small) == pytest.approx(
        (expected.accuracy, expected.escalated, expected.small), abs=0.01
    )
