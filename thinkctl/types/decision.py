"""What a stopping policy may decide."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Decision", "ProbeRequest"]


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """Fork ``sample``, force ``text`` after its tokens, and generate at most ``max_tokens`` greedily."""

    sample: int
    text: str = ""
    max_tokens: int = 16
    logprobs: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a run now.

    ``stop`` ends it. ``cut`` aborts samples in flight (by launch index) and keeps what came. ``conclude``
    closes their thoughts and asks for the answer. ``probe`` forks short answers from them. ``more`` is the
    fewest further votes after which the policy could stop: that many run at once for free (``None``: it
    sets no bound, everything proposed may run). ``thinking_tokens`` caps the thought of every sample, to the
    token. ``confidence`` is in [0, 1], for the answer that leads now. ``why`` is for people.
    """

    stop: bool = False
    cut: tuple[int, ...] = ()
    conclude: tuple[int, ...] = ()
    probe: tuple[ProbeRequest, ...] = ()
    more: int | None = None
    thinking_tokens: int | None = None
    confidence: float | None = None
    why: str = ""
