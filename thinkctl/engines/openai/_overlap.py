"""What a model says again when it is asked to go on, left out."""

from __future__ import annotations

from typing import Final, final

__all__ = ["Overlap"]

_LONGEST: Final = 200
"""Characters. Nobody repeats more than a line or two."""


@final
class Overlap:
    r"""Leaves out the beginning of a continuation that repeats the end of what came before.

    ``\boxed{407}`` after ``The final answer is \boxed{`` is ``407}``. Text is held back while it may still
    turn out to be a repetition; ``rest`` returns it at the end.
    """

    def __init__(self, before: str) -> None:
        self._before = before[-_LONGEST:]
        self._held = ""
        self._open = bool(before)

    def take(self, text: str) -> str:
        """Return what of a text is new."""
        if not self._open:
            return text
        self._held += text
        said = self._held.lstrip()
        ends = [self._before[place:] for place in range(len(self._before))]
        if any(len(end) > len(said) and end.startswith(said) for end in ends):
            return ""
        self._open = False
        repeated = max((len(end) for end in ends if said.startswith(end) and len(end) > 1), default=0)
        held, self._held = self._held, ""
        return said[repeated:] if repeated else held

    def rest(self) -> str:
        """Return what is held back, once nothing more comes."""
        held, self._held, self._open = self._held, "", False
        return held
