"""Whether problems are those of a known evaluation task: what is trained on them can no longer be reported on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ThinkctlError
from thinkctl.evals.exchange.similarity import grams, normalised, words
from thinkctl.evals.tasks import TASKS, task
from thinkctl.types import Problem

__all__ = ["Evaluation", "evaluation_problems"]

LENGTH: Final = 13
"""So many words in a row of a question are enough to know it again. Source: Brown et al. 2020 (arXiv:2005.14165),
appendix C, where 13 is the most that is used. Deviation: questions only, and sequences that many questions of a task
share are its prompt and no sign of any of them."""
_SHARED: Final = 0.02
"""From this share of a task's questions on, a sequence of words belongs to its prompt; 3 questions may share any."""


@final
@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known again: problem ids and questions, and word sequences of questions, each with its task."""

    names: tuple[str, ...]
    ids: Mapping[str, str]
    questions: Mapping[str, str]
    sequences: Mapping[tuple[str, ...], str]
    unread: tuple[str, ...] = ()

    def task_of(self, problem: Problem) -> str | None:
        """Return the task that a problem is of, ``None`` for one that none of them has.

        It is known by its id, by its question (case and white space aside), or by 13 words in a row of it.
        """
        text = problem.text
        found = self.ids.get(problem.id) or self.questions.get(_key(text))
        if found is not None:
            return found
        listed = words(text)
        shared = (grams(listed, LENGTH) & self.sequences.keys()) if len(listed) >= LENGTH else frozenset()
        return self.sequences[min(shared)] if shared else None


def evaluation_problems(names: Iterable[str] = tuple(TASKS)) -> Evaluation:
    """Return the problems of tasks, those that come with thinkctl where no names are given.

    A task that cannot be read here (its files are not on this machine) is in ``unread``, and its problems are not known
    again.
    """
    ids: dict[str, str] = {}
    questions: dict[str, str] = {}
    sequences: dict[tuple[str, ...], str] = {}
    done: list[str] = []
    unread: list[str] = []
    for name in names:
        try:
            problems = task(name).problems
        except (ThinkctlError, OSError):
            unread.append(name)
            continue
        done.append(name)
        counts: Counter[tuple[str, ...]] = Counter()
        for problem in problems:
            ids[problem.id] = questions[_key(problem.text)] = name
            listed = words(problem.text)
            if len(listed) >= LENGTH:
                counts.update(grams(listed, LENGTH))
        most = max(3, int(_SHARED * len(problems)))
        sequences.update((gram, name) for gram, number in counts.items() if number <= most)
    return Evaluation(tuple(done), ids, questions, sequences, tuple(unread))


def _key(text: str) -> str:
    return normalised(text).lower()
