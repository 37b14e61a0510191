"""Samples that passed as training data: chat records with where they come from, chosen so that none is there twice.

This is the filter of the generate-filter-train loop: keep what ends in the right answer. Source: STaR, Zelikman et al.
2022 (arXiv:2203.14465), and rejection sampling fine-tuning, Yuan et al. 2023 (arXiv:2308.01825). Deviation: near
duplicates are found by common word sequences, not by equal equations.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.exchange.checks import Check, Strength, check_of
from thinkctl.evals.exchange.contamination import Evaluation
from thinkctl.evals.exchange.grading import Reference
from thinkctl.evals.exchange.imported import digest_of
from thinkctl.evals.exchange.similarity import NEAR, grams, nearest, normalised, words
from thinkctl.evals.exchange.tables import replacing
from thinkctl.runfile import Header, read, read_header
from thinkctl.types import Finish, Message, Origin, Problem, Run, Sample

__all__ = ["DROPPED", "Chosen", "Filter", "choose", "write_chat"]

DROPPED: Final[Mapping[str, str]] = {
    "unfinished": "failed, cut off or still in flight",
    "truncated": "truncated at their limit",
    "forced": "made to conclude, or with text that the model did not write",
    "step": "single steps of a longer chain",
    "revision": "revisions: asked after earlier attempts and their errors",
    "unanswered": "without an answer",
    "unknown": "without a reference answer",
    "unchecked": "not judged by any verifier",
    "failed": "judged wrong",
    "weak": "passed by a weak check only",
    "duplicate": "exact duplicates, white space aside",
    "near": "near duplicates",
    "surplus": "beyond the most that were wanted of one problem",
}
"""Why samples are left out, in the order in which they are asked."""


@final
@dataclass(frozen=True, slots=True)
class Filter:
    """What is taken.

    ``most`` samples of one problem at most; ``order`` takes the ``shortest`` first (fewest generated tokens), or a
    ``diverse`` set: the shortest, then always the one that resembles those taken the least. ``near`` is the resemblance
    in [0, 1] from which two samples of a problem are near duplicates (1: only those with the same word sequences).
    ``weak`` lets through what only a weak check passed; the metadata say so. ``revisions`` lets through samples that
    were asked after earlier attempts, with those attempts in the messages.
    """

    most: int = 4
    order: Literal["shortest", "diverse"] = "shortest"
    near: float = NEAR
    weak: bool = True
    revisions: bool = False

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ConfigurationError(f"{self.most} samples of a problem are none; take at least 1")
        if self.order not in ("shortest", "diverse"):
            raise ConfigurationError(f"there is no order {self.order!r}; known: shortest, diverse")
        if not 0 < self.near <= 1:
            raise ConfigurationError(
                f"a resemblance of {self.near} is not above 0 and at most 1; 0.8 is usual"
            )


@final
@dataclass(frozen=True, slots=True)
class _Passed:
    """A sample that passed, and by what."""

    file: Path
    run: Run
    sample: Sample
    check: Check
    text: str
    grams: frozenset[tuple[str, ...]]

    @property
    def problem(self) -> Problem:
        return self.run.history.problem


@final
@dataclass(frozen=True, slots=True)
class Chosen:
    """Chat records, and a count of what was left out and why (keys of ``DROPPED``).

    ``seen`` samples were looked at, of ``problems`` problems; ``covered`` of these have a record. ``strengths`` counts
    records by what their check says of being right; ``tasks`` problems by the evaluation task they are of.
    """

    records: tuple[Mapping[str, Any], ...]
    seen: int
    problems: int
    covered: int
    dropped: Mapping[str, int]
    strengths: Mapping[str, int]
    tasks: Mapping[str, int] = field(default_factory=dict[str, int])
    unread_tasks: tuple[str, ...] = ()


async def choose(
    files: Sequence[Path],
    wanted: Filter = Filter(),
    *,
    reference: Reference | None = None,
    evaluation: Evaluation | None = None,
    allow_evaluation: bool = False,
) -> Chosen:
    """Choose samples of run files and make chat records of them, in the order of the problems.

    A sample passes by ``reference``, where one is given, else by its verifier's verdict. ``evaluation`` knows the
    problems that must not be trained on if they are to be reported on.

    Raises:
        ConfigurationError: for problems of an evaluation task, unless ``allow_evaluation`` says that this is meant.
        RunFileError: for files that are broken.
    """
    dropped: Counter[str] = Counter()
    tasks: dict[str, str | None] = {}
    grades: dict[tuple[str, str], bool | None] = {}
    passed: dict[str, list[_Passed]] = {}
    seen = 0
    for file in files:
        for run in read(file):
            problem = run.history.problem
            if problem.id not in tasks:
                tasks[problem.id] = None if evaluation is None else evaluation.task_of(problem)
                passed[problem.id] = []
            if tasks[problem.id] is not None and not allow_evaluation:
                continue  # it will be refused: nothing needs to be graded
            for sample in run.samples:
                seen += 1
                why = _unfit(problem, sample, wanted)
                check = None if why else await _check(run, sample, reference, grades)
                why = why or _failed(problem, sample, check, reference, grades, wanted)
                if why or check is None:
                    dropped[why or "failed"] += 1
                    continue
                text = normalised(sample.text)
                found = _Passed(file, run, sample, check, text, grams(words(text)))
                passed[problem.id].append(found)
    known = Counter(task for task in tasks.values() if task is not None)
    if known and not allow_evaluation:
        raise ConfigurationError(_refusal(known, len(tasks)))
    digests = {file: digest_of(file) for file in files}
    headers = {file: read_header(file) for file in files}
    taken = [each for mine in passed.values() for each in _selected(mine, wanted, dropped)]
    return Chosen(
        records=tuple(_record(each, digests[each.file], headers[each.file], tasks) for each in taken),
        seen=seen,
        problems=len(tasks),
        covered=len({each.problem.id for each in taken}),
        dropped={name: dropped[name] for name in DROPPED if dropped[name]},
        strengths=dict(Counter(each.check.strength.value for each in taken)),
        tasks=dict(known),
        unread_tasks=() if evaluation is None else evaluation.unread,
    )


def _refusal(known: Mapping[str, int], problems: int) -> str:
    what = ", ".join(f"{name} {number:,}" for name, number in known.items())
    return (
        f"{sum(known.values()):,} of {problems:,} problems are those of an evaluation task ({what}). Who trains on "
        "them can no longer report on them: sample other problems, such as a task's training set, or say that it is "
        "meant (--allow-evaluation-problems)"
    )


# -- what passes ---------------------------------------------------------------------------------------------


def _unfit(problem: Problem, sample: Sample, wanted: Filter) -> str:
    """Return why nobody should learn from a sample, whatever it answers; empty where nothing speaks against it."""
    if sample.finish is Finish.LENGTH:
        return "truncated"
    if sample.finish is Finish.STEP:
        return "step"
    if sample.finish is not Finish.STOP or not sample.text.strip():
        return "unfinished"
    forced = any(segment.origin is Origin.FORCED for segment in sample.segments)
    if sample.concluded or forced or sample.request.extend:
        return "forced"
    if not wanted.revisions and len(_said(sample.request.messages)) > len(_said(problem.messages)):
        return "revision"
    return "" if sample.answer is not None else "unanswered"


def _said(messages: Iterable[Message]) -> list[Message]:
    return [turn for turn in messages if turn.role == "assistant"]


async def _check(
    run: Run,
    sample: Sample,
    reference: Reference | None,
    grades: dict[tuple[str, str], bool | None],
) -> Check | None:
    """Return what a sample passed; grades of equal answers are asked for once."""
    problem, answer = run.history.problem, sample.answer
    if reference is None:
        return check_of(problem, sample, run.verifier)
    if answer is None:
        return None
    key = problem.id, answer.text
    if key not in grades:
        grades[key] = await reference.grade(problem, answer.text)
    return Check(reference.name, Strength.REFERENCE) if grades[key] else None


def _failed(
    problem: Problem,
    sample: Sample,
    check: Check | None,
    reference: Reference | None,
    grades: Mapping[tuple[str, str], bool | None],
    wanted: Filter,
) -> str:
    if check is not None:
        return "weak" if check.strength is Strength.WEAK and not wanted.weak else ""
    if reference is not None and sample.answer is not None:
        return "unknown" if grades[problem.id, sample.answer.text] is None else "failed"
    return "failed" if sample.verdict is not None and sample.verdict.passed is False else "unchecked"


# -- which of what passes ------------------------------------------------------------------------------------


def _selected(passed: Sequence[_Passed], wanted: Filter, dropped: Counter[str]) -> list[_Passed]:
    """Return the samples of one problem that are taken."""
    left = sorted(passed, key=lambda each: (each.sample.usage.generated_tokens, len(each.text)))
    texts: set[str] = set()
    taken: list[_Passed] = []
    distinct: list[_Passed] = []
    for each in left:
        if each.text in texts:
            dropped["duplicate"] += 1
            continue
        texts.add(each.text)
        if nearest(each.grams, (other.grams for other in distinct)) >= wanted.near:
            dropped["near"] += 1
            continue
        distinct.append(each)
    while distinct and len(taken) < wanted.most:
        place = 0 if wanted.order == "shortest" else _farthest(distinct, taken)
        taken.append(distinct.pop(place))
    dropped["surplus"] += len(distinct)
    return taken


def _farthest(left: Sequence[_Passed], taken: Sequence[_Passed]) -> int:
    """Return the place of the one that resembles those taken the least; the shortest of several."""
    alike = [nearest(each.grams, (other.grams for other in taken)) for each in left]
    return alike.index(min(alike))


# -- records -------------------------------------------------------------------------------------------------


def _record(
    found: _Passed, digest: str, header: Header, tasks: Mapping[str, str | None]
) -> Mapping[str, Any]:
    """Return a chat record. Earlier turns of the model have weight 0: they are shown, not learnt."""
    sample, verdict, judge = found.sample, found.sample.verdict, found.run.verifier
    imported = header.fields.get("imported")
    told: Mapping[str, Any] = imported if isinstance(imported, dict) else {}
    messages: list[dict[str, Any]] = [
        {"role": turn.role, "content": turn.content, **({"weight": 0} if turn.role == "assistant" else {})}
        for turn in sample.request.messages
    ]
    messages.append({"role": "assistant", "content": sample.text})
    drawn = sample.request.sampling.model_dump(mode="json", exclude_none=True)
    content = json.dumps(messages, sort_keys=True).encode()
    return {
        "messages": messages,
        "metadata": {
            "problem_id": found.problem.id,
            "run_file": found.file.name,
            "run_file_sha256": digest,
            "run_file_created": header.created,
            "sample": sample.index,
            "model": sample.model,
            "strategy": found.run.strategy.get("name"),
            "answer": None if sample.answer is None else sample.answer.text,
            "check": found.check.name,
            "check_strength": found.check.strength.value,
            "verifier": None if judge is None else dict(judge),
            "verdict": None
            if verdict is None
            else {"passed": verdict.passed, "score": verdict.score, "marks": list(verdict.marks)},
            "sampling": drawn if told.get("sampling_known", True) else None,
            "seed": found.run.history.seed,
            "generated_tokens": sample.usage.generated_tokens,
            "tokens_estimated": sample.usage.estimated,
            "imported_from": told.get("from"),
            "evaluation_task": tasks[found.problem.id],
            "sha256": hashlib.sha256(content).hexdigest(),
        },
    }


def write_chat(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write chat records, one JSON object a line, and return how many; a file there is replaced when all is written."""
    count = 0
    with replacing(path) as draft, draft.open("w", encoding="ascii") as file:
        for record in records:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            count += 1
    return count
