"""What a run cost, on every axis that accuracy may be drawn against."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Axis"]


class Axis(StrEnum):
    """A kind of compute. Every one counts all that was spent: verifier, probes and what was thrown away included.

    ``SECONDS`` is wall-clock time from the call to the answer, of measured runs only. ``TERAFLOPS`` are operations,
    10^12 of them, not a rate. ``KV_BYTES`` is the most memory that keys and values of one run held at once.
    """

    GENERATED_TOKENS = "generated_tokens"
    ALL_TOKENS = "all_tokens"
    REQUESTS = "requests"
    SECONDS = "seconds"
    DOLLARS = "dollars"
    TERAFLOPS = "teraflops"
    JOULES = "joules"
    KV_BYTES = "kv_bytes"
