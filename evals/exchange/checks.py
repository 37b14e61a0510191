"""By what a sample passed, and what that is worth: a run file keeps verdicts, not the verifier's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from thinkctl.types import Problem, Sample

__all__ = ["Check", "Strength", "check_of"]

_ROWS: Final = "rows "
_PROGRAM: Final = re.compile(r"(?m)^The program gave: ")
_JUDGE: Final = re.compile(r"^The judge's score is ")


class Strength(StrEnum):
    """What passing says of being right.

    ``REFERENCE``: compared with the reference answer or hidden tests. ``TESTS``: public tests or an exact check of what
    was asked; wrong answers can pass tests. ``WEAK``: it ran, it had the right shape, or a model liked it: that says
    little or nothing of being right.
    """

    REFERENCE = "reference"
    TESTS = "tests"
    WEAK = "weak"


@final
@dataclass(frozen=True, slots=True)
class Check:
    """What a sample passed: in words, and how much that says."""

    name: str
    strength: Strength


def check_of(problem: Problem, sample: Sample) -> Check | None:
    """Return what a sample passed as its verdict shows, ``None`` if it did not pass or was not checked.

    A verdict is told by its marks and its feedback: public tests leave their names, a query the fingerprint of its
    rows, a program its result. What shows nothing counts as weak.
    """
    verdict = sample.verdict
    if verdict is None or verdict.passed is not True:
        return None
    if verdict.marks and all(mark.startswith(_ROWS) for mark in verdict.marks):
        return Check("the query ran and returned rows", Strength.WEAK)
    if _PROGRAM.search(verdict.feedback):
        return Check("the program ran and gave a result", Strength.WEAK)
    if verdict.marks:
        number = len(verdict.marks)
        return Check(f"{number} public test{'' if number == 1 else 's'}", Strength.TESTS)
    if {"numbers", "target"} <= problem.given.keys():
        return Check("exact check of the expression", Strength.TESTS)
    if _JUDGE.match(verdict.feedback):
        return Check("a judging model passed it", Strength.WEAK)
    return Check("a check that the run file does not name", Strength.WEAK)
