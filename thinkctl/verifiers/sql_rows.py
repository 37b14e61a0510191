"""Are two result sets the same, and a fingerprint that is the same for results that are."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, cast, final

__all__ = ["Fingerprint", "same_rows"]

Row = Sequence[Any]
Cell = tuple[str, Any]

_NEAR: Final = 1e-6
_NEAR_BY_SIZE: Final = 1e-9
"""What large numbers may differ by, for each of their units: sums of floats depend on their order."""
_MOST_TRIES: Final = 2_000
"""Arrangements of columns that are looked at; only columns that hold the same values need more than one look."""
_DECIMALS: Final = 4
_MODULUS: Final = 1 << 128


def same_rows(one: Sequence[Row], other: Sequence[Row], ordered: bool = False) -> bool:
    """Say whether two result sets are the same but for the names and the order of their columns.

    Rows count as often as they occur; with ``ordered`` their order counts too. Numbers are the same within 1e-6
    (1e-9 of their size, where that is more), but two whole numbers must be equal; ``1``, ``1.0`` and ``True`` are one
    number. Texts must be equal, and a text is never a number. NULL is NULL. Two results without rows are the same.

    Only if more than 2,000 arrangements of columns that hold the same values would have to be looked at it may
    say no to a result that is the same.
    """
    width = len(one[0]) if one else 0
    if len(one) != len(other) or any(len(row) != width for rows in (one, other) for row in rows):
        return False
    if not one:
        return True
    names = _names_of_numbers((one, other))
    left, right = ([tuple(_name(value, names) for value in row) for row in rows] for rows in (one, other))
    columns, others = list(zip(*left, strict=True)), list(zip(*right, strict=True))
    if ordered:
        return Counter(columns) == Counter(others)
    if Counter(left) == Counter(right):
        return True
    return _arranged(columns, others)


def _arranged(columns: Sequence[Row], others: Sequence[Row]) -> bool:
    """Return whether some order of the other columns makes the same rows, their order aside."""
    held, held_others = (
        [frozenset(Counter(column).items()) for column in each] for each in (columns, others)
    )
    if Counter(held) != Counter(held_others):
        return False
    choices = [[place for place, values in enumerate(held_others) if values == wanted] for wanted in held]
    order = sorted(range(len(columns)), key=lambda place: len(choices[place]))
    tries = 0
    chosen: list[int] = []
    waiting = [iter(choices[order[0]])]
    while waiting:  # depth first; a part that does not fit is never gone on from
        place = next(waiting[-1], None)
        if place is None:
            waiting.pop()
            if chosen:
                chosen.pop()
            continue
        if place in chosen:
            continue
        tries += 1
        if tries > _MOST_TRIES:
            return False
        taken = [*chosen, place]
        mine = Counter(zip(*(columns[at] for at in order[: len(taken)]), strict=True))
        theirs = Counter(zip(*(others[at] for at in taken), strict=True))
        if mine != theirs:
            continue
        if len(taken) == len(columns):
            return True
        chosen.append(place)
        waiting.append(iter(choices[order[len(taken)]]))
    return False


def _names_of_numbers(tables: Sequence[Sequence[Row]]) -> Mapping[int | float, int]:
    """Give one name to numbers that are the same: neighbours in size that are near each other, and theirs."""
    found = {number for rows in tables for row in rows for number in _numbers(row)}
    names: dict[int | float, int] = {}
    before: int | float | None = None
    for number in sorted(found):
        names[number] = len(names) if before is None or not _near(before, number) else names[before]
        before = number
    return names


def _near(one: float, other: float) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    try:
        return math.isclose(one, other, rel_tol=_NEAR_BY_SIZE, abs_tol=_NEAR)
    except OverflowError:  # whole numbers beyond all floats
        return one == other


def _numbers(row: Row) -> Iterator[int | float]:
    for value in row:
        number = _number(value)
        if number is not None:
            yield number
        elif isinstance(value, list | tuple):
            yield from _numbers(cast("Row", value))


def _number(value: object) -> int | float | None:
    """Return a number, a whole one as ``int``; ``None`` for NaN and for what is no number."""
    if isinstance(value, int):  # bool too
        return int(value)
    if isinstance(value, Decimal):
        if not value.is_finite():
            return None
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isnan(value):
        return int(value) if value.is_integer() else value
    return None


def _name(value: object, names: Mapping[int | float, int]) -> Cell:
    number = _number(value)
    if number is not None:
        return "number", names[number]
    if isinstance(value, list | tuple):
        return "list", tuple(_name(item, names) for item in cast("Row", value))
    return _word(value)


def _word(value: object) -> Cell:
    """Return what is no number as something to compare; dates, intervals and the like by their text."""
    if value is None:
        return "null", None
    if isinstance(value, bytes | bytearray):
        return "bytes", bytes(value)
    return "text", str(value)


@final
@dataclass(slots=True)
class Fingerprint:
    """A fingerprint of a result set that is read row by row: equal for results that are the same.

    The order of rows does not count, how often each occurs does; nor does the order of columns, unless
    ``column_order``. Numbers are rounded to 4 decimals, so two that straddle a half of the last one may
    differ: a rare disagreement, never a false agreement. Without the order of columns, two results agree that have
    the same values in each row, in any order, and the same values in each column: results that differ all the same
    are thinkable, and far-fetched.
    """

    column_order: bool = False
    count: int = 0
    _rows: int = 0
    _columns: list[int] = field(default_factory=list[int])

    def add(self, row: Row) -> None:
        """Take in one more row."""
        cells = [_hashed(_canonical(value)) for value in row]
        self.count += 1
        self._columns += [0] * (len(cells) - len(self._columns))
        for place, cell in enumerate(cells):
            self._columns[place] = (self._columns[place] + cell) % _MODULUS
        self._rows = (self._rows + _hashed(repr(cells if self.column_order else sorted(cells)))) % _MODULUS

    def digest(self) -> str:
        """Return the fingerprint of all rows so far, 16 characters."""
        columns = self._columns if self.column_order else sorted(self._columns)
        return f"{_hashed(repr((self.count, self._rows, columns))):032x}"[:16]


def _hashed(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest, "big")


def _canonical(value: object) -> str:
    number = _number(value)
    if isinstance(number, float) and math.isfinite(number):
        rounded = round(number, _DECIMALS)
        number = int(rounded) if rounded.is_integer() else rounded
    if number is not None:
        return f"number {number!r}"
    if isinstance(value, list | tuple):
        return f"list {[_canonical(item) for item in cast('Row', value)]!r}"
    kind, content = _word(value)
    return f"{kind} {content!r}"
