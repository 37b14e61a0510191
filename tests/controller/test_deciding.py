"""Decisions: stop, cut, conclude, cap; when a policy is asked, and that asking costs nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pytest

from tests.controller.rig import (
    MARKS,
    Asks,
    decides,
    endless,
    finishes,
    key,
    keys,
    probing,
    says,
    slow,
    solve,
    tokens_of,
    words,
)
from thinkctl import AdaptiveConsistency, Budget, Run, Sampling, ThinkingCap
from thinkctl.testing import End, Script, ScriptedEngine
from thinkctl.types import Decision, Finish, History, ProbeRequest, Sample, StopReason


def where(picks: Callable[[Sample], bool]) -> Callable[[History], tuple[int, ...]]:
    """Return a function that picks samples in flight."""
    return lambda history: tuple(sample.index for sample in history.in_flight if picks(sample))


# -- stop ------------------------------------------------------------------------------------------------------


def test_a_stop_ends_the_run_and_aborts_what_is_in_flight() -> None:
    engine = ScriptedEngine([slow(says("4", 2)), slow(endless())], waste=1)
    found = solve(
        engine, Asks(3), policy=decides(lambda history: Decision(stop=bool(history.answers), why="enough"))
    )
    assert (found.stop, found.why, found.seconds) == (StopReason.POLICY, "enough", pytest.approx(0.4))
    assert finishes(found)[1] is Finish.CUT
    assert engine.log[1].end is End.CLOSED
    assert found.receipt.wasted_tokens == 1


def test_the_policy_s_confidence_is_the_run_s() -> None:
    policy = decides(lambda history: Decision(stop=len(history.answers) == 2, confidence=0.75))
    assert solve(ScriptedEngine([says("4")]), Asks(2), policy=policy).confidence == 0.75


def test_a_policy_that_is_satisfied_from_the_start_buys_nothing() -> None:
    engine = ScriptedEngine(["unasked"])
    found = solve(engine, Asks(3), policy=decides(lambda history: Decision(stop=True)))
    assert (found.samples, found.answer, engine.launched) == ((), None, 0)


def test_decisions_that_differ_from_the_last_one_are_noted_with_when_and_on_what() -> None:
    policy = decides(lambda history: Decision(more=1, why=f"{len(history.answers)} votes"))
    found = solve(ScriptedEngine([slow(says("4", 1))]), Asks(2), policy=policy, decide_every=1)
    assert [(note.elapsed, note.settled, note.decision.why) for note in found.notes] == [
        (0.0, 0, "0 votes"),
        (pytest.approx(0.3), 1, "1 votes"),
        (pytest.approx(0.6), 2, "2 votes"),
    ]


# -- cut -------------------------------------------------------------------------------------------------------


def test_a_cut_sample_keeps_what_came_and_abstains_and_the_others_go_on() -> None:
    engine = ScriptedEngine([slow(Script("a \\boxed{9} b c d e f")), slow(says("4", 12))])
    cut = where(lambda sample: sample.index == 0 and len(sample.token_ids) >= 4)
    found = solve(engine, Asks(2), policy=decides(lambda history: Decision(cut=cut(history))), decide_every=2)
    assert finishes(found) == [Finish.CUT, Finish.STOP]
    assert keys(found) == [None, "4"], "what the policy cut has no vote, not even a boxed one"
    assert found.samples[0].text == "a \\boxed{9} b c"
    assert found.samples[0].ended == pytest.approx(0.4)
    assert found.stop is StopReason.DONE


def test_what_is_cut_is_replaced_if_the_strategy_wants_more() -> None:
    engine = ScriptedEngine([slow(endless()), slow(says("4", 2)), slow(says("5"))])
    policy = decides(lambda history: Decision(cut=where(lambda sample: sample.index == 0)(history), more=2))
    found = solve(engine, Asks(3), policy=policy, decide_every=3)
    assert keys(found) == [None, "4", "5"]
    assert found.samples[2].started == pytest.approx(0.3)


def test_cut_goes_before_conclude_and_conclude_before_probe() -> None:
    everything = where(lambda sample: sample.thinking_tokens >= 4)

    def decide(history: History) -> Decision:
        picked = everything(history)
        return Decision(cut=picked and (0,), conclude=picked, probe=tuple(map(ProbeRequest, picked)))

    engine = ScriptedEngine([slow(endless())])
    found = solve(engine, Asks(2), policy=decides(decide), decide_every=4)
    assert finishes(found) == [Finish.CUT, Finish.STOP]
    assert (found.samples[1].concluded, found.receipt.probe_tokens) == (True, 0)


def test_orders_for_samples_that_have_ended_or_never_were_are_ignored() -> None:
    policy = decides(
        lambda history: Decision(cut=(0, 7), conclude=(0, 8), probe=(ProbeRequest(0), ProbeRequest(9)))
    )
    found = solve(ScriptedEngine([says("4", 1), says("5", 50)]), Asks(2), policy=policy)
    assert found.samples[1].answer is not None


# -- conclude --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [0, 20])
def test_a_policy_may_repeat_itself_while_its_order_is_carried_out(force: int) -> None:
    """It is a pure function of the history, so it says the same until the sample has ended."""
    picked = where(lambda sample: sample.thinking_tokens >= 20)
    policy = decides(lambda history: Decision(conclude=picked(history)))
    engine = ScriptedEngine([slow(endless())], force=force)
    found = solve(engine, Asks(2), policy=policy, decide_every=8)
    assert keys(found) == ["4", "4"]
    assert len(policy.seen) < 40


def test_a_concluded_thought_votes_and_is_marked() -> None:
    engine = ScriptedEngine([slow(endless("5")), slow(says("4", 40)), slow(endless("5"))])
    picked = where(lambda sample: sample.index != 1 and sample.thinking_tokens >= 8)
    policy = decides(lambda history: Decision(conclude=picked(history)))
    found = solve(engine, Asks(3), policy=policy, decide_every=8)
    assert keys(found) == ["5", "4", "5"]
    assert [sample.concluded for sample in found.samples] == [True, False, True]
    assert [vote.concluded for vote in found.history.answers] == [True, False, True]
    assert found.answer == found.history.answers[0]


def test_a_sample_that_already_answers_is_not_asked_again() -> None:
    engine = ScriptedEngine([slow(Script(f"a \\boxed{{9}} {words(20)}"))])
    policy = decides(
        lambda history: Decision(conclude=where(lambda sample: len(sample.token_ids) > 8)(history))
    )
    found = solve(engine, Asks(1), policy=policy, decide_every=4)
    assert (keys(found), found.samples[0].concluded, found.receipt.requests) == (["9"], False, 1)


# -- the thinking cap ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 5, 64])
@pytest.mark.parametrize("cap", [0, 1, 2, 17, 33, 100])
@pytest.mark.parametrize("source", ["policy", "budget", "request"])
def test_a_thinking_cap_is_kept_to_the_token(source: str, cap: int, chunk: int) -> None:
    """Deltas of any size: the engine is never granted more."""
    engine = ScriptedEngine(
        lambda number, prompt: "4}" if prompt.endswith("{") else endless(chunk=chunk), waste=2, force=20
    )
    found = solve(
        engine,
        Asks(3, Sampling(thinking_tokens=cap if source == "request" else None)),
        Budget(thinking_tokens=cap) if source == "budget" and cap else None,
        policy=ThinkingCap(cap) if source == "policy" or not cap else None,
    )
    assert [sample.thinking_tokens for sample in found.samples] == [cap] * 3
    assert keys(found) == ["4"] * 3
    assert all(sample.concluded for sample in found.samples)
    assert found.stop is StopReason.DONE


@pytest.mark.parametrize(("thought", "concluded"), [(8, False), (9, False), (10, True), (11, True)])
def test_a_thought_that_ends_by_itself_below_the_cap_is_left_alone(thought: int, concluded: bool) -> None:
    """The cap is 10 tokens; ``<think>`` and its end are two of them."""
    script = Script(f"<think>{words(thought - 2 + concluded)}</think>\\boxed{{4}}", conclusion="5}")
    engine = ScriptedEngine([script], card=MARKS)
    (sample,) = solve(engine, Asks(1), policy=ThinkingCap(10)).samples
    assert sample.concluded is concluded
    assert sample.thinking_tokens <= 10


def test_a_capped_sample_may_still_say_its_whole_answer() -> None:
    """The cap bounds the thought alone."""
    engine = ScriptedEngine([Script(f"<think>a</think>{words(40)} \\boxed{{4}}")], card=MARKS)
    (sample,) = solve(engine, Asks(1), policy=ThinkingCap(5)).samples
    assert (sample.thinking_tokens, sample.usage.answer_tokens, sample.finish) == (3, 42, Finish.STOP)


@pytest.mark.parametrize("force", [0, 20])
def test_a_cap_that_is_lowered_under_way_closes_longer_thoughts(force: int) -> None:
    policy = decides(lambda history: Decision(thinking_tokens=100 if history.elapsed < 2 else 10))
    engine = ScriptedEngine([slow(endless())], force=force)
    found = solve(engine, Asks(2), policy=policy, decide_every=1)
    assert [sample.thinking_tokens for sample in found.samples] == [20, 20]
    assert keys(found) == ["4", "4"]


def test_the_strictest_cap_counts() -> None:
    found = solve(
        ScriptedEngine([endless()]),
        Asks(1, Sampling(thinking_tokens=30)),
        Budget(thinking_tokens=20),
        policy=ThinkingCap(25),
    )
    assert found.samples[0].thinking_tokens == 20


# -- when a policy is asked ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("every", "most"), [(1, 100), (10, 12), (32, 5), (1000, 2)])
def test_news_is_coalesced(every: int, most: int) -> None:
    """A sample of 99 tokens, one delta each."""
    policy = decides(lambda history: Decision())
    solve(ScriptedEngine([slow(says("4", 97))]), Asks(1), policy=policy, decide_every=every)
    assert most - 1 <= len(policy.seen) <= most + 1


def test_every_completion_is_decided_on_also_those_of_the_same_moment() -> None:
    """Sixteen samples end at once: the policy is asked as if they had come one after the other."""
    policy = decides(lambda history: Decision())
    solve(ScriptedEngine([slow(says("4"))]), Asks(16), policy=policy)
    assert [len(history.settled) for history in policy.seen][-16:] == list(range(1, 17))


@pytest.mark.parametrize("speculate", [0, 3, 9])
def test_where_a_policy_stops_depends_neither_on_moments_nor_on_speculation(speculate: int) -> None:
    """The first sample is the slowest, so all the others wait for it and settle in one moment."""
    scripts = [
        slow(says(key, thought))
        for key, thought in zip("4445555555", [40, 3, 3, 9, 2, 1, 7, 3, 3, 3], strict=True)
    ]
    found = solve(ScriptedEngine(scripts), Asks(10), policy=AdaptiveConsistency(0.9), speculate=speculate)
    assert (key(found), found.history.counted) == ("4", 3)


def test_a_decision_costs_far_less_than_a_decode_step() -> None:
    """Design: less than 100 microseconds. Here 64 samples and 100 decisions, in seconds of the processor."""
    policy = decides(lambda history: Decision())
    engine = ScriptedEngine([slow(endless(chunk=8))])
    begun = time.process_time()
    solve(engine, Asks(64), Budget(seconds=80), policy=policy, decide_every=8)
    seconds = time.process_time() - begun
    tokens = 64 * 800
    assert len(policy.seen) > 75
    assert seconds / tokens < 200e-6


def test_what_a_policy_is_shown_is_the_truth_of_the_moment() -> None:
    policy = decides(lambda history: Decision())
    found = solve(
        ScriptedEngine([slow(says("4", 20)), slow(says("5", 6))]), Asks(2), policy=policy, decide_every=1
    )
    for history in policy.seen:
        for sample in history.samples:
            if not sample.finished:
                assert sample.ended is None
                assert len(sample.token_ids) == sample.usage.generated_tokens
                assert len(sample.token_ids) == pytest.approx(
                    (history.elapsed - sample.started) / 0.1, abs=1.01
                )
        assert [sample.index for sample in history.samples] == list(range(history.bought))
    assert policy.seen[-1].usage == found.receipt.usage


def test_a_policy_s_own_mistake_is_raised_and_leaves_nothing_running() -> None:
    engine = ScriptedEngine([slow(endless())])

    def decide(history: History) -> Decision:
        raise ZeroDivisionError("a bug in a policy" if history.in_flight else "")

    with pytest.raises(ZeroDivisionError):
        solve(engine, Asks(2), policy=decides(decide))
    assert engine.open_streams == 0


def tokens(runs: Sequence[Run]) -> list[int]:
    """Return what runs generated."""
    return [found.receipt.generated_tokens for found in runs]


def test_the_same_seed_and_scripts_give_the_same_run() -> None:
    def once() -> Run:
        engine = ScriptedEngine([slow(says("4", 5)), slow(says("5", 9)), slow(endless())], waste=1)
        return solve(
            engine, Asks(6), Budget(tokens=300, seconds=20), policy=probing(4), decide_every=3, seed=5
        )

    first, second = once(), once()
    assert first == second
    assert tokens([first]) == tokens([second])
    assert tokens_of(5) < tokens([first])[0]
