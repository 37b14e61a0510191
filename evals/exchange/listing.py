"""What run files hold, file by file: the rows of ``thinkctl runs ls``."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import final

from thinkctl.errors import ConfigurationError, ThinkctlError
from thinkctl.evals.exchange.checks import shown_by
from thinkctl.evals.exchange.contamination import Evaluation
from thinkctl.evals.exchange.grading import gold_beside, says
from thinkctl.runfile import Header, TornLine, is_run_file, read, read_header
from thinkctl.types import Problem, Run
from thinkctl.types.usage import EXACT

__all__ = ["Listed", "date_of", "find_run_files", "listed", "models_of", "named"]


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """A run file in numbers. ``None`` is what is not known; ``error`` says what is wrong with a file.

    ``graded`` runs have a reference answer, ``right`` of them are right. ``dollars`` are all runs together, exact,
    ``None`` where the price of one is unknown. ``verifiers`` are those that the runs name. ``checks`` are told from
    the verdicts of runs that name none: in words, or ``unknown``. ``tasks`` are those that the header names, else those
    that the problems were known to be of. ``date`` is when the file was begun, else that of its last change, and
    ``dated_by`` says which (``header``, ``file``).
    """

    path: Path
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    verifiers: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    problems: int = 0
    runs: int = 0
    samples: int = 0
    graded: int = 0
    right: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    estimated: bool = False
    dollars: Decimal | None = None
    overshoot_tokens: int = 0
    date: str = ""
    dated_by: str = "file"
    warnings: tuple[str, ...] = ()
    error: str = ""

    @property
    def accuracy(self) -> float | None:
        """The share of graded runs that are right, in [0, 1]."""
        return self.right / self.graded if self.graded else None


def find_run_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Iterate over the run files in files and folders, in the order of their names, each once.

    Folders are searched for ``.jsonl`` and ``.jsonl.gz``, and what is there but not a run file is passed over. A file
    that was named and is none is a ``ConfigurationError``, and so is a path that is not there.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            inside = sorted({*path.rglob("*.jsonl"), *path.rglob("*.jsonl.gz")})
            found = [each for each in inside if not each.name.startswith(".") and _may_be_one(each)]
        elif path.exists():
            if not is_run_file(path):
                raise ConfigurationError(
                    f"{path} is not a run file; thinkctl runs import takes logs of others"
                )
            found = [path]
        else:
            raise ConfigurationError(f"there is no {path}; name run files or folders")
        for each in found:
            if each.resolve() not in seen:
                seen.add(each.resolve())
                yield each


def _may_be_one(path: Path) -> bool:
    try:
        return path.is_file() and is_run_file(path)
    except ThinkctlError:  # what cannot be read is not passed over: it gets a row that says so
        return True


def listed(
    path: Path, gold: Mapping[str, str] | None = None, *, evaluation: Evaluation | None = None
) -> Listed:
    """Return a run file in numbers; a broken one has its ``error``.

    Without ``gold``, reference answers are those of ``NAME.gold.jsonl`` beside it, where there is one. ``evaluation``
    knows the tasks of problems whose file names none.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TornLine)
            found = _counted(path, gold_beside([path]) if gold is None else gold, evaluation)
    except (ThinkctlError, OSError) as error:
        return Listed(path, error=str(error))
    said = tuple(str(each.message) for each in caught)
    return replace(found, warnings=said)


def _counted(path: Path, gold: Mapping[str, str], evaluation: Evaluation | None) -> Listed:
    header, seen = read_header(path), _Seen()
    for run in read(path):
        seen.add(run, says(gold, run.history.problem, None if run.answer is None else run.answer.text))
    if not seen.models and header.card is not None:
        seen.models[header.card.name] = None
    date, dated_by = date_of(path, header)
    checks = tuple(check for check in seen.checks if check is not None)
    return Listed(
        path,
        models=tuple(seen.models),
        strategies=tuple(seen.strategies),
        verifiers=tuple(seen.verifiers),
        checks=checks or (("unknown",) if seen.checks else ()),
        tasks=_tasks(header, seen.problems.values(), evaluation),
        problems=len(seen.problems),
        runs=seen.counts["runs"],
        samples=seen.counts["samples"],
        graded=seen.counts["graded"],
        right=seen.counts["right"],
        generated_tokens=seen.counts["generated"],
        prompt_tokens=seen.counts["prompt"],
        estimated=seen.estimated,
        dollars=seen.dollars,
        overshoot_tokens=seen.counts["overshoot"],
        date=date,
        dated_by=dated_by,
    )


class _Seen:
    """What was seen of the runs of a file so far: sums, and names in the order in which they came."""

    def __init__(self) -> None:
        self.models: dict[str, None] = {}
        self.strategies: dict[str, None] = {}
        self.verifiers: dict[str, None] = {}
        self.checks: dict[str | None, None] = {}
        self.problems: dict[str, Problem] = {}
        self.counts: Counter[str] = Counter()
        self.dollars: Decimal | None = Decimal(0)
        self.estimated = False

    def add(self, run: Run, right: bool | None) -> None:
        usage, price = run.receipt.usage, run.receipt.dollars
        self.problems.setdefault(run.history.problem.id, run.history.problem)
        self.strategies.setdefault(named(run.strategy))
        self.models.update(dict.fromkeys(models_of(run)))
        if run.verifier is None:
            self.checks.update(dict.fromkeys(_checks(run)))
        else:
            self.verifiers.setdefault(named(run.verifier))
        self.counts["runs"] += 1
        self.counts["samples"] += len(run.samples)
        self.counts["graded"] += right is not None
        self.counts["right"] += bool(right)
        self.counts["generated"] += usage.generated_tokens
        self.counts["prompt"] += usage.prompt_tokens
        self.counts["overshoot"] += run.receipt.overshoot_tokens
        self.estimated |= usage.estimated
        self.dollars = None if self.dollars is None or price is None else EXACT.add(self.dollars, price)


def models_of(run: Run) -> tuple[str, ...]:
    """Return the models that a run used, in the order of its receipt, each once."""
    return tuple(dict.fromkeys(line.model for line in run.receipt.lines if line.model))


def named(spec: Mapping[str, object] | None) -> str:
    """Return a part's name, with its number of samples where it has one: ``best-of-n(8)``."""
    if not spec:
        return "none"
    name, number = str(spec.get("name", "?")), spec.get("n")
    return f"{name}({number})" if isinstance(number, int) and not isinstance(number, bool) else name


def _checks(run: Run) -> Iterator[str | None]:
    """Iterate over what the verdicts of a run look like, ``None`` for those that show nothing."""
    for sample in run.samples:
        if sample.verdict is not None:
            yield shown_by(run.history.problem, sample.verdict)


def _tasks(header: Header, problems: Iterable[Problem], evaluation: Evaluation | None) -> tuple[str, ...]:
    for told in (header.fields.get("identity"), header.fields.get("imported"), header.fields):
        if isinstance(told, Mapping) and isinstance(name := told.get("task"), str) and name:
            return (name,)
    if evaluation is None:
        return ()
    found = (evaluation.task_of(problem) for problem in problems)
    return tuple(dict.fromkeys(name for name in found if name is not None))


def date_of(path: Path, header: Header) -> tuple[str, str]:
    """Return when a run file was begun, or changed where its header does not say, and which it is."""
    date = header.fields.get("date")
    known = header.created or (date if isinstance(date, str) else "")
    if known:
        return known, "header"
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return changed.isoformat(timespec="seconds"), "file"
