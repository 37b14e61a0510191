"""Runs and samples as flat rows, for tables of others: one word a column, one type a column."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from thinkctl.evals.exchange.grading import says
from thinkctl.evals.exchange.listing import models_of
from thinkctl.runfile import read, read_header
from thinkctl.types import Run, Sample, Usage

__all__ = ["RUN_COLUMNS", "SAMPLE_COLUMNS", "rows_of_runs", "rows_of_samples"]

Row = dict[str, Any]

_ASKED: Final = {
    "file": str,
    "created": str,
    "problem_id": str,
    "question": str,
    "form": str,
    "strategy": str,
    "policy": str,
    "selector": str,
    "verifier": str,
    "seed": int,
}
_TOKENS: Final = {
    "generated_tokens": int,
    "thinking_tokens": int,
    "answer_tokens": int,
    "probe_tokens": int,
    "forced_tokens": int,
    "wasted_tokens": int,
    "prompt_tokens": int,
    "cached_tokens": int,
    "requests": int,
    "estimated": bool,
}
RUN_COLUMNS: Final[Mapping[str, type]] = {
    **_ASKED,
    "models": str,
    "answer": str,
    "key": str,
    "right": bool,
    "confidence": float,
    "stop": str,
    "why": str,
    "samples": int,
    **_TOKENS,
    "overshoot_tokens": int,
    "verifier_tokens": int,
    "verifier_calls": int,
    "verifier_seconds": float,
    "seconds": float,
    "dollars": str,
}
"""Columns of rows of runs, and their types; any may be empty. ``dollars`` is an exact decimal as text, ``created`` is
when the file was begun; parts are specs as JSON."""
SAMPLE_COLUMNS: Final[Mapping[str, type]] = {
    **_ASKED,
    "sample": int,
    "model": str,
    "answer": str,
    "key": str,
    "right": bool,
    "finish": str,
    "concluded": bool,
    "parent": int,
    "score": float,
    "passed": bool,
    "feedback": str,
    "confidence": float,
    "temperature": float,
    "top_p": float,
    "max_tokens": int,
    **_TOKENS,
    "started": float,
    "ended": float,
    "probes": int,
    "prompt": str,
    "text": str,
    "thought_chars": int,
    "error": str,
    "run_answer": str,
    "run_stop": str,
}
"""Columns of rows of samples, and their types; any may be empty. ``prompt`` is the messages as JSON."""


def rows_of_runs(paths: Iterable[Path], gold: Mapping[str, str]) -> Iterator[Row]:
    """Iterate over a row for each run; ``right`` is empty where no reference answer is known."""
    for file, run in _runs(paths):
        receipt, answer = run.receipt, run.answer
        yield {
            **file,
            **_asked(run),
            "models": ", ".join(models_of(run)),
            "answer": None if answer is None else answer.text,
            "key": None if answer is None else answer.key,
            "right": says(gold, run.history.problem, None if answer is None else answer.text),
            "confidence": run.confidence,
            "stop": run.stop.value,
            "why": run.why,
            "samples": len(run.samples),
            **_tokens(receipt.usage),
            "overshoot_tokens": receipt.overshoot_tokens,
            "verifier_tokens": receipt.verifier_tokens,
            "verifier_calls": receipt.verifier_calls,
            "verifier_seconds": receipt.verifier_seconds,
            "seconds": receipt.seconds,
            "dollars": None if receipt.dollars is None else f"{receipt.dollars:f}",
        }


def rows_of_samples(paths: Iterable[Path], gold: Mapping[str, str]) -> Iterator[Row]:
    """Iterate over a row for each sample, in launch order; ``right`` is of the sample's own answer."""
    for file, run in _runs(paths):
        for sample in run.samples:
            yield {**file, **_asked(run), **_sample(run, sample, gold)}


def _runs(paths: Iterable[Path]) -> Iterator[tuple[Row, Run]]:
    """Iterate over runs, each with what there is to say of its file."""
    for path in paths:
        told = {"file": path.name, "created": read_header(path).created}
        yield from ((told, run) for run in read(path))


def _asked(run: Run) -> Row:
    problem = run.history.problem
    return {
        "problem_id": problem.id,
        "question": problem.text,
        "form": problem.form,
        "strategy": _as_json(run.strategy),
        "policy": _as_json(run.policy),
        "selector": _as_json(run.selector),
        "verifier": _as_json(run.verifier),
        "seed": run.history.seed,
    }


def _sample(run: Run, sample: Sample, gold: Mapping[str, str]) -> Row:
    answer, verdict, sampling = sample.answer, sample.verdict, sample.request.sampling
    prompt = [{"role": turn.role, "content": turn.content} for turn in sample.request.messages]
    return {
        "sample": sample.index,
        "model": sample.model,
        "answer": None if answer is None else answer.text,
        "key": None if answer is None else answer.key,
        "right": says(gold, run.history.problem, None if answer is None else answer.text),
        "finish": None if sample.finish is None else sample.finish.value,
        "concluded": sample.concluded,
        "parent": sample.request.parent,
        "score": None if verdict is None else verdict.score,
        "passed": None if verdict is None else verdict.passed,
        "feedback": None if verdict is None else verdict.feedback,
        "confidence": sample.confidence,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        **_tokens(sample.usage),
        "started": sample.started,
        "ended": sample.ended,
        "probes": len(sample.probes),
        "prompt": json.dumps(prompt),
        "text": sample.text,
        "thought_chars": sample.thought_chars,
        "error": sample.error,
        "run_answer": None if run.answer is None else run.answer.text,
        "run_stop": run.stop.value,
    }


def _tokens(usage: Usage) -> Row:
    return {name: getattr(usage, name) for name in _TOKENS}


def _as_json(spec: Mapping[str, object] | None) -> str | None:
    return None if spec is None else json.dumps(spec, sort_keys=True)
