"""Run the program that a sample wrote, and take its result for the answer."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final, final

from thinkctl.answers import Form, form, form_of
from thinkctl.answers.fences import last_block
from thinkctl.protocols import Engines
from thinkctl.types import Answer, History, Problem, Sample, Verdict
from thinkctl.verifiers.given import text_of
from thinkctl.verifiers.harness import LONGEST_CODE, plan_of
from thinkctl.verifiers.sandbox import Ran, Sandbox

__all__ = ["ProgramResult"]

_LONGEST_RESULT: Final = 2_000
_NO_RESULTS: Final = frozenset({"", "None", "nan", "inf", "-inf"})
_LONGEST_FEEDBACK: Final = 1_000


@final
@dataclass(frozen=True)
class ProgramResult:
    """Run a sample's Python program in a sandbox; what it gives becomes the sample's answer.

    The program is the last fenced code block of the sample. Its result is the variable ``answer`` if it sets one,
    else the value of a function ``solution()`` if it defines one, else the last line that it prints. Votes are
    counted on the result by the rules of the problem's form; where that is ``code``, by those of
    ``problem.given["answer_form"]`` (the name of an answer form; ``number`` where nothing is given).

    A sample without a program that states an answer in words keeps it, unjudged: so words and programs vote together.

    A program that ran and gave a result passes with score 1, which says nothing of whether it is right. One that fails
    scores 0, its error is the feedback, and the sample abstains. The program is run with the ``sandbox``'s limits.

    Raises ``ConfigurationError`` where there is no sandbox, and for an unknown ``answer_form``.

    Source: Program of Thoughts, Chen et al. 2022 (arXiv:2211.12588), section 2.1, variable; PAL, Gao et al. 2022
    (arXiv:2211.10435), ``solution()``.
    """

    sandbox: Sandbox = Sandbox()

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        rules = _rules_of(history.problem)
        code = _program_of(history.problem, sample)
        if code is None and sample.answer is not None:
            return Verdict()
        if code is None:
            return self._failed("There is no Python code block in the answer.")
        if len(code) > LONGEST_CODE:
            return self._failed(f"The program is longer than {LONGEST_CODE} characters.")
        mark = secrets.token_hex(8)
        plan = plan_of("program", args=[mark], files={"code.txt": code}, folders=self.sandbox.folders)
        ran = await self.sandbox.run_plan(plan)
        result = _result(ran, mark)
        if result is None:
            return self._failed(self._why(ran))
        if rules.name == "number":
            result = rules.extract(result, complete=True) or result
        key = await rules.key_by_value(result) if rules.by_algebra else rules.key(result)
        said = f"The program gave: {result}"
        warning = self.sandbox.warning
        return Verdict(
            1.0,
            passed=True,
            feedback=f"{warning}\n{said}" if warning else said,
            answer=Answer(result, key, sample.index, sample.concluded),
        )

    def _failed(self, feedback: str) -> Verdict:
        lines = [line for line in (self.sandbox.warning, feedback) if line]
        return Verdict(0.0, passed=False, feedback="\n".join(lines), void=True)

    def _why(self, ran: Ran) -> str:
        match ran.ended:
            case "timeout":
                return f"The program took longer than {self.sandbox.seconds:g} s."
            case "memory":
                return f"The program needs more than {self.sandbox.memory_mib} MiB."
            case "output":
                return f"The program prints more than {self.sandbox.output_bytes} bytes."
            case "exit" if ran.exit_code == 0:
                return "The program gave no answer: print it, or assign it to `answer`."
            case _:
                said = ran.stderr.strip()[-_LONGEST_FEEDBACK:]
                return f"The program failed: {said}" if said else "The program crashed."


def _rules_of(problem: Problem) -> Form:
    return form(text_of(problem, "answer_form") or "number") if problem.form == "code" else form_of(problem)


def _program_of(problem: Problem, sample: Sample) -> str | None:
    if problem.form == "code" and sample.answer is not None:
        return sample.answer.text
    return last_block(sample.text, complete=True)


def _result(ran: Ran, mark: str) -> str | None:
    """Return what the program gave: what stands after the mark, else the last line before it."""
    printed, _, told = ran.stdout.rpartition(f"\n{mark}")
    if not ran.stdout or ran.ended != "exit" or ran.exit_code != 0:
        return None
    lines = [
        line.strip() for line in (printed if told or printed else ran.stdout).splitlines() if line.strip()
    ]
    result = told.strip() or (lines[-1] if lines else "")
    return None if result in _NO_RESULTS or len(result) > _LONGEST_RESULT else result
