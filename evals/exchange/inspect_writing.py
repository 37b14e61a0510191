"""Runs as a log of Inspect (``.eval``), for its viewer and for whatever reads its logs.

Each sample of a run is an epoch of a sample of the log; what a run decided stands in the epochs' metadata. Source: the
log format of Inspect AI, version 2 (inspect.aisi.org.uk/eval-logs.html), as release 0.3.285 reads it.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange.grading import says
from thinkctl.evals.exchange.limits import points_outside
from thinkctl.evals.exchange.listing import named
from thinkctl.evals.exchange.tables import replacing
from thinkctl.runfile import read, read_header
from thinkctl.types import Finish, Message, Run, Sample, Usage

__all__ = ["write_inspect"]

_VERSION: Final = 2
_REASONS: Final = {
    Finish.STOP: "stop",
    Finish.STEP: "stop",
    Finish.LENGTH: "max_tokens",
    Finish.CUT: "unknown",
    Finish.ERROR: "unknown",
}
_SCORERS: Final = ("grader", "verifier")
_SUMMARY: Final = ("id", "epoch", "input", "target", "scores", "model_usage")
_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Of the members: the same runs make the same file."""

Row = dict[str, Any]


def write_inspect(path: Path, files: Sequence[Path], gold: Mapping[str, str], *, task: str = "") -> int:
    """Write the samples of run files of one model as one log, and return how many.

    Scores are the ``verifier``'s verdict and, where ``gold`` knows the problem, the ``grader``'s; targets are the
    reference answers, empty where none is known. ``task`` names it, else the first file does. A problem that was run
    several times goes on counting its epochs. A log is written whole or not at all.

    Raises ``ConfigurationError`` where the files are of different models.
    """
    model, about = _model(files), task or files[0].name.removesuffix(".gz").removesuffix(".jsonl")
    created = _created(files)
    summaries: list[Row] = []
    total = Usage()
    sampling: Row = {}
    strategies: dict[str, None] = {}
    verifiers: dict[str, None] = {}
    ids: dict[str, None] = {}
    epochs: Counter[str] = Counter()
    with replacing(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as log:
        for file in files:
            for run in read(file):
                strategies.setdefault(named(run.strategy))
                if run.verifier is not None:
                    verifiers.setdefault(named(run.verifier))
                ids.setdefault(run.history.problem.id)
                for sample in run.samples:
                    epochs[run.history.problem.id] += 1
                    row = _sample(file, run, sample, gold, model, epochs[run.history.problem.id])
                    sampling = sampling or _sampling(sample)
                    total += sample.usage
                    _put(log, _member(row["id"], row["epoch"]), row)
                    summaries.append({name: row[name] for name in _SUMMARY})
        spec = _spec(about, model, created, files, list(ids), sampling, list(strategies))
        spec["metadata"]["verifiers"] = list(verifiers)
        spec["config"] = {"epochs": max(epochs.values(), default=1)}
        scored = [name for name in _SCORERS if any(name in row["scores"] for row in summaries)]
        spec["scorers"] = [
            {"name": name, "options": {}, "metrics": [{"name": "accuracy"}]} for name in scored
        ]
        plan: Row = {
            "name": "plan",
            "steps": [{"solver": name, "params": {}} for name in strategies],
            "config": sampling,
        }
        _put(log, "_journal/start.json", {"version": _VERSION, "eval": spec, "plan": plan})
        _put(log, "summaries.json", summaries)
        stats = {"started_at": created, "completed_at": created, "model_usage": {model: _usage(total)}}
        header = {
            "version": _VERSION,
            "status": "success",
            "eval": spec,
            "plan": plan,
            "results": _results(summaries),
            "stats": stats,
        }
        _put(log, "header.json", header)
    return len(summaries)


def _created(files: Sequence[Path]) -> str:
    """Return when the last of the files was begun, or changed where that is not known."""
    moments: list[datetime] = []
    for file in files:
        known = read_header(file).created
        changed = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        begun = changed if known is None else datetime.fromisoformat(known)
        moments.append(begun if begun.tzinfo else begun.replace(tzinfo=UTC))
    return max(moments).astimezone(UTC).isoformat(timespec="seconds")


def _member(problem_id: str, epoch: int) -> str:
    """Return the name under which Inspect looks for a sample; an id that would point elsewhere is quoted."""
    name = f"samples/{problem_id}_epoch_{epoch}.json"
    unsafe = points_outside(name) or "\\" in name or not name.isprintable()
    return f"samples/{quote(problem_id, safe='')}_epoch_{epoch}.json" if unsafe else name


def _put(log: zipfile.ZipFile, name: str, value: object) -> None:
    log.writestr(zipfile.ZipInfo(name, _FIXED_TIME), json.dumps(value), zipfile.ZIP_DEFLATED)


def _model(files: Sequence[Path]) -> str:
    names = {file: card.name for file in files if (card := read_header(file).card) is not None}
    if len(set(names.values())) > 1:
        said = ", ".join(sorted(set(names.values())))
        raise ConfigurationError(
            f"a log of Inspect is of one model, these are of {said}; export each model's apart"
        )
    return next(iter(names.values()), "unknown")


def _spec(
    task: str,
    model: str,
    created: str,
    files: Sequence[Path],
    ids: Sequence[str],
    sampling: Row,
    strategies: Sequence[str],
) -> Row:
    key = hashlib.sha256(f"{task}\0{model}\0{created}\0{len(ids)}".encode()).hexdigest()[:22]
    return {
        "eval_id": key,
        "run_id": key,
        "created": created,
        "task": task,
        "task_id": key,
        "task_version": 0,
        "dataset": {"name": task, "samples": len(ids), "sample_ids": list(ids), "shuffled": False},
        "model": model,
        "model_generate_config": sampling,
        "packages": {"thinkctl": read_header(files[0]).version},
        "metadata": {
            "written_by": "thinkctl",
            "files": [file.name for file in files],
            "strategies": list(strategies),
        },
    }


def _sampling(sample: Sample) -> Row:
    drawn = sample.request.sampling
    told = {"temperature": drawn.temperature, "top_p": drawn.top_p, "max_tokens": drawn.max_tokens}
    return {name: value for name, value in told.items() if value is not None}


def _sample(file: Path, run: Run, sample: Sample, gold: Mapping[str, str], model: str, epoch: int) -> Row:
    problem = run.history.problem
    choice = {
        "message": {
            "role": "assistant",
            "content": sample.text,
            "source": "generate",
            "model": sample.model or model,
        },
        "stop_reason": "stop" if sample.finish is None else _REASONS[sample.finish],
    }
    usage = _usage(sample.usage)
    error = {"message": sample.error or "failed", "traceback": "", "traceback_ansi": ""}
    return {
        "id": problem.id,
        "epoch": epoch,
        "input": list(map(_message, problem.messages)),
        "target": gold.get(problem.id, ""),
        "messages": [*map(_message, sample.request.messages), choice["message"]],
        "output": {
            "model": sample.model or model,
            "choices": [choice],
            "completion": sample.text,
            "usage": usage,
        },
        "scores": dict(_scores(run, sample, gold)),
        "metadata": {"thinkctl": _decided(file, run, sample)},
        "model_usage": {model: usage},
        "total_time": None if sample.ended is None else max(0.0, sample.ended - sample.started),
        **({"error": error} if sample.finish is Finish.ERROR else {}),
    }


def _message(turn: Message) -> Row:
    # a tool's message needs a call that it answers, and runs keep none: its text is what matters
    role = "user" if turn.role == "tool" else turn.role
    return {"role": role, "content": turn.content, "source": "input"}


def _usage(usage: Usage) -> Row:
    prompt, cached = usage.prompt_tokens, usage.cached_tokens
    return {
        "input_tokens": prompt - (cached or 0),
        "output_tokens": usage.generated_tokens,
        "total_tokens": prompt + usage.generated_tokens,
        "input_tokens_cache_read": cached,
        "reasoning_tokens": usage.thinking_tokens,
    }


def _scores(run: Run, sample: Sample, gold: Mapping[str, str]) -> Iterator[tuple[str, Row]]:
    answer = None if sample.answer is None else sample.answer.text
    right = says(gold, run.history.problem, answer)
    if right is not None:
        yield "grader", {"value": "C" if right else "I", "answer": answer}
    verdict = sample.verdict
    if verdict is not None and verdict.passed is not None:
        value: object = "C" if verdict.passed else "I"
        yield "verifier", {"value": value, "answer": answer, "explanation": verdict.feedback}
    elif verdict is not None and verdict.score is not None:
        yield "verifier", {"value": verdict.score, "answer": answer, "explanation": verdict.feedback}


def _decided(file: Path, run: Run, sample: Sample) -> Row:
    """Return what a log of Inspect has no place for."""
    dollars = run.receipt.dollars
    return {
        "file": file.name,
        "sample": sample.index,
        "form": run.history.problem.form,
        "answer": None if sample.answer is None else sample.answer.text,
        "finish": None if sample.finish is None else sample.finish.value,
        "concluded": sample.concluded,
        "estimated_tokens": sample.usage.estimated,
        "wasted_tokens": sample.usage.wasted_tokens,
        "run": {
            "answer": None if run.answer is None else run.answer.text,
            "confidence": run.confidence,
            "stop": run.stop.value,
            "why": run.why,
            "strategy": dict(run.strategy),
            "policy": None if run.policy is None else dict(run.policy),
            "verifier": None if run.verifier is None else dict(run.verifier),
            "generated_tokens": run.receipt.generated_tokens,
            "overshoot_tokens": run.receipt.overshoot_tokens,
            "seconds": run.receipt.seconds,
            "dollars": None if dollars is None else f"{dollars:f}",
        },
    }


def _results(summaries: Iterable[Row]) -> Row:
    """Return the share of right samples by each scorer that said right or wrong."""
    rows = list(summaries)
    scores: list[Row] = []
    for name in _SCORERS:
        values = [row["scores"][name]["value"] for row in rows if name in row["scores"]]
        said = [value == "C" for value in values if isinstance(value, str)]
        if said:
            metric = {"name": "accuracy", "value": sum(said) / len(said), "params": {}}
            counted = {"scored_samples": len(said), "unscored_samples": len(rows) - len(said)}
            scores.append(
                {"name": name, "scorer": name, **counted, "params": {}, "metrics": {"accuracy": metric}}
            )
    return {"total_samples": len(rows), "completed_samples": len(rows), "scores": scores}
