"""Big-Bench Hard: one subset, or the five that tell small models apart; loaded from a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from thinkctl.answers import form
from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.questions import Columns, Questions, by_answer, questions_of
from thinkctl.evals.tasks.reading import Row, read_rows
from thinkctl.evals.tasks.sets import folder_of, version_of_file
from thinkctl.evals.tasks.spec import known
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Sampling

__all__ = ["FIVE", "bbh"]

FIVE: Final = (
    "boolean_expressions",
    "date_understanding",
    "multistep_arithmetic_two",
    "object_counting",
    "tracking_shuffled_objects_three_objects",
)
"""The subsets of ``bbh`` without an option."""

_COLUMNS: Final = Columns(question=("question", "input"), answer=("answer", "target"), choices=())
_LETTER: Final = re.compile(r"\(([A-Z])\)")
_LISTED: Final = re.compile(r"^\([A-Z]\)", re.MULTILINE)
_WORDS: Final = frozenset({"true", "false", "yes", "no", "valid", "invalid"})


def bbh(subset: str = "", folder: Path | None = None) -> Task:
    """Return a subset of Big-Bench Hard (250 problems), or five of them.

    A letter in brackets is graded as a choice, a number as a number, true and false and the like as words, anything
    else as text, case and spacing aside. The folder holds ``SUBSET.jsonl``, or ``SUBSET.json`` as its authors have it.
    """
    place = folder_of("bbh", folder, "the files of suzgunmirac/BIG-Bench-Hard, folder bbh (SUBSET.json)")
    chosen = [subset] if subset else list(FIVE)
    paths = [_file(place, each) for each in chosen]
    read = [_questions(read_rows(path), each) for each, path in zip(chosen, paths, strict=True)]
    problems = tuple(problem for each in read for problem in each.problems)
    references = {name: answer for each in read for name, answer in each.references.items()}
    return Task(
        f"bbh-{subset}" if subset else "bbh",
        f"Big-Bench Hard: {', '.join(chosen)}",
        "suzgunmirac/BIG-Bench-Hard (Suzgun et al. 2022, arXiv:2210.09261)",
        "MIT",
        problems,
        by_answer(references),
        version=", ".join(version_of_file(path) for path in paths),
        public_since=2022,
        chance=sum(each.chance * len(each.problems) for each in read) / len(problems),
        sampling=Sampling(max_tokens=512),
    )


def _file(place: Path, subset: str) -> Path:
    for suffix in (".jsonl", ".json", ".jsonl.gz"):
        path = place / f"{subset}{suffix}"
        if path.parent == place and path.is_file():
            return path
    there = {path.name.partition(".")[0] for path in place.glob("*.json*")} - {"meta"}
    raise ConfigurationError(
        f"{place} has no {subset}.jsonl or {subset}.json; {known(there, subset)}; put the file of that name of "
        "suzgunmirac/BIG-Bench-Hard there"
    )


def _questions(rows: Sequence[Row], subset: str) -> Questions:
    answers = [
        str(next((row.values[key] for key in _COLUMNS.answer if key in row.values), "")) for row in rows
    ]
    form_name, number_of = _form_of(answers)
    return questions_of(
        rows,
        _COLUMNS,
        form_name=form_name,
        prefix=f"bbh-{subset}",
        choices_in=lambda text: number_of or _listed(text),
    )


def _form_of(answers: Sequence[str]) -> tuple[str, int]:
    """Return the form of the answers, and of how many each is one, 0 where that is open or stands in the question."""
    if all(_LETTER.fullmatch(answer.strip()) for answer in answers):
        return "choice", 0
    if {answer.strip().lower() for answer in answers} <= _WORDS:
        return "boxed", 2
    if all(re.fullmatch(r"-?\d+(/\d+)?", form("number").key(answer)) for answer in answers):
        return "number", 0
    return "text", 0


def _listed(question: str) -> int:
    return len(_LISTED.findall(question))
