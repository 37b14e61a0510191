"""What a run cost, on every axis that accuracy may be drawn against."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

__all__ = ["LABELS", "Axis"]


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


LABELS: Final = {
    Axis.GENERATED_TOKENS: "generated tokens",
    Axis.ALL_TOKENS: "all tokens",
    Axis.REQUESTS: "requests",
    Axis.SECONDS: "seconds",
    Axis.DOLLARS: "dollars",
    Axis.TERAFLOPS: "TFLOP",
    Axis.JOULES: "joules",
    Axis.KV_BYTES: "KV-cache bytes",
}
"""What an axis is called in words and beside a figure; each is a mean over questions, everything spent included."""
