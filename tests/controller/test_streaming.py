"""``stream``: what happens, in the order in which it happens."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tests.controller.rig import QUESTION, Asks, Judges, Odd, abstains, decides, endless, key, says, words
from thinkctl import Budget, Controller
from thinkctl.controller import budget
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import (
    AnswerImproved,
    Decided,
    Decision,
    Event,
    Finished,
    SampleFinished,
    SampleStarted,
    StopReason,
    Thought,
    Verdict,
)


def events_of(engine, strategy, limits: Budget | None = None, **knobs) -> list[tuple[float, Event]]:
    """Return all events of a run, each with the moment at which it came."""

    async def main() -> list[tuple[float, Event]]:
        clock = asyncio.get_running_loop().time
        made = Controller(engine, strategy, **knobs)
        return [(clock(), event) async for event in made.stream(QUESTION, limits)]

    return run(main())


def test_the_last_event_is_the_run_that_solve_would_return() -> None:
    def engine() -> ScriptedEngine:
        return ScriptedEngine([says("4", 5, seconds_per_token=0.1), says("5", 2, seconds_per_token=0.1)])

    async def solved():
        return await Controller(engine(), Asks(3)).solve(QUESTION, seed=2)

    async def streamed():
        return [event async for event in Controller(engine(), Asks(3)).stream(QUESTION, seed=2)]

    *before, last = run(streamed())
    assert last == Finished(run(solved()))
    assert not any(isinstance(event, Finished) for event in before)


def test_events_come_in_order() -> None:
    engine = ScriptedEngine([says("4", 5, seconds_per_token=0.1), says("5", 2, seconds_per_token=0.1)])
    told = events_of(engine, Asks(2))
    of_first = [event for _, event in told if getattr(event, "sample", None) == 0 or _index(event) == 0]
    assert isinstance(of_first[0], SampleStarted)
    assert all(
        isinstance(event, Thought) for event in of_first[1:-1] if not isinstance(event, AnswerImproved)
    )
    assert [_index(event) for _, event in told if isinstance(event, SampleStarted)] == [0, 1]
    assert [_index(event) for _, event in told if isinstance(event, SampleFinished)] == [1, 0]
    assert isinstance(told[-1][1], Finished)
    moments = [moment for moment, _ in told]
    assert moments == sorted(moments)


def _index(event: Event) -> int | None:
    return event.sample.index if isinstance(event, SampleStarted | SampleFinished) else None


@pytest.mark.parametrize("chunk", [1, 4])
def test_thoughts_add_up_to_the_text_and_come_as_they_are_generated(chunk: int) -> None:
    engine = ScriptedEngine([says("4", 9, seconds_per_token=0.1, chunk=chunk), endless("5")])
    told = events_of(engine, Asks(2), Budget(tokens=200, answer_tokens=10), usual_tokens=40)
    run_ = told[-1][1]
    assert isinstance(run_, Finished)
    for sample in run_.run.samples:
        pieces = [
            event.text for _, event in told if isinstance(event, Thought) and event.sample == sample.index
        ]
        assert "".join(pieces) == sample.text
    first = [moment for moment, event in told if isinstance(event, Thought) and event.sample == 0]
    assert first[0] == pytest.approx(0.1 * chunk)


def test_answers_improve_and_are_told_only_when_they_change() -> None:
    """Votes: 4, 5, 5; the confidence is the share of the votes."""
    engine = ScriptedEngine(
        [says(key, thought, seconds_per_token=0.1) for key, thought in (("4", 1), ("5", 5), ("5", 9))]
    )
    told = [
        (round(moment, 6), event)
        for moment, event in events_of(engine, Asks(3))
        if isinstance(event, AnswerImproved)
    ]
    assert [(moment, event.answer.key, event.confidence) for moment, event in told] == [
        (0.3, "4", 1.0),
        (0.7, "4", 0.5),
        (1.1, "5", pytest.approx(2 / 3)),
    ]


def test_the_last_improvement_is_the_answer_of_the_run() -> None:
    """Also where it comes from a forced conclusion after the last decision."""
    for engine in (ScriptedEngine([abstains(5, conclusion="7}")]), ScriptedEngine([endless("7")])):
        told = [event for _, event in events_of(engine, Asks(2), Budget(tokens=80))]
        last = told[-1]
        assert isinstance(last, Finished)
        improved = [event for event in told if isinstance(event, AnswerImproved)]
        assert improved
        assert improved[-1].answer == last.run.answer


def test_decisions_are_told_when_they_are_new() -> None:
    policy = decides(lambda history: Decision(why=str(len(history.settled))))
    told = events_of(
        ScriptedEngine([says("4", 20, seconds_per_token=0.1)]), Asks(1), policy=policy, decide_every=1
    )
    assert [event.note.decision.why for _, event in told if isinstance(event, Decided)] == ["0", "1"]


def test_a_finished_sample_is_told_once_and_with_its_verdict() -> None:
    async def judge(sample, engines) -> Verdict:
        await asyncio.sleep(2)
        return Verdict(0.5)

    told = events_of(ScriptedEngine([says("4", seconds_per_token=0.1)]), Asks(1), verifier=Judges(judge))
    ((moment, event),) = [each for each in told if isinstance(each[1], SampleFinished)]
    assert isinstance(event, SampleFinished)
    assert event.sample.verdict == Verdict(0.5)
    assert moment == pytest.approx(2.5)


def test_samples_that_a_stop_cuts_are_told_as_finished_too() -> None:
    engine = ScriptedEngine([says("4", 2, seconds_per_token=0.1), endless(seconds_per_token=0.1)])
    told = events_of(engine, Asks(2), policy=decides(lambda history: Decision(stop=bool(history.answers))))
    started = {_index(event) for _, event in told if isinstance(event, SampleStarted)}
    finished = {_index(event) for _, event in told if isinstance(event, SampleFinished)}
    assert started == finished == {0, 1}


@pytest.mark.parametrize("closing", [0.0, 0.2])
@pytest.mark.parametrize("after", [SampleStarted, Thought, SampleFinished, AnswerImproved])
def test_leaving_early_aborts_the_run(after: type[Event], closing: float) -> None:
    async def main() -> None:
        engine = ScriptedEngine([says("4", 3, seconds_per_token=0.1), endless(seconds_per_token=0.1)])
        made = Controller(Odd(engine, closing_seconds=closing), Asks(4))
        with budget(tokens=5000) as purse:
            async with aclosing(made.stream(QUESTION)) as events:
                async for event in events:
                    if isinstance(event, after):
                        break
            assert engine.open_streams == 0
            assert purse.tokens_left == 5000 - purse.receipt.generated_tokens
            assert purse.receipt.generated_tokens == (await engine.counters()).generated_tokens

    run(main())


@pytest.mark.parametrize("times", [1, 2, 4])
def test_cancelling_the_listener_aborts_the_run(times: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([endless(seconds_per_token=0.1)])
        made = Controller(Odd(engine, closing_seconds=0.3), Asks(2))

        async def listen() -> None:
            async for _ in made.stream(QUESTION):
                pass

        task = asyncio.ensure_future(listen())
        await asyncio.sleep(1)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert engine.open_streams == 0

    run(main())


def test_a_slow_listener_does_not_stop_the_run_and_misses_nothing() -> None:
    async def main() -> list[Event]:
        engine = ScriptedEngine([says("4", 20, seconds_per_token=0.01)])
        told = []
        async for event in Controller(engine, Asks(2)).stream(QUESTION, Budget(seconds=5)):
            await asyncio.sleep(1)
            told.append(event)
        return told

    told = run(main())
    last = told[-1]
    assert isinstance(last, Finished)
    assert (last.run.stop, key(last.run)) == (StopReason.DONE, "4")
    assert sum(isinstance(event, Thought) for event in told) == 2 * 21


def test_an_error_comes_out_of_the_stream_after_what_happened_before() -> None:
    async def main() -> None:
        engine = ScriptedEngine([says("4"), Script(words(9), 0.1, die_after=3)])
        told = []
        with pytest.raises(EngineUnavailable) as raised:  # noqa: PT012
            async for event in Controller(engine, Asks(2)).stream(QUESTION):
                told.append(event)  # noqa: PERF401
        assert any(isinstance(event, SampleFinished) for event in told)
        assert raised.value.run is not None

    run(main())


def test_what_cannot_be_asked_is_refused_on_the_first_step() -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError):
            async for _ in Controller(ScriptedEngine(["x"]), Asks(1, model="other")).stream(QUESTION):
                pass

    run(main())


def test_a_stream_is_charged_to_the_purse_around_it() -> None:
    async def main() -> int:
        with budget(tokens=100) as purse:
            async for _ in Controller(ScriptedEngine([says("4")]), Asks(2), usual_tokens=5).stream(QUESTION):
                pass
        return purse.receipt.generated_tokens

    assert run(main()) == 10
