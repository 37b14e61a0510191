"""The seams: the only abstract things in thinkctl.

Strategies, policies and selectors are pure: no clock, no randomness, no I/O. Time is ``history.elapsed``,
randomness is ``random.Random(f"{history.seed}:{history.bought}")``. Engines and verifiers do I/O.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from thinkctl.types import (
    Answer,
    Capabilities,
    Decision,
    Delta,
    EngineCounters,
    GenerationSpec,
    History,
    Message,
    ModelCard,
    Request,
    Sample,
    Standing,
    StreamUsage,
    Verdict,
)

__all__ = [
    "Allocation",
    "Engine",
    "Engines",
    "Selector",
    "StoppingPolicy",
    "Strategy",
    "Stream",
    "Tokenizer",
    "Verifier",
]


class Tokenizer(Protocol):
    """Text to token ids and back, as the model sees them."""

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text, without any special tokens around it; marks in the text are marks."""
        ...

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of ids. Special tokens (end of turn) are left out; thinking marks stay."""
        ...

    def chat(self, messages: Sequence[Message]) -> list[int]:
        """Return the prompt ids of a conversation, ready for the model's answer."""
        ...


class Stream(Protocol):
    """One generation in progress. Nothing is sent to the engine before it is first awaited."""

    def __aiter__(self) -> AsyncIterator[Delta]:
        """Iterate over tokens as they come; ends after the delta with a finish.

        Raises ``RequestFailed`` if this request failed, ``EngineUnavailable`` if the engine is dead.
        """
        ...

    async def close(self) -> StreamUsage:
        """Stop now and return what was used, to the token; may be called again and at any state.

        When it returns, the engine does no more work for this stream.
        """
        ...

    async def force(self, token_ids: Sequence[int]) -> bool:
        """Make the running stream emit these tokens next, keeping its cache.

        They come as a delta marked ``forced``. ``False``: not possible here or now; close it and continue
        from its tokens instead.
        """
        ...


@runtime_checkable
class Engine(Protocol):
    """Generates tokens. One stream is one sample; there is never more than one choice per request."""

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        ...

    @property
    def caps(self) -> Capabilities:
        """What this engine honours."""
        ...

    @property
    def tokenizer(self) -> Tokenizer:
        """The model's tokenizer."""
        ...

    async def start(self) -> None:
        """Load what must be loaded before the first token; at once where that was done. No budget pays for it.

        Raises ``EngineUnavailable`` if the engine cannot be started.
        """
        ...

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Stream:
        """Start a generation after ``prompt``, at most ``spec.max_tokens`` tokens long.

        Raises ``ContextExceeded`` if prompt and generation do not fit the model's context.
        """
        ...

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Return the natural-log probability of each of ``token_ids`` as the next token. One decode step."""
        ...

    async def counters(self) -> EngineCounters:
        """Return the engine's own count of what it computed since it started."""
        ...

    async def aclose(self) -> None:
        """Shut the engine down; streams in progress end with ``EngineUnavailable``."""
        ...


Engines = Mapping[str, Engine]
"""Engines by model name, metered: what a verifier uses through them is on the bill and inside the wall."""


@runtime_checkable
class Strategy(Protocol):
    """Pure: what to ask next."""

    @property
    def selector(self) -> Selector:
        """Which answer wins, unless the controller was given another selector."""
        ...

    def propose(self, history: History) -> Sequence[Request]:
        """Return what to ask now, most important first; nothing means nothing to ask now."""
        ...


@runtime_checkable
class StoppingPolicy(Protocol):
    """Pure: whether more thinking is worth it.

    A policy that reads more than votes and text says so in an attribute ``needs`` (``thinkctl.types.Needs``):
    a controller then arranges it, or refuses the policy when it is made. Where a signal is missing all the
    same, a policy decides nothing on it.
    """

    def decide(self, history: History) -> Decision:
        """Return what to do now."""
        ...


@runtime_checkable
class Allocation(Protocol):
    """Pure: which problem of a batch the next sample is for."""

    def priority(self, standing: Standing) -> float | None:
        """Return how urgent one more sample is, higher first; ``None``: this problem needs no more.

        Ties go to the problem with the fewest samples, then to the first in the batch.
        """
        ...


@runtime_checkable
class Selector(Protocol):
    """Pure: which answer wins."""

    def select(self, history: History) -> Answer | None:
        """Return the winner among the settled samples, or ``None`` if none of them answered."""
        ...


@runtime_checkable
class Verifier(Protocol):
    """Judges a sample without the reference answer.

    One that reads more than answers and text says so in an attribute ``needs``, as a policy does.
    """

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        """Return a verdict on a finished sample; generation goes through the metered ``engines``."""
        ...
