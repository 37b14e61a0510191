"""How much alike two texts are: exactly, but for white space, and by the word sequences that they share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

__all__ = ["NEAR", "WORDS", "grams", "nearest", "normalised", "resemblance", "words"]

WORDS: Final = 5
"""How many words in a row are compared."""
NEAR: Final = 0.8
"""From this share of common word sequences on, two texts are near duplicates."""
_WORD: Final = re.compile(r"\w+|[^\w\s]")


def normalised(text: str) -> str:
    """Return a text with every run of white space as one blank, and none at its ends."""
    return " ".join(text.split())


def words(text: str) -> list[str]:
    """Return the words and signs of a text, in lower case."""
    return _WORD.findall(text.lower())


def grams(listed: list[str], n: int = WORDS) -> frozenset[tuple[str, ...]]:
    """Return all sequences of ``n`` words in a row; of a shorter text, all of it as one."""
    if len(listed) < n:
        return frozenset({tuple(listed)})
    return frozenset(tuple(listed[start : start + n]) for start in range(len(listed) - n + 1))


def resemblance(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Return the share of word sequences that two texts have in common, in [0, 1]: 1 where they have the same.

    Source: Broder 1997, "On the resemblance and containment of documents", section 2 (Jaccard index of shingles).
    """
    together = len(one | other)
    return len(one & other) / together if together else 1.0


def nearest(one: frozenset[tuple[str, ...]], others: Iterable[frozenset[tuple[str, ...]]]) -> float:
    """Return the highest resemblance to any of the others; 0 where there are none."""
    return max((resemblance(one, other) for other in others), default=0.0)
