"""Chains that grow step by step, in waves: what beam search, DVTS and REBASE have in common.

A step is a sample that goes on from the step before it (``Request.parent``) and ends with ``Finish.STEP``. The steps
of one depth are a wave. Which chains a wave goes on with, and how often each, follows from the wave before alone, so
a wave that could not be launched at once is completed later, and the next one begins when all of it has ended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.selectors import score_of, weighted_vote
from thinkctl.strategies.prompts import reason_first
from thinkctl.types import Answer, Finish, History, Request, Sample, Sampling

__all__ = [
    "Aggregate",
    "WeightedChains",
    "chain_score",
    "check_aggregate",
    "check_knobs",
    "ended_by",
    "is_open",
    "next_wave",
    "root_of",
]

Aggregate = Literal["last", "min", "prod"]
"""How the scores of its steps make the score of a chain."""
_AGGREGATES: Final[Mapping[Aggregate, Callable[[Sequence[float]], float]]] = {
    "last": lambda scores: scores[-1],
    "min": min,
    "prod": math.prod,
}


def next_wave(
    history: History,
    first: int,
    expand: Callable[[Sequence[Sample]], Sequence[int]],
    *,
    sampling: Sampling,
    until: str,
    step_tokens: int,
    rounds: int,
) -> list[Request]:
    """Return what is still to be asked of the current wave, or the next one when it has ended.

    ``expand`` gets the steps of a wave and returns the indices of those to go on from, one for each new step. The
    first wave has ``first`` steps. The last of ``rounds`` waves is not made of steps: its chains go on to their end.
    """
    depths = _depths(history.samples)
    depth = max(depths, default=0)
    waves = [
        [sample for sample, own in zip(history.samples, depths, strict=True) if own == wave]
        for wave in range(depth + 1)
    ]
    parents: Sequence[int | None] = expand(waves[-2]) if depth else [None] * first
    missing = parents[len(waves[-1]) :]
    if not missing and waves[-1] and all(sample.finished for sample in waves[-1]) and depth + 1 < rounds:
        depth, missing = depth + 1, expand(waves[-1])
    messages = reason_first(history.problem)
    step = sampling.model_copy(update={"max_tokens": step_tokens}) if depth + 1 < rounds else sampling
    stop = until if depth + 1 < rounds else None
    return [Request(messages, step, parent=parent, until=stop) for parent in missing]


def is_open(sample: Sample) -> bool:
    """Whether a chain can go on after this step: it has ended as a step, and stated no answer."""
    return sample.finish is Finish.STEP and sample.answer is None


def ended_by(samples: Sequence[Sample], wave: Sequence[Sample]) -> int:
    """Return how many chains had ended when a wave had, the failed ones included."""
    last = wave[-1].index if wave else -1
    return sum(sample.finished and not is_open(sample) for sample in samples[: last + 1])


def chain_score(samples: Sequence[Sample], sample: Sample, aggregate: Aggregate) -> float | None:
    """Return the score of the chain that ends with a step; steps that were not scored are left out."""
    scores = [score for step in _chain(samples, sample) if (score := score_of(step)) is not None]
    return _AGGREGATES[aggregate](scores) if scores else None


def root_of(samples: Sequence[Sample], sample: Sample) -> int:
    """Return the launch index of a chain's first step."""
    return _chain(samples, sample)[0].index


def check_knobs(**knobs: float) -> None:
    """Raise ``ConfigurationError`` for a number below 1."""
    for name, value in knobs.items():
        if value < 1:
            raise ConfigurationError(f"{name}={value!r} makes no search; give 1 or more")


@final
@dataclass(frozen=True)
class WeightedChains:
    """The answer with the largest sum of chain scores; ties go to the answer that was given first.

    The score of a chain is made of those of its steps by ``aggregate``: the ``"last"`` one, their ``"min"`` or their
    product, ``"prod"``. A chain without a score counts as much as the average chain with one.

    Source: weighted best-of-N, Snell et al. 2024 (arXiv:2408.03314), section 5.1; ``"last"`` there, ``"min"`` and
    ``"prod"`` in Lightman et al. 2023 (arXiv:2305.20050), appendix.
    """

    aggregate: Aggregate = "last"

    def __post_init__(self) -> None:
        check_aggregate(self.aggregate)

    def select(self, history: History) -> Answer | None:
        return weighted_vote(
            (sample.answer, chain_score(history.samples, sample, self.aggregate))
            for sample in history.settled
            if sample.answer is not None
        )


def check_aggregate(aggregate: str) -> None:
    """Raise ``ConfigurationError`` for an aggregate that is not known."""
    if aggregate not in _AGGREGATES:
        known = ", ".join(map(repr, _AGGREGATES))
        raise ConfigurationError(f"aggregate={aggregate!r} is not known; use one of {known}")


def _depths(samples: Iterable[Sample]) -> list[int]:
    """Return how many steps come before each."""
    depths: list[int] = []
    for sample in samples:
        parent = sample.request.parent
        depths.append(depths[parent] + 1 if parent is not None and parent < len(depths) else 0)
    return depths


def _chain(samples: Sequence[Sample], sample: Sample) -> list[Sample]:
    """Return the steps of the chain that ends with this one, the first one first."""
    chain = [sample]
    while (parent := chain[-1].request.parent) is not None and parent < chain[-1].index:
        chain.append(samples[parent])
    return chain[::-1]
