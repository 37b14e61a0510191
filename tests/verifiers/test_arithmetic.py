"""An expression is checked exactly: each given number once, and the target hit; whatever way it is written."""

from __future__ import annotations

import asyncio
import json
import operator
import os
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import solve
from thinkctl import Budget, Problem, registry
from thinkctl.errors import ConfigurationError
from thinkctl.evals.recordings import histories_of
from thinkctl.protocols import Verifier
from thinkctl.runfile import read_pool
from thinkctl.selectors import BestScore
from thinkctl.stopping import Threshold
from thinkctl.strategies import BestOfN
from thinkctl.testing import Script, ScriptedEngine, history_of, sample_of
from thinkctl.types import History, Verdict, spec_of
from thinkctl.verifiers import Arithmetic, check_arithmetic
from thinkctl.verifiers.arithmetic_expressions import UnreadableExpression, read_expression

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("THINKCTL_SHARED", ROOT.parent / "shared"))
POOL = ROOT / "evals" / "pools" / "game24_gpt4_cot_100x100.jsonl.gz"

PUZZLES = """
4-5-6-10 1-2-4-7 2-5-8-11 3-4-4-13 6-7-8-9 1-11-11-13 1-8-10-11 2-3-6-9 1-3-5-9 3-3-7-12 4-5-7-9 1-2-8-13
4-6-6-9 1-4-4-8 1-5-10-11 3-4-6-11 2-4-8-9 1-4-5-13 2-2-7-12 3-3-6-7 1-5-9-13 5-6-7-13 5-5-8-10 2-4-6-12
6-7-8-11 7-9-9-13 3-6-9-12 6-9-12-13 4-7-9-13 5-6-8-12 2-4-6-7 2-5-10-10 6-6-7-12 6-9-9-11 5-8-11-12
5-6-8-10 6-11-12-13 2-2-8-8 2-7-12-13 2-6-8-12 3-4-9-13 4-5-10-12 1-2-7-11 4-5-6-8 6-10-12-13 1-3-9-9
1-4-4-11 2-3-9-10 1-2-3-13 1-6-6-6 1-2-2-9 1-3-6-11 5-10-12-13 2-3-6-6 6-7-10-12 7-8-8-12 3-4-6-8 1-7-9-11
2-3-6-13 2-2-5-12 2-6-8-13 8-8-10-12 1-3-8-13 4-4-7-10 1-7-10-13 1-9-10-13 3-3-4-11 2-5-7-7 3-9-10-13
2-3-4-7 4-4-8-12 1-2-6-10 1-5-12-12 5-6-6-8 7-7-8-11 1-3-7-10 3-3-9-12 3-5-7-10 4-10-12-13 2-3-10-12
3-4-6-6 5-8-8-8 6-8-8-12 2-3-4-9 2-6-7-11 5-9-12-12 1-2-7-12 2-4-5-6 5-5-8-13 2-3-3-10 3-4-8-12 2-4-6-11
2-2-8-9 1-5-6-7 5-8-10-11 4-4-9-12 2-5-6-6 2-4-9-12 4-8-11-13 4-9-10-13
""".split()
"""The puzzles 900 to 999 of the Game of 24, which the recorded pool is about."""


def problem(numbers: object = (4, 5, 6, 10), target: object = 24) -> Problem:
    listed = list(numbers) if isinstance(numbers, tuple) else numbers
    return Problem.model_validate({"messages": "Make it.", "given": {"numbers": listed, "target": target}})


def judged(answer: str | None, asked: Problem | None = None, **settings: bool) -> Verdict:
    sample = sample_of(answer)
    return asyncio.run(
        Arithmetic(**settings).judge(history_of(sample, problem=asked or problem()), sample, {})
    )


# -- what passes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "(10 - 4) * 5 - 6",
        "(10-4)*5-6 = 24",
        "24 = (10 - 4) * 5 - 6",
        "(10 - 4) * 5 - 6 = 6 * 5 - 6 = 30 - 6 = 24",
        "(10 - 4) * 5 - 6 = 23",  # it is what it is, whatever it claims
        "x = (10 - 4) * 5 - 6",
        r"(10 - 4) \times 5 - 6",
        r"\left( 10 - 4 \right) \cdot 5 - 6",
        r"\[ \left(10 - 4\right) \times 5 - 6 = 24 \]",
        r"\boxed{(10 - 4) \times 5 - 6}",
        r"$\big(10 - 4\big) \ast 5 \, - \, 6$",
        "[10 - 4] × 5 − 6",
        "{10 - 4} ⋅ 5 – 6",
        "(10 - 4) x 5 - 6.",
        "(10 - 4)5 - 6",
        "(10 - 4)(5) - 6",
        "5(10 - 4) - 6",
        "-6 + 5 * (10 - 4)",
        "-(4 - 10) * 5 - 6",
        "(10.0 - 4) * 5 - 6",
        "**(10 - 4) * 5 - 6**",
        "`(10 - 4) * 5 - 6`",
        "Answer: (10 - 4) * 5 - 6 = 24",
        "The answer is (10 - 4) * 5 - 6",
        "10 - 4 = 6 (left: 5 6 6)\n5 * 6 = 30 (left: 6 30)\n30 - 6 = 24 (left: 24)\n(10 - 4) * 5 - 6 = 24",
        "(10 - 4) * 5 - 6\n= 24",
        "(10 - 4) * 5 - 6\n\nI hope that is right!",
    ],
)
def test_a_right_expression_passes_however_it_is_written(answer) -> None:
    verdict = judged(answer)
    assert (verdict.score, verdict.passed) == (1.0, True), verdict.feedback


@pytest.mark.parametrize(
    ("answer", "numbers", "target"),
    [
        ("8 / (3 - 8/3)", (3, 3, 8, 8), 24),
        (r"\frac{8}{3 - \frac{8}{3}}", (3, 3, 8, 8), 24),
        (r"\dfrac{8}{3-\tfrac83}", (3, 3, 8, 8), 24),
        (r"\frac{1}{2} \div \frac14", (1, 2, 1, 4), 2),
        (r"6 ÷ 4", (6, 4), 1.5),
        ("0.1 + 0.2", (0.1, 0.2), 0.3),
        ("2 - 5", (2, 5), -3),
        ("7", (7,), 7),
        ("-4 * -6", (4, 6), 24),
        ("28 - 4", (-4, 28), 24),  # a sign is no part of a number
        ("1 - 1", (1, 1), 0),
    ],
)
def test_values_are_exact(answer, numbers, target) -> None:
    assert judged(answer, problem(numbers, target)).passed is True


# -- what fails, and what is said of it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("(10 - 5) * 5 - 4 + 6", "it uses 5 twice"),
        ("(10 - 5) * 5 - 4 + 6", "equals 27, not 24"),
        ("4 * 6", "it does not use 5 and does not use 10."),
        ("4 + 5 + 6 + 10", "it equals 25, not 24."),
        ("(4 + 5) * 6 / 10", "it equals 27/5, not 24."),
        ("4 * 6 * (10 - 5 - 4)", "it uses 4 twice."),
        ("3 * 8", "uses 3, which is not given"),
        ("10 / (4 + 6 - 5 - 5)", "divides by zero"),
        (r"\frac{10}{0}", "divides by zero"),
        ("4 ** 2", "** is not allowed"),
        ("4 // 2", "// is not allowed"),
        ("4 ^ 2", "'^' is not allowed"),
        ("4!", "'!' is not allowed"),
        ("6 / 2(3)", "after a division it is ambiguous"),
        ("(10 - 4 * 5", "a bracket is not closed"),
        ("(10 - 4] * 5", "a bracket is not closed before ']"),
        ("10 - 4) * 5", "cannot read on from ') * 5'"),
        ("10 -", "ends where a number should follow"),
        ("10 4", "cannot read on from '4'"),
        ("4 6 * 10", "cannot read on from '6 * 10'"),
        ("There is no solution.", "cannot read"),
        ("sqrt(4) + 22", "cannot read 'sqrt"),
        ("__import__('os')", "cannot read"),
        ("1e400", "cannot read 'e400'"),
        ("= 24", "does not use 4"),
        ("=", "This is no expression"),
        ("", "there is no expression"),
        (None, "no expression in the answer"),
    ],
)
def test_a_wrong_expression_fails_and_the_feedback_says_why(answer, says) -> None:
    verdict = judged(answer)
    assert (verdict.score, verdict.passed) == (0.0, False)
    assert says in verdict.feedback


def test_how_often_a_repeated_number_may_be_used_is_said() -> None:
    asked = problem((2, 2, 8, 8))
    assert "uses 2 three times (given twice)" in judged("2 * 2 * 2 + 8 + 8", asked).feedback
    assert "uses 8 once (given twice)" in judged("2 * 2 * 8", asked).feedback


@pytest.mark.parametrize("given_", [{}, {"numbers": [1]}, {"target": 3}, {"numbers": [], "target": 3}])
def test_a_problem_that_gives_no_numbers_is_refused(given_) -> None:
    asked = Problem.model_validate({"messages": "Make it.", "given": given_})
    with pytest.raises(ConfigurationError, match="numbers"):
        judged("1 + 2", asked)


@pytest.mark.parametrize("value", ["4", True, None, [4], 1e999])
def test_what_is_no_number_is_refused(value) -> None:
    asked = problem().model_copy(update={"given": {"numbers": [value], "target": 4}})
    with pytest.raises(ConfigurationError, match="numbers"):
        judged("4", asked)


# -- hostile texts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "-" * 399 + "4",
        "(" * 39 + "4" + ")" * 39,
        "(" * 60 + "4" + ")" * 60,
        "9" * 5_000,
        "*".join(["999999999999999"] * 20),
        "\\frac" * 70,
        "\\frac{1}" * 50,
        "4 = " * 1_000,
        "4\n" * 50_000,
        "a " * 100_000,
        "Answer" * 10_000 + ":",
        "\\left" * 10_000,
        "{" * 300 + "4",
        "\ud800 4",
        "٣ + ٤",
        "4\x00",
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_text_is_judged_at_once(text) -> None:
    began = time.perf_counter()
    assert check_arithmetic(text, [4, 5, 6, 10], 24, partial=True).passed is False
    assert time.perf_counter() - began < 1


@given(st.text(max_size=80) | st.text(alphabet="0123456789+-*/()[]{}\\frac=. x\n", max_size=80))
def test_any_text_is_judged(text) -> None:
    verdict = check_arithmetic(text, [4, 5], 9, partial=True)
    assert verdict.passed is (verdict.score == 1.0)


OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
Tree = tuple[str, Fraction, tuple[int, ...]]


def leaf(number: int) -> Tree:
    return str(number), Fraction(number), (number,)


def joined(parts: tuple[Tree, str, Tree]) -> Tree:
    (left, a, used), sign, (right, b, more) = parts
    return f"({left} {sign} {right})", OPERATIONS[sign](a, b), used + more


trees = st.recursive(
    st.integers(0, 99).map(leaf),
    lambda deeper: st.tuples(deeper, st.sampled_from(sorted(OPERATIONS)), deeper).map(joined),
    max_leaves=8,
)


@given(trees)
def test_an_expression_has_the_value_and_the_numbers_it_was_made_of(tree) -> None:
    text, value, used = tree
    found = read_expression(text)
    assert (found.value, found.numbers) == (value, used)
    assert check_arithmetic(text, used, value).passed is True
    assert check_arithmetic(text, used, value + 1).passed is False
    assert check_arithmetic(text, (*used, 3), value).passed is False


@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(1, 20)), min_size=1, max_size=6))
def test_signs_bind_as_everywhere(steps) -> None:
    text = "7" + "".join(f"{sign}{number}" for sign, number in steps)
    fractions = "Fraction(7)" + "".join(f"{sign}Fraction({number})" for sign, number in steps)
    assert read_expression(text).value == eval(
        fractions, {"Fraction": Fraction}
    )  # its own text, not a model's


def test_what_is_no_expression_is_an_error() -> None:
    with pytest.raises(UnreadableExpression, match="no expression"):
        read_expression(" \n ")


# -- partial scores ------------------------------------------------------------------------------------------------


def test_partial_scores_rise_with_nearness_and_stay_below_those_that_pass() -> None:
    ladder = [
        "no solution",
        "3 * 9 * 9",
        "4 * 5 * 10",
        "4 + 5 - 6 - 10",
        "4 + 5 + 6 + 10",
        "(10 - 4) * 5 - 6",
    ]
    scores = [judged(answer, partial=True).score or 0.0 for answer in ladder]
    assert all(low < high for low, high in pairwise(scores))
    assert scores[0] == 0
    assert scores[-2] < 0.9 < scores[-1] == 1
    assert judged("4 + 5 + 6 + 10", partial=False).score == 0


# -- as a part -----------------------------------------------------------------------------------------------------


def test_it_is_a_registered_verifier() -> None:
    assert isinstance(Arithmetic(), Verifier)
    assert registry.build(spec_of(Arithmetic(partial=True))) == Arithmetic(partial=True)


def test_best_of_n_stops_at_the_first_expression_that_passes() -> None:
    def tries(number: int, prompt: str) -> Script:
        return Script(["\\boxed{4 * 6}", "\\boxed{(10 - 4) \\times 5 - 6 = 24}"][min(number, 1)])

    found = solve(
        ScriptedEngine(tries),
        BestOfN(8),
        Budget(tokens=500),
        verifier=Arithmetic(),
        policy=Threshold(1.0),
        problem=problem(),
    )
    assert found.answer is not None
    assert found.answer.sample == 1
    assert len(found.samples) == 2


def test_best_of_100_solves_49_of_the_recorded_puzzles_and_one_sample_4_in_100() -> None:
    pool = read_pool(POOL)

    async def checked(history: History) -> History:
        numbers = [int(number) for number in PUZZLES[int(history.problem.id[-3:]) - 900].split("-")]
        asked = history.problem.model_copy(update={"given": {"numbers": numbers, "target": 24}})
        history = replace(history, problem=asked)
        verdicts = [await Arithmetic().judge(history, sample, {}) for sample in history.samples]
        pairs = zip(history.samples, verdicts, strict=True)
        return replace(history, samples=tuple(replace(sample, verdict=verdict) for sample, verdict in pairs))

    async def all_checked() -> list[History]:
        return [await checked(history) for history in histories_of(pool)]

    histories = asyncio.run(all_checked())
    passed = {
        history.problem.id: [bool(sample.verdict and sample.verdict.passed) for sample in history.samples]
        for history in histories
    }
    assert passed == {name: list(said) for name, said in pool.correct.items()}  # all 10,000 as recorded
    assert sum(map(sum, passed.values())) == 403  # 4.03 %
    chosen = [BestScore().select(history) for history in histories]
    solved = [
        answer is not None and passed[history.problem.id][answer.sample]
        for history, answer in zip(histories, chosen, strict=True)
    ]
    assert sum(solved) == 49


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("countdown/countdown2", 200),
        ("countdown/countdown3", 500),
        ("countdown/countdown4", 500),
        ("game24/data", 1362),
        ("game24/tot_hard_100", 100),
    ],
)
def test_every_reference_solution_passes(name, rows) -> None:
    path = SHARED / "data" / "sets" / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"the set {path.name} is not there; set THINKCTL_SHARED to the folder with data/sets")
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    passed = [check_arithmetic(row["answer"], row["numbers"], row["target"]).passed for row in entries]
    assert passed == [True] * rows
