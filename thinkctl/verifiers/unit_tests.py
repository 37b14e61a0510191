"""Check code by its public tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from thinkctl.protocols import Engines
from thinkctl.types import History, Sample, Verdict
from thinkctl.verifiers.code_tests import Tested, run_tests
from thinkctl.verifiers.given import text_of, texts_of
from thinkctl.verifiers.sandbox import Sandbox

__all__ = ["UnitTests", "verdict_of"]


@final
@dataclass(frozen=True)
class UnitTests:
    """Run a sample's code against the public tests of its problem, in a sandbox.

    Reads of ``problem.given``: ``tests``, a list of texts, each an ``assert``, some statements or an expression that
    must be true; ``setup``, trusted code that stands before code and tests (imports, helpers; optional);
    ``entry_point``, the name of the function that is asked for (optional). Hidden tests are a grader's: they are
    never in ``given``.

    The score is the share of tests passed, in [0, 1]; it passed if all did. The feedback names the first test that
    failed, and what the code returned or raised there: ``SelfCorrection`` shows it to the model. ``marks`` are the
    tests passed. ``seconds`` is how long one test may take; all together may take three times as long. A problem
    without tests gets an empty verdict, which says nothing. The other limits are the ``sandbox``'s.

    Raises ``ConfigurationError`` where there is no sandbox, and for tests that are no texts.

    Source: filtering by public tests, Li et al. 2022 (AlphaCode, arXiv:2203.07814), section 4.5; feedback of unit
    tests, Chen et al. 2023 (arXiv:2304.05128), section 3. Deviation: the score counts each test.
    """

    sandbox: Sandbox = Sandbox()

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        tests = texts_of(history.problem, "tests")
        if sample.answer is None:
            return Verdict(0.0, passed=False, feedback="There is no code in the answer.")
        if not tests:
            return Verdict(feedback="The problem has no public tests.")
        tested = await run_tests(
            sample.answer.text,
            tests,
            self.sandbox,
            setup=text_of(history.problem, "setup"),
            entry_point=text_of(history.problem, "entry_point"),
        )
        return verdict_of(tests, tested, self.sandbox)


def verdict_of(tests: Sequence[str], tested: Tested, sandbox: Sandbox) -> Verdict:
    """Return what tests found as a verdict."""
    lines = [line for line in (sandbox.warning, tested.feedback) if line]
    marks = tuple(test for test, passed in zip(tests, tested.passed, strict=True) if passed)
    return Verdict(tested.share, passed=tested.all_passed, feedback="\n".join(lines), marks=marks)
