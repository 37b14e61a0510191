"""A replay engine plays what was recorded, to the token, and refuses what was not."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkctl import Controller
from thinkctl.engines import engine_from
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.protocols import Engine, StoppingPolicy, Strategy
from thinkctl.runfile import Recorded, RecordedSample, read_pool, write
from thinkctl.stopping import AdaptiveConsistency
from thinkctl.strategies import ChainOfThought, SelfConsistency, ZeroShot
from thinkctl.testing import Script, ScriptedEngine, history_of, run, sample_of
from thinkctl.testing.conformance import CHECKS, Check, Trial
from thinkctl.types import (
    Budget,
    Capabilities,
    Decision,
    Delta,
    Finish,
    GenerationSpec,
    History,
    Message,
    ModelCard,
    Origin,
    Problem,
    Receipt,
    Request,
    Run,
    Sample,
    Segment,
    StopReason,
    StreamUsage,
    ThinkingMarks,
    Usage,
)

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "pools"
MANY = GenerationSpec(max_tokens=1000)

PLAIN = ModelCard(name="m")
THINKER = ModelCard(name="m", thinking=ThinkingMarks(start="<think>", end="</think>"))


# ------------------------------------------------------------------------------------------- what is replayed


def sample(
    index: int,
    text: str,
    *tokens: tuple[int, Origin],
    question: str = "2+2?",
    finish: Finish | None = Finish.STOP,
    prompt: int = 5,
    **told: Any,
) -> Sample:
    """A sample of the model "m" whose segments have so many tokens; its last one is the end of turn."""
    segments = tuple(
        Segment(tuple(range(100 * place, 100 * place + count)), origin)
        for place, (count, origin) in enumerate(tokens)
    )
    if finish is Finish.STOP:
        segments = (*segments[:-1], replace(segments[-1], token_ids=(*segments[-1].token_ids[:-1], 99_999)))
    messages = (Message(role="user", content=question),)
    told.setdefault("request", Request(messages))
    return Sample(
        index, model="m", prompt_ids=tuple(range(prompt)), segments=segments, text=text, finish=finish, **told
    )


def run_of(*samples: Sample, question: str = "2+2?") -> Run:
    problem = Problem.model_validate({"messages": question, "id": question})
    return Run(History(problem, samples=samples), None, None, StopReason.DONE, "", Receipt())


def pool_of(*answers: str | None, id: str = "a", question: str = "2+2?", tokens: int = 3) -> Recorded:  # noqa: A002
    return Recorded(id, question, tuple(RecordedSample(answer, tokens) for answer in answers))


def prompt_of(engine: Engine, question: str = "2+2?") -> list[int]:
    return engine.tokenizer.chat((Message(role="user", content=question),))


async def play(
    engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY
) -> tuple[tuple[int, ...], Finish | None, StreamUsage]:
    stream = engine.stream(prompt, spec)
    deltas = [delta async for delta in stream]
    ids = tuple(token for delta in deltas for token in delta.token_ids)
    return ids, deltas[-1].finish, await stream.close()


def text_of(engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY) -> str:
    return engine.tokenizer.decode(run(play(engine, prompt, spec))[0])


def refusal(engine: Engine, prompt: Sequence[int], spec: GenerationSpec = MANY) -> str:
    async def used() -> tuple[str, StreamUsage]:
        stream = engine.stream(prompt, spec)
        with pytest.raises(RequestFailed) as error:
            _ = [delta async for delta in stream]
        return str(error.value), await stream.close()

    why, usage = run(used())
    assert usage == StreamUsage()  # nothing was played
    return why


# -------------------------------------------------------------------------------------------- in launch order


def test_new_chats_get_a_problems_samples_in_launch_order() -> None:
    engine = ReplayEngine([pool_of("4", "5", "4")])
    assert [text_of(engine, prompt_of(engine)) for _ in range(3)] == [
        r"\boxed{4}",
        r"\boxed{5}",
        r"\boxed{4}",
    ]


def test_streams_get_their_samples_in_the_order_they_were_made_whichever_is_read_first() -> None:
    async def scenario() -> list[str]:
        engine = ReplayEngine([pool_of("1", "2")])
        first, second = (engine.stream(prompt_of(engine), MANY) for _ in range(2))
        ids = [[token async for delta in stream for token in delta.token_ids] for stream in (second, first)]
        return [engine.tokenizer.decode(each) for each in ids]

    assert run(scenario()) == [r"\boxed{2}", r"\boxed{1}"]


def test_problems_do_not_disturb_each_other() -> None:
    engine = ReplayEngine([pool_of("1", "2"), pool_of("3", "4", id="b", question="3+3?")])
    asked = ["2+2?", "3+3?", "3+3?", "2+2?"]
    assert [text_of(engine, prompt_of(engine, question)) for question in asked] == [
        rf"\boxed{{{answer}}}" for answer in "1342"
    ]


def test_runs_of_one_problem_follow_each_other() -> None:
    runs = [run_of(sample(0, text, (2, Origin.SAMPLED))) for text in ("one", "two")]
    engine = ReplayEngine(runs)
    assert [text_of(engine, prompt_of(engine)) for _ in range(2)] == ["one", "two"]


def test_asking_for_more_samples_than_were_recorded_fails_with_both_numbers() -> None:
    engine = ReplayEngine([pool_of("4", "5")])
    for _ in range(2):
        text_of(engine, prompt_of(engine))
    assert "problem a has 2 recorded samples, asked for 3" in refusal(engine, prompt_of(engine))


def test_after_a_reset_it_begins_again_with_the_first_sample() -> None:
    engine = ReplayEngine([pool_of("4", "5"), pool_of("6", id="b", question="3+3?")])
    before = [text_of(engine, prompt_of(engine, question)) for question in ("2+2?", "2+2?", "3+3?")]
    engine.reset()
    assert [text_of(engine, prompt_of(engine, question)) for question in ("2+2?", "2+2?", "3+3?")] == before


def test_a_problem_that_was_not_recorded_is_refused() -> None:
    engine = ReplayEngine([pool_of("4")])
    with pytest.raises(ConfigurationError, match=r"'5\+5\?' is not in the recording, which has 1 prompts"):
        prompt_of(engine, "5+5?")
    assert "not that of a recorded problem" in refusal(engine, engine.tokenizer.encode("5+5?"))
    assert "not that of a recorded problem" in refusal(engine, [])
    with pytest.raises(ConfigurationError, match="does not know"):
        engine.tokenizer.decode([12345])


def test_a_pools_question_is_known_with_a_system_turn_and_with_an_instruction_after_it() -> None:
    engine = ReplayEngine([pool_of("4")])
    asked = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="2+2?\n\nReason first."),
    ]
    assert engine.tokenizer.chat(asked) == prompt_of(engine)


# ----------------------------------------------------------------------------------------------------- pieces


def test_a_recorded_token_is_one_token_and_together_they_are_the_text() -> None:
    engine = ReplayEngine([run_of(sample(0, "The answer is 4.", (7, Origin.SAMPLED)))])
    ids, finish, usage = run(play(engine, prompt_of(engine)))
    assert (len(ids), len(set(ids)), finish) == (7, 7, Finish.STOP)
    assert engine.tokenizer.decode(ids) == "The answer is 4."
    assert engine.tokenizer.decode(ids[-1:]) == ""  # the end of turn
    assert usage == StreamUsage(prompt_tokens=5, generated_tokens=7)


def test_a_prompt_has_as_many_tokens_as_were_recorded() -> None:
    engine = ReplayEngine([run_of(sample(0, "4", (2, Origin.SAMPLED), prompt=31))])
    assert len(prompt_of(engine)) == 31


@given(text=st.text(max_size=30), tokens=st.integers(2, 12), data=st.data())
def test_any_text_cut_into_any_number_of_pieces_is_put_together_again(
    text: str, tokens: int, data: st.DataObject
) -> None:
    engine = ReplayEngine([run_of(sample(0, text, (tokens, Origin.SAMPLED)))])
    ids, _, _ = run(play(engine, prompt_of(engine)))
    place = data.draw(st.integers(0, tokens))
    decode = engine.tokenizer.decode
    assert decode(ids) == decode(ids[:place]) + decode(ids[place:]) == text


@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_is_encoded_and_decoded(text: str) -> None:
    tokenizer = ReplayEngine([pool_of("4")], card=THINKER).tokenizer
    text = f"{text}</think>{text}"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode(text) == tokenizer.encode(text)


def test_a_thinking_mark_is_one_token_of_an_encoded_text() -> None:
    tokenizer = ReplayEngine([pool_of("4")], card=THINKER).tokenizer
    (mark,) = tokenizer.encode("</think>")
    assert mark in tokenizer.encode("So it is 4.</think>\n\nThe")


def test_a_pools_sample_is_its_boxed_answer_in_the_last_token() -> None:
    engine = ReplayEngine([pool_of("4", None)])
    ids, finish, usage = run(play(engine, prompt_of(engine)))
    assert [engine.tokenizer.decode([token]) for token in ids] == ["", "", r"\boxed{4}"]
    assert (finish, usage.generated_tokens) == (Finish.STOP, 3)
    assert text_of(engine, prompt_of(engine)) == ""


def test_a_pools_own_text_is_played_where_it_has_one() -> None:
    recorded = Recorded("a", "2+2?", (RecordedSample("4", 5, text="It is 4."),))
    engine = ReplayEngine([recorded])
    assert text_of(engine, prompt_of(engine)) == "It is 4."


def test_usage_is_marked_as_estimated_where_it_is() -> None:
    counted = sample(0, "4", (2, Origin.SAMPLED))
    guessed = sample(1, "4", (2, Origin.SAMPLED), usage=Usage(estimated=True))
    engine = ReplayEngine([run_of(counted, guessed)])
    assert [run(play(engine, prompt_of(engine)))[2].estimated for _ in range(2)] == [False, True]
    pool = ReplayEngine([Recorded("a", "2+2?", (RecordedSample("4", 29, estimated=True),))])
    assert run(play(pool, prompt_of(pool)))[2] == StreamUsage(1, 0, 29, 0, estimated=True)


# ------------------------------------------------------------------------------------------------- continuing


@given(st.integers(1, 8), st.integers(1, 8))
def test_a_sample_that_was_split_anywhere_goes_on_exactly(first: int, second: int) -> None:
    text = "one two three four five six"
    engine = ReplayEngine(
        [run_of(sample(0, text, (9, Origin.SAMPLED)), sample(1, "no", (9, Origin.SAMPLED)))]
    )
    ids = prompt_of(engine)
    finish = None
    for size in (first, second, 9):
        if finish is not Finish.STOP:
            said, finish, usage = run(play(engine, ids, GenerationSpec(max_tokens=size)))
            assert usage == StreamUsage(len(ids), 0, len(said), 0)
            assert finish is (Finish.STOP if len(ids) + len(said) == 5 + 9 else Finish.LENGTH)
            ids += said
    assert engine.tokenizer.decode(ids[5:]) == text
    assert len(set(ids)) == 5 + 9


def test_a_sample_can_be_continued_again_and_while_others_run() -> None:
    engine = ReplayEngine(
        [run_of(*(sample(n, f"sample {n} is long", (6, Origin.SAMPLED)) for n in range(2)))]
    )
    prompt = prompt_of(engine)
    starts = [run(play(engine, prompt, GenerationSpec(max_tokens=3)))[0] for _ in range(2)]
    for _ in range(2):
        for place, start in enumerate(starts):
            on = run(play(engine, [*prompt, *start]))[0]
            assert engine.tokenizer.decode([*start, *on]) == f"sample {place} is long"


def test_a_closed_stream_is_continued_from_what_it_delivered() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([run_of(sample(0, "abcdefgh", (9, Origin.SAMPLED)))], tokens_per_delta=2)
        prompt = prompt_of(engine)
        stream = engine.stream(prompt, MANY)
        ids = list((await anext(aiter(stream))).token_ids)
        assert await stream.close() == await stream.close() == StreamUsage(5, 0, 2, 0)
        assert [delta async for delta in stream] == []
        on, finish, _ = await play(engine, [*prompt, *ids])
        assert (engine.tokenizer.decode([*ids, *on]), finish) == ("abcdefgh", Finish.STOP)
        assert await engine.counters() == replace(
            await engine.counters(), prompt_tokens=5 + 7, generated_tokens=9, running=0
        )

    run(scenario())


def test_text_that_was_not_forced_in_the_recording_is_refused() -> None:
    engine = ReplayEngine([run_of(sample(0, "It is 4.", (6, Origin.SAMPLED)))])
    ids, _, _ = run(play(engine, prompt_of(engine), GenerationSpec(max_tokens=3)))
    forced = engine.tokenizer.encode(" So it is ")
    why = refusal(engine, [*prompt_of(engine), *ids, *forced])
    assert why.startswith(
        "not recorded: what the model would say after ' So it is ' after token 3 of sample 0"
    )
    assert "not recorded" in refusal(engine, [*prompt_of(engine), *forced])
    assert "not recorded" in refusal(engine, [*prompt_of(engine), *ids[:2], *forced, *ids[2:]])
    assert "not recorded" in refusal(engine, [*prompt_of(engine), *ids[1:]])


def test_what_a_model_would_say_after_its_end_is_refused() -> None:
    engine = ReplayEngine([run_of(sample(0, "4", (3, Origin.SAMPLED)))])
    ids, _, _ = run(play(engine, prompt_of(engine)))
    assert "after token 3 of sample 0 of problem 2+2?" in refusal(engine, [*prompt_of(engine), *ids])
    engine.reset()
    with pytest.raises(RequestFailed, match="after token 3"):
        run(play(engine, prompt_of(engine), replace(MANY, ignore_end=True)))


CLOSING = "</think>\n\nThe final answer is \\boxed{"
CONCLUDED = sample(
    0,
    f"<think>Well, 2 and 2{CLOSING}4}}",
    (6, Origin.SAMPLED),
    (9, Origin.FORCED),
    (2, Origin.SAMPLED),
    thought_chars=20,
    concluded=True,
    usage=Usage(thinking_tokens=6, answer_tokens=2),
    finish=Finish.LENGTH,
)


def test_a_thought_that_was_closed_goes_on_after_the_same_text() -> None:
    engine = ReplayEngine([run_of(CONCLUDED)], card=THINKER)
    thought, finish, _ = run(play(engine, prompt_of(engine), GenerationSpec(max_tokens=6)))
    assert (engine.tokenizer.decode(thought), finish) == ("<think>Well, 2 and 2", Finish.LENGTH)
    closing = engine.tokenizer.encode(CLOSING)
    assert len(closing) == 9  # as many as were recorded
    begun = [*prompt_of(engine), *thought, *closing]
    answer, finish, usage = run(play(engine, begun, GenerationSpec(max_tokens=1)))
    rest, _, _ = run(play(engine, [*begun, *answer]))
    assert engine.tokenizer.decode([*answer, *rest]) == "4}"
    assert usage == StreamUsage(5 + 6 + 9, 0, 1, 0)
    assert engine.tokenizer.decode([*begun[5:], *answer, *rest]) == CONCLUDED.text


def test_a_thought_that_was_closed_ends_there_as_truncated() -> None:
    engine = ReplayEngine([run_of(CONCLUDED)], card=THINKER)
    ids, finish, usage = run(play(engine, prompt_of(engine)))
    assert (len(ids), finish, usage.generated_tokens) == (6, Finish.LENGTH, 6)
    assert "after token 6 of sample 0" in refusal(engine, [*prompt_of(engine), *ids])
    other = engine.tokenizer.encode("</think>\n\nSo: ")
    assert "not recorded" in refusal(engine, [*prompt_of(engine), *ids, *other])


def test_text_that_was_forced_is_found_even_where_the_card_does_not_tell_it() -> None:
    stranger = replace(
        CONCLUDED,
        text=CONCLUDED.text.replace("The final answer", "In short, it"),
        thought_chars=0,
        usage=Usage(),
    )
    engine = ReplayEngine([run_of(stranger)], card=THINKER)
    ids, _, _ = run(play(engine, prompt_of(engine)))
    forced = engine.tokenizer.encode(CLOSING.replace("The final answer", "In short, it"))
    assert text_of(engine, [*prompt_of(engine), *ids, *forced]) == "4}"
    assert engine.tokenizer.decode([*ids, *forced]) + "4}" == stranger.text


# --------------------------------------------------------------------------------------------- after another sample


def test_samples_that_went_on_from_another_are_handed_out_in_launch_order() -> None:
    parent = sample(0, "one two", (4, Origin.SAMPLED))
    on = Request(parent.request.messages, parent=0, extend="\nWait,")
    children = [
        sample(
            place,
            f"one two\nWait, {said}",
            (3, Origin.INHERITED),
            (2, Origin.FORCED),
            (4, Origin.SAMPLED),
            request=on,
        )
        for place, said in ((1, "three"), (2, "four"))
    ]
    engine = ReplayEngine([run_of(parent, *children)])
    ids, _, _ = run(play(engine, prompt_of(engine)))
    begun = [*prompt_of(engine), *ids[:-1], *engine.tokenizer.encode("\nWait,")]
    assert [text_of(engine, begun) for _ in range(2)] == [" three", " four"]
    assert "not recorded" in refusal(engine, begun)


def test_a_sample_whose_parent_is_not_there_is_refused() -> None:
    orphan = sample(1, "one two", (2, Origin.INHERITED), (2, Origin.SAMPLED))
    with pytest.raises(ConfigurationError, match="goes on from a sample that is not in the recording"):
        ReplayEngine([run_of(replace(orphan, request=replace(orphan.request, parent=0)))])


# ------------------------------------------------------------------------------------------------------- ends


def test_a_truncated_sample_ends_as_truncated() -> None:
    for recording in (
        run_of(sample(0, "It is", (3, Origin.SAMPLED), finish=Finish.LENGTH)),
        Recorded("a", "2+2?", (RecordedSample(None, 3, truncated=True),)),
    ):
        engine = ReplayEngine([recording])
        ids, finish, _ = run(play(engine, prompt_of(engine)))
        assert (len(ids), finish) == (3, Finish.LENGTH)
        assert "not recorded: what the model would say after token 3" in refusal(
            engine, [*prompt_of(engine), *ids]
        )


@pytest.mark.parametrize(
    ("finish", "why"),
    [
        (Finish.CUT, r"not recorded: what the model would say after token 3 .* \(it was cut there\)"),
        (Finish.ERROR, "failed after 3 tokens when it was recorded: the cable was pulled"),
        (None, "not recorded: what the model would say after token 3"),
    ],
)
def test_a_sample_that_did_not_end_fails_when_more_is_asked_for(finish: Finish | None, why: str) -> None:
    async def scenario(most: int) -> StreamUsage:
        recorded = sample(0, "It is", (3, Origin.SAMPLED), finish=finish, error="the cable was pulled")
        engine = ReplayEngine([run_of(recorded)])
        stream = engine.stream(prompt_of(engine), GenerationSpec(max_tokens=most))
        try:
            assert [delta.finish async for delta in stream] == [Finish.LENGTH]
        finally:
            assert await stream.close() == StreamUsage(5, 0, 3, 0)
            assert [delta async for delta in stream] == []
        return await stream.close()

    run(scenario(3))
    with pytest.raises(RequestFailed, match=why):
        run(scenario(4))


def test_a_sample_without_tokens_ends_as_it_did() -> None:
    empty = replace(sample(0, "", (1, Origin.SAMPLED), finish=Finish.LENGTH), segments=())
    engine = ReplayEngine(
        [run_of(replace(empty, finish=Finish.STOP), replace(empty, index=1, finish=Finish.ERROR))]
    )
    assert run(play(engine, prompt_of(engine)))[:2] == ((), Finish.STOP)
    assert "failed after 0 tokens" in refusal(engine, prompt_of(engine))


# ---------------------------------------------------------------------------------------- as any other engine


@functools.cache
def long_samples() -> Run:
    text = "one two three four five " * 8
    history = history_of(*(replace(sample_of("4", thought=text, logprobs=-0.5), index=n) for n in range(60)))
    return Run(history, None, None, StopReason.DONE, "", Receipt())


def on_trial(*, repeats: bool, **options: Any) -> Trial:
    """An engine with many long samples, asked for new ones, or to go on with the first."""
    engine = ReplayEngine([long_samples()], card=ModelCard(name="m", context=400), **options)
    prompt = engine.tokenizer.chat(long_samples().history.problem.messages)
    if repeats:
        prompt += run(play(engine, prompt, GenerationSpec(max_tokens=1)))[0]
    return Trial(engine, prompt, repeats=repeats)


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
@pytest.mark.parametrize("repeats", [True, False], ids=["one sample", "many samples"])
@pytest.mark.parametrize("tokens", [1, None], ids=["token by token", "many at once"])
def test_it_keeps_the_promises_of_an_engine(check: Check, repeats: bool, tokens: int | None) -> None:
    trial = on_trial(repeats=repeats, tokens_per_delta=tokens)

    async def on_a_loop() -> None:
        await check(trial)

    run(on_a_loop())


def test_it_says_what_it_can_do() -> None:
    engine: Engine = ReplayEngine([pool_of("4")], card=THINKER)
    assert isinstance(engine, Engine)
    assert engine.caps == replace(
        Capabilities(), streams=engine.caps.streams, probe_logprobs=-1, scores=False
    )
    assert engine.caps.streams > 10_000
    assert engine.card == THINKER


def test_scores_are_not_recorded_and_nothing_can_be_forced_in_flight() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4")])
        await engine.start()
        with pytest.raises(RequestFailed, match="not recorded: scores"):
            await engine.score(prompt_of(engine), [1])
        stream = engine.stream(prompt_of(engine), MANY)
        assert await stream.force([1]) is False

    run(scenario())


def test_log_probabilities_are_those_recorded_where_they_were() -> None:
    history = history_of("4", "5", logprobs=[[-0.5, -1.0], -2.0])
    told = Run(history, None, None, StopReason.DONE, "", Receipt())

    def given(recording: Run, most: int | None) -> list[Delta]:
        async def deltas() -> list[Delta]:
            engine = ReplayEngine([recording])
            stream = engine.stream(
                engine.tokenizer.chat(history.problem.messages), replace(MANY, logprobs=most)
            )
            return [delta async for delta in stream]

        return run(deltas())

    (delta,) = given(told, 2)
    recorded = history.samples[0].segments[0].logprobs
    assert recorded is not None
    assert delta.logprobs == tuple(replace(each, top=each.top[:2]) for each in recorded)
    assert given(told, None)[0].logprobs is None
    assert ReplayEngine([told]).caps.logprobs == len(recorded[0].top)
    bare = replace(told, history=history_of("4"))
    assert given(bare, 2)[0].logprobs is None
    assert ReplayEngine([bare, told]).caps.logprobs == -1


def test_a_prompt_that_does_not_fit_the_context_is_refused() -> None:
    engine = ReplayEngine([pool_of("4")], card=ModelCard(name="m", context=10))
    with pytest.raises(ContextExceeded, match="do not fit the context 10"):
        engine.stream(prompt_of(engine), GenerationSpec(max_tokens=10))
    with pytest.raises(ConfigurationError, match="max_tokens=0"):
        engine.stream(prompt_of(engine), GenerationSpec(max_tokens=0))


def test_a_closed_engine_ends_its_streams() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4", "5")], tokens_per_delta=1)
        stream = engine.stream(prompt_of(engine), MANY)
        await anext(aiter(stream))
        assert (await engine.counters()).running == 1
        await engine.aclose()
        await engine.aclose()
        with pytest.raises(EngineUnavailable):
            await anext(aiter(stream))
        assert (await stream.close()).generated_tokens == 1
        assert (await engine.counters()).running == 0
        with pytest.raises(EngineUnavailable):
            await engine.start()
        with pytest.raises(EngineUnavailable):
            await play(engine, prompt_of(engine))

    run(scenario())


def test_a_stream_that_was_never_read_used_nothing() -> None:
    async def scenario() -> None:
        engine = ReplayEngine([pool_of("4")])
        stream = engine.stream(prompt_of(engine), MANY)
        assert await stream.close() == StreamUsage()
        assert [delta async for delta in stream] == []

    run(scenario())


def test_with_pace_tokens_come_when_they_came() -> None:
    async def scenario() -> list[tuple[float, int]]:
        used = Usage(thinking_tokens=4)
        paced = sample(0, "slow", (4, Origin.SAMPLED), started=1.0, ended=3.0, usage=used)
        engine = ReplayEngine([run_of(paced)], pace=True)
        loop = asyncio.get_running_loop()
        stream = engine.stream(prompt_of(engine), MANY)
        return [(loop.time(), len(delta.token_ids)) async for delta in stream]

    assert run(scenario()) == [(0.5, 1), (1.0, 1), (1.5, 1), (2.0, 1)]


def test_a_paced_stream_can_be_closed_while_its_reader_waits() -> None:
    async def scenario() -> float:
        pool = Recorded("a", "2+2?", (RecordedSample("4", 2, seconds=100.0),))
        engine = ReplayEngine([pool], pace=True)
        stream = engine.stream(prompt_of(engine), MANY)
        reader = asyncio.ensure_future(play_out(stream))
        await asyncio.sleep(60)
        assert (await stream.close()).generated_tokens == 1
        assert await reader == 1
        return asyncio.get_running_loop().time()

    async def play_out(stream: Any) -> int:
        return sum([len(delta.token_ids) async for delta in stream])

    assert run(scenario()) == 60.0


def test_without_pace_no_time_passes() -> None:
    async def scenario() -> float:
        engine = ReplayEngine([Recorded("a", "2+2?", (RecordedSample("4", 500, seconds=100.0),))])
        await play(engine, prompt_of(engine))
        return asyncio.get_running_loop().time()

    assert run(scenario()) == 0.0


# ------------------------------------------------------------------------------------------------------ files


def test_a_run_file_is_replayed_with_the_card_of_its_header(tmp_path: Path) -> None:
    write(tmp_path / "runs.jsonl", [run_of(sample(0, "It is 4.", (3, Origin.SAMPLED)))], card=THINKER)
    engine = engine_from(f"replay:{tmp_path / 'runs.jsonl'}")
    assert engine.card == THINKER
    assert text_of(engine, prompt_of(engine)) == "It is 4."


def test_a_pool_is_replayed_under_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "sums.jsonl").write_text('{"id": "a", "samples": [{"answer": 4.0, "tokens": 3}]}\n')
    engine = ReplayEngine.from_file(tmp_path / "sums.jsonl")
    assert engine.card.name == "sums"
    assert text_of(engine, prompt_of(engine, "a")) == r"\boxed{4}"


def test_of_a_recording_of_several_models_one_is_chosen(tmp_path: Path) -> None:
    small, large = sample(0, "small", (2, Origin.SAMPLED)), sample(1, "large", (2, Origin.SAMPLED))
    write(tmp_path / "runs.jsonl", [run_of(replace(small, model="s"), replace(large, model="l"))])
    with pytest.raises(ConfigurationError, match="models 's', 'l'; choose one with model="):
        ReplayEngine.from_file(tmp_path / "runs.jsonl")
    engine = ReplayEngine.from_file(tmp_path / "runs.jsonl", model="l")
    assert (engine.card.name, text_of(engine, prompt_of(engine))) == ("l", "large")
    with pytest.raises(ConfigurationError, match="no samples of model 'xl'"):
        ReplayEngine.from_file(tmp_path / "runs.jsonl", model="xl")


def test_a_recording_without_samples_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no samples"):
        ReplayEngine([])


def test_two_problems_with_one_question_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="question of problem 'b' is there twice"):
        ReplayEngine([pool_of("4"), pool_of("5", id="b")])


# ---------------------------------------------------------------------------------------- with the controller


@dataclass(frozen=True)
class After:
    """Cut or conclude every other sample after so many tokens."""

    tokens: int
    how: str

    def decide(self, history: History) -> Decision:
        due = tuple(
            sample.index
            for sample in history.in_flight
            if sample.index % 2 and len(sample.token_ids) >= self.tokens + sample.index
        )
        return Decision(cut=due) if self.how == "cut" else Decision(conclude=due)


def scripts(card: ModelCard) -> list[Script]:
    said = []
    for place in range(40):
        words = " ".join(f"w{place}x{word}" for word in range(20 + 7 * place % 31))
        thought = f"<think>{words}</think> So " if card.thinking else f"{words} So it is "
        said.append(
            Script(f"{thought}\\boxed{{{place % 3}}}. Done", seconds_per_token=0.01, logprob=(-0.1, -2.0))
        )
    return said


@pytest.mark.parametrize("card", [PLAIN, THINKER], ids=["plain", "thinker"])
@pytest.mark.parametrize(
    ("strategy", "policy", "budget"),
    [
        (SelfConsistency(5), None, Budget()),
        (SelfConsistency(5, weight="confidence"), None, Budget()),
        (SelfConsistency(5), None, Budget(tokens=120)),
        (SelfConsistency(5), None, Budget(tokens=300, thinking_tokens=10)),
        (SelfConsistency(20), AdaptiveConsistency(0.8), Budget()),
        (SelfConsistency(8), None, Budget(seconds=0.3)),
        (SelfConsistency(6), After(10, "cut"), Budget()),
        (SelfConsistency(6), After(16, "cut"), Budget(tokens=200)),
        (SelfConsistency(6), After(10, "conclude"), Budget()),
        (ChainOfThought(waits=2), None, Budget(tokens=300)),
        (ChainOfThought(waits=2, thinking_tokens=30), None, Budget(tokens=300)),
        (ZeroShot(), None, Budget(tokens=300)),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Budget) else None,
)
def test_a_run_that_is_replayed_with_pace_is_the_same_run(
    card: ModelCard, strategy: Strategy, policy: StoppingPolicy | None, budget: Budget, tmp_path: Path
) -> None:
    live = ScriptedEngine(scripts(card), card=card)
    before = run(Controller(live, strategy, policy=policy).solve("What is 2+2?", budget))
    write(tmp_path / "runs.jsonl.gz", [before], card=card)
    engine = ReplayEngine.from_file(tmp_path / "runs.jsonl.gz", pace=True)
    after = run(Controller(engine, strategy, policy=policy).solve("What is 2+2?", budget))
    assert [comparable(each) for each in after.samples] == [comparable(each) for each in before.samples]
    assert (after.answer, after.confidence, after.stop) == (before.answer, before.confidence, before.stop)
    assert after.receipt.lines == before.receipt.lines
    assert after.seconds == pytest.approx(before.seconds)


@pytest.mark.parametrize("card", [PLAIN, THINKER], ids=["plain", "thinker"])
def test_a_run_in_which_nobody_answered_until_made_to_is_the_same_run(card: ModelCard) -> None:
    said = [
        Script("<think>Hm</think>I cannot say", 0.01, conclusion="4}"),
        Script("<think>No", 0.01, conclusion="5}"),
    ]
    strategy = SelfConsistency(2)
    before = run(Controller(ScriptedEngine(said, card=card), strategy).solve("What is 2+2?"))
    engine = ReplayEngine([before], card=card, pace=True)
    after = run(Controller(engine, strategy).solve("What is 2+2?"))
    assert before.answer is not None
    assert [comparable(each) for each in after.samples] == [comparable(each) for each in before.samples]
    assert after.receipt.lines == before.receipt.lines


def test_a_replay_that_was_recorded_can_be_replayed_too(tmp_path: Path) -> None:
    pool = [pool_of("4", "5", None, tokens=9)]
    first = run(Controller(ReplayEngine(pool), SelfConsistency(3)).solve(pool[0].problem()))
    second = run(Controller(ReplayEngine([first]), SelfConsistency(3)).solve(pool[0].problem()))
    assert [comparable(each) for each in second.samples] == [comparable(each) for each in first.samples]
    assert [each.usage.thinking_tokens for each in second.samples] == [8, 8, 9]


def comparable(sample: Sample) -> Sample:
    """Without ids, which are each vocabulary's own, and with times that a float can say."""
    return replace(
        sample,
        prompt_ids=tuple(0 for _ in sample.prompt_ids),
        segments=tuple(replace(part, token_ids=tuple(0 for _ in part.token_ids)) for part in sample.segments),
        started=round(sample.started, 6),
        ended=None if sample.ended is None else round(sample.ended, 6),
    )


def test_another_policy_and_a_smaller_budget_are_tried_on_a_recorded_run(tmp_path: Path) -> None:
    live = ScriptedEngine(
        ["<think>a b c d</think> \\boxed{4}."] * 5 + ["<think>e f</think> \\boxed{5}."] * 5, card=THINKER
    )
    recorded = run(Controller(live, SelfConsistency(10)).solve("What is 2+2?"))
    engine = ReplayEngine([recorded], card=THINKER)
    stopped = run(
        Controller(engine, SelfConsistency(10), policy=AdaptiveConsistency(0.9)).solve("What is 2+2?")
    )
    assert (stopped.stop, stopped.history.bought) == (StopReason.POLICY, 3)
    assert [each.answer for each in stopped.samples] == [each.answer for each in recorded.samples[:3]]
    engine.reset()
    smaller = run(Controller(engine, SelfConsistency(2)).solve("What is 2+2?", Budget(tokens=40)))
    assert smaller.answer is not None
    assert smaller.receipt.generated_tokens <= 40


def test_solving_the_same_pool_twice_gives_the_same_runs() -> None:
    pool = [
        pool_of("4", "5", "4", None, id=f"{n}", question=f"question {n}", tokens=n + 3) for n in range(20)
    ]
    engine = ReplayEngine(pool)

    async def answers(at_once: int) -> dict[str, Run]:
        engine.reset()
        controller = Controller(engine, SelfConsistency(4), policy=AdaptiveConsistency(0.8))
        problems = [recorded.problem() for recorded in pool]
        return {
            each.history.problem.id: each async for each in controller.solve_many(problems, at_once=at_once)
        }

    first, second, third = (run(answers(at_once)) for at_once in (8, 8, 1))
    assert first == second
    assert {name: each.samples for name, each in first.items()} == {
        name: each.samples for name, each in third.items()
    }


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the recorded pools: set THINKCTL_SHARED to their folder"
)
@pytest.mark.parametrize(  # through the whole loop; all figures are replayed as tables in tests/evals
    ("name", "most", "confidence", "accuracy", "samples", "tokens"),
    [("gsm8k_gpt4omini_1318x40", 40, 0.80, 93.78, 2.770, 506_635)],
)
def test_published_figures_of_adaptive_consistency_are_reproduced(
    name: str, most: int, confidence: float, accuracy: float, samples: float, tokens: int | None
) -> None:
    async def scenario() -> tuple[int, int, int, int]:
        path = SHARED / f"{name}.jsonl.gz"
        pool, engine = read_pool(path), ReplayEngine.from_file(path)
        controller = Controller(engine, SelfConsistency(most), policy=AdaptiveConsistency(confidence))
        right = bought = spent = 0
        async for each in controller.solve_many([recorded.problem() for recorded in pool], at_once=1):
            if each.answer is not None:
                right += pool.correct[each.history.problem.id][each.answer.sample]
            bought += each.history.bought
            spent += each.receipt.generated_tokens
        assert (await engine.counters()).generated_tokens == spent
        return len(pool), right, bought, spent

    problems, right, bought, spent = run(scenario())
    assert round(100 * right / problems, 2) == accuracy
    assert round(bought / problems, 3) == samples
    assert tokens is None or spent == tokens
