"""Samples in flight and their probes, for tests of policies that act within a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from thinkctl.testing import history_of, sample_of
from thinkctl.types import (
    Answer,
    Decision,
    Finish,
    History,
    Origin,
    Probe,
    Sample,
    Segment,
    TokenLogprob,
    Usage,
)

CUE = "</think>The answer is \\boxed{"


def growing(
    tokens: int | Sequence[int],
    *probes: Probe,
    logprobs: Sequence[TokenLogprob] | None = None,
    inherited: int = 0,
    text: str | None = None,
) -> Sample:
    """Return a sample that is still thinking after so many tokens, all different unless they are given."""
    ids = tuple(range(100, 100 + tokens)) if isinstance(tokens, int) else tuple(tokens)
    own = Segment(ids[inherited:], Origin.SAMPLED, None if logprobs is None else tuple(logprobs))
    segments = (Segment(ids[:inherited], Origin.INHERITED), own) if inherited else (own,)
    said = "w" * len(ids) if text is None else text
    return replace(
        sample_of(...), segments=segments, text=said, thought_chars=len(said), probes=probes, usage=Usage()
    )


def closed(sample: Sample) -> Sample:
    """Return the sample after its thought has ended by itself."""
    return replace(sample, text=f"{sample.text} \\boxed{{")


def settled(*logprobs: TokenLogprob, finish: Finish = Finish.STOP, answer: str = "4") -> Sample:
    """Return a finished sample whose tokens, all different, have these log-probabilities."""
    done = sample_of(answer if finish is Finish.STOP else None, finish=finish)
    return replace(done, segments=(Segment(tuple(range(len(logprobs))), Origin.SAMPLED, tuple(logprobs)),))


def probe(
    at: int,
    answer: str | None = "4",
    *probabilities: float,
    said: str | None = None,
    forced: str = CUE,
    top: Sequence[float] = (),
) -> Probe:
    """Return a probe whose tokens had these probabilities, the first one this distribution."""
    text = f"{answer}}}" if said is None else said
    shares = probabilities or (1.0,) * bool(top)
    known = [TokenLogprob(math.log(share) if share else -math.inf) for share in shares]
    if top:
        known[0] = TokenLogprob(known[0].sampled, tuple(math.log(share) for share in top))
    return Probe(
        at,
        text,
        None if answer is None else Answer(answer, answer, 0, concluded=True),
        tuple(known) or None,
        Usage(probe_tokens=max(1, len(known))),
        forced,
        3,
    )


def decided(policy: object, *samples: Sample) -> Decision:
    """Return what a policy decides on these samples, in launch order."""
    return policy.decide(seen(*samples))  # type: ignore[attr-defined]


def seen(*samples: Sample) -> History:
    """Return a history of these samples."""
    return history_of(*samples)


def level(confidence: float, alternatives: int = 20) -> TokenLogprob:
    """Return a token whose alternatives have this confidence, in nats, each."""
    return TokenLogprob(-confidence, (-confidence,) * alternatives)
