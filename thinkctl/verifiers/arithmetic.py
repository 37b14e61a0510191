"""Check an expression that has to make a number out of given numbers: Game of 24, countdown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, cast, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Engines
from thinkctl.types import History, Problem, Sample, Verdict
from thinkctl.verifiers.arithmetic_expressions import Expression, UnreadableExpression, read_expression

__all__ = ["Arithmetic", "check_arithmetic"]

_MOST_NUMBERS: Final = 100
_LONGEST_SHOWN: Final = 40
_LARGEST_SHOWN: Final = 10**300
_TIMES: Final = {2: "twice", 3: "three times"}
_HALF: Final = 0.45
"""What either half of a partial score is worth at most: a wrong expression stays clearly below 1."""


@final
@dataclass(frozen=True)
class Arithmetic:
    """Pass an expression that uses each given number exactly once and is exactly the target.

    Reads ``problem.given["numbers"]``, a list of numbers, and ``problem.given["target"]``, one number. The answer may
    be written as models write it, see ``read_expression``; what it claims to be equal to is not believed. Values are
    exact fractions. The feedback says what is wrong: "it uses 5 twice and does not use 10; it equals 23, not 24".
    A check without a reference answer that is never wrong: no passing answer is a mistake.

    The score is 1 or 0. With ``partial=True``, for searches that need to know which wrong answer is nearer, it is in
    [0, 0.9) for a wrong expression: 0.45 times the share of its numbers that are right, plus 0.45 times
    1 / (1 + |value - target| / max(1, |target|)). That is a rule of thumb: near in value is not near in steps.

    Raises ``ConfigurationError`` when it judges a problem that does not give numbers and a target.

    Source: the rules of the game as Yao et al. 2023 (arXiv:2305.10601), section 4.1, check them. Deviations: exact
    fractions in place of computer algebra, and more ways of writing.
    """

    partial: bool = False

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        numbers, target = _given(history.problem)
        if sample.answer is None:
            return Verdict(0.0, passed=False, feedback="There is no expression in the answer.")
        return check_arithmetic(sample.answer.text, numbers, target, partial=self.partial)


def check_arithmetic(
    text: str, numbers: Sequence[int | Fraction], target: int | Fraction, *, partial: bool = False
) -> Verdict:
    """Judge an expression by the numbers it may use and its target; see ``Arithmetic``."""
    try:
        found = read_expression(text)
    except UnreadableExpression as error:
        return Verdict(0.0, passed=False, feedback=f"This is no expression: {error}.")
    wrong = [*_wrong_numbers(found.numbers, numbers)]
    parts = [f"it {_listed(wrong)}"] if wrong else []
    if found.value is None:
        parts.append("it divides by zero")
    elif found.value != target:
        parts.append(f"it equals {_shown(found.value)}, not {_shown(Fraction(target))}")
    if not parts:
        return Verdict(1.0, passed=True, feedback=f"{found.text} = {_shown(Fraction(target))}")
    feedback = f"The expression {found.text} is wrong: {'; '.join(parts)}."
    return Verdict(_nearness(found, numbers, target) if partial else 0.0, passed=False, feedback=feedback)


def _wrong_numbers(used: Iterable[Fraction], given: Sequence[int | Fraction]) -> Iterable[str]:
    """Say which numbers are used too often, too seldom, or without being given."""
    have, may = Counter(used), Counter(abs(Fraction(number)) for number in given)
    for number, times in have.items():
        allowed, word = may[number], _shown(number)
        if allowed == 0:
            yield f"uses {word}, which is not given"
        elif times > allowed:
            yield f"uses {word} {_times(times)}" + (f" (given {_times(allowed)})" if allowed > 1 else "")
    for number, allowed in may.items():
        if (times := have[number]) == 0:
            yield f"does not use {_shown(number)}"
        elif times < allowed:
            yield f"uses {_shown(number)} {_times(times)} (given {_times(allowed)})"


def _nearness(found: Expression, numbers: Sequence[int | Fraction], target: int | Fraction) -> float:
    have, may = Counter(found.numbers), Counter(abs(Fraction(number)) for number in numbers)
    right = (have & may).total() / max(have.total(), may.total(), 1)
    if found.value is None:
        return _HALF * right
    away = abs(found.value - target) / max(Fraction(1), abs(Fraction(target)))
    return _HALF * right + _HALF * float(1 / (1 + away))


def _given(problem: Problem) -> tuple[tuple[Fraction, ...], Fraction]:
    given: Mapping[str, object] = problem.given
    numbers, target = given.get("numbers"), _number(given.get("target"))
    found = [_number(value) for value in cast("list[object]", numbers)] if isinstance(numbers, list) else []
    known = tuple(number for number in found if number is not None)
    if target is None or not known or len(known) < len(found) or len(found) > _MOST_NUMBERS:
        raise ConfigurationError(
            f"problem {problem.id!r} does not say what its expression is made of; arithmetic reads "
            'Problem(given={"numbers": [4, 5, 6, 10], "target": 24}), '
            f"and this gives {dict(given)!r:.100}"
        )
    return known, target


def _number(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(repr(value)) if math.isfinite(value) else None  # 0.1 is a tenth


def _shown(value: Fraction) -> str:
    text = str(value)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"about {float(value):.6g}" if abs(value) < _LARGEST_SHOWN else "a number of more than 300 digits"


def _times(count: int) -> str:
    return "once" if count == 1 else _TIMES.get(count, f"{count} times")


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
