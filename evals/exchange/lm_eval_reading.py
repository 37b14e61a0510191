"""Logs of lm-evaluation-harness (``samples_TASK_DATE.jsonl``, written with ``--log_samples``) as runs.

Source: ``lm_eval/evaluator.py`` and ``loggers/evaluation_tracker.py`` of lm-eval 0.4.13. A document has one line for
each filter, with the same responses; repeats of a document become the samples of one run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast, final

from pydantic import ValidationError

from thinkctl.errors import ConfigurationError, RunFileError, ThinkctlError
from thinkctl.evals.exchange.imported import Imported, Source, Taken, estimated_usage, imported
from thinkctl.evals.exchange.limits import Limits, json_of_file, lines_of_json
from thinkctl.types import Message, Sampling

__all__ = ["read_lm_eval"]

_NAME: Final = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+)\.jsonl(\.gz)?")
_INVALID: Final = frozenset({"", "[invalid]"})
_NOT_METRICS: Final = frozenset(
    {
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "filter",
        "metrics",
        "doc_hash",
        "prompt_hash",
        "target_hash",
    }
)

Fields = Mapping[str, Any]


@final
@dataclass(slots=True)
class _Document:
    """The lines of one document, by filter."""

    number: int
    lines: dict[str, Fields] = field(default_factory=dict[str, "Fields"])


def read_lm_eval(
    path: str | Path,
    *,
    form_name: str | None = None,
    scorer: str | None = None,
    model: str | None = None,
    limits: Limits = Limits(),
) -> Imported:
    """Read a log of samples of lm-evaluation-harness.

    ``scorer`` is the filter whose answers and verdicts are taken (the first in the log, where none is given),
    ``form_name`` how answers are compared, else what the references show. The model is not in the log: ``model``, else
    what ``results_DATE.json`` beside it says, else the name of its folder. Tokens are not either: they are estimated
    from characters, and marked so. Verdicts are taken where there is one response a document; of several the log says
    only what the filter made of them together.

    Raises:
        RunFileError: for what is no such log, and for one in which nothing was generated (log-likelihoods).
        ConfigurationError: for a filter or a form that is not there.
    """
    path = Path(path)
    documents = _documents(path, limits)
    said: Counter[str] = Counter()
    filters = list(dict.fromkeys(name for document in documents.values() for name in document.lines))
    chosen = scorer if scorer is not None else filters[0]
    if chosen not in filters:
        raise ConfigurationError(f"{path}: there is no filter {chosen!r}; it has {', '.join(filters)}")
    name = _model(path, limits) if model is None else model
    taken: list[Taken] = []
    samplings: set[Sampling | None] = set()
    for document in documents.values():
        line = document.lines.get(chosen) or next(iter(document.lines.values()))
        found, sampling = _taken(line, f"{path}: line {document.number}", name, said)
        taken += found
        samplings.add(sampling)
    sampling = samplings.pop() if len(samplings) == 1 else None
    source = _source(path, name, chosen, filters, sampling, said, len(taken))
    return imported(taken, source, form_name)


def _documents(path: Path, limits: Limits) -> dict[str, _Document]:
    documents: dict[str, _Document] = {}
    for number, value in lines_of_json(path, limits):
        where = f"{path}: line {number}"
        if not isinstance(value, dict) or not {"doc_id", "arguments", "resps"} <= value.keys():
            raise RunFileError(f"{where}: not a sample of lm-eval (it needs doc_id, arguments and resps)")
        line = cast("Fields", value)
        if not isinstance(line["doc_id"], int | str):
            raise RunFileError(f"{where}: doc_id: expected a number, got {line['doc_id']!r}")
        document = documents.setdefault(str(line["doc_id"]), _Document(number))
        name = str(line.get("filter", "none"))
        if name in document.lines:
            raise RunFileError(
                f"{where}: document {line['doc_id']} has the filter {name!r} twice; are these two logs in one file?"
            )
        document.lines[name] = line
    if not documents:
        raise RunFileError(f"{path}: it holds no sample; give a log written with --log_samples")
    return documents


def _source(
    path: Path,
    model: str,
    chosen: str,
    filters: list[str],
    sampling: Sampling | None,
    said: Counter[str],
    samples: int,
) -> Source:
    cautions = [f"{number:,} of {samples:,} samples {what}" for what, number in said.items()]
    cautions.append("lm-eval tells no tokens: all are estimated from characters")
    cautions.append("lm-eval does not tell which samples were truncated: all are taken as ended by the model")
    if len(filters) > 1:
        cautions.append(f"it has the filters {', '.join(filters)}; {chosen} was taken")
    if sampling is None:
        cautions.append("the log does not say how tokens were drawn; the runs show defaults in that place")
    named = _NAME.fullmatch(path.name)
    return Source(
        kind="lm-eval",
        path=path,
        task=named["task"] if named else path.name.partition(".")[0],
        model=model,
        scorer=chosen,
        sampling=sampling,
        cautions=tuple(cautions),
    )


def _model(path: Path, limits: Limits) -> str:
    """Return the model as the results beside the log name it, else as their folder is called."""
    if (named := _NAME.fullmatch(path.name)) is not None:
        results = path.with_name(f"results_{named['date']}.json")
        try:
            value = json_of_file(results, limits) if results.exists() else {}
        except ThinkctlError:
            value = {}
        name = value.get("model_name") if isinstance(value, dict) else None
        if isinstance(name, str) and name:
            return name
    return path.resolve().parent.name or "unknown"


# -- documents -----------------------------------------------------------------------------------------------


def _taken(line: Fields, where: str, model: str, said: Counter[str]) -> tuple[list[Taken], Sampling | None]:
    prompt, sampling = _arguments(line["arguments"], where)
    texts = _texts(line["resps"], where)
    answers = _answers(line.get("filtered_resps"), len(texts), said)
    correct = _correct(line) if len(texts) == 1 else None
    if correct is None:
        said["have no verdict of their own" if len(texts) > 1 else "have no verdict"] += len(texts)
    question = (Message(role="user", content=prompt),)
    found = [
        Taken(
            problem_id=str(line["doc_id"]),
            place=place,
            question=question,
            prompt=question,
            text=text,
            model=model,
            usage=estimated_usage(prompt, text),
            said=answer,
            correct=correct,
            gold=_gold(line.get("target")),
        )
        for place, (text, answer) in enumerate(zip(texts, answers, strict=True))
    ]
    return found, sampling


def _arguments(value: Any, where: str) -> tuple[str, Sampling | None]:
    """Return the prompt and how tokens were drawn."""
    calls = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    first = calls[0] if calls else None
    parts = list(first.values()) if isinstance(first, dict) else first if isinstance(first, list) else []
    settings = parts[1] if len(parts) > 1 else None
    if not parts or not isinstance(parts[0], str) or not parts[0].strip():
        raise RunFileError(f"{where}: arguments: there is no prompt in it; is this a log of lm-eval 0.4?")
    if not isinstance(settings, dict):
        raise RunFileError(
            f"{where}: nothing was generated here, a log-likelihood was taken; import a task that generates"
        )
    return parts[0], _sampling(cast("Fields", settings))


def _sampling(settings: Fields) -> Sampling | None:
    if settings.get("do_sample") is False:
        told: dict[str, Any] = {"temperature": 0.0}
    elif settings.get("temperature") is not None:
        told = {
            name: settings[name]
            for name in ("temperature", "top_p", "top_k")
            if settings.get(name) is not None
        }
    else:
        return None
    try:
        return Sampling.model_validate({**told, "max_tokens": settings.get("max_gen_toks")})
    except ValidationError:
        return None


def _texts(value: Any, where: str) -> list[str]:
    first = value[0] if isinstance(value, list) and value else None
    if not isinstance(first, list) or not first or not all(isinstance(text, str) for text in first):
        raise RunFileError(f"{where}: resps: expected the texts of one request, got {str(value)[:40]!r}")
    return cast("list[str]", first)


def _answers(value: Any, count: int, said: Counter[str]) -> list[str | None]:
    """Return the answer that the filter left of each response, empty where it found none; ``None``: unknown."""
    first = value[0] if isinstance(value, list) and value else None
    kept: list[Any] = first if isinstance(first, list) else [first]
    if len(kept) != count or not all(isinstance(each, str) for each in kept):
        said["have no answer of their own in this filter: read again from their texts"] += count
        return [None] * count
    return ["" if each.strip() in _INVALID else each for each in kept]


def _correct(line: Fields) -> bool | None:
    """Return what the first metric that is 0 or 1 says."""
    listed = line.get("metrics")
    names = listed if isinstance(listed, list) else [name for name in line if name not in _NOT_METRICS]
    for name in names:
        value = line.get(name) if isinstance(name, str) else None
        if isinstance(value, bool | int | float) and value in (0, 1):
            return bool(value)
    return None


def _gold(value: Any) -> str | None:
    """Return the reference; of a worked solution that ends in ``#### 18`` what stands there."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    return text.rpartition("####")[2].strip() or None
