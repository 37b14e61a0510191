"""Read an arithmetic expression as models write it: its exact value, and the numbers it is made of.

Text goes in, fractions come out; nothing is evaluated as a program. Length, depth and digits are bounded, and there is
no exponent, so that no text takes long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final, final

__all__ = ["Expression", "UnreadableExpression", "read_expression"]

_LONGEST_TEXT: Final = 4_000
_LONGEST_EXPRESSION: Final = 400
"""Characters of one expression."""
_MOST_LINES: Final = 40
_MOST_DIGITS: Final = 15
_DEEPEST: Final = 40
"""Brackets within brackets."""

_FRACTION: Final = "\ue000"
"""Stands for a fraction in LaTeX, whose two arguments follow."""
_SIGNS: Final = str.maketrans(
    {
        **dict.fromkeys("×∗⋅·∙•✕✖⨯", "*"),
        **dict.fromkeys("÷∕⁄／", "/"),
        **dict.fromkeys("−–—－", "-"),
        "＋": "+",
        "（": "(",
        "）": ")",
        "［": "[",
        "］": "]",
        **dict.fromkeys("≈≃≅＝", "="),
        **dict.fromkeys("\u00a0\u2009\u200a\u202f\u2002\u2003", " "),
    }
)
_COMMANDS: Final = {
    **dict.fromkeys(("times", "cdot", "ast", "bullet"), "*"),
    **dict.fromkeys(("div", "slash"), "/"),
    **dict.fromkeys(("approx", "equiv"), "="),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), _FRACTION),
    **dict.fromkeys(("lbrace", "lbrack"), "("),
    **dict.fromkeys(("rbrace", "rbrack"), ")"),
    **dict.fromkeys(
        ("left", "right", "big", "Big", "bigl", "bigr", "Bigl", "Bigr", "bigg", "Bigg", "quad", "qquad"), " "
    ),
}
"""LaTeX commands by what they stand for."""
_COMMAND: Final = re.compile(r"\\([A-Za-z]+)")
_SPACING: Final = re.compile(r"\\[,;:!> ]|\\\\|&|~")
_DELIMITER: Final = re.compile(r"\\[()\[\]]|\$+|`+")
_BOX: Final = re.compile(r"\s*\\(?:boxed|fbox)\s*\{(.*)\}\s*", re.DOTALL)
_LABEL: Final = re.compile(r"\s*[A-Za-z][A-Za-z' ]{0,60}?(?::|\bis\b:?)\s*")
_TOKEN: Final = re.compile(r"\s*(?:([0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(.))", re.DOTALL)
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_OPERATIONS: Final = frozenset("+-*/")


@final
class UnreadableExpression(ValueError):
    """A text that is no expression of numbers, + - * / and brackets; says why, for the model to read."""


@final
@dataclass(frozen=True, slots=True)
class Expression:
    """``text`` as it was read, its exact ``value`` (``None``: it divides by zero), and its ``numbers`` in order.

    A sign is no part of a number: ``-4 + 28`` has the numbers 4 and 28.
    """

    text: str
    value: Fraction | None
    numbers: tuple[Fraction, ...]


def read_expression(text: str) -> Expression:
    r"""Return the expression that a text gives.

    It may be in LaTeX (``\times``, ``\div``, ``\cdot``, ``\frac{1}{2}``), with signs such as ``×``, in any brackets,
    after a label ("Answer:") and with an equation to a number on either side ("= 24"), which is left out. Of a chain
    of equations it is the first side that is more than a number; of several lines the last one that is an
    expression. ``2(3 + 4)`` is a product, but not after a division, where it may be read in two ways.

    Raises:
        UnreadableExpression: for anything else.
    """
    lines = [line for line in text[-_LONGEST_TEXT:].splitlines() if line.strip()][-_MOST_LINES:]
    if not lines:
        raise UnreadableExpression("there is no expression")
    failure: UnreadableExpression | None = None
    bare: Expression | None = None
    for line in reversed(lines):
        try:
            found = _of_line(line)
        except UnreadableExpression as error:
            failure = failure or error
            continue
        if len(found.numbers) > 1:
            return found
        bare = bare or found
    if bare is not None:
        return bare
    raise failure or UnreadableExpression("there is no expression")


def _of_line(line: str) -> Expression:
    plain = _plain(line)
    sides = [side for side in plain.split("=") if re.search("[0-9]", side)] or [plain]
    longer = [side for side in sides if not re.fullmatch(r"[\s()]*-?[0-9.]+[\s()]*", side)]
    return _Reader.read((longer or sides)[0].strip())


def _plain(line: str) -> str:
    """Return a line without decoration, its LaTeX as signs."""
    if box := _BOX.fullmatch(line):
        line = box[1]
    line = _DELIMITER.sub(" ", line.translate(_SIGNS)).strip().strip("*_").strip()
    if label := _LABEL.match(line):
        line = line[label.end() :].strip().strip("*_")
    line = _COMMAND.sub(lambda found: _COMMANDS.get(found[1], f"\\{found[1]}"), line)
    return _SPACING.sub(" ", line).replace("\\{", "(").replace("\\}", ")").strip().removesuffix(".")


@final
@dataclass(slots=True)
class _Reader:
    """Reads from left to right by recursive descent."""

    tokens: list[str]
    at: int = 0
    depth: int = 0
    numbers: list[Fraction] = field(default_factory=list[Fraction])

    @classmethod
    def read(cls, text: str) -> Expression:
        if len(text) > _LONGEST_EXPRESSION:
            raise UnreadableExpression(f"the expression is longer than {_LONGEST_EXPRESSION} characters")
        reader = cls(list(_tokens(text)))
        value = reader._sum()
        if reader.at < len(reader.tokens):
            raise UnreadableExpression(f"cannot read on from {reader._rest()}")
        return Expression(_shown(reader.tokens), value, tuple(reader.numbers))

    def _next(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self) -> str:
        token = self._next()
        self.at += 1
        return token

    def _rest(self) -> str:
        return repr(" ".join(self.tokens[self.at :])[:20])

    def _sum(self) -> Fraction | None:
        value = self._product()
        while self._next() in ("+", "-"):
            sign = 1 if self._take() == "+" else -1
            other = self._product()
            value = None if value is None or other is None else value + sign * other
        return value

    def _product(self) -> Fraction | None:
        value = self._signed()
        divided = False
        while True:
            token = self._next()
            if token in ("*", "/"):
                self._take()
                if self._next() == token:  # ** and //
                    raise UnreadableExpression(f"{token * 2} is not allowed, only + - * /")
                divided = token == "/"
                value = (_quotient if divided else _times)(value, self._signed())
            elif self._multiplies():  # 2(3 + 4)
                if divided:
                    raise UnreadableExpression(
                        f"write * before {self._rest()}: after a division it is ambiguous"
                    )
                value = _times(value, self._operand())
            else:
                return value

    def _multiplies(self) -> bool:
        """Return whether another factor follows without a sign."""
        token = self._next()
        after_bracket = self.tokens[self.at - 1] in _OPENING.values()
        return token in {*_OPENING, _FRACTION} or (after_bracket and token[:1].isdigit())

    def _signed(self) -> Fraction | None:
        negative = False
        while self._next() in ("+", "-"):
            negative ^= self._take() == "-"
        value = self._operand()
        return -value if value is not None and negative else value

    def _operand(self) -> Fraction | None:
        token = self._take()
        if token == _FRACTION:
            return _quotient(self._argument(), self._argument())
        if token in _OPENING:
            return self._inside(_OPENING[token])
        if token[:1].isdigit() or token[:1] == ".":
            number = Fraction(token)
            self.numbers.append(number)
            return number
        self.at -= 1
        if not token:
            raise UnreadableExpression("the expression ends where a number should follow")
        raise UnreadableExpression(f"cannot read {self._rest()}; write numbers, + - * / and brackets only")

    def _argument(self) -> Fraction | None:
        """Return an argument of a LaTeX fraction: in braces, or one digit."""
        token = self._next()
        if token == "{":
            self._take()
            return self._inside("}")
        if token.isdigit() and len(token) > 1:  # \frac12 is a half
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        return self._operand()

    def _inside(self, closing: str) -> Fraction | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise UnreadableExpression(f"brackets are nested more than {_DEEPEST} deep")
        value = self._sum()
        if self._take() != closing:
            self.at -= 1
            raise UnreadableExpression(
                f"a bracket is not closed before {self._rest()}"
                if self._next()
                else "a bracket is not closed"
            )
        self.depth -= 1
        return value


def _tokens(text: str) -> Iterator[str]:
    text = text.rstrip()
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None  # anything matches
        at = found.end()
        number, sign = found[1], found[2]
        if number is not None:
            if len(number) > _MOST_DIGITS:
                raise UnreadableExpression(f"a number has more than {_MOST_DIGITS} digits")
            yield number
        elif sign in _OPERATIONS or sign in "()[]{}":
            yield sign
        elif sign in "xX":  # 2 x 3
            yield "*"
        elif sign == _FRACTION:
            yield sign
        elif sign in "^!":
            raise UnreadableExpression(f"{sign!r} is not allowed, only + - * / and brackets")
        else:
            near = text[found.start(2) : found.start(2) + 20]
            raise UnreadableExpression(f"cannot read {near!r}; write numbers, + - * / and brackets only")


def _shown(tokens: list[str]) -> str:
    text = " ".join("\\frac" if token == _FRACTION else token for token in tokens)
    return re.sub(r"(?<=[(\[{]) | (?=[)\]}])", "", text)


def _times(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or right is None else left * right


def _quotient(left: Fraction | None, right: Fraction | None) -> Fraction | None:
    return None if left is None or not right else left / right
