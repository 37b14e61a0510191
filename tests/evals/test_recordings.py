"""Recordings of every kind, as histories with what is known of who is right."""

from __future__ import annotations

import asyncio
import json

import pytest

from thinkctl import Controller, SelfConsistency
from thinkctl.errors import ConfigurationError
from thinkctl.evals.recordings import open_recordings
from thinkctl.runfile import RunFile
from thinkctl.selectors import Majority
from thinkctl.testing import ScriptedEngine
from thinkctl.types import Answer, History, Run

POOL = {
    "id": "q",
    "gold": "2",
    "samples": [
        {"answer": "2.0", "correct": True, "tokens": 10},
        {"answer": "3", "correct": False, "tokens": 11},
        {"answer": "3.0", "correct": False, "tokens": 12},
        {"answer": "2", "correct": True, "tokens": 13},
        {"answer": "invalid", "correct": False, "tokens": 14, "truncated": True},
    ],
}
PROBES = {"id": "q", "gold": "B", "trace_tokens": 9, "probes": [{"tokens": 9, "probs": {"A": 0.4, "B": 0.6}}]}


def written(folder, *rows):
    path = folder / "recording.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def keys(history):
    return [None if sample.answer is None else sample.answer.key for sample in history.samples]


def test_in_a_pool_votes_are_counted_as_they_are_written_whoever_is_right(tmp_path):
    found = open_recordings(written(tmp_path, POOL))
    (history,) = found.runs
    assert isinstance(history, History)
    assert keys(history) == ["2.0", "3", "3.0", "2", None]
    answer = Majority().select(history)
    assert answer is not None
    assert answer.text == "2.0"
    assert [sample.thinking_tokens for sample in history.samples] == [10, 11, 12, 13, 14]
    assert found.graded
    said = [sample.answer for sample in history.samples if sample.answer is not None]
    assert [found.is_right(history, answer) for answer in said] == [True, False, False, True]


def test_in_a_pool_with_a_form_votes_are_counted_on_its_keys(tmp_path):
    (history,) = open_recordings(written(tmp_path, POOL), answer_form="number").runs
    assert keys(history) == ["2", "3", "3", "2", None]


@pytest.mark.parametrize(
    ("gold", "known", "right"),
    [(None, True, [True, False]), ({"q": "3"}, True, [False, True]), ({"r": "3"}, True, [True, False])],
)
def test_reference_answers_that_are_given_go_before_the_recorded_ones(tmp_path, gold, known, right):
    found = open_recordings(written(tmp_path, POOL), gold=gold)
    (history,) = found.runs
    assert isinstance(history, History)
    assert found.graded is known
    said = [sample.answer for sample in history.samples[:2] if sample.answer is not None]
    assert [found.is_right(history, answer) for answer in said] == right


def test_without_any_reference_answer_nothing_is_graded(tmp_path):
    row = {"id": "q", "samples": [{"answer": "2", "tokens": 1}]}
    found = open_recordings(written(tmp_path, row))
    assert not found.graded
    (history,) = found.runs
    assert isinstance(history, History)
    assert not found.is_right(history, Answer("2", "2", 0))


def test_recorded_probes_are_known_from_pools(tmp_path):
    found = open_recordings(written(tmp_path, PROBES), probe_tokens=1)
    assert (found.kind, found.graded) == ("probed thoughts", True)
    assert found.runs[0].samples[0].usage.generated_tokens == 9 + 1 + 1


def test_a_run_file_gives_its_runs_with_the_gold_that_is_given(tmp_path):
    engine = ScriptedEngine([r"\boxed{4}"])
    path = tmp_path / "runs.jsonl"
    with RunFile.open(path, card=engine.card) as file:
        file.append(asyncio.run(Controller(engine, SelfConsistency(3)).solve("What is 2+2?")))
    (run,) = open_recordings(path).runs
    assert isinstance(run, Run)
    assert not open_recordings(path).graded
    found = open_recordings(path, gold={run.history.problem.id: "4.0"})
    assert found.graded
    assert run.answer is not None
    assert found.is_right(run.history, run.answer)
    with pytest.raises(ConfigurationError, match="runs know the form of their answers"):
        open_recordings(path, answer_form="number")
