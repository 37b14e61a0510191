"""Failed requests, dead engines, engines that break their promises, and mistakes in parts."""

# Parts that break a promise are handed in on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

from typing import Any

import pytest

from tests.controller.guards import overshoot_is_expected
from tests.controller.rig import (
    ASK,
    QUESTION,
    Asks,
    Judges,
    Odd,
    Proposes,
    audit,
    decides,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget, Controller, Request, Run
from thinkctl.controller import budget
from thinkctl.errors import EngineUnavailable, RequestFailed
from thinkctl.protocols import Stream
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Decision, Finish, GenerationSpec, ProbeRequest, StopReason, StreamUsage, Verdict


def dies(strategy: Any, engine: ScriptedEngine | Odd, limits: Budget | None = None, **knobs: Any) -> Run:
    """Solve until the engine dies, and return the run so far."""

    async def main() -> Run:
        with pytest.raises(EngineUnavailable) as raised:
            await Controller(engine, strategy, **knobs).solve(QUESTION, limits)
        assert raised.value.run is not None
        return raised.value.run

    found = run(main())
    audit(found, engine, limits)
    return found


# -- one request -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 4])
def test_one_failed_request_is_a_sample_with_its_error_and_its_usage(after: int) -> None:
    engine = ScriptedEngine([Script(words(9), fail_after=after), says("4")])
    found = solve(engine, Asks(2))
    sample = found.samples[0]
    assert (sample.finish, sample.answer) == (Finish.ERROR, None)
    assert sample.error == f"the request failed after {after} tokens, as scripted"
    assert (sample.usage.generated_tokens, sample.usage.requests) == (after, 1)
    assert (keys(found), found.stop) == ([None, "4"], StopReason.DONE)


def test_a_failure_does_not_hold_its_grant() -> None:
    engine = ScriptedEngine([Script(words(9), fail_after=3), says("4", 70)])
    found = solve(engine, Asks(2), Budget(tokens=100), usual_tokens=100)
    assert (found.receipt.generated_tokens, keys(found)[1]) == (75, "4")


def test_a_failure_says_nothing_about_how_long_samples_are() -> None:
    """The sample after it is still planned as if nothing were known."""
    engine = ScriptedEngine([Script(words(9), fail_after=1), endless(seconds_per_token=0.1)])
    strategy = Proposes(lambda history: [Request(ASK)] * (5 if history.bought else 1))
    solve(engine, strategy, Budget(tokens=400, seconds=1), usual_tokens=100)
    assert engine.most_open == 2


def test_a_conclusion_that_fails_is_an_error_too() -> None:
    """The prompt with the closing text is refused by an engine whose context is shorter than its card says."""

    class Narrow(Odd):
        def stream(self, prompt, spec) -> Stream:
            if len(prompt) > 50:
                raise RequestFailed("too long for this server")
            return self.inner.stream(prompt, spec)

    engine = Narrow(ScriptedEngine([endless(), says("5", 2)]))
    found = solve(engine, Asks(2), Budget(tokens=200, thinking_tokens=60))
    assert finishes(found) == [Finish.ERROR, Finish.STOP]
    assert found.samples[0].error == "too long for this server"
    assert key(found) == "5"


# -- a dead engine ---------------------------------------------------------------------------------------------


def test_a_dead_engine_raises_with_the_run_so_far() -> None:
    engine = ScriptedEngine([says("4", 2, seconds_per_token=0.1), Script(words(50), 0.1, die_after=20)])
    found = dies(Asks(3), engine, Budget(tokens=1000))
    assert (found.stop, key(found), found.history.walled) == (StopReason.ENGINE, "4", True)
    assert found.seconds == pytest.approx(2)
    assert finishes(found) == [Finish.STOP, Finish.CUT, Finish.STOP]
    assert found.samples[1].usage.generated_tokens == 20
    assert "died after 20 tokens" in found.why


def test_an_engine_that_dies_at_once_leaves_an_empty_run() -> None:
    engine = ScriptedEngine([Script(words(5), die_after=0)])
    found = dies(Asks(2), engine)
    assert (found.answer, found.receipt.generated_tokens) == (None, 0)


def test_a_shut_down_engine_is_a_dead_one() -> None:
    async def main() -> None:
        engine = ScriptedEngine([says("4")])
        await engine.aclose()
        with pytest.raises(EngineUnavailable, match="shut down") as raised:
            await Controller(engine, Asks(2)).solve(QUESTION)
        assert raised.value.run is not None

    run(main())


def test_an_engine_that_cannot_start_raises_before_anything_is_paid() -> None:
    class Broken(Odd):
        async def start(self) -> None:
            raise EngineUnavailable("no such model")

    async def main() -> None:
        with pytest.raises(EngineUnavailable, match="no such model") as raised:
            await Controller(Broken(ScriptedEngine(["x"])), Asks(1)).solve(QUESTION)
        assert raised.value.run is None

    run(main())


def test_an_engine_that_dies_while_concluding_raises() -> None:
    def conclude(forced: str, at: int) -> str:
        engine.die("gone")
        return "4}"

    engine: ScriptedEngine = ScriptedEngine([endless(conclusion=conclude)])
    found = dies(Asks(1), engine, Budget(tokens=100))
    assert (found.stop, found.answer) == (StopReason.ENGINE, None)


def test_an_engine_that_dies_in_the_last_resort_raises() -> None:
    """Nothing was answered, and nothing can be any more: that is not an answer of None."""

    def conclude(forced: str, at: int) -> str:
        engine.die("gone")
        return "4}"

    script = Script(words(9), conclusion=conclude)
    engine: ScriptedEngine = ScriptedEngine([script])
    found = dies(Asks(2), engine)
    assert (found.stop, found.answer) == (StopReason.ENGINE, None)


def test_an_engine_that_dies_under_a_verifier_raises() -> None:
    async def judge(sample, engines) -> Verdict:
        stream = engines["scripted"].stream(sample.prompt_ids, GenerationSpec(20))
        async for _ in stream:
            pass
        return Verdict(1.0)

    engine = ScriptedEngine([says("4"), Script(words(9), die_after=2)])
    found = dies(Asks(1), engine, verifier=Judges(judge))
    assert keys(found) == ["4"]


def test_a_purse_gets_back_what_a_dead_engine_had_reserved() -> None:
    async def main() -> None:
        engine = Odd(
            ScriptedEngine([Script(words(50), 0.1, die_after=20)]), close_fails=EngineUnavailable("gone")
        )
        with budget(tokens=1000) as purse:
            with pytest.raises(EngineUnavailable):
                await Controller(engine, Asks(3)).solve(QUESTION)
            assert purse.tokens_left == 1000 - purse.receipt.generated_tokens
            assert purse.receipt.generated_tokens == (await engine.counters()).generated_tokens
            assert purse.receipt.usage.estimated

    run(main())


# -- engines that break their promises -------------------------------------------------------------------------


def test_a_stream_that_cannot_be_closed_is_billed_for_what_it_delivered() -> None:
    """The engine tells nothing: what came is counted, and the bill says that it is an estimate."""
    engine = Odd(ScriptedEngine([says("4", 4)]), close_fails=RequestFailed("connection lost"))

    async def main() -> Run:
        return await Controller(engine, Asks(1)).solve(QUESTION, Budget(tokens=100))

    found = run(main())
    assert (key(found), found.receipt.generated_tokens) == ("4", 6)
    assert (found.receipt.cached_tokens, found.receipt.usage.estimated) == (None, True)
    assert found.receipt.prompt_tokens == len(found.samples[0].prompt_ids)


def test_a_mistake_while_closing_is_raised_and_nothing_stays_reserved() -> None:
    engine = Odd(ScriptedEngine([says("4", 4)]), close_fails=KeyError("a bug in an engine"))

    async def main() -> None:
        with budget(tokens=100) as purse:
            with pytest.raises(KeyError):
                await Controller(engine, Asks(3)).solve(QUESTION)
            assert purse.receipt.generated_tokens == 6
            assert purse.tokens_left == 94

    run(main())


def test_real_usage_is_billed_even_above_the_grant() -> None:
    """A server that ignores ``max_tokens``: the bill is right and the overshoot is told."""
    overshoot_is_expected()

    class Lavish(Odd):
        def stream(self, prompt, spec) -> Stream:
            return self.inner.stream(prompt, GenerationSpec(spec.max_tokens + 10))

    async def main() -> None:
        engine = ScriptedEngine([endless(chunk=50)])
        with budget(tokens=100) as purse:
            found = await Controller(Lavish(engine), Asks(1)).solve(QUESTION)
        truth = await engine.counters()
        assert found.receipt.generated_tokens == purse.receipt.generated_tokens == truth.generated_tokens
        assert purse.overshoot >= 10

    run(main())


def test_a_server_that_tells_less_than_it_delivered_is_not_free() -> None:
    class Stingy(Odd):
        def stream(self, prompt, spec) -> Stream:
            inner = self.inner.stream(prompt, spec)

            class Silent:
                def __aiter__(self):
                    return inner.__aiter__()

                async def close(self) -> StreamUsage:
                    await inner.close()
                    return StreamUsage(estimated=True)

                async def force(self, token_ids) -> bool:
                    return False

            return Silent()

    async def main() -> Run:
        return await Controller(Stingy(ScriptedEngine([says("4", 4)])), Asks(1)).solve(QUESTION)

    assert run(main()).receipt.generated_tokens == 6


# -- mistakes in parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["propose", "select", "judge"])
def test_a_mistake_in_a_part_is_raised_and_leaves_nothing_running(where: str) -> None:
    engine = ScriptedEngine([says("4"), endless(seconds_per_token=0.1)])

    class Mistaken:
        def select(self, history):
            return None if history.in_flight or not history.samples else 1 / 0

    def propose(history):
        return [Request(ASK)] * 2 if not history.bought else 1 / 0

    async def judge(sample, engines) -> Verdict:
        raise ZeroDivisionError

    strategy: Any = {"propose": Proposes(propose), "select": Asks(1, selector=Mistaken())}.get(where, Asks(2))
    verifier = Judges(judge) if where == "judge" else None

    async def main() -> None:
        with budget(tokens=500) as purse:
            with pytest.raises(ZeroDivisionError):
                await Controller(engine, strategy, verifier=verifier).solve(QUESTION)
            assert purse.tokens_left == 500 - purse.receipt.generated_tokens
        assert engine.open_streams == 0

    run(main())


def test_a_probe_of_a_dying_engine_raises_like_any_stream() -> None:
    def conclusion(forced: str, at: int) -> str:
        engine.die("gone")
        return "4}"

    engine = ScriptedEngine([Script(words(50), 0.1, conclusion=conclusion)])
    policy = decides(
        lambda history: Decision(probe=tuple(ProbeRequest(each.index) for each in history.in_flight))
    )
    found = dies(Asks(1), engine, policy=policy, decide_every=4)
    assert found.stop is StopReason.ENGINE
