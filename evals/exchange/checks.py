"""By what a sample passed, and what that is worth: as its run says, or as the verdict shows where it does not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from thinkctl.types import Problem, Sample, Verdict

__all__ = ["Check", "Strength", "check_of", "shown_by"]

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


_ROWS_CAME: Final = Check("the query ran and returned rows", Strength.WEAK)
_QUERY_RAN: Final = Check("the query ran", Strength.WEAK)
_PROGRAM_RAN: Final = Check("the program ran and gave a result", Strength.WEAK)
_EXACT: Final = Check("exact check of the expression", Strength.TESTS)
_JUDGED: Final = Check("a judging model passed it", Strength.WEAK)
_UNNAMED: Final = Check("a check that the run file does not name", Strength.WEAK)
_BY_NAME: Final[Mapping[str, Check]] = {
    "arithmetic": _EXACT,
    "judge": _JUDGED,
    "matches": Check("the answer matches a pattern", Strength.WEAK),
    "program-result": _PROGRAM_RAN,
    "schema": Check("the answer fits a schema", Strength.WEAK),
}
_IN_WORDS: Final[Mapping[Check, str]] = {
    _ROWS_CAME: "a query's rows",
    _PROGRAM_RAN: "a program's result",
    _EXACT: "an exact check",
    _JUDGED: "a judging model",
}


def check_of(problem: Problem, sample: Sample, verifier: Mapping[str, object] | None = None) -> Check | None:
    """Return what a sample passed, ``None`` if it did not pass or was not checked.

    ``verifier`` is the spec that its run recorded. One that is not thinkctl's own counts as weak: nobody here knows
    what passing it means. Without a spec the verdict tells, by its marks and its feedback: public tests leave their
    names, a query the fingerprint of its rows, a program its result. What shows nothing counts as weak.
    """
    verdict = sample.verdict
    if verdict is None or verdict.passed is not True:
        return None
    return _shown(problem, verdict) or _UNNAMED if verifier is None else _recorded(verifier, verdict)


def shown_by(problem: Problem, verdict: Verdict) -> str | None:
    """Return in words whose work a verdict looks like, ``None`` where it does not show."""
    found = _shown(problem, verdict)
    return None if found is None else _IN_WORDS.get(found, "tests")


def _recorded(verifier: Mapping[str, object], verdict: Verdict) -> Check:
    name = str(verifier.get("name"))
    if name == "unit-tests":
        return _public_tests(verdict)
    if name in ("sql-execution", "duckdb-execution"):
        return _ROWS_CAME if verifier.get("empty_fails") is True else _QUERY_RAN
    return _BY_NAME.get(name, Check(f"the verifier {name}", Strength.WEAK))


def _shown(problem: Problem, verdict: Verdict) -> Check | None:
    if verdict.marks and all(mark.startswith(_ROWS) for mark in verdict.marks):
        return _ROWS_CAME
    if _PROGRAM.search(verdict.feedback):
        return _PROGRAM_RAN
    if verdict.marks:
        return _public_tests(verdict)
    if {"numbers", "target"} <= problem.given.keys():
        return _EXACT
    return _JUDGED if _JUDGE.match(verdict.feedback) else None


def _public_tests(verdict: Verdict) -> Check:
    number = len(verdict.marks)
    several = "" if number == 1 else "s"
    return Check(f"{number or ''} public test{several}".strip(), Strength.TESTS)
