"""``thinkctl runs export`` and ``thinkctl runs import``: runs for other programs, and from them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from thinkctl.cli.output import print_json
from thinkctl.cli.runs_list import wide_console
from thinkctl.cli.show import waiting
from thinkctl.cli.text import clean, plural
from thinkctl.errors import ConfigurationError

if TYPE_CHECKING:
    from thinkctl.evals.exchange import Chosen, Imported

__all__ = ["export", "export_training_data", "import_log"]

_ENDINGS: Final = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".eval": "inspect"}
_STRENGTHS: Final = {
    "reference": "right by the reference",
    "tests": "passed public tests or an exact check",
    "weak": "passed a weak check only, which says little of being right",
}


def _say(*lines: str) -> None:
    console = wide_console()
    for line in lines:
        console.print(clean(line), soft_wrap=True)


def _run_files(paths: Sequence[Path], out: Path) -> list[Path]:
    """Return the run files; what is to be written may not be one of them."""
    from thinkctl.evals.exchange import find_run_files
    from thinkctl.runfile import is_run_file

    files = list(find_run_files(paths))
    if not files:
        raise ConfigurationError(f"there are no run files in {', '.join(map(str, paths))}")
    if out.resolve() in {file.resolve() for file in files}:
        raise ConfigurationError(f"{out} is one of the run files that are read; write to another file")
    if out.exists() and is_run_file(out):
        raise ConfigurationError(f"{out} is a run file and would be lost; write to another file")
    return files


def export(
    paths: Sequence[Path], *, out: Path | None, to: str | None, rows: str, gold: Path | None, as_json: bool
) -> None:
    """Write a table or a log of Inspect. Raises what the library raises."""
    if out is None:
        raise ConfigurationError(
            "there is nowhere to write to; give --out FILE, or --sft FILE for training data"
        )
    kind = to or _ENDINGS.get(out.suffix, "")
    if kind not in _ENDINGS.values():
        known = ", ".join(_ENDINGS.values())
        raise ConfigurationError(f"--to {to!r} and {out.name} do not say what to write; known: {known}")
    from thinkctl.evals import exchange
    from thinkctl.evals.exchange.grading import gold_beside
    from thinkctl.evals.exchange.tables import TABLES
    from thinkctl.evals.gold import read_gold

    files = _run_files(paths, out)
    known_gold: Mapping[str, str] = gold_beside(files) if gold is None else read_gold(gold)
    what = "sample"
    if kind == "inspect":
        count = exchange.write_inspect(out, files, known_gold)
    else:
        tables = {
            "samples": (exchange.rows_of_samples, exchange.SAMPLE_COLUMNS),
            "runs": (exchange.rows_of_runs, exchange.RUN_COLUMNS),
        }
        if rows not in tables:
            raise ConfigurationError(f"a row cannot be {rows!r}; known: {', '.join(tables)}")
        make, columns = tables[rows]
        what = rows.removesuffix("s")
        count = TABLES[kind](out, make(files, known_gold), columns)
    if as_json:
        print_json(
            {"out": str(out), "kind": kind, "rows": what, "count": count, "files": list(map(str, files))}
        )
    else:
        _say(f"{plural(count, what)} of {plural(len(files), 'run file')} written to {out} ({kind})")


def export_training_data(
    paths: Sequence[Path],
    *,
    out: Path,
    gold: Path | None,
    task: str | None,
    most: int,
    order: str,
    near: float,
    drop_weak: bool,
    revisions: bool,
    allow_evaluation: bool,
    as_json: bool,
) -> None:
    """Write chat records of samples that passed, and say what was left out. Raises what the library raises."""
    from thinkctl.evals import exchange

    if gold is not None and task is not None:
        raise ConfigurationError("--gold and --task both say what is right; give one of them")
    if order not in ("shortest", "diverse"):
        raise ConfigurationError(f"there is no order {order!r}; known: shortest, diverse")
    files = _run_files(paths, out)
    wanted = exchange.Filter(
        most, "diverse" if order == "diverse" else "shortest", near, not drop_weak, revisions
    )
    reference = None if gold is None else exchange.by_gold(gold)
    if task is not None:
        reference = exchange.by_task(task)
    with waiting(f"looking at {plural(len(files), 'run file')}"):
        chosen = asyncio.run(
            exchange.choose(
                files,
                wanted,
                reference=reference,
                evaluation=exchange.evaluation_problems(),
                allow_evaluation=allow_evaluation,
            )
        )
    exchange.write_chat(out, chosen.records)
    if as_json:
        print_json(_json_of(chosen, out, files))
    else:
        _say(*_summary(chosen, out))


def _json_of(chosen: Chosen, out: Path, files: Sequence[Path]) -> dict[str, Any]:
    return {
        "out": str(out),
        "files": list(map(str, files)),
        "records": len(chosen.records),
        "samples": chosen.seen,
        "problems": chosen.problems,
        "problems_covered": chosen.covered,
        "dropped": dict(chosen.dropped),
        "check_strengths": dict(chosen.strengths),
        "evaluation_problems": dict(chosen.tasks),
        "tasks_not_looked_at": list(chosen.unread_tasks),
    }


def _summary(chosen: Chosen, out: Path) -> list[str]:
    from thinkctl.evals.exchange.training import DROPPED

    covered = f"{chosen.covered} of {plural(chosen.problems, 'problem')} have one"
    count = f"{plural(len(chosen.records), 'record')} of {plural(chosen.seen, 'sample')}"
    lines = [f"{count} written to {out}; {covered}"]
    lines += [f"  {number:>7,}  {_STRENGTHS[name]}" for name, number in chosen.strengths.items()]
    if chosen.dropped:
        lines.append("left out:")
        lines += [f"  {number:>7,}  {DROPPED[name]}" for name, number in chosen.dropped.items()]
    for name, number in chosen.tasks.items():
        lines.append(
            f"Warning: {number:,} problems are of {name}: do not report on it with what is trained on this."
        )
    if "weak" in chosen.strengths:
        lines.append(
            "Warning: a weak check is no reason to learn from an answer: give --gold or --task, or --drop-weak."
        )
    if chosen.unread_tasks:
        lines.append(f"Not looked at, since their data is not here: {', '.join(chosen.unread_tasks)}.")
    return lines


def import_log(
    log: Path,
    *,
    out: Path,
    source: str | None,
    form: str | None,
    scorer: str | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Make a run file of a log. Raises what the library raises."""
    from thinkctl.evals.exchange import read_inspect, read_lm_eval

    name = log.name.removesuffix(".gz")
    kind = source or {".eval": "inspect", ".json": "inspect", ".jsonl": "lm-eval"}.get(Path(name).suffix)
    if kind not in ("inspect", "lm-eval"):
        raise ConfigurationError(f"--from {source!r} is not known for {log.name}; known: inspect, lm-eval")
    if kind == "inspect" and model is not None:
        raise ConfigurationError("a log of Inspect names its model; leave --model out")
    found = (
        read_inspect(log, form_name=form, scorer=scorer)
        if kind == "inspect"
        else read_lm_eval(log, form_name=form, scorer=scorer, model=model)
    )
    written = found.save(out)
    if as_json:
        print_json(_imported_json(found, written))
    else:
        _say(*_imported_lines(found, written))


def _imported_json(found: Imported, written: Sequence[Path]) -> dict[str, Any]:
    source = found.source
    return {
        "out": str(written[0]),
        "beside": [str(path) for path in written[1:]],
        "from": source.kind,
        "log_version": source.version,
        "task": source.task,
        "model": source.model,
        "scorer": source.scorer,
        "form": found.form,
        "problems": len(found.runs),
        "samples": found.samples,
        "references": len(found.gold),
        "graded": len(found.grades),
        "cautions": list(source.cautions),
    }


def _imported_lines(found: Imported, written: Sequence[Path]) -> list[str]:
    source, gold = found.source, [path for path in written if path.name.endswith(".gold.jsonl")]
    count = f"{plural(len(found.runs), 'problem')}, {plural(found.samples, 'sample')}"
    return [
        f"{count} of {source.task or 'an unnamed task'} ({source.model}) from {source.kind} written to {written[0]}",
        f"answers are compared as {found.form!r}; --form takes another form",
        *(f"beside it: {path.name}" for path in written[1:]),
        *(f"Caution: {caution}." for caution in source.cautions),
        f"Next: thinkctl replay {written[0]}{f' --gold {gold[0]}' if gold else ''}",
    ]
