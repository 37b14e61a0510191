"""A scripted sample goes on exactly, wherever it was stopped and whatever was forced."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testing.streams import CUE, QUESTION, TEXT, ask, ids, read, say, spec
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import Delta, Finish, Message, StreamUsage

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
