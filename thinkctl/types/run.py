"""A finished run, and what happens on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thinkctl.types.card import Prices
from thinkctl.types.decision import Decision
from thinkctl.types.history import History
from thinkctl.types.sample import Answer, Sample
from thinkctl.types.usage import Receipt

__all__ = [
    "AnswerImproved",
    "Decided",
    "Event",
    "Finished",
    "ModelPrices",
    "Note",
    "Run",
    "SampleFinished",
    "SampleStarted",
    "Shadow",
    "StopReason",
    "Thought",
]


class StopReason(StrEnum):
    """Why a run ended; the set is closed.

    ``DONE``: the strategy had nothing more to ask. ``POLICY``: the stopping policy was satisfied. ``TOKENS``,
    ``SECONDS``, ``DOLLARS``, ``REQUESTS``: that wall was reached. ``CANCELLED``: the caller gave up.
    ``ENGINE``: the engine died.
    """

    DONE = "done"
    POLICY = "policy"
    TOKENS = "tokens"
    SECONDS = "seconds"
    DOLLARS = "dollars"
    REQUESTS = "requests"
    CANCELLED = "cancelled"
    ENGINE = "engine"


@dataclass(frozen=True, slots=True)
class Note:
    """One decision that was made in a run: when (seconds), on how many settled samples, what, and why."""

    elapsed: float
    settled: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class ModelPrices:
    """The prices that a model was billed at; ``prices.source`` names them and their version."""

    model: str
    prices: Prices


@dataclass(frozen=True, slots=True)
class Shadow:
    """What a policy that only watched would have made of a run; nothing of it was done.

    ``policy`` is its spec. ``stopped`` says whether it would have ended the run early, ``samples`` how many
    samples it would have taken for how many generated ``tokens``, probes included; ``saved_tokens`` is what
    the run spent beyond that. ``answer`` is the one that it would have given, ``changed`` whether that is
    another value than the run's. ``unknown`` is the number of samples that it would have made conclude where
    the recording does not tell what they would have answered: they abstain. ``error`` is set where the policy
    failed.
    """

    policy: Mapping[str, object]
    stopped: bool = False
    samples: int = 0
    tokens: int = 0
    saved_tokens: int = 0
    answer: Answer | None = None
    changed: bool = False
    unknown: int = 0
    why: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """The finished history with answer, stop reason and receipt; one line of a run file.

    ``confidence`` in [0, 1] is the policy's for the answer, or the answer's share of the votes where the
    policy has none; ``None`` without an answer. ``strategy``, ``policy``, ``selector`` and ``verifier`` are
    specs; where samples have verdicts and ``verifier`` is ``None``, nobody recorded who judged them.
    ``prices`` are those of every model whose price was known, used or not; empty where none was. ``shadows``
    say what policies that only watched would have done.
    """

    history: History
    answer: Answer | None
    confidence: float | None
    stop: StopReason
    why: str
    receipt: Receipt
    strategy: Mapping[str, object] = field(default_factory=dict[str, object])
    policy: Mapping[str, object] | None = None
    selector: Mapping[str, object] | None = None
    notes: tuple[Note, ...] = ()
    prices: tuple[ModelPrices, ...] = ()
    shadows: tuple[Shadow, ...] = ()
    verifier: Mapping[str, object] | None = None

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All samples in launch order."""
        return self.history.samples

    @property
    def seconds(self) -> float:
        """Wall-clock seconds from the call to the answer."""
        return self.receipt.seconds


@dataclass(frozen=True, slots=True)
class SampleStarted:
    """A sample was launched."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class Thought:
    """More text of a growing sample."""

    sample: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleFinished:
    """A sample has all its tokens and, where there is a verifier, its verdict."""

    sample: Sample


@dataclass(frozen=True, slots=True)
class Decided:
    """The policy decided something new."""

    note: Note


@dataclass(frozen=True, slots=True)
class AnswerImproved:
    """The answer that would be given now has changed, or its confidence has."""

    answer: Answer
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ended; the last event."""

    run: Run


Event = SampleStarted | Thought | SampleFinished | Decided | AnswerImproved | Finished
