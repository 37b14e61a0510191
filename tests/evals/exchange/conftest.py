"""Run files that are made of a few words, and logs as other harnesses write them."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import pytest

from thinkctl.runfile import write
from thinkctl.testing import sample_of
from thinkctl.types import (
    History,
    ModelCard,
    Problem,
    Receipt,
    ReceiptLine,
    Role,
    Run,
    StopReason,
    Usage,
)


def _run_of(question, *samples, **fields):
    """A run of samples as they are; a text is a sample that said it and answered its last word."""
    problem = question if isinstance(question, Problem) else Problem.of(question, "number")
    made = [
        sample_of(sample.split()[-1], problem=problem, thought=sample) if isinstance(sample, str) else sample
        for sample in samples
    ]
    made = [
        replace(each, index=place, answer=each.answer and replace(each.answer, sample=place))
        for place, each in enumerate(made)
    ]
    usage = sum((sample.usage for sample in made), Usage())
    answer = next((sample.answer for sample in made if sample.answer is not None), None)
    known = {
        "history": History(problem, samples=tuple(made)),
        "answer": answer,
        "confidence": None if answer is None else 1.0,
        "stop": StopReason.DONE,
        "why": "all asked",
        "receipt": Receipt((ReceiptLine(Role.SAMPLE, "scripted", usage, None),), 1.0),
        "strategy": {"name": "self-consistency", "n": len(made)},
    }
    return Run(**{**known, **fields})


@pytest.fixture
def recorded(tmp_path):
    """Return ``recorded(*runs, name="runs.jsonl")``: the path of a run file that holds them."""

    def make(*runs, name="runs.jsonl", model="scripted", **fields):
        path = tmp_path / name
        write(path, runs, card=ModelCard(name=model), **fields)
        return path

    return make


def _epoch(name, number, text, **fields):
    """A sample of a log of Inspect."""
    message = {"role": "assistant", "content": text, "source": "generate"}
    return {
        "id": name,
        "epoch": number,
        "input": f"What is {name}?",
        "target": "4",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"What is {name}?", "source": "input"},
            message,
        ],
        "output": {
            "model": "m",
            "choices": [{"message": message, "stop_reason": "stop"}],
            "completion": text,
        },
        "scores": {"match": {"value": "C" if text.endswith("4") else "I", "answer": text}},
        "model_usage": {"m": {"input_tokens": 20, "output_tokens": 7, "total_tokens": 27}},
        "total_time": 0.5,
        **fields,
    }


HEADER = {
    "version": 2,
    "status": "success",
    "eval": {
        "task": "sums",
        "model": "m",
        "scorers": [{"name": "match"}],
        "packages": {"inspect_ai": "0.3.285"},
        "model_generate_config": {"temperature": 0.5, "max_tokens": 100},
    },
    "plan": {"config": {}},
}


@pytest.fixture
def inspect_log(tmp_path):
    """Return ``inspect_log(*epochs, name="log.eval", **header)``: the path of a log of Inspect."""

    def make(*epochs, name="log.eval", **header):
        path, head = tmp_path / name, {**HEADER, **header}
        if name.endswith(".json"):
            path.write_text(json.dumps({**head, "samples": list(epochs)}), encoding="utf-8")
            return path
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as log:
            log.writestr("header.json", json.dumps(head))
            for each in epochs:
                log.writestr(f"samples/{each['id']}_epoch_{each['epoch']}.json", json.dumps(each))
        return path

    return make


def _line(document, *texts, answers=None, settings=None, **fields):
    """A line of a log of lm-eval."""
    return {
        "doc_id": document,
        "doc": {"question": "How many?"},
        "target": f"3 and 1 make 4.\n#### {document + 4}",
        "arguments": {
            "gen_args_0": {
                "arg_0": f"Q: How many at {document}?\nA:",
                "arg_1": {"do_sample": True, "temperature": 0.2} if settings is None else settings,
            }
        },
        "resps": [list(texts)],
        "filtered_resps": list(answers or texts) if len(texts) == 1 else [list(answers or texts)],
        "filter": "strict",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
        **fields,
    }


@pytest.fixture
def lm_eval_log(tmp_path):
    """Return ``lm_eval_log(*lines)``: the path of a log of lm-eval."""

    def make(*lines, name="samples_gsm8k_2026-11-01T10-00-00.123456.jsonl"):
        folder = tmp_path / "org__model"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
        return path

    return make


@pytest.fixture
def run_of():
    return _run_of


@pytest.fixture
def epoch():
    return _epoch


@pytest.fixture
def line():
    return _line
