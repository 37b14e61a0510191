"""What tokens cost, in exact decimals. What is not known costs ``None``, never 0."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Final

from thinkctl.types import Prices, Usage

__all__ = ["price", "worst_case"]

_EXACT: Final = Context(prec=100)
"""Enough digits that no bill is ever rounded, whatever context the caller has set."""


def price(usage: Usage, prices: Prices | None) -> Decimal | None:
    """Return what ``usage`` costs in dollars, or ``None`` without prices.

    Cached prompt tokens cost their own price where it is given. Where an engine does not tell how many were
    cached, all prompt tokens cost the dearer of the two prices: the result is never below the truth.
    """
    if prices is None:
        return None
    full = prices.dollars_per_million_prompt_tokens
    cached = (
        full if prices.dollars_per_million_cached_tokens is None else prices.dollars_per_million_cached_tokens
    )
    with localcontext(_EXACT):
        if usage.cached_tokens is None:
            prompt = usage.prompt_tokens * max(full, cached)
        else:
            hits = min(usage.cached_tokens, usage.prompt_tokens)
            prompt = (usage.prompt_tokens - hits) * full + hits * cached
        generated = usage.generated_tokens * prices.dollars_per_million_generated_tokens
        return (prompt + generated).scaleb(-6) + usage.requests * prices.dollars_per_request


def worst_case(
    prompt_tokens: int, generated_tokens: int, requests: int, prices: Prices | None
) -> Decimal | None:
    """Return the most dollars that this much can cost, nothing cached for less; for reservations.

    ``None`` without prices: it cannot be bounded.
    """
    most = Usage(requests, prompt_tokens, cached_tokens=None, answer_tokens=generated_tokens)
    return price(most, prices)
