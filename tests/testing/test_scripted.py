"""The scripted engine."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.protocols import Engine, Stream
from thinkctl.testing import End, Script, ScriptedEngine, ScriptedStream, run
from thinkctl.types import (
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    Message,
    ModelCard,
    StreamUsage,
    ThinkingMarks,
)

QUESTION = [Message(role="user", content="2+2?")]
TEXT = r"Two and two is four, so \boxed{4}."
CUE = " So \\boxed{"


def spec(max_tokens: int = 100, **more: Any) -> GenerationSpec:
    return GenerationSpec(max_tokens, **more)


async def read(stream: Stream, tokens: int | None = None, into: list[int] | None = None) -> list[Delta]:
    """Read a stream to its end, or until at least so many tokens came; ``into`` keeps them if it fails."""
    deltas: list[Delta] = []
    if tokens == 0:
        return deltas
    async for delta in stream:
        deltas.append(delta)
        if into is not None:
            into += delta.token_ids
        if tokens is not None and len(ids(deltas)) >= tokens:
            break
    return deltas


def ids(deltas: Sequence[Delta]) -> list[int]:
    return [token for delta in deltas for token in delta.token_ids]


def ask(engine: ScriptedEngine, *after: Sequence[int], **more: Any) -> ScriptedStream:
    """Open a stream on the question and more tokens after it."""
    prompt = [*engine.tokenizer.chat(QUESTION), *(token for part in after for token in part)]
    return engine.stream(prompt, spec(**more))


async def say(engine: ScriptedEngine, *after: Sequence[int], **more: Any) -> str:
    """Return all that a new stream says."""
    return engine.tokenizer.decode(ids(await read(ask(engine, *after, **more))))


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


# -- going on --------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 4), st.booleans())
def test_going_on_is_exact_at_any_splits(cuts: list[int], chunk: int, by_grant: bool) -> None:
    """However a text is cut into streams, closed or out of grant, the same is said."""

    async def main() -> None:
        engine = ScriptedEngine([Script(TEXT, chunk=1 if by_grant else chunk), "another"])
        said: list[int] = []
        for tokens in filter(None, cuts):
            stream = ask(engine, said, max_tokens=tokens if by_grant else 100)
            said += ids(await read(stream, tokens))
            await stream.close()
            if said[-1:] == [engine.tokenizer.end_of_turn]:
                break
        else:
            said += ids(await read(ask(engine, said)))
        assert engine.tokenizer.decode(said) == TEXT
        assert said.count(engine.tokenizer.end_of_turn) == 1
        assert engine.launched == 1

    run(main())


@given(st.integers(0, 8), st.integers(0, 3))
def test_forced_tokens_bring_the_conclusion_wherever_they_stand(before: int, after: int) -> None:
    """It may be cut in turn and goes on exactly, with the forced tokens in the inherited prefix."""

    async def main() -> str:
        engine = ScriptedEngine([TEXT, "another"])
        cue = engine.tokenizer.encode(CUE)
        thought = ask(engine)
        said = ids(await read(thought, before)) if before else []
        if not before:
            reader = asyncio.create_task(thought.__anext__())
            await asyncio.sleep(0)
            reader.cancel()
        await thought.close()
        said += cue
        if after:
            first = ask(engine, said, max_tokens=after)
            said += ids(await read(first))
            await first.close()
        if said[-1] != engine.tokenizer.end_of_turn:
            said += ids(await read(ask(engine, said)))
        assert engine.launched == 1
        return engine.tokenizer.decode(said)

    assert run(main()).endswith(CUE + "4}")


@pytest.mark.parametrize(
    ("text", "conclusion"),
    [
        (r"so \boxed{4}. Sure.", "4}"),
        (r"\boxed{3} no, \boxed{\frac{1}{2}}", r"\frac{1}{2}}"),
        (r"never closed \boxed{x", "x}"),
        ("the answer is B", "B"),
        ("", ""),
    ],
)
def test_the_conclusion_is_taken_from_the_text_where_none_is_given(text: str, conclusion: str) -> None:
    assert Script(text).concluding(CUE, 0) == conclusion


def test_a_conclusion_may_depend_on_the_forced_text_and_how_far_the_thought_came() -> None:
    async def main() -> list[str]:
        engine = ScriptedEngine([Script("a b c d e", conclusion=lambda forced, at: f"{forced}{at}")])
        said = ids(await read(ask(engine)))
        wait, cue = engine.tokenizer.encode(" Wait,"), engine.tokenizer.encode(CUE)
        return [
            await say(engine, said[:2], cue),
            await say(engine, said[:5], wait),
            await say(engine, said[:3]),
        ]

    assert run(main()) == [f"{CUE}2", " Wait,5", " d e"]


def test_samples_that_begin_alike_go_on_each_in_its_own_way() -> None:
    async def main() -> list[str]:
        engine = ScriptedEngine(["Let me see, 4.", "Let me see, 5.", "Let me see, 6."])
        streams = [ask(engine) for _ in range(3)]
        parts = [ids(await read(stream, 3)) for stream in streams]
        for stream in streams:
            await stream.close()
        return [await say(engine, part) for part in parts]

    assert run(main()) == [" 4.", " 5.", " 6."]


def test_a_fork_of_a_running_stream_leaves_it_alone() -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT])
        stream = ask(engine)
        said = ids(await read(stream, 3))
        assert await say(engine, said, engine.tokenizer.encode(CUE)) == "4}"
        said += ids(await read(stream))
        assert engine.tokenizer.decode(said) == TEXT
        assert [log.continued for log in engine.log] == [False, True]

    run(main())


def test_a_finished_sample_goes_on_with_the_end_of_its_turn() -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT])
        said = ids(await read(ask(engine)))
        assert ids(await read(ask(engine, said[:-1]))) == [engine.tokenizer.end_of_turn]

    run(main())


def test_a_conversation_that_goes_on_is_a_new_chat() -> None:
    async def main() -> str:
        engine = ScriptedEngine(["four", "five"])
        await say(engine)
        more = [*QUESTION, Message(role="assistant", content="four"), Message(role="user", content="2+3?")]
        return engine.tokenizer.decode(ids(await read(engine.stream(engine.tokenizer.chat(more), spec()))))

    assert run(main()) == "five"


# -- forcing in flight -----------------------------------------------------------------------------------------


def test_a_running_stream_can_be_made_to_conclude() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script(TEXT, seconds_per_token=1)], force=4)
        stream = ask(engine)
        await read(stream, 2)
        assert await stream.force(engine.tokenizer.encode(CUE))
        assert not await stream.force(engine.tokenizer.encode(CUE)), "one is under way"
        deltas = await read(stream)
        assert [delta.forced for delta in deltas] == [True, False, False]
        assert engine.tokenizer.decode(ids(deltas)) == CUE + "4}"
        assert asyncio.get_running_loop().time() == 6
        assert await stream.close() == StreamUsage(len(engine.log[0].prompt_ids), 0, 6, 0)
        assert engine.log[0].forced_tokens == 2

    run(main())


def test_forcing_reaches_a_stream_that_is_being_read() -> None:
    async def main() -> list[Delta]:
        engine = ScriptedEngine([Script(TEXT, seconds_per_token=1)], force=4)
        stream = ask(engine)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(read(stream))
            await asyncio.sleep(2.5)
            assert await stream.force(engine.tokenizer.encode(CUE))
        return reader.result()

    assert [delta.forced for delta in run(main())] == [False, False, True, False, False]


def test_what_was_forced_in_flight_can_be_continued() -> None:
    async def main() -> str:
        engine = ScriptedEngine([Script(TEXT, conclusion="x y z}")], force=4)
        stream = ask(engine)
        said = ids(await read(stream, 2))
        await stream.force(engine.tokenizer.encode(CUE))
        said += ids(await read(stream, 3))
        await stream.close()
        return await say(engine, said)

    assert run(main()) == " y z}"


@pytest.mark.parametrize(("limit", "grant"), [(0, 100), (1, 100), (9, 3)])
def test_forcing_is_refused_where_it_cannot_be(limit: int, grant: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT], force=limit)
        stream = ask(engine, max_tokens=grant)
        cue = engine.tokenizer.encode(CUE)
        assert not await stream.force(cue), "it was not started"
        await read(stream, 2)
        assert not await stream.force(cue), "it is too long or its grant too small"
        assert not await stream.force([])
        await stream.close()
        assert not await stream.force(cue[:1]), "it was closed"

    run(main())


def test_forced_tokens_may_fill_the_grant() -> None:
    async def main() -> Delta:
        engine = ScriptedEngine([TEXT], force=2)
        stream = ask(engine, max_tokens=4)
        await read(stream, 2)
        assert await stream.force(engine.tokenizer.encode(CUE))
        return (await read(stream))[-1]

    delta = run(main())
    assert (delta.forced, delta.finish) == (True, Finish.LENGTH)


# -- time ------------------------------------------------------------------------------------------------------


def test_tokens_come_when_they_are_due() -> None:
    async def main() -> list[float]:
        engine = ScriptedEngine([Script("a b c d e", seconds_per_token=0.1, first=2, chunk=2)])
        return [asyncio.get_running_loop().time() async for _ in ask(engine)]

    assert run(main(), start=1) == pytest.approx([3.2, 3.4, 3.6])


def test_a_reader_that_gave_up_waiting_may_come_back() -> None:
    async def main() -> float:
        engine = ScriptedEngine([Script("a", seconds_per_token=1)])
        stream = ask(engine)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream.__aiter__()), 0.3)
        await anext(stream.__aiter__())
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(1.0)


def test_a_slow_reader_keeps_the_engine_waiting() -> None:
    async def main() -> float:
        stream = ask(ScriptedEngine([Script("a b", seconds_per_token=1)]))
        await read(stream, 1)
        await asyncio.sleep(10)
        await read(stream, 1)
        return asyncio.get_running_loop().time()

    assert run(main()) == 12


def test_streams_beyond_the_limit_queue_by_priority_and_age() -> None:
    async def main() -> dict[str, float]:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)], streams=2)
        ended: dict[str, float] = {}

        async def one(name: str, priority: int) -> None:
            await read(ask(engine, priority=priority))
            ended[name] = asyncio.get_running_loop().time()

        async with asyncio.TaskGroup() as group:
            for name, priority in (("a", 0), ("b", 0), ("c", 1), ("d", 0), ("e", 1)):
                group.create_task(one(name, priority))
        assert engine.most_open == 5
        return ended

    assert run(main()) == {"a": 3, "b": 3, "d": 6, "c": 6, "e": 9}


def test_a_stream_closed_in_the_queue_costs_nothing() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)], streams=1, waste=1)
        first, second = ask(engine), ask(engine)
        async with asyncio.TaskGroup() as group:
            group.create_task(read(first))
            await asyncio.sleep(0.5)
            reader = group.create_task(read(second))
            await asyncio.sleep(0.5)
            assert await second.close() == StreamUsage()
        assert reader.result() == []
        assert engine.open_streams == 0

    run(main())


# -- the bill --------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(1, 12)), max_size=5),
    st.integers(0, 3),
    st.integers(0, 4),
)
def test_the_streams_add_up_to_the_counters(reads: list[tuple[int, int]], waste: int, block: int) -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT, "a b c"], waste=waste, block=block)
        bills = []
        delivered = 0
        for tokens, grant in reads:
            stream = ask(engine, max_tokens=grant)
            delivered += len(ids(await read(stream, tokens)))
            bills.append(await stream.close())
            assert await stream.close() == bills[-1]
            assert bills[-1].generated_tokens <= grant
        generated = sum(bill.generated_tokens for bill in bills)
        cached = sum(bill.cached_tokens or 0 for bill in bills)
        prompts = sum(bill.prompt_tokens for bill in bills)
        assert await engine.counters() == EngineCounters(prompts - cached, cached, generated, 0)
        assert generated == delivered + sum(bill.wasted_tokens for bill in bills)
        assert [log.usage for log in engine.log] == [bill for bill in bills if bill.prompt_tokens]

    run(main())


@pytest.mark.parametrize(("read_tokens", "grant", "wasted"), [(2, 100, 3), (2, 4, 2), (4, 4, 0)])
def test_closing_a_running_stream_wastes_tokens_within_its_grant(
    read_tokens: int, grant: int, wasted: int
) -> None:
    async def main() -> None:
        engine = ScriptedEngine([TEXT], waste=3)
        stream = ask(engine, max_tokens=grant)
        await read(stream, read_tokens)
        used = await stream.close()
        assert (used.generated_tokens, used.wasted_tokens) == (read_tokens + wasted, wasted)

    run(main())


def test_nothing_happens_before_the_first_await() -> None:
    async def main() -> None:
        engine = ScriptedEngine(["a", "b"], waste=1)
        unused = ask(engine)
        assert await say(engine) == "a"
        assert await unused.close() == StreamUsage()
        assert await read(unused) == []
        assert len(engine.log) == 1

    run(main())


def test_a_stream_that_is_closed_while_it_is_read_ends() -> None:
    async def main() -> None:
        engine = ScriptedEngine([Script("a b", seconds_per_token=1)])
        stream = ask(engine)
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(read(stream))
            await asyncio.sleep(1.5)
            assert (await stream.close()).generated_tokens == 1
        assert asyncio.get_running_loop().time() == 1.5
        assert len(ids(reader.result())) == 1
        assert (engine.log[0].end, engine.log[0].ended) == (End.CLOSED, 1.5)

    run(main())


def test_whole_blocks_of_an_earlier_prefix_are_cached_but_never_the_whole_prompt() -> None:
    async def main() -> list[int | None]:
        engine = ScriptedEngine(["a b c d e f"], block=2)
        stream = ask(engine)
        said = ids(await read(stream, 4))
        forked = ask(engine, said)
        await read(forked, 1)
        again = ask(engine)
        await read(again, 1)
        return [(await one.close()).cached_tokens for one in (stream, forked, again)]

    assert run(main()) == [0, 6, 2]


def test_two_readers_of_one_stream_are_a_mistake() -> None:
    async def main() -> None:
        stream = ask(ScriptedEngine([Script("a b", seconds_per_token=1)]))
        async with asyncio.TaskGroup() as group:
            group.create_task(read(stream))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="one reader"):
                await read(stream)

    run(main())


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
