"""A task: problems as a model sees them, a verifier that knows what is public, and a grader that knows the rest."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, final

from pydantic import BaseModel, ConfigDict, Field

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.types import Problem, Sampling

__all__ = ["Card", "Grader", "Task"]

Grader = Callable[[Problem, str], Coroutine[Any, Any, bool]]
"""Says whether an answer's text is right. Only a grader knows the references."""

_DRAW: Final = "thinkctl"
_NOT_CONTENT: Final = frozenset({"database"})
"""What is given with a problem and is another path on another machine."""


@final
class Card(BaseModel):
    """What a report says of a task.

    ``version`` says which data it is made of (a commit, or a checksum of the files), ``checksum`` is the SHA-256 of its
    problems as they are put, ids included. ``public_since`` is the year in which the problems could first be in a
    model's training data, ``contamination`` says it in words. ``public`` is what a verifier may know, ``hidden`` what
    only the grader does. ``chance`` is the accuracy of guessing, in [0, 1]. ``sampling`` is a start, not a rule.
    ``abstention``: the problems invite to say that one does not know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str
    about: str
    source: str
    licence: str
    version: str
    checksum: str
    problems: int = Field(ge=0)
    public_since: int | None
    contamination: str
    metric: str
    forms: tuple[str, ...]
    public: str
    hidden: str
    chance: float = Field(ge=0, le=1)
    sampling: Sampling
    abstention: bool


@final
@dataclass(frozen=True)
class Task:
    """A named set of problems, how they are put, checked in public, and graded in secret.

    ``verifier`` makes the public check (``None``: the task has none); it sees what stands in a problem and nothing
    else. ``grade`` compares with the references, which no problem holds. The other fields are the task's card; see
    ``Card``. ``abstains`` says whether an answer's text declines to answer. ``name`` is safe in a file's name.
    """

    name: str
    about: str
    source: str
    licence: str
    problems: tuple[Problem, ...]
    grade: Grader
    verifier: Callable[[], Verifier] | None = None
    version: str = ""
    public_since: int | None = None
    contamination: str = ""
    metric: str = "share of problems answered right"
    public: str = "nothing"
    hidden: str = "the reference answers"
    chance: float = 0.0
    sampling: Sampling = Sampling()
    abstains: Callable[[str], bool] | None = None

    @cached_property
    def checksum(self) -> str:
        """The SHA-256 of all problems as they are put, in their order; the paths of databases left out."""
        digest = hashlib.sha256()
        for problem in self.problems:
            row = problem.model_dump(mode="json")
            row["given"] = {name: value for name, value in row["given"].items() if name not in _NOT_CONTENT}
            digest.update(json.dumps(row, sort_keys=True).encode("ascii") + b"\n")
        return digest.hexdigest()

    def card(self) -> Card:
        """Return what a report says of it."""
        return Card(
            name=self.name,
            about=self.about,
            source=self.source,
            licence=self.licence,
            version=self.version,
            checksum=self.checksum,
            problems=len(self.problems),
            public_since=self.public_since,
            contamination=self.contamination or _contamination(self.public_since),
            metric=self.metric,
            forms=tuple(sorted({problem.form for problem in self.problems})),
            public=self.public,
            hidden=self.hidden,
            chance=self.chance,
            sampling=self.sampling,
            abstention=self.abstains is not None,
        )

    def abstained(self, text: str | None) -> bool:
        """Say whether an answer is none: ``None``, or a text that declines where the task knows such texts."""
        return text is None or (self.abstains is not None and self.abstains(text))

    def split(self, tune: int, report: int) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
        """Draw ``tune`` problems to choose prompts and thresholds on, and ``report`` others to report on.

        The draw is the same on every machine and for every size: with more to report, the problems of a smaller
        report stay in. Raises ``ConfigurationError`` where the task has fewer problems.
        """
        if tune < 0 or report < 1 or tune + report > len(self.problems):
            raise ConfigurationError(
                f"{self.name} has {len(self.problems)} problems; {tune} to tune on and {report} to report on "
                "cannot be drawn from them"
            )
        drawn = list(self.problems)
        random.Random(f"{_DRAW}:{self.name}").shuffle(drawn)
        return tuple(drawn[:tune]), tuple(drawn[tune : tune + report])

    async def grades(self, answered: Sequence[tuple[Problem, str | None]]) -> list[bool]:
        """Grade answers one after the other; no answer is wrong."""
        return [text is not None and await self.grade(problem, text) for problem, text in answered]


def by_id(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return references by the id of their problem."""
    return {str(row["id"]): row for row in rows}


def _contamination(since: int | None) -> str:
    if since is None:
        return "unknown: nobody said whether models have seen it"
    return f"public since {since}: a model trained later may have seen it"
