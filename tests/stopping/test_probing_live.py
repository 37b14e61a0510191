"""Policies within a sample in whole runs: many in flight, probes on the bill, answers that vote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.controller.rig import MARKS, Asks, finishes, keys, solve
from thinkctl import AdaptiveConsistency, Budget, Controller, Run
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.hindsight import hindsight
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.selectors import Majority
from thinkctl.stopping import (
    AnswerConfidence,
    AnswerStable,
    EntropyAfterThinking,
    EveryTokens,
    LowConfidence,
    NoThinking,
    Patient,
    RepetitionGuard,
    WarmUp,
    any_of,
)
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.types import Finish, Role, StopReason, Usage

SURE, UNSURE = -0.001, -1.0
SIXTEEN = range(16)


def thinks(number: int, tokens: int = 300, answer: str = "4", **more) -> Script:
    """Think so many tokens, unlike any other sample, and answer."""
    return Script(f"{thought(number, tokens)} \\boxed{{{answer}}}", 0.1, **more)


def thought(number: int, tokens: int) -> str:
    return " ".join(f"{number}-{place}" for place in range(tokens))


def sixteen(script: Callable[[int], Script], **more) -> ScriptedEngine:
    return ScriptedEngine([script(number) for number in SIXTEEN], **more)


def used_for(found: Run, role: Role) -> Usage:
    return sum((line.usage for line in found.receipt.lines if line.role is role), Usage())


def places(found: Run) -> list[tuple[int, ...]]:
    return [tuple(probe.at for probe in sample.probes) for sample in found.samples]


# -- answer confidence -----------------------------------------------------------------------------------------


def half_sure(number: int) -> Script:
    return thinks(number, answer=str(number % 2), logprob=UNSURE if number % 2 else SURE)


def test_of_sixteen_samples_in_flight_those_that_are_sure_conclude_and_the_others_think_on() -> None:
    found = solve(sixteen(half_sure), Asks(16), policy=AnswerConfidence())
    assert [sample.concluded for sample in found.samples] == [number % 2 == 0 for number in SIXTEEN]
    assert places(found) == [(64,), (64, 128, 192, 256)] * 8
    assert keys(found) == ["0", "1"] * 8
    assert all(64 <= sample.thinking_tokens < 64 + 2 * 32 for sample in found.samples[::2])
    assert {sample.thinking_tokens for sample in found.samples[1::2]} == {300}
    assert (found.stop, found.confidence) == (StopReason.DONE, 0.5)


def test_every_probe_is_on_the_bill_and_on_its_sample() -> None:
    """The rig checks the bill against the engine's own count."""
    found = solve(sixteen(half_sure), Asks(16), policy=AnswerConfidence())
    billed = used_for(found, Role.PROBE)
    probes = [probe for sample in found.samples for probe in sample.probes]
    assert (billed.requests, len(probes)) == (40, 40)
    assert billed.probe_tokens == sum(probe.usage.probe_tokens for probe in probes) == 40
    assert all(probe.forced.endswith("\\boxed{") and probe.forced_tokens for probe in probes)
    assert sum(sample.usage.probe_tokens for sample in found.samples) == 40


def test_probes_share_the_prefix_of_the_sample_that_runs() -> None:
    engine = sixteen(half_sure, block=4)
    billed = used_for(solve(engine, Asks(16), policy=AnswerConfidence()), Role.PROBE)
    assert billed.cached_tokens is not None
    assert billed.prompt_tokens - billed.cached_tokens < 40 * 20, "only the closing text and a block are new"


@pytest.mark.parametrize("chunk", [1, 7, 50])
@pytest.mark.parametrize("decide_every", [1, 8, 32])
def test_where_a_thought_is_probed_does_not_depend_on_when_news_comes(decide_every, chunk) -> None:
    engine = sixteen(lambda number: replace(half_sure(number), chunk=chunk))
    found = solve(engine, Asks(16), policy=AnswerConfidence(), decide_every=decide_every)
    assert places(found) == [(64,), (64, 128, 192, 256)] * 8
    assert keys(found) == ["0", "1"] * 8


def test_concluding_early_saves_more_than_the_probes_cost() -> None:
    full = solve(sixteen(half_sure), Asks(16)).receipt.generated_tokens
    early = solve(sixteen(half_sure), Asks(16), policy=AnswerConfidence()).receipt.generated_tokens
    assert early < 0.75 * full


def test_marks_are_probed_where_they_are_said() -> None:
    def doubts(number: int) -> Script:
        text = f"{thought(number, 100)} Wait {thought(number + 50, 100)} Wait {thought(number + 90, 50)}"
        return Script(f"{text} \\boxed{{4}}", 0.1, logprob=UNSURE)

    policy = AnswerConfidence(marks=("Wait",))
    found = solve(sixteen(doubts), Asks(16), policy=policy, decide_every=8)
    assert {len(at) for at in places(found)} == {2}
    assert all(100 < first < 110 and 201 < second < 211 for first, second in places(found))


# -- answer stable, entropy --------------------------------------------------------------------------------------


def settles(number: int) -> Script:
    """Think for ever, of 5 up to 150 tokens, then of 4."""
    return Script(
        thought(number, 400), 0.1, ends=False, conclusion=lambda forced, at: "5}" if at < 150 else "4}"
    )


def test_answers_that_are_stable_conclude_and_vote() -> None:
    found = solve(sixteen(settles), Asks(16), policy=AnswerStable(guard=None))
    assert places(found) == [(64, 128, 192, 256, 320)] * 16
    assert keys(found) == ["4"] * 16
    assert all(vote.concluded for vote in found.history.answers)


def test_an_entropy_that_has_settled_concludes_on_probes_of_one_token() -> None:
    policy = EntropyAfterThinking(alpha=0.5, every=16)
    found = solve(sixteen(lambda number: thinks(number, logprob=SURE)), Asks(16), policy=policy)
    assert places(found) == [tuple(range(16, 129, 16))] * 16
    assert used_for(found, Role.PROBE).probe_tokens == 16 * 8
    assert all(sample.concluded for sample in found.samples)


@pytest.mark.parametrize("chunk", [1, 7, 50])
@pytest.mark.parametrize("every", [16, 32, 48])
def test_no_place_of_a_fine_grid_is_passed_over(every, chunk) -> None:
    """News comes every 32 tokens."""
    policy = EntropyAfterThinking(every=every, alpha=1)
    found = solve(sixteen(lambda number: thinks(number, chunk=chunk)), Asks(16), policy=policy)
    assert places(found) == [tuple(range(every, 4 * every + 1, every))] * 16


def test_side_by_side_they_share_their_probes() -> None:
    policy = any_of(AnswerConfidence(0.999), AnswerStable(k=9), EntropyAfterThinking(every=64))
    found = solve(sixteen(lambda number: thinks(number, logprob=UNSURE)), Asks(16), policy=policy)
    assert places(found) == [(64, 128, 192, 256)] * 16
    assert used_for(found, Role.PROBE).requests == 64


def test_patience_takes_one_probe_more_and_warm_up_begins_later() -> None:
    script = lambda number: thinks(number, logprob=SURE)  # noqa: E731
    patient = solve(sixteen(script), Asks(16), policy=Patient(AnswerConfidence(), 2))
    assert places(patient) == [(64, 128)] * 16
    warm = solve(sixteen(script), Asks(16), policy=WarmUp(AnswerConfidence(), tokens=150))
    assert all(sample.concluded and sample.thinking_tokens >= 150 for sample in warm.samples)
    assert used_for(warm, Role.PROBE).requests == 16


# -- cutting ---------------------------------------------------------------------------------------------------


def wavers(number: int) -> Script:
    """Think with a steady mind, but for every other one from the sixth on: that loses it after 40 tokens."""
    lost = number > 4 and number % 2
    return thinks(number, 200, logprob=(-0.05,) * 40 + (-2.5,) if lost else -0.05)


def test_who_falls_below_the_first_samples_is_cut_and_abstains() -> None:
    engine = sixteen(wavers)
    found = solve(engine, Asks(16), policy=LowConfidence(window=16, warm_up=4))
    lost = [number > 4 and number % 2 == 1 for number in SIXTEEN]
    assert finishes(found) == [Finish.CUT if cut else Finish.STOP for cut in lost]
    assert keys(found) == [None if cut else "4" for cut in lost]
    for sample, cut in zip(found.samples, lost, strict=True):
        assert (40 < len(sample.token_ids) <= 40 + 16 + 2 * 32) if cut else len(sample.token_ids) > 200
    assert found.receipt.generated_tokens == sum(len(sample.token_ids) for sample in found.samples)


def test_while_the_first_samples_set_the_measure_the_others_wait() -> None:
    found = solve(sixteen(wavers), Asks(16), policy=LowConfidence(window=16, warm_up=4))
    warm = max(sample.ended or 0.0 for sample in found.samples[:4])
    assert [sample.started for sample in found.samples[:4]] == [0.0] * 4
    assert all(sample.started >= warm for sample in found.samples[4:])


def test_every_sample_is_asked_for_the_alternatives_of_its_tokens() -> None:
    engine = sixteen(wavers)
    solve(engine, Asks(16), policy=LowConfidence(window=16, warm_up=4, top=5))
    assert {each.spec.logprobs for each in engine.log} == {5}


def loops_at(number: int) -> Script:
    if number % 4:
        return thinks(number)
    return Script(f"{number} and so, {number} and so,", 0.1, ends=False, logprob=SURE, conclusion="9}")


def test_loops_are_cut_and_the_others_vote() -> None:
    found = solve(sixteen(loops_at), Asks(16), Budget(tokens=40_000), policy=RepetitionGuard())
    assert finishes(found) == [Finish.STOP if number % 4 else Finish.CUT for number in SIXTEEN]
    assert keys(found) == ["4" if number % 4 else None for number in SIXTEEN]
    assert all(256 <= len(sample.token_ids) < 256 + 2 * 32 for sample in found.samples[::4])
    assert found.stop is StopReason.DONE


@pytest.mark.parametrize(
    "policy",
    [AnswerConfidence(every=288), AnswerStable(k=2, every=144), EntropyAfterThinking(alpha=1, every=72)],
    ids=lambda policy: type(policy).__name__,
)
def test_a_loop_is_not_concluded_on_its_confidence(policy) -> None:
    """It would be, as soon as it is known for a loop."""
    found = solve(sixteen(loops_at), Asks(16), Budget(tokens=40_000), policy=policy, decide_every=8)
    assert {sample.finish for sample in found.samples[::4]} == {Finish.CUT}
    bare = replace(policy, guard=None)
    found = solve(sixteen(loops_at), Asks(16), Budget(tokens=40_000), policy=bare, decide_every=8)
    assert [sample.answer and sample.answer.key for sample in found.samples[::4]] == ["9"] * 4


def test_a_lonely_loop_still_gives_an_answer() -> None:
    engine = ScriptedEngine([loops_at(0)])
    found = solve(engine, Asks(1), Budget(tokens=5_000), policy=RepetitionGuard())
    assert (keys(found), found.receipt.generated_tokens < 400) == (["9"], True)
    concluded = solve(ScriptedEngine([loops_at(0)]), Asks(1), policy=RepetitionGuard(then="conclude"))
    assert (keys(concluded), concluded.samples[0].concluded) == (["9"], True)


# -- without a thought -----------------------------------------------------------------------------------------


def answers_at_once(number: int, prompt: str) -> Script:
    done = "finished thinking" in prompt
    return Script("so \\boxed{4}" if done else f"<think>{thought(number, 300)}</think> \\boxed{{5}}", 0.1)


def test_under_a_small_budget_samples_start_without_a_thought() -> None:
    policy = NoThinking(below=500)
    small = solve(ScriptedEngine(answers_at_once, card=MARKS), Asks(4), Budget(tokens=400), policy=policy)
    assert {sample.request.think for sample in small.samples} == {False}
    assert sum(sample.thinking_tokens for sample in small.samples) == 0
    large = solve(ScriptedEngine(answers_at_once, card=MARKS), Asks(4), Budget(tokens=4_000), policy=policy)
    assert {sample.request.think for sample in large.samples} == {True}
    assert keys(large) == ["5"] * 4


# -- walls, recordings, refusals -------------------------------------------------------------------------------

ALL = any_of(
    Patient(AnswerConfidence()),
    AnswerStable(),
    EntropyAfterThinking(every=16),
    LowConfidence(window=16, warm_up=4),
    EveryTokens(RepetitionGuard(), 50),
    NoThinking(below=60),
    AdaptiveConsistency(),
)


@pytest.mark.parametrize("waste", [0, 2])
@pytest.mark.parametrize("tokens", [10, 59, 60, 137, 400, 1_000, 3_000, 10_000])
def test_a_hard_budget_wins_whatever_policies_ask_for(tokens, waste) -> None:
    """The rig checks the wall to the token."""
    engine = sixteen(lambda number: replace(loops_at(number), logprob=UNSURE), waste=waste)
    found = solve(engine, Asks(16), Budget(tokens=tokens), policy=ALL, decide_every=8)
    assert found.answer is not None


def test_hindsight_of_a_recorded_run_concludes_where_the_run_did() -> None:
    """On the probes that are recorded, with the same code; it asks where they were made, not when they came."""
    watched = solve(sixteen(half_sure), Asks(16), shadows=[AnswerConfidence()])
    assert places(watched) == [(64,), (64, 128, 192, 256)] * 8
    live = solve(sixteen(half_sure), Asks(16), policy=AnswerConfidence())
    later = hindsight(AnswerConfidence(), watched.history, Majority())
    assert [sample.concluded for sample in later.history.samples] == [
        sample.concluded for sample in live.samples
    ]
    assert [sample.answer and sample.answer.key for sample in later.history.samples] == keys(live)
    assert [len(sample.token_ids) for sample in later.history.samples[::2]] == [64] * 8
    assert later.unknown == 0


@pytest.mark.parametrize(
    "policy",
    [AnswerConfidence(), EntropyAfterThinking(), LowConfidence(), Patient(any_of(AnswerConfidence()))],
    ids=lambda policy: type(policy).__name__,
)
def test_an_engine_without_log_probabilities_refuses_what_goes_by_them(policy) -> None:
    engine = ReplayEngine([Recorded("a", "2+2?", (RecordedSample("4", 10),))])
    with pytest.raises(ConfigurationError, match=r"log-probabilities"):
        Controller(engine, Asks(1), policy=policy)
