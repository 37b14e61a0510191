"""A recorded run is the same run again through the controller, and may be tried under other policies and budgets."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.engines.recorded import PLAIN, THINKER, pool_of
from thinkctl import Controller
from thinkctl.engines.replay import ReplayEngine
from thinkctl.protocols import StoppingPolicy, Strategy
from thinkctl.runfile import read_pool, write
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.strategies import ChainOfThought, SelfConsistency, ZeroShot
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Budget, Decision, History, ModelCard, Run, Sample, StopReason

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "pools"


@dataclass(frozen=True)
class After:
    """Cut or conclude every other sample after so many tokens."""

    tokens: int
    how: str

    def decide(self, history: History) -> Decision:
        due = tuple(
            sample.index
            for sample in history.in_flight
            if sample.index % 2 and len(sample.token_ids) >= self.tokens + sample.index
        )
        return Decision(cut=due) if self.how == "cut" else Decision(conclude=due)


def scripts(card: ModelCard) -> list[Script]:
    said = []
    for place in range(40):
        words = " ".join(f"w{place}x{word}" for word in range(20 + 7 * place % 31))
        thought = f"<think>{words}</think> So " if card.thinking else f"{words} So it is "
        said.append(
            Script(f"{thought}\\boxed{{{place % 3}}}. Done", seconds_per_token=0.01, logprob=(-0.1, -2.0))
        )
    return said


@pytest.mark.parametrize("card", [PLAIN, THINKER], ids=["plain", "thinker"])
@pytest.mark.parametrize(
    ("strategy", "policy", "budget"),
    [
        (SelfConsistency(5), None, Budget()),
        (SelfConsistency(5, weight="confidence"), None, Budget()),
        (SelfConsistency(5), None, Budget(tokens=120)),
        (SelfConsistency(5), None, Budget(tokens=300, thinking_tokens=10)),
        (SelfConsistency(20), AdaptiveConsistency(0.8), Budget()),
        (SelfConsistency(8), None, Budget(seconds=0.3)),
        (SelfConsistency(6), After(10, "cut"), Budget()),
        (SelfConsistency(6), After(16, "cut"), Budget(tokens=200)),
        (SelfConsistency(6), After(10, "conclude"), Budget()),
        (ChainOfThought(waits=2), None, Budget(tokens=300)),
        (ChainOfThought(waits=2, thinking_tokens=30), None, Budget(tokens=300)),
        (ZeroShot(), None, Budget(tokens=300)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Budget) else None,
)
def test_a_run_that_is_replayed_with_pace_is_the_same_run(
    card: ModelCard, strategy: Strategy, policy: StoppingPolicy | None, budget: Budget, tmp_path: Path
) -> None:
    live = ScriptedEngine(scripts(card), card=card)
    before = run(Controller(live, strategy, policy=policy).solve("What is 2+2?", budget))
    write(tmp_path / "runs.jsonl.gz", [before], card=card)
    engine = ReplayEngine.from_file(tmp_path / "runs.jsonl.gz", pace=True)
    after = run(Controller(engine, strategy, policy=policy).solve("What is 2+2?", budget))
    assert [comparable(each) for each in after.samples] == [comparable(each) for each in before.samples]
    assert (after.answer, after.confidence, after.stop) == (before.answer, before.confidence, before.stop)
    assert after.receipt.lines == before.receipt.lines
    assert after.seconds == pytest.approx(before.seconds)


@pytest.mark.parametrize("card", [PLAIN, THINKER], ids=["plain", "thinker"])
def test_a_run_in_which_nobody_answered_until_made_to_is_the_same_run(card: ModelCard) -> None:
    said = [
        Script("<think>Hm</think>I cannot say", 0.01, conclusion="4}"),
        Script("<think>No", 0.01, conclusion="5}"),
    ]
    strategy = SelfConsistency(2)
    before = run(Controller(ScriptedEngine(said, card=card), strategy).solve("What is 2+2?"))
    engine = ReplayEngine([before], card=card, pace=True)
    after = run(Controller(engine, strategy).solve("What is 2+2?"))
    assert before.answer is not None
    assert [comparable(each) for each in after.samples] == [comparable(each) for each in before.samples]
    assert after.receipt.lines == before.receipt.lines


def test_a_replay_that_was_recorded_can_be_replayed_too(tmp_path: Path) -> None:
    pool = [pool_of("4", "5", None, tokens=9)]
    first = run(Controller(ReplayEngine(pool), SelfConsistency(3)).solve(pool[0].problem()))
    second = run(Controller(ReplayEngine([first]), SelfConsistency(3)).solve(pool[0].problem()))
    assert [comparable(each) for each in second.samples] == [comparable(each) for each in first.samples]
    assert [each.usage.thinking_tokens for each in second.samples] == [8, 8, 9]


def comparable(sample: Sample) -> Sample:
    """Without ids, which are each vocabulary's own, and with times that a float can say."""
    return replace(
        sample,
        prompt_ids=tuple(0 for _ in sample.prompt_ids),
        segments=tuple(replace(part, token_ids=tuple(0 for _ in part.token_ids)) for part in sample.segments),
        started=round(sample.started, 6),
        ended=None if sample.ended is None else round(sample.ended, 6),
    )


def test_another_policy_and_a_smaller_budget_are_tried_on_a_recorded_run(tmp_path: Path) -> None:
    live = ScriptedEngine(
        ["<think>a b c d</think> \\boxed{4}."] * 5 + ["<think>e f</think> \\boxed{5}."] * 5, card=THINKER
    )
    recorded = run(Controller(live, SelfConsistency(10)).solve("What is 2+2?"))
    engine = ReplayEngine([recorded], card=THINKER)
    stopped = run(
        Controller(engine, SelfConsistency(10), policy=AdaptiveConsistency(0.9)).solve("What is 2+2?")
    )
    assert (stopped.stop, stopped.history.bought) == (StopReason.POLICY, 3)
    assert [each.answer for each in stopped.samples] == [each.answer for each in recorded.samples[:3]]
    engine.reset()
    smaller = run(Controller(engine, SelfConsistency(2)).solve("What is 2+2?", Budget(tokens=40)))
    assert smaller.answer is not None
    assert smaller.receipt.generated_tokens <= 40


def test_solving_the_same_pool_twice_gives_the_same_runs() -> None:
    pool = [
        pool_of("4", "5", "4", None, id=f"{n}", question=f"question {n}", tokens=n + 3) for n in range(20)
    ]
    engine = ReplayEngine(pool)

    async def answers(at_once: int) -> dict[str, Run]:
        engine.reset()
        controller = Controller(engine, SelfConsistency(4), policy=AdaptiveConsistency(0.8))
        problems = [recorded.problem() for recorded in pool]
        return {
            each.history.problem.id: each async for each in controller.solve_many(problems, at_once=at_once)
        }

    first, second, third = (run(answers(at_once)) for at_once in (8, 8, 1))
    assert first == second
    assert {name: each.samples for name, each in first.items()} == {
        name: each.samples for name, each in third.items()
    }


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the recorded pools: set THINKCTL_SHARED to their folder"
)
@pytest.mark.parametrize(  # through the whole loop; all figures are replayed as tables in tests/evals
    ("name", "most", "confidence", "accuracy", "samples", "tokens"),
    [("gsm8k_gpt4omini_1318x40", 40, 0.80, 93.78, 2.770, 506_635)],
)
def test_published_figures_of_adaptive_consistency_are_reproduced(
    name: str, most: int, confidence: float, accuracy: float, samples: float, tokens: int | None
) -> None:
    async def scenario() -> tuple[int, int, int, int]:
        path = SHARED / f"{name}.jsonl.gz"
        pool, engine = read_pool(path), ReplayEngine.from_file(path)
        controller = Controller(engine, SelfConsistency(most), policy=AdaptiveConsistency(confidence))
        right = bought = spent = 0
        async for each in controller.solve_many([recorded.problem() for recorded in pool], at_once=1):
            if each.answer is not None:
                right += pool.correct[each.history.problem.id][each.answer.sample]
            bought += each.history.bought
            spent += each.receipt.generated_tokens
        assert (await engine.counters()).generated_tokens == spent
        return len(pool), right, bought, spent

    problems, right, bought, spent = run(scenario())
    assert round(100 * right / problems, 2) == accuracy
    assert round(bought / problems, 3) == samples
    assert tokens is None or spent == tokens
