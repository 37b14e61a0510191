"""SimpleQA: facts that a small model does not know. The question is whether it says so."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from thinkctl.answers import form
from thinkctl.evals.tasks.questions import Columns, questions_of
from thinkctl.evals.tasks.reading import read_rows
from thinkctl.evals.tasks.sets import file_of, version_of_file
from thinkctl.evals.tasks.task import Grader, Task
from thinkctl.protocols import Engines
from thinkctl.types import Answer, History, Problem, Request, Sample, Sampling
from thinkctl.verifiers import Judge

__all__ = ["declines", "says", "simpleqa"]

_COLUMNS: Final = Columns(
    question=("question", "problem"), answer=("answer",), ids=("id", "original_index"), choices=()
)
_ASKED: Final = "{}\n\nIf you are not sure, do not guess: the final answer is then 'I don't know'."
_ARTICLES: Final = frozenset({"a", "an", "the"})
_DECLINES: Final = re.compile(
    r"(?:sorry )?(?:but )?(?:i (?:really |honestly )?(?:do not|dont|cannot|cant|am not|have no|could not|couldnt)\b"
    r"(?: know| sure| certain| idea| answer| say| tell| recall| find| determine| have| able)"
    r"|im (?:sorry|not (?:sure|certain|aware))|(?:it is |its )?(?:unknown|not known|unclear)$|no idea$|dont know"
    r"|not sure$|there is no (?:information|record))"
)
_MOST_OTHER_WORDS: Final = 15
"""Words around a right answer: a text that lists everything would be right as well."""
_JUDGED: Final = (
    "The reference answer is: {}. An answer is correct if it says the same and nothing that contradicts it; spelling, "
    "order of names, and more detail do not matter."
)


def simpleqa(
    folder: Path | None = None, hub: str = "", sha256: str = "", engines: Engines | None = None
) -> Task:
    """Return SimpleQA: short questions with one answer each; "I don't know" is abstaining, not an error.

    Right is an answer with the words of the reference in it (case, accents, articles and punctuation aside), or the
    same date. With ``engines`` (from Python) what does not match so is put to a ``Judge`` that is shown the
    reference; it asks the first engine, outside of any budget.

    Source: Wei et al. 2024 (arXiv:2411.04368). Deviation: its grader is a model for all answers.
    """
    path = file_of("simpleqa", folder, hub, "the questions of openai/simple-evals with question and answer")
    version = version_of_file(path, sha256)
    read = questions_of(read_rows(path), _COLUMNS, form_name="text", put=_ASKED.format, prefix="simpleqa")
    return Task(
        "simpleqa",
        "short questions of fact; an answer, or 'I don't know'",
        "openai/simple-evals (Wei et al. 2024, arXiv:2411.04368)",
        "MIT",
        read.problems,
        _grader(read.references, engines),
        version=version,
        public_since=2024,
        metric="share answered right; wrong answers and abstentions are counted apart",
        sampling=Sampling(max_tokens=256),
        abstains=declines,
    )


def says(text: str, gold: str) -> bool:
    """Say whether a text answers with the reference: its words one after the other, its number, or its date."""
    said, wanted = _words(text), _words(gold)
    if said == wanted:
        return True
    by_date = form("date").key
    if _is_date(gold) and by_date(text.strip(" .")) == by_date(gold.strip(" .")):
        return True
    if not wanted or len(said) > len(wanted) + _MOST_OTHER_WORDS:
        return False
    width = len(wanted)
    return any(said[at : at + width] == wanted for at in range(len(said) - width + 1))


def declines(text: str) -> bool:
    """Say whether a text says that it does not know."""
    plain = text.lower().replace("\u2019", "'").replace("'", "")
    return _DECLINES.match(" ".join(re.findall(r"\w+", plain))) is not None


def _grader(references: Mapping[str, str], engines: Engines | None) -> Grader:
    async def grade(problem: Problem, text: str) -> bool:
        if declines(text):
            return False
        gold = references[problem.id]
        return says(text, gold) or (engines is not None and await _judged(problem, text, gold, engines))

    return grade


async def _judged(problem: Problem, text: str, gold: str, engines: Engines) -> bool:
    judge = Judge(scale="yes-no", sees="answer", criteria=_JUDGED.format(gold), passes_at=0.5)
    sample = Sample(0, Request(problem.messages), answer=Answer(text, text, 0))
    return bool((await judge.judge(History(problem), sample, engines)).passed)


def _words(text: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(sign for sign in decomposed if not unicodedata.combining(sign))
    bare = re.sub(r"(?<=\d),(?=\d{3}\b)", "", bare).replace("'", "").replace("\u2019", "")
    return [word for word in re.findall(r"\d+\.\d+|\w+", bare) if word not in _ARTICLES]


def _is_date(gold: str) -> bool:
    return re.fullmatch(r"\d{4}-\d{2}-\d{2}", form("date").key(gold.strip(" ."))) is not None
