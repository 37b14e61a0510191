"""From recordings to tables of votes: pools and run files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from thinkctl.answers import form
from thinkctl.errors import ConfigurationError
from thinkctl.evals.gold import is_right
from thinkctl.evals.probes import is_probe_pool, read_probe_pool
from thinkctl.evals.table import ABSTAINS, TableRow, VoteTable
from thinkctl.hindsight import hindsight
from thinkctl.runfile import Pool, Recorded, is_run_file, read, read_pool
from thinkctl.selectors import Majority
from thinkctl.types import History, Run, StopReason, Usage

__all__ = ["open_table", "table_of_pool", "table_of_runs"]

_RIGHT = "right"
"""The key of the value that is right, whatever its spelling."""


def open_table(
    path: str | Path,
    *,
    gold: Mapping[str, str] | None = None,
    answer_form: str | None = None,
    merge_right: bool = False,
    probe_tokens: int = 1,
) -> VoteTable:
    """Read the table of a run file, of a pool of samples or of a recording of probes.

    ``gold`` are reference answers by id; they go before those of the file. ``answer_form`` and ``merge_right`` are for
    pools, since runs know how they counted: see ``table_of_pool``. ``probe_tokens`` is what each recorded probe is
    billed for: see ``read_probe_pool``. Raises ``RunFileError``.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz").removesuffix(".jsonl")
    given = dict(gold or {})
    runs = is_run_file(path)
    if merge_right and (runs or is_probe_pool(path)):
        raise ConfigurationError(
            f"{path}: only the answers of a pool of samples can be merged; leave that out"
        )
    if runs and answer_form is not None:
        raise ConfigurationError(f"{path}: runs know the form of their answers; leave out {answer_form!r}")
    if runs:
        return table_of_runs(read(path), name, gold=given)
    if is_probe_pool(path):
        probed = read_probe_pool(path, probe_tokens=probe_tokens, form_name=answer_form or "choice")
        return table_of_runs(probed.histories, name, gold={**probed.gold, **given})
    pool = read_pool(path)
    judged = {name: said for name, said in pool.correct.items() if name not in given}
    graded = Pool(pool.recorded, {**pool.gold, **given}, judged)
    return table_of_pool(graded, name, answer_form=answer_form, merge_right=merge_right)


def table_of_pool(
    pool: Pool, name: str = "pool", *, answer_form: str | None = None, merge_right: bool = False
) -> VoteTable:
    """Make the table of a pool.

    Votes are counted on the answers' texts; with ``answer_form`` on the keys of the answers that stand in them.
    ``merge_right`` makes all right answers of a row one value, however they are written: then the reference answer
    helps the vote, which no live run can have; it is for comparing with studies that did so. Who is right is what
    the recorded grader said, and where it said nothing, what the gold answer says; with a form, what either says.
    """
    rows = [_of_recorded(recorded, pool, answer_form, merge_right) for recorded in pool]
    return VoteTable.of(name, rows, gold=pool.gold)


def table_of_runs(
    runs: Iterable[Run | History], name: str = "runs", *, gold: Mapping[str, str] | None = None
) -> VoteTable:
    """Make the table of recorded runs; ``gold`` has reference answers by problem id.

    Votes are counted on the keys that the runs counted. Samples that never finished are left out, and so is what
    probes used.
    """
    known = dict(gold or {})
    listed = list(runs)
    histories = [run.history if isinstance(run, Run) else run for run in listed]
    rows = [_of_history(history, known.get(history.problem.id)) for history in histories]
    ordered = any(sample.request.parent is not None for history in histories for sample in history.samples)
    return VoteTable.of(name, rows, gold=known, ordered=ordered, cautions=_cautions(listed))


def _cautions(runs: Sequence[Run | History]) -> tuple[str, ...]:
    """Say how many runs were over before all samples had been taken."""
    reasons = [run.stop for run in runs if isinstance(run, Run)]
    stopped = reasons.count(StopReason.POLICY)
    ended = len(reasons) - stopped - reasons.count(StopReason.DONE)
    left = "all samples are those that it left"
    return tuple(
        f"{number:,} of {len(reasons):,} runs had been ended by {what} when they were recorded: {left}"
        for number, what in ((stopped, "a policy"), (ended, "a wall or a failure"))
        if number
    )


def _of_recorded(recorded: Recorded, pool: Pool, answer_form: str | None, merge_right: bool) -> TableRow:
    answers = [_in_form(sample.answer, answer_form) for sample in recorded.samples]
    said = [
        answer if answer is None or answer_form is None else form(answer_form).key(answer)
        for answer in answers
    ]
    right = _right_keys(recorded.id, said, answers, pool, answer_form)
    names: dict[str, int] = {}
    keys: list[int] = []
    for key in said:
        merged = merge_right and right is not None and key in right
        keys.append(
            ABSTAINS if key is None else names.setdefault(_RIGHT if merged else f"={key}", len(names))
        )
    return TableRow(
        id=recorded.id,
        keys=tuple(keys),
        names=tuple(names),
        right=None if right is None else tuple(name == _RIGHT or name[1:] in right for name in names),
        usages=tuple(
            Usage(1, thinking_tokens=sample.tokens, estimated=sample.estimated) for sample in recorded.samples
        ),
        source=recorded,
    )


def _in_form(answer: str | None, answer_form: str | None) -> str | None:
    """Return the answer of a form that stands in a recorded answer, or all of it."""
    if answer is None or answer_form is None:
        return answer
    return form(answer_form).extract(answer) or answer


def _right_keys(
    name: str, said: Sequence[str | None], answers: Sequence[str | None], pool: Pool, answer_form: str | None
) -> set[str] | None:
    """Return the keys that are right, ``None`` if nobody knows."""
    verdicts, gold = pool.correct.get(name), pool.gold.get(name)
    if verdicts is None and gold is None:
        return None
    right: set[str] = set()
    if verdicts is not None:
        right = {key for key, correct in zip(said, verdicts, strict=True) if correct and key is not None}
    if gold is not None and (verdicts is None or answer_form is not None):
        texts = {
            key: text for key, text in zip(said, answers, strict=True) if key is not None and text is not None
        }
        right |= {key for key, text in texts.items() if is_right(text, gold, answer_form or "boxed")}
    return right


def _of_history(recorded: History, gold: str | None) -> TableRow:
    taken = hindsight(None, recorded, Majority()).history.samples
    names: dict[str, int] = {}
    texts: dict[str, str] = {}
    keys: list[int] = []
    for sample in taken:
        if sample.answer is None:
            keys.append(ABSTAINS)
            continue
        texts.setdefault(sample.answer.key, sample.answer.text)
        keys.append(names.setdefault(sample.answer.key, len(names)))
    form_name = recorded.problem.form
    right = None if gold is None else tuple(is_right(texts[key], gold, form_name) for key in names)
    return TableRow(
        id=recorded.problem.id,
        keys=tuple(keys),
        names=tuple(names),
        right=right,
        usages=tuple(sample.usage for sample in taken),
        source=recorded,
    )
