"""Check that an answer matches a regular expression."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.types import History, Sample, Verdict
from thinkctl.verifiers.script import ask_script

__all__ = ["Matches"]

_WORKER: Final = Path(__file__).with_name("matches_worker.py")
_LONGEST: Final = 100_000
_LONGEST_PATTERN: Final = 10_000


@final
@dataclass(frozen=True)
class Matches:
    """Pass an answer that a regular expression matches: as a whole, or, with ``whole=False``, anywhere in it.

    ``pattern`` is one of Python's ``re``; flags are written into it, ``(?i)``. ``what`` says in words what is expected
    ("a date as YYYY-MM-DD"): it is the feedback in place of the pattern. That an answer has the right form says nothing
    of whether it is right.

    A pattern that backtracks may take for ever on a text that was made for it, and a match cannot be interrupted: so
    each is made in a process of its own, which is killed after ``seconds``; the answer fails then. That costs some
    30 ms of one core a sample.
    """

    pattern: str
    whole: bool = True
    what: str = ""
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if len(self.pattern) > _LONGEST_PATTERN:
            raise ConfigurationError(f"the pattern is longer than {_LONGEST_PATTERN} characters")
        try:
            re.compile(self.pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ConfigurationError(f"pattern={self.pattern!r} is no regular expression: {error}") from None
        if not self.seconds > 0:
            raise ConfigurationError(
                f"seconds={self.seconds!r} lets nothing be matched; give a number above 0"
            )

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        if sample.answer is None:
            return Verdict(0.0, passed=False, feedback="There is no answer.")
        text = sample.answer.text
        if len(text) > _LONGEST:
            return Verdict(0.0, passed=False, feedback=f"The answer is longer than {_LONGEST} characters.")
        asked = {"pattern": self.pattern, "text": text, "whole": self.whole}
        replies = await ask_script(_WORKER, asked, self.seconds)
        if any(reply.get("matches") for reply in replies):
            return Verdict(1.0, passed=True)
        if any("matches" in reply for reply in replies):
            expected = self.what or f"text that matches {self.pattern}"
            return Verdict(0.0, passed=False, feedback=f"The answer is not what was asked for: {expected}.")
        return Verdict(
            0.0, passed=False, feedback=f"The answer could not be matched within {self.seconds:g} s."
        )
