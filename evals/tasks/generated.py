"""Tasks that need no download: problems that a program makes when they are asked for."""

from __future__ import annotations

import random
from typing import Final

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks.generators import GENERATORS, Generator, numbers_and_target
from thinkctl.evals.tasks.puzzles import puzzles
from thinkctl.evals.tasks.spec import known, slug
from thinkctl.evals.tasks.task import Task
from thinkctl.types import Problem, Sampling

__all__ = ["generated"]

_VERSION: Final = "generators 1"
"""Goes up when a generator changes: then its problems are others."""
_UNSEEN: Final = "made when asked for: problems of this kind are common, but these stand nowhere"
_SOURCE: Final = "made by a program of this project"
_LICENCE: Final = "as the project"
_COUNTDOWN: Final = "countdown"
_MOST_NUMBERS: Final = 6
_MOST: Final = 20_000
_TRIES: Final = 50


def generated(what: str, *, level: int = 2, size: int = 100, seed: int = 0) -> Task:
    """Return ``size`` problems of a kind, such as ``generated:arithmetic?level=3&seed=1``.

    ``level`` is how hard they are, from 1, more or less the number of steps. A seed's problems are the same on every
    machine, and with a larger ``size`` the first ones stay. Raises ``ConfigurationError`` for a kind or a level that
    there is not, and where a level does not have as many different problems.
    """
    kinds = [*GENERATORS, _COUNTDOWN]
    if what not in kinds:
        raise ConfigurationError(f"there is no generator {what!r}; {known(kinds, what)}")
    top = _MOST_NUMBERS - 1 if what == _COUNTDOWN else GENERATORS[what].levels
    if not 1 <= level <= top:
        raise ConfigurationError(f"level={level!r}: {what} has levels from 1 to {top}")
    if not 1 <= size <= _MOST:
        raise ConfigurationError(f"size={size!r}: give a number of problems from 1 to {_MOST}")
    name = slug(what, f"level{level}", f"seed{seed}")
    if what == _COUNTDOWN:
        return _countdown(name, level, size, seed)
    return _asked(name, GENERATORS[what], what, level, size, seed)


def _asked(name: str, kind: Generator, what: str, level: int, size: int, seed: int) -> Task:
    made: dict[str, str] = {}
    for place in range(size):
        for dice in _dice(what, level, seed, place):
            question, answer = kind.make(dice, level)
            if question not in made:
                made[question] = answer
                break
        else:
            raise _too_few(what, level, size, len(made))
    problems = tuple(
        Problem.model_validate({"id": f"{name}-{place}", "form": kind.form, "messages": question})
        for place, question in enumerate(made)
    )
    answers = dict(zip((problem.id for problem in problems), made.values(), strict=True))

    async def grade(problem: Problem, text: str) -> bool:
        return kind.right(text, answers[problem.id])

    return Task(
        name,
        f"{kind.about}, level {level}",
        _SOURCE,
        _LICENCE,
        problems,
        grade,
        version=_VERSION,
        contamination=_UNSEEN,
        hidden="the answer that the program computed",
        chance=kind.chance(level),
        sampling=Sampling(max_tokens=512),
    )


def _countdown(name: str, level: int, size: int, seed: int) -> Task:
    found: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for place in range(size):
        for dice in _dice(_COUNTDOWN, level, seed, place):
            numbers, target = numbers_and_target(dice, level)
            if (tuple(sorted(numbers)), target) not in found:
                found[tuple(sorted(numbers)), target] = numbers
                break
        else:
            raise _too_few(_COUNTDOWN, level, size, len(found))
    rows = [
        {"id": f"{name}-{place}", "numbers": numbers, "target": target}
        for place, ((_, target), numbers) in enumerate(found.items())
    ]
    return puzzles(name, rows, _SOURCE, _LICENCE, version=_VERSION, contamination=_UNSEEN)


def _dice(what: str, level: int, seed: int, place: int) -> list[random.Random]:
    """Return the dice of a problem: others where the first made one that there was already."""
    return [random.Random(f"thinkctl:{what}:{level}:{seed}:{place}:{time}") for time in range(_TRIES)]


def _too_few(what: str, level: int, size: int, found: int) -> ConfigurationError:
    return ConfigurationError(
        f"{what} at level {level} has no {size} different problems ({found} were found); "
        "ask for fewer, or for a higher level"
    )
