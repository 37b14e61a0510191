"""Where words go in a figure so that they cover nothing: boxes in pixels, and the corner that has most room."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, final

__all__ = ["Box", "along", "emptiest_corner", "first_free", "spread"]

_STEP: Final = 4.0
"""Pixels between the places on a line that count as drawn."""


@final
@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, ``left <= right`` and ``bottom <= top``."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: Box) -> bool:
        """Whether the two have any inside in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.bottom < other.top
            and other.bottom < self.top
        )

    def holds(self, across: float, up: float) -> bool:
        """Whether a place is inside."""
        return self.left <= across <= self.right and self.bottom <= up <= self.top

    def within(self, other: Box) -> bool:
        """Whether all of it is inside of the other."""
        return other.holds(self.left, self.bottom) and other.holds(self.right, self.top)


def along(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return places every few pixels along the line that joins these."""
    found = list(places[:1])
    for (left, low), (right, high) in itertools.pairwise(places):
        steps = max(1, math.ceil(math.hypot(right - left, high - low) / _STEP))
        found += [
            (left + (right - left) * step / steps, low + (high - low) * step / steps)
            for step in range(1, steps + 1)
        ]
    return found


def first_free(tried: Iterable[Box], taken: Sequence[Box], inside: Box) -> Box | None:
    """Return the first box that meets none of those taken and does not leave ``inside``."""
    return next(
        (box for box in tried if box.within(inside) and not any(box.meets(other) for other in taken)), None
    )


def emptiest_corner(
    inside: Box, width: float, height: float, drawn: Sequence[tuple[float, float]], gap: float = 8.0
) -> tuple[Box, int]:
    """Return the corner of ``inside`` where a box of this size covers least of what is drawn, and how much it covers.

    Of equally empty corners the lower right one is taken first, then the upper left: curves of accuracy rise.
    """
    left, right = inside.left + gap, inside.right - gap - width
    low, high = inside.bottom + gap, inside.top - gap - height
    corners = [
        Box(across, up, across + width, up + height)
        for across, up in ((right, low), (left, high), (left, low), (right, high))
    ]
    covers = [sum(corner.holds(*place) for place in drawn) for corner in corners]
    least = min(range(len(corners)), key=covers.__getitem__)
    return corners[least], covers[least]


def spread(wanted: Sequence[float], step: float) -> list[float]:
    """Return heights that rise by at least ``step`` and are as near as can be to the wanted ones, by least squares.

    They stay within [0, 1] if there is room. This is isotonic regression of the wanted heights less their steps, by
    pooling of adjacent violators.
    """
    pools: list[tuple[float, int]] = []
    for place, want in enumerate(wanted):
        pools.append((want - place * step, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, many), (other, more) = pools[-2:]
            pools[-2:] = [((one * many + other * more) / (many + more), many + more)]
    level = [value for value, many in pools for _ in range(many)]
    most = max(0.0, 1 - (len(level) - 1) * step)
    return [min(max(value, 0.0), most) + place * step for place, value in enumerate(level)]
