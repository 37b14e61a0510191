"""A replay engine plays what was recorded in its order and to its end, and refuses what was not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engines.recorded import MANY, THINKER, play, pool_of, prompt_of, refusal, run_of, sample, text_of
from thinkctl.engines import engine_from
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError, RequestFailed
from thinkctl.runfile import Recorded, RecordedSample, write
from thinkctl.testing import run
from thinkctl.types import Finish, GenerationSpec, Message, Origin, StreamUsage

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
