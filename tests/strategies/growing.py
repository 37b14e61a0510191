"""Histories that search strategies grow: each request is answered by a function, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from thinkctl.protocols import Strategy
from thinkctl.testing import history_of, sample_of
from thinkctl.types import Finish, History, Request, Sample, Usage, Verdict

__all__ = ["Says", "ended", "grown", "parents", "part", "step"]

Says = Callable[[Request, int], Sample]
"""What becomes of a request that is launched with this index."""


def step(score: float | None = None, **more: object) -> Sample:
    """Return a step of a chain that goes on."""
    return replace(sample_of(None, score=score, finish=Finish.STEP), **more)  # type: ignore[arg-type]


def ended(
    key: str | None, score: float | None = None, *, passed: bool | None = None, tokens: int = 0
) -> Sample:
    """Return a whole sample with an answer, judged, of so many tokens."""
    sample = replace(sample_of(key), verdict=Verdict(score, passed, "report"))
    return replace(sample, usage=Usage(answer_tokens=tokens)) if tokens else sample


def part(sample: Sample, request: Request, index: int) -> Sample:
    """Return a sample as the answer to a request."""
    answer = None if sample.answer is None else replace(sample.answer, sample=index)
    return replace(sample, request=request, index=index, answer=answer, model=request.model or "")


def grown(
    strategy: Strategy, says: Says, *, rounds: int = 60, at_most: int | None = None, seed: int = 0
) -> History:
    """Follow a strategy: launch all that it asks for, at most ``at_most`` at once, and let them end in launch order."""
    history = history_of(seed=seed)
    for _ in range(rounds):
        requests = list(strategy.propose(history))
        if not requests:
            break
        for request in requests[:at_most]:
            history = history.received(part(sample_of(...), request, history.bought))
        for sample in history.in_flight:
            history = history.received(part(says(sample.request, sample.index), sample.request, sample.index))
    return history


def parents(history: History) -> list[int | None]:
    """Return the parent of each sample."""
    return [sample.request.parent for sample in history.samples]
