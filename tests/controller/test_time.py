"""Time: the deadline, what is kept back for concluding, and whose clock it is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    QUESTION,
    Asks,
    Judges,
    Odd,
    decides,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget, Controller, SelfConsistency
from thinkctl.controller import budget
from thinkctl.testing import End, Script, ScriptedEngine, run
from thinkctl.types import Decision, Finish, GenerationSpec, History, ProbeRequest, StopReason, Verdict


@given(
    seconds=st.floats(0.01, 20),
    speed=st.sampled_from([0.0, 0.001, 0.05, 0.3, 2.0]),
    first=st.sampled_from([0.0, 0.2, 3.0]),
    n=st.integers(1, 5),
    chunk=st.integers(1, 40),
    long=st.booleans(),
    force=st.sampled_from([0, 20]),
)
def test_the_deadline_is_kept_whatever_the_engine_s_speed(
    seconds, speed, first, n, chunk, long, force
) -> None:
    """Exactly: in virtual time an engine lets go at once, and then nothing may take longer."""
    script = endless(
        "4", seconds_per_token=speed, first=first, chunk=chunk, conclusion=words(90 if long else 1) + "}"
    )
    found = solve(
        ScriptedEngine([script], force=force, waste=1), Asks(n), Budget(seconds=seconds, tokens=5_000)
    )
    assert found.seconds <= seconds + 1e-9
    assert all(sample.ended is not None and sample.ended <= seconds + 1e-9 for sample in found.samples)


def test_at_the_thinking_wall_every_thought_is_closed_so_that_the_answers_come_in_time() -> None:
    engine = ScriptedEngine([endless(key, f"{key} hm", seconds_per_token=0.1) for key in "454"])
    found = solve(engine, Asks(3), Budget(seconds=10, answer_tokens=5))
    assert (found.stop, found.why) == (StopReason.SECONDS, "the deadline was reached")
    assert keys(found) == ["4", "5", "4"]
    assert finishes(found) == [Finish.STOP] * 3
    thought = found.samples[0].thinking_tokens
    assert 90 <= thought <= 95, "five tokens at the measured rate and a start are kept back, not more"
    assert found.seconds < 10


def test_at_most_a_quarter_of_the_time_is_kept_back() -> None:
    """64 tokens would take 6.4 of the 10 seconds."""
    found = solve(ScriptedEngine([endless("4", seconds_per_token=0.1)]), Asks(1), Budget(seconds=10))
    assert 74 <= found.samples[0].thinking_tokens <= 76
    assert key(found) == "4"


@pytest.mark.parametrize("seconds", [0.5, 1, 2, 3, 5])
def test_a_slow_engine_is_made_to_answer_before_the_deadline_too(seconds: float) -> None:
    """Fewer tokens come in all that time than are needed for the next decision."""
    found = solve(ScriptedEngine([endless("4", seconds_per_token=0.1)]), Asks(2), Budget(seconds=seconds))
    assert (keys(found), found.stop) == (["4", "4"], StopReason.SECONDS)


def test_the_reserve_follows_the_rate_that_is_measured_in_this_run() -> None:
    def thought(speed: float) -> float:
        engine = ScriptedEngine([endless("4", seconds_per_token=speed, chunk=2)])
        return solve(engine, Asks(1), Budget(seconds=20)).samples[0].thinking_tokens * speed

    assert thought(0.001) > 19.8
    assert 17 < thought(0.04) < 18
    assert 14.5 < thought(0.5) < 15.5


def test_a_slow_start_is_expected_of_the_conclusion_as_well() -> None:
    engine = ScriptedEngine([endless("4", seconds_per_token=0.01, first=1.5)])
    found = solve(engine, Asks(1), Budget(seconds=10, answer_tokens=10))
    assert key(found) == "4"
    assert (found.samples[0].ended or 0) <= 10


def test_nothing_is_started_after_the_thinking_wall() -> None:
    """A sample that ends there makes room for another, which could not think any more."""
    scripts = [says("4", 93, seconds_per_token=0.1), endless("5", seconds_per_token=0.1)]
    policy = decides(lambda history: Decision(more=2))
    found = solve(ScriptedEngine(scripts), Asks(9), Budget(seconds=10, answer_tokens=5), policy=policy)
    assert all(sample.started < 9 and sample.thinking_tokens > 0 for sample in found.samples)


def test_samples_that_have_not_said_a_word_do_not_outvote_one_that_has_thought() -> None:
    """They queue in a busy engine; made to conclude they would guess."""
    stuck = [endless("4", f"{place} hm", first=100, seconds_per_token=0.01) for place in range(3)]
    found = solve(ScriptedEngine([endless("5", seconds_per_token=0.01), *stuck]), Asks(4), Budget(seconds=5))
    assert (key(found), keys(found)) == ("5", ["5", None, None, None])


def test_what_was_answered_in_time_counts_and_the_rest_is_cut() -> None:
    """An engine that takes ten seconds to begin: too slow for the other two."""
    engine = ScriptedEngine(
        [says("4", 5, seconds_per_token=0.1), Script("late", first=10), Script("late", first=10)]
    )
    found = solve(engine, Asks(3), Budget(seconds=4))
    assert key(found) == "4"
    assert found.seconds <= 4
    assert finishes(found)[0] is Finish.STOP
    assert found.history.walled


def test_a_run_that_ends_by_itself_does_not_wait_for_the_deadline() -> None:
    found = solve(ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(4), Budget(seconds=100))
    assert (found.stop, found.seconds) == (StopReason.DONE, pytest.approx(0.5))


def test_a_verifier_does_not_outlast_the_deadline() -> None:
    async def judge(sample, engines) -> Verdict:
        await asyncio.sleep(100)
        return Verdict(1.0)

    found = solve(
        ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(2), Budget(seconds=3), verifier=Judges(judge)
    )
    assert (found.seconds, found.stop, keys(found)) == (3, StopReason.SECONDS, ["4", "4"])
    assert [sample.verdict for sample in found.samples] == [None, None]


def test_a_sample_that_ends_in_the_very_moment_of_the_deadline_is_not_judged_after_it() -> None:
    async def judge(sample, engines) -> Verdict:
        await asyncio.sleep(100)
        return Verdict(1.0)

    engine = Odd(ScriptedEngine([says("4", 2, seconds_per_token=0.25)]), closing_seconds=0.02)
    found = solve(engine, Asks(1), Budget(seconds=1), verifier=Judges(judge))
    assert found.seconds <= 1.05
    assert key(found) == "4"


def test_probes_are_closed_all_at_once() -> None:
    """However many there are, a slow engine is waited for once; then one sample is made to answer."""

    def probe(history: History) -> Decision:
        asks = (
            ProbeRequest(each.index, max_tokens=40) for each in history.in_flight if each.thinking_tokens > 2
        )
        return Decision(probe=tuple(asks), stop=history.elapsed > 1)

    engine = Odd(ScriptedEngine([Script(words(200), 0.1, conclusion=words(50))]), closing_seconds=0.03)
    solve(engine, Asks(6), Budget(seconds=2), policy=decides(probe), decide_every=1)
    aborted = [log.ended or 0 for log in engine.inner.log if log.end is End.CLOSED and log.started > 0]
    assert len(aborted) >= 6
    assert max(aborted[:6]) - min(aborted[:6]) < 0.001


def test_a_judge_s_streams_are_closed_all_at_once() -> None:
    async def judge(sample, engines) -> Verdict:
        for _ in range(5):
            await anext(aiter(engines["scripted"].stream(sample.prompt_ids, GenerationSpec(50))))
        return Verdict(1.0)

    engine = Odd(ScriptedEngine([says("4", 2, seconds_per_token=0.1)]), closing_seconds=0.03)
    found = solve(engine, Asks(1), verifier=Judges(judge))
    assert found.seconds == pytest.approx(0.4 + 0.03 + 5 * 0.1 + 0.03)


def test_an_engine_that_lets_go_slowly_is_waited_for_and_no_longer() -> None:
    engine = Odd(ScriptedEngine([Script("hm", 0.1, ends=False, conclusion=words(200))]), closing_seconds=0.03)
    assert solve(engine, Asks(3), Budget(seconds=4)).seconds == pytest.approx(4.03)


def test_time_counts_from_the_call_and_not_from_the_start_of_the_loop() -> None:
    engine = ScriptedEngine([says("4", 8, seconds_per_token=0.1)])
    found = solve(engine, Asks(1), Budget(seconds=5), start=12_345)
    (sample,) = found.samples
    assert (sample.started, sample.ended, found.seconds) == (0, pytest.approx(1), pytest.approx(1))
    assert found.history.elapsed == pytest.approx(1)


def test_no_budget_pays_for_loading_the_model() -> None:
    engine = Odd(ScriptedEngine([says("4", 8, seconds_per_token=0.1)]), starting_seconds=60)
    found = solve(engine, Asks(1), Budget(seconds=5))
    assert (key(found), found.seconds) == ("4", pytest.approx(1))


def test_a_purse_s_deadline_counts_for_every_call_in_it() -> None:
    async def main() -> list[tuple[StopReason, float]]:
        controller = Controller(ScriptedEngine([endless("4", seconds_per_token=0.1)]), SelfConsistency(1))
        stops = []
        with budget(seconds=10) as purse:
            for _ in range(4):
                found = await controller.solve(QUESTION, Budget(seconds=4))
                stops.append((found.stop, found.seconds))
            assert purse.seconds_left == pytest.approx(0, abs=1)
        return stops

    stops = run(main(), start=50)
    assert {stop for stop, _ in stops} == {StopReason.SECONDS}
    assert sum(seconds for _, seconds in stops) <= 10 + 1e-9
    assert stops[0][1] > 3


def test_a_call_after_the_purse_s_deadline_asks_nothing() -> None:
    async def main() -> None:
        engine = ScriptedEngine(["unasked"])
        with budget(seconds=1) as purse:
            await asyncio.sleep(2)
            found = await Controller(engine, SelfConsistency(4)).solve(QUESTION)
            assert purse.seconds_left == 0
        assert (found.stop, found.samples, found.answer) == (StopReason.SECONDS, (), None)
        assert engine.log == []

    run(main())


@pytest.mark.parametrize("tokens", [50, 100_000])
def test_whichever_wall_comes_first_is_named(tokens: int) -> None:
    engine = ScriptedEngine([endless("4", seconds_per_token=0.1)])
    found = solve(engine, Asks(1), Budget(tokens=tokens, seconds=20))
    assert found.stop is (StopReason.TOKENS if tokens == 50 else StopReason.SECONDS)
    assert key(found) == "4"
