"""Logs of lm-evaluation-harness as runs."""

from __future__ import annotations

import json

import pytest

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.exchange import Limits, read_lm_eval
from thinkctl.evals.loading import open_table


def answered(one):
    return None if one.answer is None else one.answer.text


def test_documents_are_problems_and_repeats_are_samples(lm_eval_log, line):
    found = read_lm_eval(
        lm_eval_log(
            line(0, "It is 4", "It is 5", "4"), line(1, "5", "5", "6", answers=["5", "[invalid]", "6"])
        )
    )
    first, second = found.runs
    assert [answered(sample) for sample in first.samples] == ["4", "5", "4"]
    assert [answered(sample) for sample in second.samples] == ["5", None, "6"]
    assert first.history.problem.text == "Q: How many at 0?\nA:"
    assert first.samples[0].request.sampling.temperature == 0.2
    assert (found.form, found.gold, found.grades) == ("number", {"0": "4", "1": "5"}, {})
    assert (found.source.task, found.source.scorer) == ("gsm8k", "strict")


def test_a_document_has_a_line_for_each_filter(lm_eval_log, line):
    lines = [
        line(0, "So it is 4!", answers=["[invalid]"], exact_match=0.0),
        line(0, "So it is 4!", answers=["4"], filter="flexible"),
    ]
    path = lm_eval_log(*lines)
    first, flexible = read_lm_eval(path), read_lm_eval(path, scorer="flexible")
    assert (first.runs[0].answer, first.grades) == (None, {"0": (False,)})
    assert (answered(flexible.runs[0]), flexible.grades) == ("4", {"0": (True,)})
    assert any("filters strict, flexible; strict was taken" in each for each in first.source.cautions)
    with pytest.raises(ConfigurationError, match="it has strict, flexible"):
        read_lm_eval(path, scorer="strickt")


def test_answers_that_a_filter_threw_together_are_read_again(lm_eval_log, line):
    lines = line(0, "It is 4", "It is 5", "It is 4", answers=["4"], filtered_resps=["4"])
    found = read_lm_eval(lm_eval_log(lines))
    assert [answered(sample) for sample in found.runs[0].samples] == ["4", "5", "4"]
    assert any("read again from their texts" in each for each in found.source.cautions)


def test_tokens_are_estimates_and_say_so(lm_eval_log, line):
    (run,) = read_lm_eval(lm_eval_log(line(0, "12345678"))).runs
    usage = run.receipt.usage
    assert (usage.generated_tokens, usage.estimated, usage.cached_tokens) == (2, True, None)
    assert run.receipt.dollars is None


def test_the_model_is_what_the_results_say_else_the_folder_s_name(lm_eval_log, line):
    path = lm_eval_log(line(0, "4"))
    assert read_lm_eval(path).source.model == "org__model"
    path.with_name("results_2026-11-01T10-00-00.123456.json").write_text('{"model_name": "org/model"}')
    assert read_lm_eval(path).source.model == "org/model"
    assert read_lm_eval(path, model="mine").runs[0].samples[0].model == "mine"


@pytest.mark.parametrize(
    ("settings", "temperature"),
    [({"do_sample": False, "temperature": 0.7}, 0.0), ({"temperature": 0.0}, 0.0), ({"until": ["Q:"]}, None)],
)
def test_how_tokens_were_drawn_is_taken_where_it_is_told(lm_eval_log, line, settings, temperature):
    found = read_lm_eval(lm_eval_log(line(0, "4", settings=settings)))
    sampling = found.source.sampling
    assert (None if sampling is None else sampling.temperature) == temperature


def test_a_log_can_be_replayed_with_its_references(lm_eval_log, line, tmp_path):
    found = read_lm_eval(lm_eval_log(*(line(number, "It is 4", "It is 5", "It is 5") for number in range(3))))
    path, gold, *_ = found.save(tmp_path / "runs.jsonl")
    rows = [json.loads(each) for each in gold.read_text().splitlines()]
    table = open_table(path, gold={row["id"]: row["answer"] for row in rows})
    assert (len(table), table.graded, table.estimated) == (3, True, True)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"doc_id": 1}], "not a sample of lm-eval"),
        ([[1, 2]], "not a sample of lm-eval"),
        ([], "holds no sample"),
        ([{"doc_id": 1, "arguments": {}, "resps": [["a"]]}], "there is no prompt"),
        (
            [{"doc_id": 1, "arguments": [["Q", " A"]], "resps": [[["-1.5", "False"]]]}],
            "a log-likelihood was taken",
        ),
        ([{"doc_id": 1, "arguments": [["Q", {}]], "resps": []}], "resps: expected"),
        ([{"doc_id": None, "arguments": [["Q", {}]], "resps": [["a"]]}], "doc_id: expected"),
        ([{"doc_id": 1, "arguments": [["Q", {}]], "resps": [["a"]]}] * 2, "twice"),
    ],
)
def test_what_is_no_such_log_says_what_is_wrong(lm_eval_log, lines, said):
    with pytest.raises(RunFileError, match=said):
        read_lm_eval(lm_eval_log(*lines))


def test_a_line_without_an_end_is_refused(lm_eval_log, line):
    with pytest.raises(RunFileError, match="line 1 is longer than 1,000 bytes"):
        read_lm_eval(lm_eval_log(line(0, "a" * 5_000)), limits=Limits(line_bytes=1_000))
