"""Pools of recorded samples are read whole, and what is correct stays apart from what was said."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from thinkctl.errors import RunFileError
from thinkctl.runfile import Pool, Recorded, RecordedSample, is_run_file, read_pool

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).parents[3] / "shared")) / "data" / "pools"


def pool_of(path: Path, *problems: dict[str, Any]) -> Pool:
    path.write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    return read_pool(path)


def sample_of(path: Path, sample: dict[str, Any]) -> RecordedSample:
    (problem,) = pool_of(path, {"id": "a", "samples": [sample]})
    return problem.samples[0]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pool.jsonl"


def test_a_pool_is_its_problems_in_order_with_gold_and_correctness_apart(path: Path) -> None:
    first = {
        "id": "a",
        "question": "2+2?",
        "gold": 4.0,
        "samples": [{"answer": "4", "correct": True, "tokens": 7}],
    }
    second = {
        "id": "b",
        "gold": "x",
        "samples": [{"answer": "y", "correct": False, "chars": 9, "score": 3}],
        "k": 1,
    }
    pool = pool_of(path, first, second)
    assert pool.recorded == (
        Recorded("a", "2+2?", (RecordedSample("4", 7),)),
        Recorded("b", "", (RecordedSample("y", 3, estimated=True, score=3.0),)),
    )
    assert pool.gold == {"a": "4", "b": "x"}
    assert pool.correct == {"a": (True,), "b": (False,)}
    assert (list(pool), len(pool)) == (list(pool.recorded), 2)


def test_nothing_about_correctness_reaches_a_recorded_problem() -> None:
    names = {field.name for kind in (Recorded, RecordedSample) for field in fields(kind)}
    assert not names & {"gold", "correct"}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("4", "4"),
        (" 05/01/2021 ", "05/01/2021"),
        (18.0, "18"),
        (0.5, "0.5"),
        (-3, "-3"),
        (True, "True"),
        (None, None),
        ("", None),
        ("  ", None),
        ("invalid", None),
        ("Invalid", None),
        (float("nan"), None),
    ],
)
def test_an_answer_is_its_text_and_what_is_none_abstains(
    answer: object, text: str | None, path: Path
) -> None:
    assert sample_of(path, {"answer": answer, "tokens": 1}).answer == text


def test_a_missing_answer_abstains(path: Path) -> None:
    assert sample_of(path, {"tokens": 1}).answer is None


@pytest.mark.parametrize(
    ("told", "tokens", "estimated"),
    [
        ({"tokens": 7}, 7, False),
        ({"tokens": 7, "chars": 400}, 7, False),
        ({"tokens": 0}, 1, False),
        ({"chars": 400}, 100, True),
        ({"chars": 401}, 101, True),
        ({"chars": 0}, 1, True),
        ({"chars": 400, "est_tokens": 90}, 90, True),
    ],
)
def test_tokens_that_were_not_counted_are_estimated(
    told: dict[str, int], tokens: int, estimated: bool, path: Path
) -> None:
    sample = sample_of(path, {"answer": "4", **told})
    assert (sample.tokens, sample.estimated) == (tokens, estimated)


def test_what_else_is_known_of_a_sample_is_kept(path: Path) -> None:
    told = {
        "answer": "4",
        "tokens": 3,
        "seconds": 2,
        "truncated": True,
        "text": "It is 4.",
        "score": 0.25,
        "ppl": [],
    }
    assert sample_of(path, told) == RecordedSample("4", 3, False, 0.25, 2.0, True, "It is 4.")


def test_a_problem_is_put_by_its_question_or_by_its_id(path: Path) -> None:
    first, second = pool_of(path, {"id": "a", "question": "2+2?", "samples": []}, {"id": "b", "samples": []})
    assert (first.problem("date").text, first.problem("date").form, first.problem().id) == (
        "2+2?",
        "date",
        "a",
    )
    assert (second.problem().text, second.problem().id) == ("b", "b")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "Expecting"),
        ("[]", "expected an object, got list"),
        ("{}", "the field 'id' is missing"),
        ('{"id": 3}', "id: expected str, got int"),
        ('{"id": "", "samples": []}', "its id is empty"),
        ('{"id": "b"}', "the field 'samples' is missing"),
        ('{"id": "a", "samples": []}', "the id 'a' was there before"),
        (
            '{"id": "b", "samples": [{"tokens": 1}, {"answer": []}]}',
            "samples[1]: the field 'chars' is missing",
        ),
        (
            '{"id": "b", "samples": [{"tokens": 1, "answer": []}]}',
            "samples[0]: answer: expected a text or a num",
        ),
        ('{"id": "b", "samples": [{"tokens": -1}]}', "samples[0]: tokens: expected a count, got -1"),
        (
            '{"id": "b", "samples": [{"tokens": 1, "score": "high"}]}',
            "samples[0]: score: expected float, got str",
        ),
        (f'{{"id": "b", "samples": [{{"chars": {10**400}}}]}}', "too large"),
        ("[" * 100_000, "nested"),
    ],
)
def test_a_broken_line_is_an_error_that_says_where(line: str, why: str, path: Path) -> None:
    path.write_text('{"id": "a", "samples": []}\n' + line + "\n")
    with pytest.raises(RunFileError) as error:
        read_pool(path)
    assert f"{path}: line 2 is not a pool's problem" in str(error.value)
    assert why in str(error.value) or why == "nested"


def test_an_empty_pool_is_an_error(path: Path) -> None:
    path.write_text("")
    with pytest.raises(RunFileError, match="holds no problem"):
        read_pool(path)


def test_a_compressed_pool_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "samples": [{"tokens": 1}]}\n'))
    assert not is_run_file(path)
    assert len(read_pool(path)) == 1


@pytest.mark.skipif(
    not SHARED.is_dir(), reason="needs the recorded pools: set THINKCTL_SHARED to their folder"
)
@pytest.mark.parametrize(
    ("name", "problems", "samples", "abstain", "tokens", "correct"),
    [
        ("gsm8k_gpt4omini_1318x40", 1318, 52720, 0, 7_004_327, 46_838),
        ("last_letters_gpt35_500x40", 500, 20000, 40, 969_414, 16_072),
        ("date_gpt35_369x40_raw", 369, 14760, 0, 559_067, 9069),
        ("date_gpt35_pot1_369x20", 369, 7380, 241, 441_424, 5656),
        ("math100_qwen25math_rm_100x8", 100, 800, 0, 232_998, 728),
        ("math100_r1_llama8b_100x16", 100, 1600, 123, 3_573_748, 1196),
        ("game24_gpt4_cot_100x100", 100, 10000, 11, 301_182, 403),
    ],
)
def test_the_shared_pools_are_read_whole(
    name: str, problems: int, samples: int, abstain: int, tokens: int, correct: int
) -> None:
    pool = read_pool(SHARED / f"{name}.jsonl.gz")
    recorded = [sample for problem in pool for sample in problem.samples]
    assert (len(pool), len(recorded)) == (problems, samples)
    assert sum(sample.answer is None for sample in recorded) == abstain
    assert sum(sample.tokens for sample in recorded) == tokens
    assert sum(map(sum, pool.correct.values())) == correct
