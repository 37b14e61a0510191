"""What a scripted model says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from thinkctl.errors import ConfigurationError

__all__ = ["MOST_LOGPROBS", "Launch", "Plan", "Script", "spread"]

MOST_LOGPROBS: Final = 20
_CERTAINLY_NOT: Final = -100.0
"""Log-probability of alternatives to a token that is certain."""


@final
@dataclass(frozen=True)
class Script:
    r"""What the model says to one new prompt, and how.

    ``text`` goes up to the end of turn; with ``ends=False`` it is repeated for ever instead. Decoding begins
    ``first`` seconds after the start and takes ``seconds_per_token``; ``chunk`` tokens come in one delta.
    ``logprob`` is that of each chosen token, or of one after the other (the last value goes on).

    ``conclusion`` is said after forced tokens, then the turn ends: a text, or a function of the forced text
    and the number of the script's tokens before it. By default it is what the last ``\boxed{`` of the text
    holds and its brace, or the last word.

    After ``fail_after`` tokens of the text the request fails, once; after ``die_after`` the engine dies.
    """

    text: str
    seconds_per_token: float = 0.0
    first: float = 0.0
    chunk: int = 1
    logprob: float | tuple[float, ...] = -0.1
    conclusion: str | Callable[[str, int], str] | None = None
    fail_after: int | None = None
    die_after: int | None = None
    ends: bool = True

    def __post_init__(self) -> None:
        """Refuse scripts that cannot be played."""
        if self.chunk < 1:
            raise ConfigurationError(f"chunk={self.chunk}; a delta brings at least one token")
        if not self.ends and not self.text:
            raise ConfigurationError("ends=False needs a text to repeat; give one")
        if self.logprob == ():
            raise ConfigurationError("logprob=(); give one value or more")

    def concluding(self, forced: str, at: int) -> str:
        """Return what is said after ``forced`` text that came after ``at`` tokens of the text."""
        if callable(self.conclusion):
            return self.conclusion(forced, at)
        if self.conclusion is not None:
            return self.conclusion
        _, opening, rest = self.text.rpartition(r"\boxed{")
        return _up_to_brace(rest) if opening else next(iter(self.text.split()[-1:]), "")


def _up_to_brace(text: str) -> str:
    """Return the text up to the brace that closes one opened before it."""
    depth = 1
    for place, letter in enumerate(text):
        depth += (letter == "{") - (letter == "}")
        if depth == 0:
            return text[: place + 1]
    return text + "}"


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What a model is about to say: ids, of which ``place`` is the next. It starts again after its end."""

    script: Script
    token_ids: tuple[int, ...]
    thought: bool
    at: int = 0

    def token(self, place: int) -> int:
        return self.token_ids[place % len(self.token_ids)]

    def logprob(self, place: int) -> float:
        values = self.script.logprob
        if isinstance(values, float | int):
            return values
        return values[min(place, len(values) - 1)] if self.thought else values[-1]


@final
@dataclass(slots=True)
class Launch:
    """One new chat: its script and whether its failure has happened yet."""

    number: int
    script: Script
    failed: bool = False


def spread(chosen: float, most: int) -> tuple[float, ...]:
    """Return a distribution in descending order: the chosen token, and others that share the rest."""
    rest = -math.expm1(min(chosen, 0.0)) / MOST_LOGPROBS
    other = math.log(rest) if rest > 0 else _CERTAINLY_NOT
    return tuple(sorted([chosen, *[other] * MOST_LOGPROBS], reverse=True)[:most])
