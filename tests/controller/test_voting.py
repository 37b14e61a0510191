"""Votes: in launch order, a gap-free prefix, ties to the first launched; who abstains."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    Asks,
    Judges,
    abstains,
    decides,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget
from thinkctl.selectors import BestScore, Latest
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Decision, Finish, StopReason, Verdict

TENTH: dict[str, Any] = {"seconds_per_token": 0.1}


def test_policies_see_the_gap_free_prefix_in_launch_order() -> None:
    """Samples end in the order 1, 3, 2, 0; nothing settles before the first launched has."""
    thoughts = (12, 1, 6, 3)
    policy = decides(lambda history: Decision())
    engine = ScriptedEngine([says(str(place), thought, **TENTH) for place, thought in enumerate(thoughts)])
    solve(engine, Asks(4), policy=policy, decide_every=1)
    for history in policy.seen:
        prefix = [sample.index for sample in history.settled]
        assert prefix == list(range(len(prefix)))
        assert all(sample.finished for sample in history.settled)
        if history.samples and not history.samples[0].finished:
            assert prefix == []
    assert [len(history.settled) for history in policy.seen][-4:] == [1, 2, 3, 4]


def test_a_short_sample_that_finished_early_waits_for_its_elders() -> None:
    """Counting in completion order would stop on the two quick fives."""
    engine = ScriptedEngine(
        [says("4", 20, **TENTH), says("5", 1, **TENTH), says("5", 1, **TENTH), says("4", 5, **TENTH)]
    )
    policy = decides(lambda history: Decision(stop=len(history.answers) >= 2))
    found = solve(engine, Asks(4), policy=policy)
    assert (key(found), found.seconds) == ("4", pytest.approx(2.2))
    assert found.history.counted == 2


def test_after_a_stop_younger_samples_that_finished_early_do_not_count() -> None:
    """They are in the history and on the bill, and their votes are not."""
    engine = ScriptedEngine(
        [says("4", 6, **TENTH), says("5", 1, **TENTH), says("5", 1, **TENTH), says("5", 1, **TENTH)]
    )
    found = solve(engine, Asks(4), policy=decides(lambda history: Decision(stop=bool(history.answers))))
    assert keys(found) == ["4", "5", "5", "5"]
    assert (key(found), found.confidence) == ("4", 1.0)
    assert [sample.index for sample in found.history.settled] == [0]
    assert not found.history.walled


@pytest.mark.parametrize("answers", ["45", "54", "4554", "1221", "321123"])
def test_ties_go_to_the_first_launched(answers: str) -> None:
    """Whoever finishes first: here the last launched do."""
    count = len(answers)
    engine = ScriptedEngine([says(key, 2 * (count - place), **TENTH) for place, key in enumerate(answers)])
    found = solve(engine, Asks(count))
    assert key(found) == answers[0]
    assert (found.answer and found.answer.sample) == 0


@given(
    st.lists(st.sampled_from(["4", "5", "6", None]), min_size=1, max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_answer_does_not_depend_on_who_finishes_first(
    answers: list[str | None], chance: random.Random
) -> None:
    def once() -> str | None:
        scripts = [
            abstains(chance.randrange(1, 30), **TENTH)
            if key is None
            else says(key, chance.randrange(1, 30), **TENTH)
            for key in answers
        ]
        found = solve(ScriptedEngine(scripts), Asks(len(scripts)))
        assert keys(found) == answers
        return found.answer.key if found.answer else None

    votes = Counter(key for key in answers if key is not None)
    expected = max(votes, key=lambda key: votes[key], default=None)
    assert {once(), once()} == {expected}


def test_a_stop_before_any_vote_counted_takes_the_votes_that_wait_for_their_elders() -> None:
    """The first launched still thinks when time is up for the policy: nobody has to be forced to answer."""
    engine = ScriptedEngine([says("4", 90, **TENTH), says("5", 1, **TENTH), says("5", 2, **TENTH)])
    policy = decides(lambda history: Decision(stop=history.elapsed >= 1))
    found = solve(engine, Asks(3), policy=policy, decide_every=1)
    assert (found.stop, key(found), found.history.walled) == (StopReason.POLICY, "5", True)
    assert found.seconds == pytest.approx(1)
    assert not any(sample.concluded for sample in found.samples)


# -- who abstains ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "finish"),
    [
        (abstains(3), Finish.STOP),  # ended without an answer
        (Script("\\boxed{}"), Finish.STOP),  # only repeats the instruction
        (endless(conclusion=words(200)), Finish.LENGTH),  # truncated in its conclusion
        (Script(f"{words(4)} 12", fail_after=2, conclusion="}"), Finish.ERROR),
    ],
    ids=["unparsable", "empty", "truncated", "failed"],
)
def test_a_sample_without_an_answer_abstains(script: Script, finish: Finish) -> None:
    engine = ScriptedEngine([script, says("4")])
    found = solve(engine, Asks(2), Budget(tokens=200), usual_tokens=20)
    assert (finishes(found)[0], keys(found)) == (finish, [None, "4"])
    assert len(found.history.answers) == 1


@pytest.mark.parametrize("decision", [Decision(stop=True), Decision(cut=(0, 1))], ids=["stop", "cut"])
def test_where_nobody_else_answered_a_cut_sample_s_own_answer_is_taken(decision: Decision) -> None:
    """The policy stops, or cuts all there is, while the answer is already in the text."""
    engine = ScriptedEngine([Script("a \\boxed{9} and on", ends=False, **TENTH), endless(**TENTH)])
    policy = decides(lambda history: decision if history.elapsed > 1 else Decision())
    found = solve(engine, Asks(2), policy=policy, decide_every=1)
    assert (keys(found), found.history.walled) == (["9", None], True)
    assert not any(sample.concluded for sample in found.samples)


@pytest.mark.parametrize("text", ["so 12", "so it is 1 2 3", "the answer is 12"])
def test_a_truncated_chain_without_an_explicit_answer_abstains(text: str) -> None:
    """Half a number is another number, and an intermediate result is no answer."""
    engine = ScriptedEngine([Script(f"{text} ", ends=False, **TENTH), says("4", 30, **TENTH)])
    found = solve(
        engine, Asks(2), policy=decides(lambda history: Decision(cut=(0,) if history.elapsed > 1 else ()))
    )
    assert keys(found) == [None, "4"]


def test_at_a_deadline_a_whole_box_counts_and_half_a_box_does_not() -> None:
    scripts = [
        Script(f"{words(3)} \\boxed{{9}} {words(500)}", **TENTH),
        Script(f"{words(3)} \\boxed{{1 2", ends=False, **TENTH),
    ]
    engine = ScriptedEngine(scripts)
    found = solve(engine, Asks(2), Budget(seconds=2, answer_tokens=1))
    assert keys(found)[0] == "9"
    assert finishes(found)[0] is Finish.CUT
    assert found.answer == found.samples[0].answer


# -- at a wall -------------------------------------------------------------------------------------------------


def test_at_a_wall_every_finished_sample_counts_and_the_run_says_so() -> None:
    """The first launched never ends; at the deadline the others have it."""
    stuck = Script("hm", 0.1, ends=False, conclusion=words(100))
    found = solve(
        ScriptedEngine([stuck, says("5", 1, **TENTH), says("5", 2, **TENTH)]), Asks(3), Budget(seconds=3)
    )
    assert (found.stop, found.history.walled, found.history.counted) == (StopReason.SECONDS, True, None)
    assert (key(found), found.seconds) == ("5", pytest.approx(3))
    assert len(found.history.answers) == 2


def test_a_concluded_thought_counts_as_much_as_any() -> None:
    scripts = [endless("5", **TENTH), says("4", 1, **TENTH), endless("5", **TENTH)]
    found = solve(ScriptedEngine(scripts), Asks(3), Budget(seconds=5))
    assert key(found) == "5"
    assert [vote.concluded for vote in found.history.answers] == [True, False, True]


def test_answers_are_compared_by_value() -> None:
    engine = ScriptedEngine([says("7"), says("0.5"), says("\\frac{1}{2}"), says("1/2")])
    found = solve(engine, Asks(4))
    assert found.answer is not None
    assert (found.answer.text, found.answer.sample, found.confidence) == ("0.5", 1, 0.75)


# -- other selectors -------------------------------------------------------------------------------------------


def test_the_strategy_s_selector_is_used_unless_another_is_given() -> None:
    def engine() -> ScriptedEngine:
        return ScriptedEngine([says("4"), says("4"), says("5")])

    assert keys(solve(engine(), Asks(3))) == ["4", "4", "5"]
    assert [
        found.answer.key
        for found in (
            solve(engine(), Asks(3)),
            solve(engine(), Asks(3, selector=Latest())),
            solve(engine(), Asks(3), selector=Latest()),
        )
        if found.answer
    ] == ["4", "5", "5"]


def test_a_verdict_is_there_before_its_sample_settles() -> None:
    async def judge(sample, engines) -> Verdict:
        return Verdict(score={"4": 0.2, "5": 0.9}[sample.answer.key])

    policy = decides(lambda history: Decision())
    engine = ScriptedEngine([says("4"), says("5"), says("4")])
    found = solve(engine, Asks(3), selector=BestScore(), verifier=Judges(judge), policy=policy)
    assert key(found) == "5"
    for history in policy.seen:
        assert all(sample.verdict is not None for sample in history.settled)
