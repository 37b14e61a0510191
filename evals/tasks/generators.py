"""Kinds of problems that a program makes and whose answer it knows: one function each, of dice and a level.

A function draws with nothing but the ``random.Random`` it is given, so that a problem is the same on every machine.
A level is the number of steps a solver has to make, more or less.
"""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, final

from thinkctl.answers import form

__all__ = ["GENERATORS", "Generator", "numbers_and_target"]

Dice: TypeAlias = random.Random
Made: TypeAlias = "tuple[str, str]"


@final
@dataclass(frozen=True, slots=True)
class Generator:
    """A kind of problems. ``make`` returns a question and its answer; ``right`` compares an answer with that."""

    about: str
    form: str
    make: Callable[[Dice, int], Made]
    right: Callable[[str, str], bool]
    levels: int = 10
    chance: Callable[[int], float] = lambda _level: 0.0


_NAMES: Final = "Ada Ben Cleo Dan Eve Finn Gina Hugo Iris Jon".split()
_THINGS: Final = "marbles stickers shells coins cards buttons stamps beads".split()
_OTHERS: Final = "pencils books plums postcards ribbons stones".split()
_COLOURS: Final = "red blue green yellow white black orange purple".split()
_LETTERS: Final = "abcdefghiklmnoprstuw"
_VOWELS: Final = "aeiou"
_MOST: Final = 5_000
_FIRST_DAY: Final = datetime.date(1960, 1, 1).toordinal()
_LAST_DAY: Final = datetime.date(2080, 12, 31).toordinal()
_DAYS: Final = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()


def _arithmetic(dice: Dice, level: int) -> Made:
    value = dice.randint(2, 20)
    steps = [f"Start with {value}."]
    for _ in range(level + 1):
        divisors = [each for each in range(2, 10) if value % each == 0 and value]
        kinds = ["add", "subtract"]
        kinds += ["multiply"] if abs(value) * 9 <= _MOST else []
        kinds += ["divide"] if divisors else []
        kind = dice.choice(kinds)
        if kind == "add":
            by = dice.randint(2, 99)
            value, said = value + by, f"Add {by}."
        elif kind == "subtract":
            by = dice.randint(2, 99)
            value, said = value - by, f"Subtract {by}."
        elif kind == "multiply":
            by = dice.randint(2, 9)
            value, said = value * by, f"Multiply the result by {by}."
        else:
            by = dice.choice(divisors)
            value, said = value // by, f"Divide the result by {by}."
        steps.append(said)
    return " ".join([*steps, "What is the result?"]), str(value)


def _words(dice: Dice, level: int) -> Made:
    who, friend, other = dice.sample(_NAMES, 3)
    thing, (besides, more) = dice.choice(_THINGS), dice.sample(_OTHERS, 2)
    count = dice.randint(8, 40)
    story = [f"{who} has {count} {thing}."]
    for _ in range(level):
        number, packs = dice.randint(2, 12), dice.randint(2, 5)
        kind = dice.choice(
            ["buys", "finds", "packs", *(["gives", "loses"] if count > number else []), *_halves(count)]
        )
        if kind == "buys":
            count, said = count + number, f"{who} buys {number} more {thing}."
        elif kind == "finds":
            count, said = count + 2 * number, f"{who} finds twice as many {thing} as {number}."
        elif kind == "packs":
            count, said = count + packs * number, f"{who} gets {packs} packs of {number} {thing} each."
        elif kind == "gives":
            count, said = count - number, f"{who} gives {number} {thing} to {friend}."
        elif kind == "loses":
            count, said = count - number, f"{who} loses {number} {thing}."
        else:
            count, said = count // 2, f"{who} sells half of all the {thing} left."
        story.append(said)
    for _ in range((level + 1) // 2):
        number = dice.randint(2, 60)
        said = dice.choice(
            [
                f"{other} has {number} {thing}.",
                f"{who} also has {number} {besides}.",
                f"The way to the shop is {number} minutes long.",
                f"{friend} buys {number} {more}.",
            ]
        )
        story.insert(dice.randint(1, len(story)), said)
    return " ".join([*story, f"How many {thing} does {who} have now?"]), str(count)


def _halves(count: int) -> list[str]:
    return ["sells"] if count % 2 == 0 and count else []


def _lists(dice: Dice, level: int) -> Made:
    values = dice.sample(range(1, 60), 4 + min(level, 6))
    said = [f"Take the list {values}."]
    for _ in range(level):
        by = dice.randint(1, 3)
        kinds = ["reverse", "ascending", "descending", "rotate", "add", "ends"]
        kinds += ["smallest", "largest", "first"] if len(values) > 3 else []
        kind = dice.choice(kinds)
        if kind == "reverse":
            values, step = values[::-1], "Reverse it."
        elif kind == "ascending":
            values, step = sorted(values), "Sort it from the smallest to the largest."
        elif kind == "descending":
            values, step = sorted(values, reverse=True), "Sort it from the largest to the smallest."
        elif kind == "rotate":
            values, step = values[by:] + values[:by], f"Move its first {by} to the end, in their order."
        elif kind == "add":
            values, step = [each + by for each in values], f"Add {by} to each number."
        elif kind == "ends":
            values, step = [values[-1], *values[1:-1], values[0]], "Swap its first and its last number."
        elif kind == "first":
            values, step = values[1:], "Remove its first number."
        else:
            gone = min(values) if kind == "smallest" else max(values)
            values, step = [each for each in values if each != gone], f"Remove the {kind} number."
        said.append(step)
    return " ".join([*said, "What is the list now? Write it as [1, 2, 3]."]), str(values)


def _strings(dice: Dice, level: int) -> Made:
    word = "".join(dice.choices(_LETTERS, k=5 + min(level, 5)))
    said = [f'Take the letters "{word}".']
    for _ in range(level):
        old, new = dice.choice(word), dice.choice(_LETTERS)
        kinds = ["reverse", "rotate", "ends", "replace", "double"]
        kinds += ["vowels"] if any(sign in _VOWELS for sign in word) and _consonants(word) > 2 else []
        kind = dice.choice(kinds)
        if kind == "reverse":
            word, step = word[::-1], "Reverse them."
        elif kind == "rotate":
            word, step = word[1:] + word[0], "Move the first letter to the end."
        elif kind == "ends":
            word, step = word[-1] + word[1:-1] + word[0], "Swap the first and the last letter."
        elif kind == "replace":
            word, step = word.replace(old, new), f'Replace every "{old}" by "{new}".'
        elif kind == "double":
            word, step = word + word[-1], "Write the last letter twice."
        else:
            word = "".join(sign for sign in word if sign not in _VOWELS)
            step = "Remove the vowels a, e, i, o and u."
        said.append(step)
    return " ".join([*said, "What are the letters now? Write them without spaces."]), word


def _consonants(word: str) -> int:
    return sum(sign not in _VOWELS for sign in word)


def _calendar(dice: Dice, level: int) -> Made:
    day = datetime.date.fromordinal(dice.randint(_FIRST_DAY, _LAST_DAY))
    said = [f"Today is {_DAYS[day.weekday()]}, {day:%m/%d/%Y} (month/day/year)."]
    for _ in range(level):
        number = dice.randint(3, 60)
        kind = dice.choice(["later", "earlier", "weeks", "next"])
        if kind == "later":
            day, step = day + datetime.timedelta(number), f"Go {number} days forward."
        elif kind == "earlier":
            day, step = day - datetime.timedelta(number), f"Go {number} days back."
        elif kind == "weeks":
            weeks = number % 9 + 2
            day, step = day + datetime.timedelta(weeks=weeks), f"Go {weeks} weeks forward."
        else:
            wanted = dice.randrange(7)
            day += datetime.timedelta((wanted - day.weekday() - 1) % 7 + 1)
            step = f"Go to the first {_DAYS[wanted]} after that day."
        said.append(step)
    return " ".join([*said, "Which date is it?"]), f"{day:%m/%d/%Y}"


def _clock(dice: Dice, level: int) -> Made:
    minutes = dice.randrange(24 * 60)
    said = [f"A clock with 24 hours shows {_time(minutes)}."]
    for _ in range(level):
        hours, rest = dice.randint(0, 11), dice.randint(5, 59)
        forward = dice.random() < 0.6
        span = f"{hours} hours and {rest} minutes" if hours else f"{rest} minutes"
        minutes += (hours * 60 + rest) * (1 if forward else -1)
        said.append(f"Set it {span} {'forward' if forward else 'back'}.")
    return " ".join([*said, "What does it show? Write it as 07:30."]), _time(minutes % (24 * 60))


def _time(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def _logic(dice: Dice, level: int) -> Made:
    known = {name: dice.random() < 0.5 for name in "ABCD"}
    said = [f"{name} is {str(value).lower()}." for name, value in known.items()]
    for place in range(level):
        name = chr(ord("E") + place)
        left = list(known)[-1] if place else dice.choice("ABCD")
        right = dice.choice([each for each in known if each != left])
        turned = dice.random() < 0.5
        joined = dice.choice(["and", "or", "one"])
        one, other = known[left], known[right] != turned
        written = f"(not {right})" if turned else right
        if joined == "and":
            known[name], rule = one and other, f"({left} and {written})"
        elif joined == "or":
            known[name], rule = one or other, f"({left} or {written})"
        else:
            known[name], rule = one != other, f"(exactly one of {left} and {written})"
        said.append(f"{name} is {rule}.")
    last = list(known)[-1]
    return " ".join([*said, f"Is {last} true or false? Answer True or False."]), str(known[last])


def _swaps(dice: Dice, level: int) -> Made:
    number = _people(level)
    people, balls = dice.sample(_NAMES, number), dice.sample(_COLOURS, number)
    holds = dict(zip(people, balls, strict=True))
    said = [", ".join(f"{who} has the {ball} ball" for who, ball in holds.items()) + "."]
    for _ in range(level + 1):
        one, other = dice.sample(people, 2)
        holds[one], holds[other] = holds[other], holds[one]
        said.append(f"{one} and {other} swap balls.")
    asked = dice.choice(people)
    question = f"Which colour has the ball of {asked} now? Answer with the colour alone."
    return " ".join([*said, question]), holds[asked]


def _people(level: int) -> int:
    return min(3 + level // 3, len(_COLOURS))


def numbers_and_target(dice: Dice, level: int) -> tuple[list[int], int]:
    """Draw ``level + 1`` numbers from 1 to 99, and a target from 10 to 199 that can be made of all of them."""
    while True:
        numbers = [dice.randint(1, 99) for _ in range(level + 1)]
        values = list(numbers)
        while len(values) > 1:
            one, other = (values.pop(dice.randrange(len(values))) for _ in range(2))
            high, low = max(one, other), min(one, other)
            results = [high + low, high - low, high * low]
            results += [high // low] if low and high % low == 0 else []
            values.append(dice.choice(results))
        if 10 <= values[0] <= 199:
            return numbers, values[0]


def _as(form_name: str) -> Callable[[str, str], bool]:
    key = form(form_name).key
    return lambda text, answer: key(text) == key(answer)


def _same_list(text: str, answer: str) -> bool:
    key, bare = form("boxed").key, answer.strip("[]")
    return key(text) in {key(answer), key(bare), key(f"({bare})")}


def _same_letters(text: str, answer: str) -> bool:
    return form("text").key(text.strip(" \t\n.'\"`*$")) == form("text").key(answer)


GENERATORS: Final = {
    "arithmetic": Generator("a chain of sums, products and quotients", "number", _arithmetic, _as("number")),
    "calendar": Generator("days and weeks forward and back", "date", _calendar, _as("date")),
    "clock": Generator("hours and minutes forward and back", "boxed", _clock, _as("boxed")),
    "lists": Generator("steps on a list of numbers", "boxed", _lists, _same_list),
    "logic": Generator(
        "truth values that depend on each other", "boxed", _logic, _as("boxed"), chance=lambda _level: 0.5
    ),
    "strings": Generator("steps on a word", "text", _strings, _same_letters),
    "swaps": Generator(
        "who has which ball after swaps",
        "boxed",
        _swaps,
        _as("boxed"),
        chance=lambda level: 1 / _people(level),
    ),
    "words": Generator("word problems with sentences that mislead", "number", _words, _as("number")),
}
"""Every kind by its name. Countdown is apart: it is checked without a reference."""
