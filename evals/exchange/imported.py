"""Logs of other harnesses as runs: what they say goes into a run file, and what is right goes beside it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, final

from thinkctl.answers import FORMS, form
from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange.grading import beside
from thinkctl.evals.exchange.tables import replacing
from thinkctl.runfile import CHARS_PER_TOKEN, is_run_file, read_header, write
from thinkctl.selectors import Majority
from thinkctl.types import (
    Answer,
    Finish,
    History,
    Message,
    ModelCard,
    Problem,
    Receipt,
    ReceiptLine,
    Request,
    Role,
    Run,
    Sample,
    Sampling,
    StopReason,
    Usage,
    Verdict,
    spec_of,
)

__all__ = ["Imported", "Source", "Taken", "digest_of", "estimated_usage", "form_for", "imported", "number_of"]

_BLOCK: Final = 1 << 20


@final
@dataclass(frozen=True, slots=True)
class Taken:
    """One generation as a log tells it. ``None`` is what the log does not tell.

    ``said`` is the answer that the log's own scorer read (empty: it found none), ``correct`` what it thought of it,
    ``gold`` the reference.
    ``others`` are what graders and helpers used, with their models. ``question`` is what was asked, ``prompt`` the
    messages as they were put. ``place`` orders the generations of one problem. ``verdict``, ``verifier`` (its spec) and
    ``form`` are told by logs that thinkctl wrote.
    """

    problem_id: str
    place: int
    question: tuple[Message, ...]
    prompt: tuple[Message, ...]
    text: str
    model: str
    usage: Usage
    finish: Finish = Finish.STOP
    said: str | None = None
    correct: bool | None = None
    gold: str | None = None
    thought_chars: int = 0
    seconds: float | None = None
    error: str = ""
    choices: tuple[str, ...] = ()
    others: tuple[ReceiptLine, ...] = ()
    verdict: Verdict | None = None
    verifier: Mapping[str, object] | None = None
    form: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Source:
    """Where a log comes from: written by what, in which version, on which task; what it leaves open.

    ``sampling`` is ``None`` where the log does not say how tokens were drawn: the runs then show the defaults, which
    nobody measured. ``scorer`` is the one whose answers and verdicts were taken.
    """

    kind: str
    path: Path
    version: str = ""
    task: str = ""
    model: str = ""
    scorer: str = ""
    sampling: Sampling | None = None
    cautions: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Imported:
    """Runs of a log, one a problem; apart from them, by problem id, references and what the log's scorer said."""

    runs: tuple[Run, ...]
    source: Source
    form: str
    gold: Mapping[str, str] = field(default_factory=dict[str, str])
    grades: Mapping[str, tuple[bool | None, ...]] = field(default_factory=dict[str, tuple[bool | None, ...]])

    @property
    def samples(self) -> int:
        """How many generations there are."""
        return sum(len(run.samples) for run in self.runs)

    def save(self, path: Path) -> tuple[Path, ...]:
        """Write the run file, ``NAME.gold.jsonl`` and ``NAME.grades.jsonl`` beside it; return what was written.

        What was imported before is replaced. Raises ``ConfigurationError`` where there is no folder for them, and
        before anything else would be written over.
        """
        source = self.source
        _check_free(path)
        told = {
            "from": source.kind,
            "log": source.path.name,
            "log_sha256": digest_of(source.path),
            "log_version": source.version,
            "task": source.task,
            "scorer": source.scorer,
            "sampling_known": source.sampling is not None,
            "cautions": list(source.cautions),
        }
        write(path, self.runs, card=ModelCard(name=source.model or "unknown"), imported=told)
        gold: list[dict[str, Any]] = [{"id": name, "answer": answer} for name, answer in self.gold.items()]
        grades: list[dict[str, Any]] = [
            {"id": name, "correct": list(said), "scorer": source.scorer} for name, said in self.grades.items()
        ]
        kinds: dict[Path, list[dict[str, Any]]] = {beside(path, "gold"): gold, beside(path, "grades"): grades}
        for file, rows in kinds.items():
            if not rows:
                file.unlink(missing_ok=True)  # of the import before this one
        return (path, *(_written(file, rows) for file, rows in kinds.items() if rows))


def _check_free(path: Path) -> None:
    """Raise ``ConfigurationError`` if importing to ``path`` would write over what was not imported."""
    if not path.parent.is_dir():
        raise ConfigurationError(f"there is no folder {path.parent}; make it first")
    if path.exists():
        if not is_run_file(path) or "imported" not in read_header(path).fields:
            raise ConfigurationError(f"{path} is there already and was not imported; write to another file")
        return
    for kind in ("gold", "grades"):
        if (file := beside(path, kind)).exists():
            raise ConfigurationError(
                f"{file} is there already and would be written over; write to another file"
            )


def _written(path: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    with replacing(path) as draft:
        draft.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="ascii")
    return path


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def number_of(value: object) -> int:
    """Return a count that a log tells; anything but an integer from 0 on counts as 0."""
    return value if type(value) is int and value >= 0 else 0


def estimated_usage(prompt: str, text: str) -> Usage:
    """Return what a generation used where nobody counted: a token for every 4 characters, marked as estimated."""
    return Usage(
        requests=1,
        prompt_tokens=math.ceil(len(prompt) / CHARS_PER_TOKEN),
        cached_tokens=None,
        thinking_tokens=max(1, math.ceil(len(text) / CHARS_PER_TOKEN)) if text else 0,
        estimated=True,
    )


def form_for(taken: Sequence[Taken]) -> str:
    """Return the form of answers that a log tells or shows: its own, ``choice``, ``number``, or else ``text``."""
    own = {each.form for each in taken}
    if len(own) == 1 and (only := own.pop()) in FORMS and only is not None:
        return only
    if taken and all(each.choices for each in taken):
        return "choice"
    golds = [each.gold for each in taken if each.gold is not None]
    return "number" if golds and all(map(_is_number, golds)) else "text"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text.replace(",", "")))
    except ValueError:
        return False


def imported(taken: Sequence[Taken], source: Source, form_name: str | None = None) -> Imported:
    """Make runs of generations: those of one problem are the samples of one run, in the order of their places.

    The answer of a run is the majority's, ties to the first, since no log tells how it would have been chosen. Time is
    that of the slowest sample, as if all had run at once; 0 where the log tells none.
    """
    chosen = form_name or form_for(taken)
    form(chosen)  # a name that is not known is an error before anything is done
    by_problem: dict[str, list[Taken]] = {}
    for each in taken:
        by_problem.setdefault(each.problem_id, []).append(each)
    runs: list[Run] = []
    gold: dict[str, str] = {}
    grades: dict[str, tuple[bool | None, ...]] = {}
    for name, mine in by_problem.items():
        ordered = sorted(mine, key=lambda each: each.place)
        runs.append(_run(ordered, source, chosen))
        if ordered[0].gold is not None:
            gold[name] = ordered[0].gold
        if any(each.correct is not None for each in ordered):
            grades[name] = tuple(each.correct for each in ordered)
    return Imported(tuple(runs), source, chosen, gold, grades)


def _run(taken: Sequence[Taken], source: Source, form_name: str) -> Run:
    first = taken[0]
    given: dict[str, Any] = {"choices": list(first.choices)} if first.choices else {}
    problem = Problem(messages=first.question, form=form_name, id=first.problem_id, given=given)
    samples = tuple(_sample(index, each, source, form_name) for index, each in enumerate(taken))
    seconds = max((sample.ended or 0.0 for sample in samples), default=0.0)
    history = History(problem, samples=samples, elapsed=seconds)
    lines = [ReceiptLine(Role.SAMPLE, each.model, each.usage, None) for each in taken]
    lines += [line for each in taken for line in each.others]
    answer = Majority().select(history)
    votes = [vote.key for vote in history.answers]
    return Run(
        history=history,
        answer=answer,
        confidence=None if answer is None else votes.count(answer.key) / len(votes),
        stop=StopReason.DONE,
        why=f"imported from {source.kind}",
        receipt=Receipt.of(lines, seconds),
        strategy={"name": "imported", "from": source.kind, "task": source.task},
        selector=spec_of(Majority()),
        verifier=next((each.verifier for each in taken if each.verifier is not None), None),
    )


def _sample(index: int, taken: Taken, source: Source, form_name: str) -> Sample:
    rules = form(form_name)
    text: str | None
    if taken.said is None:
        text = rules.extract(taken.text, complete=taken.finish is Finish.STOP)
    else:
        said = taken.said.strip()
        text = rules.extract(said) if said else None
        if text is None and said != taken.text.strip():
            text = said or None  # what a scorer read out of the text is an answer; the whole text is not
    answer = None if text is None else Answer(text, rules.key(text), index)
    sample = Sample(
        index=index,
        request=Request(taken.prompt, source.sampling or Sampling()),
        model=taken.model,
        text=taken.text,
        thought_chars=min(taken.thought_chars, len(taken.text)),
        finish=taken.finish,
        answer=answer,
        verdict=taken.verdict,
        usage=taken.usage,
        ended=taken.seconds,
        error=taken.error,
    )
    return sample if taken.finish is not Finish.ERROR else replace(sample, answer=None)
