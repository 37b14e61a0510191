"""Tasks that need no download: the same problems on every machine, answers that are right, exact graders."""

from __future__ import annotations

import datetime
import re
from asyncio import run
from collections import Counter
from itertools import permutations
from random import Random
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl.errors import ConfigurationError
from thinkctl.evals.tasks import Task, task
from thinkctl.evals.tasks.generators import GENERATORS, numbers_and_target

CHECKSUMS = {
    "arithmetic": "fe3979e3495e",
    "calendar": "308c00a9ae38",
    "clock": "a8d805f9392c",
    "countdown": "61756255c65c",
    "lists": "4eb19d07a690",
    "logic": "59b57fe9336b",
    "strings": "18620f780809",
    "swaps": "acff1e186b98",
    "words": "40bad2dbab7c",
}


def made(kind: str, level: int, dice: int) -> tuple[str, str]:
    return GENERATORS[kind].make(Random(dice), level)


@pytest.mark.parametrize(("kind", "checksum"), CHECKSUMS.items())
def test_a_seed_has_the_same_problems_on_every_machine(kind: str, checksum: str) -> None:
    """Whoever changes a generator changes what studies of it mean: then its version goes up, and these change."""
    found = task(f"generated:{kind}?level=3&size=50&seed=1")
    assert found.checksum.startswith(checksum)
    assert found.version == "generators 1"
    assert found.name == f"{kind}-level3-seed1"


@pytest.mark.parametrize("kind", CHECKSUMS)
def test_more_problems_begin_with_those_of_fewer_and_another_seed_has_others(kind: str) -> None:
    few, many = (task(f"generated:{kind}?level=2&size={size}") for size in (10, 40))
    other = task(f"generated:{kind}?level=2&size=40&seed=1")
    assert few.problems == many.problems[:10]
    assert (
        len({problem.text for problem in many.problems})
        == len({problem.id for problem in many.problems})
        == 40
    )
    assert {problem.text for problem in other.problems} != {problem.text for problem in many.problems}


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_answer_is_right_and_that_of_another_problem_seldom(kind: str) -> None:
    for level in range(1, GENERATORS[kind].levels + 1):
        right = GENERATORS[kind].right
        drawn = [made(kind, level, dice) for dice in range(20)]
        assert all(right(answer, answer) for _, answer in drawn)
        for _, answer in drawn:
            assert (
                sum(right(answer, other) for _, other in drawn) == Counter(each for _, each in drawn)[answer]
            )


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_arithmetic_is_what_its_sentences_say(level: int, dice: int) -> None:
    question, answer = made("arithmetic", level, dice)
    value = int(re.findall(r"Start with (\d+)", question)[0])
    steps = re.findall(r"(Add|Subtract|Multiply the result by|Divide the result by) (\d+)\.", question)
    for said, number in steps:
        by = int(number)
        quotient, rest = divmod(value, by)
        assert rest == 0 or not said.startswith("Divide")
        value = {"A": value + by, "S": value - by, "M": value * by, "D": quotient}[said[0]]
    assert (len(steps), str(value)) == (level + 1, answer)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_words_count_only_what_the_person_does_with_the_thing(level: int, dice: int) -> None:
    question, answer = made("words", level, dice)
    thing, who = re.findall(r"How many (\w+) does (\w+) have now", question)[0]
    count = 0
    rules = [
        (rf"^{who} has (\d+) {thing}$", lambda now, each: each),
        (rf"^{who} buys (\d+) more {thing}$", lambda now, each: now + each),
        (rf"^{who} finds twice as many {thing} as (\d+)$", lambda now, each: now + 2 * each),
        (rf"^{who} gives (\d+) {thing} to \w+$", lambda now, each: now - each),
        (rf"^{who} loses (\d+) {thing}$", lambda now, each: now - each),
        (rf"^{who} sells half of all the {thing} left$", lambda now, each: now // 2),
    ]
    steps = 0
    for sentence in question.split(". "):
        packs = re.fullmatch(rf"{who} gets (\d+) packs of (\d+) {thing} each", sentence)
        if packs:
            count, steps = count + int(packs[1]) * int(packs[2]), steps + 1
        for pattern, rule in rules:
            if match := re.match(pattern, sentence):
                assert "half" not in sentence or count % 2 == 0
                count, steps = rule(count, int(match[1]) if match.groups() else 0), steps + 1
    assert (str(count), steps) == (answer, level + 1)
    assert count >= 0


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_the_clock_and_the_calendar_agree_with_the_library_s(level: int, dice: int) -> None:
    question, answer = made("clock", level, dice)
    now = datetime.datetime.strptime(re.findall(r"shows (\d\d:\d\d)", question)[0], "%H:%M")  # noqa: DTZ007
    steps = re.findall(r"Set it (?:(\d+) hours and )?(\d+) minutes (forward|back)", question)
    for hours, minutes, way in steps:
        span = datetime.timedelta(hours=int(hours or 0), minutes=int(minutes))
        now += span if way == "forward" else -span
    assert (len(steps), f"{now:%H:%M}") == (level, answer)

    question, answer = made("calendar", level, dice)
    day = datetime.datetime.strptime(re.findall(r"\d\d/\d\d/\d{4}", question)[0], "%m/%d/%Y")  # noqa: DTZ007
    assert f"Today is {day:%A}," in question
    for days, weeks, back, name in re.findall(
        r"Go (?:(\d+) days forward|(\d+) weeks forward|(\d+) days back|to the first (\w+) after that day)",
        question,
    ):
        day += datetime.timedelta(days=int(days or 0) + 7 * int(weeks or 0) - int(back or 0))
        if name:
            day += datetime.timedelta(days=1)
            while f"{day:%A}" != name:
                day += datetime.timedelta(days=1)
    assert f"{day:%m/%d/%Y}" == answer


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_logic_and_swaps_come_out_as_a_reader_works_them_out(level: int, dice: int) -> None:
    question, answer = made("logic", level, dice)
    known: dict[str, bool] = {}
    for name, rule in re.findall(r"([A-Z]) is ([^.?]+)\.", question):
        parts = re.fullmatch(r"\((exactly one of )?([A-Z]) (and|or) \(?(not )?([A-Z])\)+", rule)
        if parts is None:
            known[name] = rule == "true"
            continue
        left, right = known[parts[2]], known[parts[5]] != bool(parts[4])
        known[name] = (
            (left != right) if parts[1] else (left and right) if parts[3] == "and" else (left or right)
        )
    assert len(known) == 4 + level
    assert str(known[list(known)[-1]]) == answer

    question, answer = made("swaps", level, dice)
    holds = dict(re.findall(r"(\w+) has the (\w+) ball", question))
    for one, other in re.findall(r"(\w+) and (\w+) swap", question):
        holds[one], holds[other] = holds[other], holds[one]
    assert holds[re.findall(r"ball of (\w+) now", question)[0]] == answer
    assert 1 / len(holds) == pytest.approx(GENERATORS["swaps"].chance(level))


LIST_STEPS = [
    (r"Reverse it", lambda now, by: now[::-1]),
    (r"Sort it from the smallest", lambda now, by: sorted(now)),
    (r"Sort it from the largest", lambda now, by: sorted(now)[::-1]),
    (r"Move its first (\d+) to the end", lambda now, by: now[by:] + now[:by]),
    (r"Add (\d+) to each", lambda now, by: [each + by for each in now]),
    (r"Swap its first and its last", lambda now, by: now[-1:] + now[1:-1] + now[:1]),
    (r"Remove its first number", lambda now, by: now[1:]),
    (r"Remove the smallest", lambda now, by: [each for each in now if each > min(now)]),
    (r"Remove the largest", lambda now, by: [each for each in now if each < max(now)]),
]
LETTER_STEPS = [
    (r"Reverse them", lambda now, old, new: now[::-1]),
    (r"Move the first letter", lambda now, old, new: now[1:] + now[:1]),
    (r"Swap the first", lambda now, old, new: now[-1:] + now[1:-1] + now[:1]),
    (
        r'Replace every "(.)" by "(.)"',
        lambda now, old, new: "".join(new if each == old else each for each in now),
    ),
    (r"Write the last letter twice", lambda now, old, new: now + now[-1:]),
    (r"Remove the vowels", lambda now, old, new: re.sub("[aeiou]", "", now)),
]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 10), st.integers(0, 10_000))
def test_lists_and_strings_come_out_as_a_reader_works_them_out(level: int, dice: int) -> None:
    question, answer = made("lists", level, dice)
    values = [int(each) for each in re.findall(r"Take the list \[([^]]+)\]", question)[0].split(", ")]
    steps = question.split(". ")[1:-1]
    for step in steps:
        ((match, rule),) = [
            (found, rule) for pattern, rule in LIST_STEPS if (found := re.match(pattern, step))
        ]
        values = rule(values, int(match[1]) if match.groups() else 0)
    assert (len(steps), str(values)) == (level, answer)

    question, answer = made("strings", level, dice)
    word = re.findall(r'Take the letters "(\w+)"', question)[0]
    steps = question.split(". ")[1:-1]
    for step in steps:
        ((match, change),) = [
            (found, rule) for pattern, rule in LETTER_STEPS if (found := re.match(pattern, step))
        ]
        word = change(word, *(match.groups() or ("", "")))
    assert (len(steps), word) == (level, answer)
    assert word


@pytest.mark.parametrize("level", [1, 2])
def test_a_target_of_countdown_can_be_made(level: int) -> None:
    """By brute force: all orders of the numbers, from left to right, which is all there is for so few."""
    for dice in range(30):
        numbers, target = numbers_and_target(Random(dice), level)
        reached: set[float] = set()
        for order in permutations(numbers):
            values: set[float] = {order[0]}
            for number in order[1:]:
                values = {
                    result
                    for value in values
                    for result in (value + number, value - number, number - value, value * number)
                } | {
                    result
                    for value in values
                    for result in (value / number if number else value, number / value if value else number)
                }
            reached |= values
        assert any(abs(value - target) < 1e-9 for value in reached), (numbers, target)
        assert len(numbers) == level + 1


def test_countdown_is_checked_without_a_reference() -> None:
    found = task("generated:countdown?level=1&size=3")
    problem = found.problems[0]
    one, other = cast("list[int]", problem.given["numbers"])
    good = [f"{a} {sign} {b}" for a, b in ((one, other), (other, one)) for sign in "+-*/"]
    assert sum(run(found.grades([(problem, each) for each in good]))) >= 1
    assert found.verifier is not None


GRADED = [
    (
        "lists",
        "[3, 5]",
        ["[3,5]", "3, 5", "(3, 5)", r"\text{[3, 5]}"],
        ["[5, 3]", "[3]", "35", "", "[3, 5, 5]"],
    ),
    ("strings", "abc", ["abc", '"abc"', "'abc'.", " ABC "], ["abcd", "a b c", "cba", ""]),
    ("calendar", "03/05/2021", ["03/05/2021", "2021-03-05", "March 5, 2021"], ["05/03/2021", "March 5", ""]),
    ("clock", "00:05", ["00:05", "0:05"], ["12:05", "0:50", "5", ""]),
    ("logic", "True", ["True", "true", r"\text{True}"], ["False", "not true", ""]),
    ("swaps", "red", ["red", "Red", r"\text{red}"], ["blue", "red or blue", ""]),
    ("words", "12", ["12", "12.0", "12 marbles"], ["21", "1", ""]),
]


@pytest.mark.parametrize(("kind", "answer", "right", "wrong"), GRADED)
def test_graders_know_spellings_and_nothing_else(
    kind: str, answer: str, right: list[str], wrong: list[str]
) -> None:
    check = GENERATORS[kind].right
    assert [check(text, answer) for text in right] == [True] * len(right)
    assert [check(text, answer) for text in wrong] == [False] * len(wrong)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("arithmetic?level=11", "level=11: arithmetic has levels from 1 to 10"),
        ("arithmetic?level=0", "level=0"),
        ("countdown?level=6", "countdown has levels from 1 to 5"),
        ("words?size=0", "size=0: give a number of problems from 1"),
        ("words?size=20001", "size=20001"),
        ("logic?level=1&size=5000", r"logic at level 1 has no 5000 different problems \(\d+ were found\)"),
    ],
)
def test_what_there_is_not_is_an_error(spec: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        task(f"generated:{spec}")


def test_the_card_says_that_nobody_has_seen_them() -> None:
    card = task("generated:swaps?level=1&size=5").card()
    assert "stand nowhere" in card.contamination
    assert (card.public_since, card.public, card.forms) == (None, "nothing", ("boxed",))
    assert card.chance == pytest.approx(1 / 3)


def test_a_task_that_says_nothing_of_contamination_is_unknown() -> None:
    async def grade(problem: object, text: str) -> bool:
        return False

    assert "unknown" in Task("x", "a", "b", "c", (), grade).card().contamination
