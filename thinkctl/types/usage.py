"""What was spent, on what, and what it cost."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

__all__ = ["EXACT", "EngineCounters", "Receipt", "ReceiptLine", "Role", "StreamUsage", "Usage"]

EXACT: Final = Context(prec=100)
"""Money is added up in this context: no sum is ever rounded, whatever context the caller has set."""


class Role(StrEnum):
    """What tokens were generated for."""

    SAMPLE = "sample"
    CONCLUSION = "conclusion"
    PROBE = "probe"
    VERIFIER = "verifier"


def _sum_known(left: int | None, right: int | None) -> int | None:
    """Add two counts of which either may be unknown; an unknown part makes the sum unknown."""
    return None if left is None or right is None else left + right


@dataclass(frozen=True, slots=True)
class StreamUsage:
    """What one stream of an engine used, as the engine knows it (tokens).

    ``generated_tokens`` is all that the engine computed by decoding, ``wasted_tokens`` of it computed but not
    delivered. ``cached_tokens`` of the prompt came from the prefix cache (``None``: not told).
    ``estimated`` says that the engine did not tell the truth and we counted ourselves. ``requests`` were sent
    for it: more than one where the first failed and was repeated.
    """

    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    generated_tokens: int = 0
    wasted_tokens: int = 0
    estimated: bool = False
    requests: int = 1


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent, by kind.

    Every generated token is of exactly one kind: ``thinking + answer + probe + forced + wasted`` is
    ``generated``. ``forced_tokens`` are closing texts that a running stream was made to emit (each is a
    decode step); a text that was appended to a prompt instead is among the prompt tokens. ``wasted_tokens``
    were computed but not delivered. Requests count streams opened on an engine.
    """

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = 0
    thinking_tokens: int = 0
    answer_tokens: int = 0
    probe_tokens: int = 0
    forced_tokens: int = 0
    wasted_tokens: int = 0
    estimated: bool = False

    @property
    def generated_tokens(self) -> int:
        """All tokens that engines decoded for this, delivered or not."""
        return (
            self.thinking_tokens
            + self.answer_tokens
            + self.probe_tokens
            + self.forced_tokens
            + self.wasted_tokens
        )

    def __add__(self, other: Usage) -> Usage:
        """Add up two usages; what is unknown in one is unknown in the sum."""
        return Usage(
            self.requests + other.requests,
            self.prompt_tokens + other.prompt_tokens,
            _sum_known(self.cached_tokens, other.cached_tokens),
            self.thinking_tokens + other.thinking_tokens,
            self.answer_tokens + other.answer_tokens,
            self.probe_tokens + other.probe_tokens,
            self.forced_tokens + other.forced_tokens,
            self.wasted_tokens + other.wasted_tokens,
            self.estimated or other.estimated,
        )

    def __sub__(self, other: Usage) -> Usage:
        """Return what came to it since ``other``, tokens by kind; requests and prompts are kept."""
        return replace(
            self,
            thinking_tokens=self.thinking_tokens - other.thinking_tokens,
            answer_tokens=self.answer_tokens - other.answer_tokens,
            probe_tokens=self.probe_tokens - other.probe_tokens,
            forced_tokens=self.forced_tokens - other.forced_tokens,
            wasted_tokens=self.wasted_tokens - other.wasted_tokens,
        )


@dataclass(frozen=True, slots=True)
class ReceiptLine:
    """What one model used in one role. ``dollars`` is ``None`` where the price is not known."""

    role: Role
    model: str
    usage: Usage
    dollars: Decimal | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The bill of a run: one line for each role and model, and the seconds it took.

    ``overshoot_tokens`` are those of it that an engine generated beyond what it was granted: none with an engine
    that honours ``max_tokens``. ``verifier_calls`` is how often a verifier was asked, ``verifier_seconds`` how long
    that took, added up over calls that ran at the same time.
    """

    lines: tuple[ReceiptLine, ...] = ()
    seconds: float = 0.0
    overshoot_tokens: int = 0
    verifier_calls: int = 0
    verifier_seconds: float = 0.0

    @property
    def usage(self) -> Usage:
        """All lines together."""
        return sum((line.usage for line in self.lines), Usage())

    @property
    def dollars(self) -> Decimal | None:
        """The price of all lines, or ``None`` if the price of one is not known. Nothing used costs nothing."""
        total = Decimal(0)
        for line in self.lines:
            if line.dollars is None:
                return None
            total = EXACT.add(total, line.dollars)
        return total

    @property
    def requests(self) -> int:
        """Streams opened on engines."""
        return self.usage.requests

    @property
    def prompt_tokens(self) -> int:
        """Tokens put into prompts, cached ones included, over all requests."""
        return self.usage.prompt_tokens

    @property
    def cached_tokens(self) -> int | None:
        """Prompt tokens that came from a prefix cache; ``None`` where an engine does not tell."""
        return self.usage.cached_tokens

    @property
    def generated_tokens(self) -> int:
        """Tokens decoded, whatever became of them."""
        return self.usage.generated_tokens

    @property
    def thinking_tokens(self) -> int:
        """Delivered tokens of the samples' thoughts."""
        return sum(line.usage.thinking_tokens for line in self.lines if line.role is not Role.VERIFIER)

    @property
    def answer_tokens(self) -> int:
        """Delivered tokens of the samples' answers."""
        return sum(line.usage.answer_tokens for line in self.lines if line.role is not Role.VERIFIER)

    @property
    def probe_tokens(self) -> int:
        """Delivered tokens of probes."""
        return self.usage.probe_tokens

    @property
    def forced_tokens(self) -> int:
        """Closing texts that running streams were made to emit."""
        return self.usage.forced_tokens

    @property
    def verifier_tokens(self) -> int:
        """Tokens that verifiers had generated, wasted ones included."""
        return sum(line.usage.generated_tokens for line in self.lines if line.role is Role.VERIFIER)

    @property
    def wasted_tokens(self) -> int:
        """Tokens computed but not delivered."""
        return self.usage.wasted_tokens

    @staticmethod
    def of(lines: Iterable[ReceiptLine], seconds: float, overshoot_tokens: int = 0) -> Receipt:
        """Make a receipt, one line for each role and model in the order they first appear."""
        merged: dict[tuple[Role, str], ReceiptLine] = {}
        for line in lines:
            old = merged.get((line.role, line.model))
            if old is None:
                merged[line.role, line.model] = line
                continue
            known = old.dollars is not None and line.dollars is not None
            dollars = EXACT.add(old.dollars or 0, line.dollars or 0) if known else None
            merged[line.role, line.model] = replace(old, usage=old.usage + line.usage, dollars=dollars)
        return Receipt(tuple(merged.values()), seconds, overshoot_tokens)

    def __add__(self, other: Receipt) -> Receipt:
        """Add up two receipts; seconds add too (they are time paid for, not time on the wall clock)."""
        return replace(
            Receipt.of([*self.lines, *other.lines], self.seconds + other.seconds),
            overshoot_tokens=self.overshoot_tokens + other.overshoot_tokens,
            verifier_calls=self.verifier_calls + other.verifier_calls,
            verifier_seconds=self.verifier_seconds + other.verifier_seconds,
        )


@dataclass(frozen=True, slots=True)
class EngineCounters:
    """The engine's own truth since it started (tokens; ``running`` is streams it still works on).

    ``prompt_tokens`` were computed (not cached), ``generated_tokens`` decoded, aborted streams included.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    generated_tokens: int | None = None
    running: int | None = None
