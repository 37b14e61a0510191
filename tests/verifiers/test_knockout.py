"""A model compares answers two at a time: the winner of the knockout has the highest score."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.controller.rig import Chain, says, solve
from thinkctl import Budget, Problem, Request
from thinkctl.selectors import BestScore
from thinkctl.testing import ScriptedEngine, history_of, sample_of
from thinkctl.types import History, Run, Verdict
from thinkctl.verifiers import PairwiseJudge

NO_GRADES = -50.0


def one_by_one(count: int) -> Chain:
    return Chain(tuple(Request(Problem.of("Which?").messages) for _ in range(count)), selector=BestScore())


def prefers_the_larger(prompt: str, token: str) -> float:
    """Prefer whichever answer boxes the larger number."""
    first, second = (
        int(prompt.partition(f"<answer-{side}>")[2].partition("boxed{")[2].partition("}")[0]) for side in "AB"
    )
    return 0.0 if token.strip() == ("A" if first > second else "B") else -9.0


def prefers_the_first(prompt: str, token: str) -> float:
    return -0.1 if token.strip() == "A" else -3.0


def knockout(scores: Callable[[str, str], float], *answers: str) -> Run:
    engine = ScriptedEngine([says(answer) for answer in answers], scores=scores)
    return solve(engine, one_by_one(len(answers)), Budget(tokens=1_000), verifier=PairwiseJudge())


@pytest.mark.parametrize("answers", [["3", "9", "4", "7"], ["9", "1"], ["1", "2", "3", "4", "5"], ["5"]])
def test_the_winner_of_the_knockout_has_the_highest_score(answers) -> None:
    found = knockout(prefers_the_larger, *answers)
    assert found.answer is not None
    assert found.answer.key == max(answers)
    assert found.receipt.verifier_tokens == 2 * (len(answers) - 1)


def test_scores_follow_the_games() -> None:
    found = knockout(prefers_the_larger, "3", "9", "3", "9")
    assert [sample.verdict and sample.verdict.score for sample in found.samples] == [0.5, 0.75, 0.375, 0.75]
    said = [sample.verdict.feedback for sample in found.samples if sample.verdict]
    assert said[1:] == [
        "It won against sample 0.",
        "It lost against sample 1.",
        "It is the same answer as that of sample 1.",
    ]


def test_a_judge_that_always_prefers_the_first_decides_nothing() -> None:
    found = knockout(prefers_the_first, "3", "9", "4")
    assert [sample.verdict and sample.verdict.score for sample in found.samples] == [0.5, 0.5, 0.5]
    assert found.answer is not None
    assert found.answer.sample == 0


def test_one_that_says_nothing_decides_nothing() -> None:
    found = knockout(lambda prompt, token: NO_GRADES, "3", "9")
    assert found.answer is not None
    assert found.answer.sample == 0


def test_an_answer_that_is_missing_loses_and_is_no_opponent() -> None:
    silent = sample_of(None, score=0.9)

    async def judge(history: History, place: int) -> Verdict:
        return await PairwiseJudge().judge(
            history, history.samples[place], {"scripted": ScriptedEngine([says("4")])}
        )

    assert asyncio.run(judge(history_of(None), 0)).score == 0.0
    assert asyncio.run(judge(history_of(silent, "4"), 1)).feedback == "There was no other answer yet."
