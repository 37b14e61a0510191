"""Mathematics that is loaded from a folder or the hub: MATH-500, AIME 2024 and 2025, and MultiArith.

Their texts are third parties', so they do not come with thinkctl.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from thinkctl.evals.tasks.questions import Columns, by_answer, check_form, questions_of
from thinkctl.evals.tasks.reading import read_rows
from thinkctl.evals.tasks.sets import file_of, version_of_file
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Sampling

__all__ = ["aime2024", "aime2025", "math500", "multiarith"]

_COLUMNS: Final = Columns(
    question=("question", "problem", "Problem", "sQuestion"),
    answer=("answer", "Answer", "final_ans", "lSolutions"),
    ids=("id", "unique_id", "ID", "iIndex"),
    choices=(),
)
"""Ours, and those of the sets as their authors and the hub have them."""


def math500(folder: Path | None = None, hub: str = "", sha256: str = "", form: str = "boxed") -> Task:
    """Return MATH-500: 500 problems of competitions, five levels; answers are compared by algebra.

    ``form="math"`` counts votes by algebra too (``thinkctl[math]``).
    """
    return _loaded(
        "math500",
        "problems of mathematics competitions, levels 1 to 5",
        "openai/prm800k, math_splits/test (Lightman et al. 2023, arXiv:2305.20050; Hendrycks et al. 2021, "
        "arXiv:2103.03874)",
        "MIT in the repository; the texts are third parties'",
        2021,
        "the 500 problems with problem and answer, such as test.jsonl of HuggingFaceH4/MATH-500",
        Sampling(max_tokens=1024),
        folder=folder,
        hub=hub,
        sha256=sha256,
        form=form,
    )


def aime2024(folder: Path | None = None, hub: str = "", sha256: str = "") -> Task:
    """Return the 30 problems of AIME I and II 2024; answers are whole numbers from 0 to 999."""
    return _aime(2024, folder, hub, sha256)


def aime2025(folder: Path | None = None, hub: str = "", sha256: str = "") -> Task:
    """Return the 30 problems of AIME I and II 2025; answers are whole numbers from 0 to 999."""
    return _aime(2025, folder, hub, sha256)


def multiarith(folder: Path | None = None, hub: str = "", sha256: str = "") -> Task:
    """Return MultiArith: 600 word problems of two steps."""
    return _loaded(
        "multiarith",
        "two-step word problems",
        "Roy and Roth 2015 (arXiv:1608.01413)",
        "not stated",
        2015,
        "the 600 problems with question and answer",
        Sampling(max_tokens=256),
        folder=folder,
        hub=hub,
        sha256=sha256,
        form="number",
    )


def _aime(year: int, folder: Path | None, hub: str, sha256: str) -> Task:
    return _loaded(
        f"aime{year}",
        f"American Invitational Mathematics Examination {year}, I and II",
        "Mathematical Association of America",
        "(c) Mathematical Association of America: for evaluation, not to be passed on",
        year,
        "the 30 problems with question (or problem) and answer",
        Sampling(max_tokens=4096),
        folder=folder,
        hub=hub,
        sha256=sha256,
        form="number",
        chance=1 / 1000,
    )


def _loaded(
    name: str,
    about: str,
    source: str,
    licence: str,
    since: int,
    what: str,
    sampling: Sampling,
    *,
    folder: Path | None,
    hub: str,
    sha256: str,
    form: str,
    chance: float = 0.0,
) -> Task:
    check_form(form)
    path = file_of(name, folder, hub, what)
    version = version_of_file(path, sha256)
    read = questions_of(read_rows(path), _COLUMNS, form_name=form, prefix=name)
    return Task(
        name,
        about,
        source,
        licence,
        read.problems,
        by_answer(read.references),
        version=version,
        public_since=since,
        chance=chance,
        sampling=sampling,
    )
