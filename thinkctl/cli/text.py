"""Text for people: counts, seconds and dollars in words, and model output without control characters."""

from __future__ import annotations

from decimal import Decimal

__all__ = ["amount", "clean", "dollars", "one_line", "plural", "seconds", "shortened"]


def clean(text: str) -> str:
    """Return a text without what could move a cursor or change colours; lines and tabs stay.

    What a model says is not to be trusted with a terminal.
    """
    return "".join(
        sign if sign.isprintable() or sign in "\n\t" else "\N{REPLACEMENT CHARACTER}" for sign in text
    )


def one_line(text: str) -> str:
    """Return a text cleaned and on one line."""
    return clean(" ".join(text.split()))


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text on one line, at most ``most`` characters.

    It ends at a word's end where that is in the second half of the room.
    """
    line = one_line(text)
    if len(line) <= most:
        return line
    words, start = line[: most - 1].rpartition(" ")[0], line[: most - 1]
    return f"{words if 2 * len(words) >= most else start}…"


def amount(number: int | None) -> str:
    """Return a count with commas; what is not known says so."""
    return "unknown" if number is None else f"{number:,}"


def plural(number: int, word: str) -> str:
    """Return ``1 sample`` or ``2 samples``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def seconds(number: float) -> str:
    """Return seconds, with a decimal where that says something."""
    return f"{number:.1f} s" if number < 100 else f"{number:,.0f} s"


def dollars(number: Decimal | None) -> str:
    """Return a price in plain digits, never rounded; a price that is not known is never 0."""
    return "unknown" if number is None else f"${number.normalize():f}" if number else "$0"
