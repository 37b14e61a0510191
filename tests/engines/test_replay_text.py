"""Recorded text is put together again to the token, and a sample goes on exactly where it was stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines.recorded import MANY, THINKER, play, pool_of, prompt_of, refusal, run_of, sample, text_of
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError, RequestFailed
from thinkctl.runfile import Recorded, RecordedSample
from thinkctl.testing import run
from thinkctl.types import Finish, GenerationSpec, Origin, Request, StreamUsage, Usage

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
