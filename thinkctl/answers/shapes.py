r"""The structure of an answer: tuples, intervals, sets, matrices, relations, and the expressions in them.

Structure is compared here, by rules that can be read; only expressions are left to the computer algebra system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, final

from thinkctl.answers.keys import math_key

__all__ = ["Kind", "Leaf", "Shape", "compare", "rebuilt", "shape"]

Kind = Literal[
    "number",
    "words",
    "letter",
    "expression",
    "equation",
    "relation",
    "region",
    "set",
    "list",
    "union",
    "tuple",
    "matrix",
]
Leaf: TypeAlias = Callable[[str, str], bool | None]
"""Compares two expressions or relations; ``None``: cannot tell."""


@final
@dataclass(frozen=True, slots=True)
class Shape:
    r"""One answer, or one part of it, taken apart.

    ``text`` is the canonical writing of the whole. ``name`` tells tuples and matrices apart (``(]``, ``2x2``) and
    holds the left side of an equation, whose right side is its only item.
    """

    kind: Kind
    text: str
    items: tuple[Shape, ...] = ()
    name: str = ""


_PIECE = re.compile(r"\\(?:begin|end)\{\w+\*?\}|\\[A-Za-z]+|\\.|.", re.DOTALL)
_OPENERS = frozenset({"(", "[", "{", r"\{", r"\langle"})
_CLOSERS = frozenset({")", "]", "}", r"\}", r"\rangle"})
_ORDER = frozenset({"<", ">", r"\leq", r"\geq"})
_RELATIONS = _ORDER | {"=", r"\neq", r"\in", r"\approx", r"\equiv"}
_EVERYTHING = frozenset({r"\mathbb{R}", r"\R", "all real numbers", "all reals", "all real values"})
_NOTHING = frozenset({r"\emptyset", r"\varnothing", r"\{\}", "empty set", "the empty set"})
_REGIONS = frozenset({"tuple", "set", "union", "region", "relation"})
_IN_REGIONS = re.compile(r"\\(?:cup|cap|setminus|mathbb|backslash)(?![A-Za-z])")
_NUMBER = re.compile(r"-?[0-9]+(?:/[1-9][0-9]*)?")
_FIXED = re.compile(  # ratios and times, dates, numbers in a base: never computed with
    r"[0-9]+(?::[0-9]+)+|[0-9]{1,2}:[0-9]{2}[ap]m|[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9A-F]+_\{[0-9]{1,2}\}"
)
_PROSE = re.compile(r"[^\W\d_][^\W\d_'.!?-]*(?: [^\W\d_'.!?-]+)*[.!?]*|[^\W\d_]+(?:['-][^\W\d_]+)+")
_LONG_WORD = re.compile(r"(?<![A-Za-z\\{])[a-z]{4,}(?![A-Za-z])")  # 5 km north
_VOWEL = re.compile(r"[eiou]|[^\x00-\x7f]")
_NAME = re.compile(
    r"[A-Za-z]'*(?:_\{?\w{1,3}\}?)?(?:\([A-Za-z](?:, ?[A-Za-z])*\))?|\\(?!sqrt|frac|pi)[a-z]{2,8}"
)
_NAMES = re.compile(r"\((?:[A-Za-z]|\\[a-z]{2,8})(?:, ?(?:[A-Za-z]|\\[a-z]{2,8}))+\)")
_BUILDER = re.compile(r"([A-Za-z])(?:\\in ?\\mathbb\{R\})?[|:](.+)")
_MATRIX = re.compile(r"\\begin\{([pb]?)matrix\}(.*)\\end\{\1matrix\}", re.DOTALL)
_FLIPPED: Final = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}


def shape(text: str) -> Shape:
    r"""Take a writing apart. Its depth must be bounded by the caller: the structure is followed by recursion.

    ``1 \pm \sqrt{2}`` becomes its two values; a list of different values is a set, since the order in which
    solutions are listed says nothing; ``a < x \leq b`` and ``x \in (a, b]`` are the interval ``(a, b]``.
    """
    text = text.strip()
    if text in _EVERYTHING:
        return _tuple("(", [r"-\infty", r"\infty"], ")")
    if text in _NOTHING:
        return Shape("set", r"\{\}")
    items, _ = _split(text, {","})
    if len(items) > 1:
        return _collection(_with_names([sign for item in items for sign in _signs(item)]))
    return _enclosed(text) or _composed(text) or _leaf(text)


def _with_names(items: Sequence[Shape]) -> Sequence[Shape]:
    """Keep the left sides in a list of equations if they differ: ``x=1, y=2`` says more than ``1, 2``."""
    if len({item.name for item in items if item.kind == "equation"}) < 2:
        return items
    return [Shape("relation", item.text) if item.kind == "equation" else item for item in items]


def _leaf(text: str) -> Shape:
    if _NUMBER.fullmatch(text):
        return Shape("number", text)
    if len(text) == 1:
        return Shape("letter", text)
    if _FIXED.fullmatch(text) or _is_prose(text):
        return Shape("words", text)
    return Shape("region" if _IN_REGIONS.search(text) else "expression", text)


def _is_prose(text: str) -> bool:
    """Say whether letters are words, not to be computed with: ``east`` is one, ``abc`` a product, like ``bca``."""
    if any(_VOWEL.search(word) for word in _LONG_WORD.findall(text)):
        return True
    if not _PROSE.fullmatch(text) or max(map(len, text.split())) == 1:
        return False
    return " " in text or _VOWEL.search(text) is not None


def _is_sentence(found: Shape) -> bool:
    """Say whether words hold digits, and so perhaps a value: ``The answer is 42``."""
    return found.kind == "words" and not _FIXED.fullmatch(found.text) and any(map(str.isdigit, found.text))


def _split(text: str, separators: Collection[str]) -> tuple[list[str], list[str]]:
    """Split outside all brackets; give the pieces and the separators between them."""
    pieces: list[str] = []
    between: list[str] = []
    depth = start = 0
    for found in _PIECE.finditer(text):
        piece = found.group()
        if piece in _OPENERS or piece.startswith(r"\begin{"):
            depth += 1
        elif piece in _CLOSERS or piece.startswith(r"\end{"):
            depth -= 1
        elif depth == 0 and piece in separators:
            pieces.append(text[start : found.start()].strip())
            between.append(piece)
            start = found.end()
    return [*pieces, text[start:].strip()], between


def _is_one_bracket(text: str) -> bool:
    """Say whether the bracket that opens ``text`` closes at its end and not before."""
    depth = 0
    for found in _PIECE.finditer(text):
        piece = found.group()
        depth += (piece in _OPENERS) - (piece in _CLOSERS)
        if depth <= 0:
            return found.end() == len(text) and found.start() > 0
    return False


def _signs(text: str) -> list[Shape]:
    if r"\pm" not in text and r"\mp" not in text:
        return [shape(text)]
    upper = text.replace(r"\pm", "+").replace(r"\mp", "-")
    lower = text.replace(r"\pm", "-").replace(r"\mp", "+")
    return [shape(math_key(sign)) for sign in (upper, lower)]


def _collection(items: Sequence[Shape], *, repeats: bool = True) -> Shape:
    """Make a set of ``items``; if repeats count and there are any, a list without order."""
    ordered = sorted(items, key=lambda item: item.text)
    distinct = [item for place, item in enumerate(ordered) if item not in ordered[:place]]
    if repeats and len(distinct) < len(ordered):
        return Shape("list", ", ".join(item.text for item in ordered), tuple(ordered))
    return Shape("set", r"\{" + ", ".join(item.text for item in distinct) + r"\}", tuple(distinct))


def _tuple(opener: str, items: Sequence[str], closer: str) -> Shape:
    shapes = tuple(map(shape, items))
    inner = ", ".join(item.text for item in shapes)
    return Shape("tuple", f"{opener}{inner}{closer}", shapes, opener + closer)


def _enclosed(text: str) -> Shape | None:
    """Take a set, tuple, interval or matrix apart."""
    if matrix := _MATRIX.fullmatch(text):
        return _matrix(matrix[2])
    if not _is_one_bracket(text):
        return None
    if text.startswith(r"\{"):
        inner = text[2:-2].strip()
        if builder := _BUILDER.fullmatch(inner):
            return shape(builder[2])
        items, _ = _split(inner, {","})
        return _collection([sign for item in items for sign in _signs(item)], repeats=False)
    width = len(r"\langle") if text.startswith(r"\langle") else 1
    items, _ = _split(text[width : -len(r"\rangle") if width > 1 else -1], {","})
    if len(items) == 1 and text[0] != "[":
        return None
    return _tuple(text[:width], items, text[-1] if width == 1 else r"\rangle")


def _matrix(inner: str) -> Shape | None:
    rows = [_split(row, {"&"})[0] for row in _split(inner, {r"\\"})[0] if row]
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    cells = tuple(shape(cell) for row in rows for cell in row)
    width = len(rows[0])
    lines = ("&".join(cell.text for cell in cells[at : at + width]) for at in range(0, len(cells), width))
    text = r"\begin{pmatrix}" + r"\\".join(lines) + r"\end{pmatrix}"
    return Shape("matrix", text, cells, f"{len(rows)}x{width}")


def _composed(text: str) -> Shape | None:
    """Take a union, a relation or both values of a double sign apart."""
    union, _ = _split(text, {r"\cup"})
    if len(union) > 1:
        parts = sorted({shape(part) for part in union}, key=lambda part: part.text)
        return (
            Shape("union", r"\cup ".join(part.text for part in parts), tuple(parts))
            if len(parts) > 1
            else parts[0]
        )
    if r"\pm" in text or r"\mp" in text:
        return _collection(_signs(text))
    sides, signs = _split(text, _RELATIONS)
    return _relation(text, sides, signs) if signs else None


def _relation(text: str, sides: Sequence[str], signs: Sequence[str]) -> Shape:
    names = [bool(_NAME.fullmatch(side)) for side in sides]
    if signs == ["="] and names[0] and sides[1] and not _occurs(sides[0], sides[1]):
        return Shape("equation", text, (shape(sides[1]),), sides[0])
    if signs == ["="] and _NAMES.fullmatch(sides[0]) and sides[1].startswith("("):
        return shape(sides[1])
    if signs == [r"\in"] and names[0]:
        inner = shape(sides[1])
        return inner if inner.kind in _REGIONS else Shape("relation", text)
    return _interval(sides, signs, names) or Shape("relation", text)


def _interval(sides: Sequence[str], signs: Sequence[str], names: Sequence[bool]) -> Shape | None:
    r"""Read ``x > a``, ``a \geq x`` and ``a < x < b`` as intervals, if ``x`` is a name that the bounds do not hold."""
    if not set(signs) <= _ORDER or not all(sides):
        return None
    if len(signs) == 1 and names[1] and not names[0]:
        return _interval([sides[1], sides[0]], [_FLIPPED[signs[0]]], [True, False])
    if len(signs) == 1 and names[0] and not _occurs(sides[0], sides[1]):
        bound, sign = sides[1], signs[0]
        if sign in {">", r"\geq"}:
            return _tuple("[" if sign == r"\geq" else "(", [bound, r"\infty"], ")")
        return _tuple("(", [r"-\infty", bound], "]" if sign == r"\leq" else ")")
    if len(signs) == 2 and names[1] and not any(_occurs(sides[1], side) for side in sides[::2]):
        if set(signs) <= {">", r"\geq"}:
            return _interval(sides[::-1], [_FLIPPED[sign] for sign in signs[::-1]], names[::-1])
        if set(signs) <= {"<", r"\leq"}:
            low, high = ("(" if signs[0] == "<" else "["), (")" if signs[1] == "<" else "]")
            return _tuple(low, sides[::2], high)
    return None


def _occurs(name: str, text: str) -> bool:
    base = re.escape(name.partition("(")[0])
    return re.search(rf"(?<![A-Za-z\\]){base}(?![A-Za-z])" if base[0].isalpha() else base, text) is not None


def compare(one: Shape, other: Shape, leaf: Leaf) -> bool | None:
    """Compare two shapes; ``leaf`` compares what has no structure. ``None``: it depends on what ``leaf`` cannot tell.

    Symmetric if ``leaf`` is. Different kinds differ, except that an equation ``y = 2x`` says the same as ``2x``
    alone, and that sets of numbers may be written as unions, relations or differences.
    """
    if (one.kind, one.text) == (other.kind, other.text):
        return True
    if "equation" in (one.kind, other.kind):
        return _compare_equations(one, other, leaf)
    kinds = {one.kind, other.kind}
    if kinds <= {"number", "letter", "expression"}:
        return leaf(one.text, other.text) if "expression" in kinds else False
    if kinds <= _REGIONS and kinds & {"union", "relation", "region"}:
        joined = kinds == {"union"} and _compare_unordered(one.items, other.items, leaf)
        return True if joined else leaf(one.text, other.text)
    if kinds == {"matrix", "expression"} and r"\begin" in one.text and r"\begin" in other.text:
        return leaf(one.text, other.text)
    if len(kinds) > 1 and (_is_sentence(one) or _is_sentence(other)):
        return None
    if len(kinds) > 1 or one.name != other.name or len(one.items) != len(other.items):
        return False
    if one.kind in {"set", "list"}:
        return _compare_unordered(one.items, other.items, leaf)
    return (
        _all(compare(*pair, leaf) for pair in zip(one.items, other.items, strict=True))
        if one.items
        else False
    )


def _compare_equations(one: Shape, other: Shape, leaf: Leaf) -> bool | None:
    if one.kind != other.kind:
        equation, rest = (one, other) if one.kind == "equation" else (other, one)
        if rest.kind == "relation":
            return leaf(one.text, other.text)
        return compare(equation.items[0], rest, leaf)
    if _occurs(one.name, other.items[0].text) or _occurs(other.name, one.items[0].text):
        return leaf(one.text, other.text)
    return compare(one.items[0], other.items[0], leaf)


def _compare_unordered(ones: Sequence[Shape], others: Sequence[Shape], leaf: Leaf) -> bool | None:
    """Find a partner for every item, looking from both sides: doubt on one may be certainty on the other."""
    if len(ones) != len(others):
        return False
    verdict = _partnered(ones, others, leaf)
    return False if verdict is None and _partnered(others, ones, leaf) is False else verdict


def _partnered(ones: Sequence[Shape], others: Sequence[Shape], leaf: Leaf) -> bool | None:
    """Find a partner for every one. Equality is transitive, so the first partner is as good as any."""
    left, unsure = list(others), False
    for item in sorted(ones, key=lambda item: item not in others):  # those with a twin first
        doubts = False
        for place, candidate in enumerate(left):
            verdict = compare(item, candidate, leaf)
            if verdict:
                del left[place]
                break
            doubts = doubts or verdict is None
        else:
            if not doubts:
                return False
            unsure = True
    return None if unsure else True


def _all(verdicts: Iterable[bool | None]) -> bool | None:
    unsure = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unsure = unsure or verdict is None
    return None if unsure else True


def rebuilt(whole: Shape, leaf: Callable[[str], str]) -> Shape:
    """Replace every expression and relation in a shape by what ``leaf`` gives for it."""
    if whole.kind in {"expression", "relation", "region"}:
        return shape(leaf(whole.text))
    if whole.kind == "equation":
        return rebuilt(whole.items[0], leaf)
    items = [rebuilt(item, leaf) for item in whole.items]
    match whole.kind:
        case "set" | "list":
            return _collection(items, repeats=whole.kind == "list")
        case "tuple":
            closer = whole.name[1:] if whole.name[0] != "\\" else r"\rangle"
            opener = whole.name[: -len(closer)]
            return _tuple(opener, [item.text for item in items], closer)
        case "matrix":
            height = int(whole.name.partition("x")[0])
            width = len(items) // height
            rows = (
                "&".join(item.text for item in items[at : at + width]) for at in range(0, len(items), width)
            )
            return Shape(
                "matrix", r"\begin{pmatrix}" + r"\\".join(rows) + r"\end{pmatrix}", tuple(items), whole.name
            )
        case "union":
            return shape(r"\cup ".join(item.text for item in items))
        case _:
            return whole
