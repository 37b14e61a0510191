"""What a report is made of: the seam to the results of a study."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from thinkctl.evals.points import Point
from thinkctl.evals.statistics.of_points import Claimed
from thinkctl.evals.table import Floats
from thinkctl.types import Run

__all__ = ["Claimed", "Described", "Results", "readable", "within"]

_ROUNDING: Final = 1e-9
_SHOWN: Final = frozenset("\n\t")
_CONTROL_PICTURES: Final = 0x2400
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Described(Protocol):
    """A study, as far as its report needs it: ``evals.studies.Study``."""

    @property
    def title(self) -> str: ...
    @property
    def claims(self) -> Sequence[Claimed]: ...


class Results(Protocol):
    """The results of a study: ``evals.studies.open_study(folder)``."""

    @property
    def study(self) -> Described: ...
    @property
    def points(self) -> tuple[Point, ...]: ...
    @property
    def folder(self) -> Path: ...
    def runs(self, task: str, arm: str, limit: Any = None) -> Iterator[Run]: ...
    def grades(self, task: str, arm: str) -> Mapping[str, tuple[bool, ...]]: ...


def within(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return points whose shares lie in [0, 1] exactly: means of many orders may be off by their last bit."""
    return tuple(
        replace(
            point,
            right=_share(point.right),
            abstained=_share(point.abstained),
            oracle=None if point.oracle is None else _share(point.oracle),
        )
        for point in points
    )


def _share(values: Floats) -> Floats:
    found: Floats = np.where(
        np.abs(values - np.clip(values, 0, 1)) < _ROUNDING, np.clip(values, 0, 1), values
    )
    return found


def readable(text: str, most: int | None = None) -> str:
    """Return a text that is shown as what it is: control characters as pictures, turned directions as they came.

    Of a longer text than ``most`` characters the middle is left out, and it says so.
    """
    if most is not None and len(text) > most:
        tail = most // 4
        left = len(text) - most
        text = f"{text[: most - tail]}\n[… {left:,} characters left out …]\n{text[-tail:]}"
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_sign, text))


def _sign(sign: str) -> str:
    if sign in _SHOWN or sign.isprintable():
        return sign
    code = ord(sign)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    kind = unicodedata.category(sign)
    turns = unicodedata.bidirectional(sign) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return _REPLACEMENT if turns or kind in {"Cc", "Cs", "Cn", "Co"} else sign
