"""Run tests against code so that the code cannot say itself that it passed."""

from __future__ import annotations

import ast
import contextlib
import json
import socket
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

from thinkctl.verifiers.harness import LONGEST_CODE, plan_of
from thinkctl.verifiers.sandbox import Ran, Sandbox
from thinkctl.verifiers.sandbox.process import Cell

__all__ = ["Tested", "run_tests"]

_IN_ALL: Final = 3
"""All tests together may take so many times the seconds of one."""
_GRACE_SECONDS: Final = 2.0
_LONGEST_FEEDBACK: Final = 2_000


@final
@dataclass(frozen=True, slots=True)
class Tested:
    """What tests found: whether each passed, in their order, and what the first that failed says."""

    __test__: ClassVar[bool] = False  # pytest takes it for a class of tests by its name

    passed: tuple[bool, ...]
    feedback: str = ""
    seconds: float = 0.0

    @property
    def all_passed(self) -> bool:
        """Whether there was a test, and none failed."""
        return bool(self.passed) and all(self.passed)

    @property
    def share(self) -> float:
        """The share of tests passed, in [0, 1]; 0 without tests."""
        return sum(self.passed) / len(self.passed) if self.passed else 0.0


async def run_tests(
    code: str,
    tests: Sequence[str],
    sandbox: Sandbox,
    *,
    setup: str = "",
    entry_point: str = "",
) -> Tested:
    """Run each test against the code, and say which passed and what the first failure was.

    A test is Python: an ``assert``, several statements, or an expression that must be true. ``setup`` is trusted code
    that stands before both the code and each test (imports, helpers, the signature); what it defines the tests take
    from there and not from the code. ``entry_point`` is the function that the tests call, where it is known.

    Each test begins with a fresh process of the code and may take ``sandbox.seconds``; all together may take three
    times as long, and what had no turn failed.

    The tests run in one sandbox and the code in another. Between them go calls and values, so expected values never
    come near the code, and an object that claims to be equal to everything is equal to nothing. What this cannot
    see: a function whose *values* are right for the wrong reason.

    Raises ``ConfigurationError`` where there is no sandbox.
    """
    if not tests:
        return Tested((), "There are no tests.")
    if len(code) > LONGEST_CODE:
        return Tested((False,) * len(tests), f"The code is longer than {LONGEST_CODE} characters.")
    given = {"setup": setup, "entry": entry_point, "code": code}
    asked = given | {
        "tests": [_as_statement(test) for test in tests],
        "seconds": sandbox.seconds,
        "seconds_in_all": _IN_ALL * sandbox.seconds,
        "code": "",
    }

    def work(switch: int | None) -> list[Ran]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as stack:
            stack.enter_context(ours)
            stack.enter_context(theirs)
            plans = [
                plan_of(
                    part,
                    args=[str(end.fileno())],
                    stdin=json.dumps(told),
                    descriptors=[end.fileno()],
                    folders=sandbox.folders,
                )
                for part, told, end in (("judge", asked, ours), ("candidate", given, theirs))
            ]
            cells: list[Cell] = []
            try:
                cells.append(sandbox.start(plans[0]))
                cells.append(sandbox.start(plans[1]))
            except BaseException:
                for cell in cells:
                    cell.end()
                raise
        return sandbox.watch(cells, _IN_ALL * sandbox.seconds + _GRACE_SECONDS, switch)

    judge, candidate = await sandbox.in_thread(work)
    return _told(judge, candidate, len(tests))


def _told(judge: Ran, candidate: Ran, count: int) -> Tested:
    """Read the judge's report. What is missing of it failed."""
    passed: list[bool] = []
    feedback = ""
    for line in judge.stdout.splitlines()[:count]:
        try:
            result = json.loads(line)
        except ValueError:  # the line at which the judge was ended
            break
        passed.append(result["passed"] is True)
        feedback = feedback or str(result["why"] or "")
    if len(passed) < count and not feedback:
        why = {"memory": "needs too much memory", "timeout": "takes too long", "output": "says too much"}
        ended = candidate.ended if candidate.ended in why else judge.ended
        feedback = f"The code {why.get(ended, 'ends the tests')}."
    passed += [False] * (count - len(passed))
    return Tested(tuple(passed), feedback[:_LONGEST_FEEDBACK], judge.seconds)


def _as_statement(test: str) -> str:
    """Return a test as statements: a bare expression is a claim. What cannot be read fails inside, with the reason."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(test.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return test
    if len(body) == 1 and isinstance(body[0], ast.Expr) and not _is_call_of_check(body[0].value):
        return f"assert {test.strip()}"
    return test


def _is_call_of_check(node: ast.expr) -> bool:
    """Whether it is ``check(...)``: a call for what it does, not for its value."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("check")
