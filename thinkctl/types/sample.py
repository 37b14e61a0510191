"""One chain of thought with its answer, growing or finished."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from thinkctl.types.engine import Finish, TokenLogprob
from thinkctl.types.problem import Request
from thinkctl.types.usage import Usage

__all__ = ["Answer", "Origin", "Probe", "Sample", "Segment", "Verdict"]


class Origin(StrEnum):
    """Where tokens of a sample come from: drawn by the model, forced by us, or inherited from the parent."""

    SAMPLED = "sampled"
    FORCED = "forced"
    INHERITED = "inherited"


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive tokens of one origin. Log-probabilities are there for sampled tokens only, if asked for."""

    token_ids: tuple[int, ...]
    origin: Origin = Origin.SAMPLED
    logprobs: tuple[TokenLogprob, ...] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a sample answers. Votes are counted on ``key``, the canonical value; people read ``text``.

    ``sample`` is the launch index of the sample it comes from; ``concluded`` marks an answer that was asked
    for by closing the thought.
    """

    text: str
    key: str
    sample: int
    concluded: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a verifier finds a sample: ``score`` in [0, 1], ``passed`` if it is a check, feedback.

    ``answer`` is what running the sample's answer gave, where the verifier runs it: it takes the answer's place, in
    its text and in its key. ``void`` says that running it gave none: the sample abstains. ``marks`` are names of what
    the sample was found to fulfil or to give (tests passed, the rows of a query), in a fixed order: selectors that
    look for agreement compare them as a whole.

    ``usage`` is what a model of the verifier's own, called ``model``, used for it. What was generated through the
    metered engines is on the bill already and is not repeated here.
    """

    score: float | None = None
    passed: bool | None = None
    feedback: str = ""
    usage: Usage = Usage()
    model: str = ""
    answer: Answer | None = None
    void: bool = False
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """A short fork of a running sample: what it would answer after ``at`` of its tokens.

    ``forced`` is the text that was put after them, ``text`` what the model said then. A probe that failed said
    nothing. ``forced_tokens`` is its length in tokens.
    """

    at: int
    text: str
    answer: Answer | None
    logprobs: tuple[TokenLogprob, ...] | None
    usage: Usage
    forced: str = ""
    forced_tokens: int = 0


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Sample:
    """One chain of thought: prompt ids plus segments, and what is derived from them.

    ``index`` is its place in launch order. ``finish`` is ``None`` while it grows. ``text`` is decoded from
    all segments; its first ``thought_chars`` characters are the thought. ``concluded`` says that we closed
    the thought. ``started`` and ``ended`` are seconds since the run began.
    """

    index: int
    request: Request
    model: str = ""
    prompt_ids: tuple[int, ...] = ()
    segments: tuple[Segment, ...] = ()
    text: str = ""
    thought_chars: int = 0
    finish: Finish | None = None
    concluded: bool = False
    answer: Answer | None = None
    verdict: Verdict | None = None
    probes: tuple[Probe, ...] = ()
    usage: Usage = Usage()
    started: float = 0.0
    ended: float | None = None
    error: str = ""

    @property
    def finished(self) -> bool:
        """Whether no more tokens will come."""
        return self.finish is not None

    @property
    def token_ids(self) -> tuple[int, ...]:
        """All tokens after the prompt, whatever their origin."""
        return tuple(token for segment in self.segments for token in segment.token_ids)

    @property
    def thinking_tokens(self) -> int:
        """Tokens of its own thought so far, inherited ones not counted."""
        return self.usage.thinking_tokens

    @property
    def thought(self) -> str:
        """The text up to where the answer begins."""
        return self.text[: self.thought_chars]

    @property
    def confidence(self) -> float | None:
        """Geometric mean probability of its sampled tokens in (0, 1], or ``None`` without log-probabilities.

        Source: normalised sequence probability, Wang et al. 2023 (arXiv:2203.11171), section 2, eq. 1.
        Forced and inherited tokens say nothing about the model's own certainty and are left out.
        """
        known = [
            logprob.sampled
            for segment in self.segments
            if segment.origin is Origin.SAMPLED and segment.logprobs is not None
            for logprob in segment.logprobs
        ]
        return math.exp(math.fsum(known) / len(known)) if known else None
