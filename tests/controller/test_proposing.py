"""What is started: proposals, waves, free parallelism, and when there is nothing more to ask."""

from __future__ import annotations

import pytest

from tests.controller.rig import (
    ASK,
    QUESTION,
    Asks,
    Proposes,
    abstains,
    decides,
    endless,
    finishes,
    keys,
    says,
    solve,
    words,
)
from thinkctl import AdaptiveConsistency, Budget, CannotBeOvertaken, Controller, Request, Run, SelfConsistency
from thinkctl.errors import ConfigurationError
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Decision, Finish, History, StopReason


def test_nothing_proposed_and_nothing_in_flight_ends_the_run() -> None:
    found = solve(ScriptedEngine(["unasked"]), Proposes(lambda history: ()))
    assert (found.stop, found.answer, found.samples) == (StopReason.DONE, None, ())
    assert found.why == "the strategy had nothing more to ask"


def test_a_run_is_done_when_all_that_was_asked_has_come() -> None:
    found = solve(ScriptedEngine([says("4"), says("5"), says("4")]), Asks(3))
    assert (found.stop, keys(found)) == (StopReason.DONE, ["4", "5", "4"])
    assert found.answer == found.samples[0].answer
    assert found.confidence == pytest.approx(2 / 3)


def test_proposing_nothing_while_something_is_in_flight_means_nothing_to_ask_now() -> None:
    """Waves: three at a time, the next wave only when the last one is complete."""
    pending: list[int] = []

    def wave(history: History) -> list[Request]:
        if history.in_flight:
            return []
        pending.append(history.bought)
        return [Request(ASK)] * 3 if history.bought < 9 else []

    scripts = [says("4", thought, seconds_per_token=0.1) for thought in (2, 9, 4)]
    engine = ScriptedEngine(scripts)
    found = solve(engine, Proposes(wave))
    assert pending == [0, 3, 6, 9]
    assert [log.started for log in engine.log] == pytest.approx([0.0] * 3 + [1.1] * 3 + [2.2] * 3)
    assert len(found.samples) == 9


def test_a_stream_of_proposals_is_topped_up_at_once() -> None:
    """Two at a time: when one ends the next starts in the same moment."""
    strategy = Proposes(
        lambda history: [Request(ASK)] * max(0, min(2 - len(history.in_flight), 6 - history.bought))
    )
    engine = ScriptedEngine([says("4", 1, seconds_per_token=0.1), says("5", 3, seconds_per_token=0.1)])
    found = solve(engine, strategy)
    ends = sorted(sample.ended or 0 for sample in found.samples)
    starts = sorted(sample.started for sample in found.samples)
    assert starts[2:] == pytest.approx(ends[:4])
    assert engine.most_open == 2


def test_samples_in_flight_are_in_the_history_that_a_strategy_sees() -> None:
    seen: list[tuple[int, int]] = []

    def propose(history: History) -> list[Request]:
        seen.append((history.bought, len(history.in_flight)))
        return [Request(ASK)] * (2 - history.bought)

    solve(
        ScriptedEngine([says("4", 1, seconds_per_token=1), says("5", 5, seconds_per_token=1)]),
        Proposes(propose),
    )
    assert seen == [(0, 0), (2, 1), (2, 0)]


def test_the_first_proposals_are_the_most_important() -> None:
    """Where the wall lets only some of them in, they are the first ones."""
    messages = [(ASK[0].model_copy(update={"content": f"{number}?"}),) for number in range(4)]
    strategy = Proposes(lambda history: [Request(each) for each in messages[history.bought :]])
    engine = ScriptedEngine([says("4", 8)])
    found = solve(engine, strategy, Budget(tokens=24), usual_tokens=10)
    assert [sample.request.messages[0].content for sample in found.samples] == ["0?", "1?"]
    assert found.stop is StopReason.TOKENS


@pytest.mark.parametrize("streams", [1, 3, 8])
def test_no_more_is_started_than_the_engine_runs_at_once(streams: int) -> None:
    engine = ScriptedEngine([says("4")], streams=streams)
    assert len(solve(engine, Asks(8)).samples) == 8
    assert engine.most_open == streams


# -- free parallelism ------------------------------------------------------------------------------------------


def most_in_flight(found: Run) -> list[int]:
    """Return how many samples ran at once just after each one was started."""
    samples = found.samples
    return [
        sum(other.started <= sample.started < (other.ended or 0) for other in samples[: sample.index + 1])
        for sample in samples
    ]


@pytest.mark.parametrize("speculate", [0, 1, 3])
@pytest.mark.parametrize("more", [1, 2, 5])
def test_exactly_as_many_run_as_the_policy_needs_and_the_speculation(more: int, speculate: int) -> None:
    policy = decides(lambda history: Decision(more=more, stop=len(history.settled) >= 12))
    engine = ScriptedEngine([says("4", thought, seconds_per_token=0.1) for thought in (3, 1, 7, 2)])
    found = solve(engine, Asks(40), policy=policy, speculate=speculate)
    assert engine.most_open == more + speculate
    assert found.stop is StopReason.POLICY
    for history in policy.seen:
        unsettled = history.samples[len(history.settled) :]
        votes_to_come = [sample for sample in unsettled if not sample.finished or sample.answer]
        assert len(votes_to_come) <= more + speculate


def test_a_young_sample_that_finished_early_counts_as_one_of_those_that_are_needed() -> None:
    """Its vote is there and only waits for its elders: starting another for it would be a waste."""
    slow, quick = says("4", 20, seconds_per_token=0.1), says("4", 1, seconds_per_token=0.1)
    engine = ScriptedEngine([slow, quick, quick, quick])
    policy = decides(
        lambda history: Decision(more=max(1, 3 - len(history.answers)), stop=len(history.answers) > 2)
    )
    found = solve(engine, Asks(10), policy=policy)
    assert engine.launched == 3
    assert found.history.counted == 3


def test_a_sample_that_abstained_is_replaced() -> None:
    """It brought no vote, so the votes that the policy needs are still to come."""
    slow, silent = says("4", 20, seconds_per_token=0.1), abstains(1, seconds_per_token=0.1)
    engine = ScriptedEngine([slow, silent, says("4", 2, seconds_per_token=0.1)])
    policy = decides(
        lambda history: Decision(more=max(1, 2 - len(history.answers)), stop=len(history.answers) > 1)
    )
    found = solve(engine, Asks(10), policy=policy)
    assert engine.launched == 3
    assert finishes(found) == [Finish.STOP] * 3
    assert found.samples[2].started == pytest.approx(0.2)


def test_without_a_policy_everything_proposed_runs_at_once() -> None:
    engine = ScriptedEngine([says("4", seconds_per_token=0.1)])
    solve(engine, SelfConsistency(20))
    assert engine.most_open == 20


def test_a_policy_without_a_bound_lets_everything_run() -> None:
    engine = ScriptedEngine([says("4", seconds_per_token=0.1)])
    solve(engine, SelfConsistency(20), policy=decides(lambda history: Decision()))
    assert engine.most_open == 20


@pytest.mark.parametrize("policy", [AdaptiveConsistency(0.95), CannotBeOvertaken(15)], ids=repr)
@pytest.mark.parametrize("answers", ["4", "45", "4454", "45674"], ids=list)
def test_without_speculation_not_one_sample_is_bought_in_vain(policy, answers) -> None:
    """The parallel run buys exactly what one that asks for one sample at a time would have bought."""
    scripts = [says(key, 2 + place % 5, seconds_per_token=0.1) for place, key in enumerate(answers)]
    one_by_one = solve(
        ScriptedEngine(scripts),
        Proposes(lambda history: [Request(ASK)] * (not history.in_flight and history.bought < 15)),
        policy=policy,
    )
    parallel = solve(ScriptedEngine(scripts), Asks(15), policy=policy)
    assert keys(parallel) == keys(one_by_one)
    assert parallel.receipt.generated_tokens == one_by_one.receipt.generated_tokens
    assert parallel.answer == one_by_one.answer
    assert parallel.seconds <= one_by_one.seconds


def test_speculation_saves_time_and_costs_tokens_but_never_changes_the_votes() -> None:
    scripts = [says(key, 3, seconds_per_token=0.1) for key in "454444444"]
    runs = [
        solve(ScriptedEngine(scripts), Asks(9), policy=AdaptiveConsistency(0.9), speculate=extra)
        for extra in (0, 2, 9)
    ]
    assert len({found.history.counted for found in runs}) == 1
    assert len({found.answer for found in runs}) == 1
    tokens = [found.receipt.generated_tokens for found in runs]
    seconds = [found.seconds for found in runs]
    assert tokens == sorted(tokens)
    assert seconds == sorted(seconds, reverse=True)
    assert tokens[0] < tokens[-1]
    assert seconds[0] > seconds[-1]


# -- what must not go on for ever ------------------------------------------------------------------------------


def forever(history: History) -> list[Request]:
    assert history.bought < 2_000, "it would never end"
    return [Request(ASK)]


def test_a_strategy_that_always_asks_is_ended_by_the_wall() -> None:
    budget = Budget(tokens=200, answer_tokens=20)
    found = solve(ScriptedEngine([says("4", 8)]), Proposes(forever), budget, usual_tokens=10)
    assert found.stop is StopReason.TOKENS
    assert 200 - 10 - 20 <= found.receipt.generated_tokens <= 200, (
        "all but a sample and its conclusion was used"
    )


def test_a_strategy_whose_samples_may_not_think_at_all_is_ended_by_the_wall() -> None:
    """No thought means no grant for one, but each conclusion is paid for."""
    policy = decides(lambda history: Decision(thinking_tokens=0))
    found = solve(
        ScriptedEngine([endless(conclusion="hm hm hm")]), Proposes(forever), Budget(tokens=100), policy=policy
    )
    assert found.stop is StopReason.TOKENS
    assert all(sample.thinking_tokens == 0 for sample in found.samples)


def test_a_strategy_that_goes_on_where_the_context_is_full_comes_to_an_end() -> None:
    def deeper(history: History) -> list[Request]:
        assert history.bought < 2_000, "it would never end"
        return [Request(ASK, parent=history.bought - 1 if history.bought else None)] * (not history.in_flight)

    engine = ScriptedEngine([endless(conclusion=words(500))], context=60)
    found = solve(engine, Proposes(deeper), Budget(tokens=10_000))
    assert found.stop is StopReason.DONE
    assert found.receipt.generated_tokens < 60


def test_a_server_that_refuses_everything_is_not_asked_for_ever() -> None:
    engine = ScriptedEngine([Script("never said", fail_after=0)])
    found = solve(engine, Proposes(lambda history: [Request(ASK)]), Budget(tokens=100), usual_tokens=1)
    assert found.answer is None
    assert set(finishes(found)) == {Finish.ERROR}
    assert len(found.samples) < 200


def test_a_policy_that_needs_no_more_votes_but_does_not_stop_does_not_end_the_run() -> None:
    found = solve(ScriptedEngine([says("4")]), Asks(3), policy=decides(lambda history: Decision(more=0)))
    assert len(found.samples) == 3


# -- what cannot be asked --------------------------------------------------------------------------------------


def test_a_request_for_an_unknown_model_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="asks for model 'large'; the controller has scripted"):
        solve(ScriptedEngine(["x"]), Asks(1, model="large"))


def test_a_request_that_cannot_be_leaves_nothing_running() -> None:
    """The first sample is in flight when the second request turns out to be wrong."""
    engine = ScriptedEngine([endless(seconds_per_token=0.1)])

    async def main() -> None:
        strategy = Proposes(lambda history: [Request(ASK), Request(ASK, model="no such")])
        with pytest.raises(ConfigurationError, match="no such"):
            await Controller(engine, strategy).solve(QUESTION)
        assert engine.open_streams == 0

    run(main())
