"""What run files hold, file by file: the rows of ``thinkctl runs ls``."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import final

from thinkctl.errors import ConfigurationError, ThinkctlError
from thinkctl.evals.exchange.grading import gold_beside, says
from thinkctl.runfile import TornLine, is_run_file, read, read_header
from thinkctl.types import Run
from thinkctl.types.usage import EXACT

__all__ = ["Listed", "find_run_files", "listed", "models_of"]


@final
@dataclass(frozen=True, slots=True)
class Listed:
    """A run file in numbers. ``None`` is what is not known; ``error`` says what is wrong with a file.

    ``graded`` runs have a reference answer, ``right`` of them are right. ``dollars`` are all runs together, exact,
    ``None`` where the price of one is unknown. ``date`` is the header's where its writer gave one, else that of the
    file's last change, and ``dated_by`` says which (``header``, ``file``).
    """

    path: Path
    models: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
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


def listed(path: Path, gold: Mapping[str, str] | None = None) -> Listed:
    """Return a run file in numbers; a broken one has its ``error``.

    Without ``gold``, reference answers are those of ``NAME.gold.jsonl`` beside it, where there is one.
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TornLine)
            found = _counted(path, gold_beside([path]) if gold is None else gold)
    except (ThinkctlError, OSError) as error:
        return Listed(path, error=str(error))
    said = tuple(str(each.message) for each in caught)
    return replace(found, warnings=said)


def _counted(path: Path, gold: Mapping[str, str]) -> Listed:
    header = read_header(path)
    names: dict[str, None] = {}
    models: dict[str, None] = {}
    problems: set[str] = set()
    counts = dict.fromkeys(("runs", "samples", "graded", "right", "generated", "prompt", "overshoot"), 0)
    dollars: Decimal | None = Decimal(0)
    estimated = False
    for run in read(path):
        usage = run.receipt.usage
        right = says(gold, run.history.problem, None if run.answer is None else run.answer.text)
        problems.add(run.history.problem.id)
        names.setdefault(named(run.strategy))
        models.update(dict.fromkeys(models_of(run)))
        counts["runs"] += 1
        counts["samples"] += len(run.samples)
        counts["graded"] += right is not None
        counts["right"] += bool(right)
        counts["generated"] += usage.generated_tokens
        counts["prompt"] += usage.prompt_tokens
        counts["overshoot"] += run.receipt.overshoot_tokens
        estimated |= usage.estimated
        price = run.receipt.dollars
        dollars = None if dollars is None or price is None else EXACT.add(dollars, price)
    if not models and header.card is not None:
        models[header.card.name] = None
    date, dated_by = _date(path, header.fields)
    return Listed(
        path,
        models=tuple(models),
        strategies=tuple(names),
        problems=len(problems),
        runs=counts["runs"],
        samples=counts["samples"],
        graded=counts["graded"],
        right=counts["right"],
        generated_tokens=counts["generated"],
        prompt_tokens=counts["prompt"],
        estimated=estimated,
        dollars=dollars,
        overshoot_tokens=counts["overshoot"],
        date=date,
        dated_by=dated_by,
    )


def models_of(run: Run) -> tuple[str, ...]:
    """Return the models that a run used, in the order of its receipt, each once."""
    return tuple(dict.fromkeys(line.model for line in run.receipt.lines if line.model))


def named(spec: Mapping[str, object] | None) -> str:
    """Return a part's name, with its number of samples where it has one: ``best-of-n(8)``."""
    if not spec:
        return "none"
    name, number = str(spec.get("name", "?")), spec.get("n")
    return f"{name}({number})" if isinstance(number, int) and not isinstance(number, bool) else name


def _date(path: Path, fields: Mapping[str, object]) -> tuple[str, str]:
    for name in ("created", "date"):
        if isinstance(value := fields.get(name), str) and value:
            return value, "header"
    changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return changed.isoformat(timespec="seconds"), "file"
