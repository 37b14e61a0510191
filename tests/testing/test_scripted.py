"""The scripted engine says what it was given, and fails where it was told to."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from tests.testing.streams import TEXT, ask, ids, read, say, spec
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.protocols import Engine
from thinkctl.testing import End, Script, ScriptedEngine, run
from thinkctl.types import Delta, EngineCounters, Finish, ModelCard, ThinkingMarks

# -- what is said ----------------------------------------------------------------------------------------------


def test_it_is_an_engine() -> None:
    assert isinstance(ScriptedEngine([TEXT]), Engine)


def test_it_says_its_text_and_then_the_end_of_turn() -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT])
        deltas = await read(ask(engine))
        assert engine.tokenizer.decode(ids(deltas)) == TEXT
        assert deltas[-1] == Delta((engine.tokenizer.end_of_turn,), finish=Finish.STOP)
        assert all(delta.finish is None and not delta.forced for delta in deltas[:-1])

    run(main())


def test_new_chats_take_the_scripts_in_launch_order_over_and_over() -> None:
    async def main() -> list[str]:
        engine = ScriptedEngine(["a", "b"])
        return [await say(engine) for _ in range(5)]

    assert run(main()) == ["a", "b", "a", "b", "a"]


def test_a_function_is_asked_with_the_launch_number_and_the_prompt() -> None:
    async def main() -> list[str]:
        engine = ScriptedEngine(lambda number, prompt: f"{number}: {prompt}")
        return [await say(engine), await say(engine)]

    assert run(main()) == ["0: <|user|>2+2?<|assistant|>", "1: <|user|>2+2?<|assistant|>"]


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_the_grant_is_kept_to_the_token(chunk: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script("a b c", ends=False, chunk=chunk)])
        stream = ask(engine, max_tokens=7)
        deltas = await read(stream)
        assert engine.tokenizer.decode(ids(deltas)) == "a b ca b ca"
        assert deltas[-1].finish is Finish.LENGTH
        assert (await stream.close()).generated_tokens == 7

    run(main())


def test_an_end_within_the_last_token_of_the_grant_is_a_stop() -> None:
    async def main() -> Finish | None:
        return (await read(ask(ScriptedEngine(["a b"]), max_tokens=3)))[-1].finish

    assert run(main()) is Finish.STOP


def test_a_stop_token_ends_it_and_is_delivered() -> None:
    async def main() -> tuple[str, Finish | None]:
        engine = ScriptedEngine([Script("a b c d", chunk=3)])
        stop = engine.tokenizer.encode(" b")
        deltas = await read(ask(engine, stop_token_ids=tuple(stop)))
        return engine.tokenizer.decode(ids(deltas)), deltas[-1].finish

    assert run(main()) == ("a b", Finish.STOP)


def test_the_end_of_turn_can_be_ignored() -> None:
    async def main() -> list[Delta]:
        return await read(ask(ScriptedEngine(["a b"]), ignore_end=True, max_tokens=5))

    deltas = run(main())
    assert [token == 0 for token in ids(deltas)] == [False, False, True, False, False]
    assert deltas[-1].finish is Finish.LENGTH


def test_a_card_with_thinking_marks_makes_them_tokens() -> None:
    marks = ThinkingMarks(start="<think>", end="</think>")
    engine = ScriptedEngine(["x"], card=ModelCard(name="thinker", thinking=marks), context=50)
    assert len(engine.tokenizer.encode("<think>x</think>")) == 3
    assert (engine.card.name, engine.card.context) == ("thinker", 50)


def test_log_probabilities_come_where_they_are_asked_for() -> None:
    async def main() -> list[Delta]:
        return await read(ask(ScriptedEngine([Script("a b c", logprob=(-0.1, -3.0))]), logprobs=3))

    deltas = run(main())
    chosen = [logprob.sampled for delta in deltas for logprob in delta.logprobs or ()]
    assert chosen == [-0.1, -3.0, -3.0, -3.0]
    for delta in deltas:
        for logprob in delta.logprobs or ():
            assert len(logprob.top) == 3
            assert list(logprob.top) == sorted(logprob.top, reverse=True)
            assert math.fsum(math.exp(value) for value in logprob.top) <= 1 + 1e-9


# -- what goes wrong -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 3])
def test_a_request_fails_once_where_its_script_says(after: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script(TEXT, fail_after=after, chunk=2), "another"], waste=1)
        stream = ask(engine)
        said: list[int] = []
        with pytest.raises(RequestFailed, match=f"after {after} tokens"):
            await read(stream, into=said)
        assert len(said) == after
        assert (await stream.close()).generated_tokens == after
        assert await read(stream) == []
        assert engine.log[0].end is End.FAILED
        if after:
            assert engine.tokenizer.decode(said) + await say(engine, said) == TEXT
        assert await say(engine) == "another"

    run(main())


def test_a_dead_engine_ends_every_stream_at_once() -> None:
    async def main() -> None:
        engine = ScriptedEngine(
            [Script(TEXT, seconds_per_token=1, die_after=2), Script(TEXT, seconds_per_token=50)]
        )
        streams = [ask(engine), ask(engine)]
        results = await asyncio.gather(*(read(stream) for stream in streams), return_exceptions=True)
        assert [type(result) for result in results] == [EngineUnavailable, EngineUnavailable]
        assert asyncio.get_running_loop().time() == 2
        assert [(await stream.close()).generated_tokens for stream in streams] == [2, 0]
        with pytest.raises(EngineUnavailable):
            await say(engine)
        with pytest.raises(EngineUnavailable):
            await engine.score([5], [6])
        assert (await engine.counters()).generated_tokens == 2

    run(main())


def test_shutting_down_ends_streams_and_may_be_repeated() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script(TEXT, seconds_per_token=1)])
        reader = asyncio.create_task(read(ask(engine)))
        await asyncio.sleep(1.5)
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(EngineUnavailable, match="shut down"):
            await reader
        assert asyncio.get_running_loop().time() == 1.5
        assert engine.open_streams == 0

    run(main())


def test_a_generation_that_does_not_fit_the_context_is_refused() -> None:
    engine = ScriptedEngine([TEXT], context=10)
    engine.stream([5, 6], spec(8))
    with pytest.raises(ContextExceeded, match="prompt of 2 and max_tokens=9"):
        engine.stream([5, 6], spec(9))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ScriptedEngine([]),
        lambda: ScriptedEngine("text"),
        lambda: Script("", ends=False),
        lambda: Script("a", chunk=0),
        lambda: Script("a", logprob=()),
        lambda: ScriptedEngine(["a"]).stream([5], spec(0)),
        lambda: ScriptedEngine(["a"]).stream([5], spec(5, logprobs=21)),
    ],
)
def test_what_cannot_be_is_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


def test_scores_are_even_unless_they_are_scripted() -> None:
    async def main() -> None:
        even = ScriptedEngine(["a"])
        assert await even.score([5, 6], [7, 8]) == {7: math.log(0.5), 8: math.log(0.5)}
        assert await even.counters() == EngineCounters(2, 0, 1, 0)
        told = ScriptedEngine(
            ["a"], scores=lambda prompt, token: -1.0 if (prompt, token) == ("ok?", "yes") else -9
        )
        prompt, yes, no = (told.tokenizer.encode(text) for text in ("ok?", "yes", "no"))
        assert await told.score(prompt, yes + no) == {yes[0]: -1.0, no[0]: -9}

    run(main())
