"""What a run cost, on every axis: all that was spent, what verifiers generated and what was thrown away included.

**Operations.** A forward pass of one token does 2 operations for each active parameter, and in every layer 4 for each
head, each number of a head and each position that the token looks at (2 for the scores, 2 for the weighted sum):

    FLOP(token at position t) = 2 N_active + 4 layers heads head_size t

summed over generated tokens and over prompt tokens that had to be computed: not those that the run itself had put
into a prefix cache, but those that an earlier run had put there (``cold``). Source:
Kaplan et al. 2020 (arXiv:2001.08361), section 2.1 and table 1, where heads x head_size = d_attn; the 4 instead of their
2 counts a multiplication and an addition for scores and for sums, as Hoffmann et al. 2022 (arXiv:2203.15556), appendix
F. Embeddings are counted among the parameters, as the unembedding is computed for every token. Of mixtures of experts
only the parameters that a token visits are active.

**Memory.** Keys and values take ``2 layers key_value_heads head_size`` numbers a token, of 2 bytes unless
told otherwise.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from thinkctl.evals.axes import Axis
from thinkctl.evals.cold import cold
from thinkctl.pricing import price
from thinkctl.types import ModelCard, Prices, Run, Sample, Usage
from thinkctl.types.usage import Role

__all__ = ["VALUE_BYTES", "costs_of", "kv_bytes_per_token", "operations", "peak_kv_bytes", "prices_in"]

VALUE_BYTES: Final = 2
"""Bytes of a number in the cache: half precision."""


def costs_of(
    run: Run,
    cards: Mapping[str, ModelCard],
    *,
    joules: float | None = None,
    value_bytes: Mapping[str, int] | None = None,
) -> Mapping[Axis, float]:
    """Return what a run spent on every axis; NaN where it is not known.

    Operations and dollars are those of a run that finds the prefix cache empty (``cold``): dollars may be more than
    the receipt's, where a price for cached tokens was paid for what another run had computed.
    ``cards`` are by the name that the receipt's lines have. ``joules`` are those that were measured for it.
    ``value_bytes`` are the bytes of a number in each model's cache (2 where not given).
    """
    usage = run.receipt.usage
    return {
        Axis.GENERATED_TOKENS: float(usage.generated_tokens),
        Axis.ALL_TOKENS: float(usage.generated_tokens + usage.prompt_tokens),
        Axis.REQUESTS: float(usage.requests),
        Axis.SECONDS: run.receipt.seconds,
        Axis.DOLLARS: _dollars(run),
        Axis.TERAFLOPS: _teraflops(run, cards),
        Axis.JOULES: math.nan if joules is None else joules,
        Axis.KV_BYTES: peak_kv_bytes(run.samples, cards, value_bytes),
    }


def operations(usage: Usage, card: ModelCard | None) -> float:
    """Return the floating-point operations of what one model used; NaN where its size is not known.

    Where several requests are added up in one usage, each is taken to have had an equal part of its tokens. Where an
    engine does not tell what it had cached, every prompt token is taken to have been computed.
    """
    if card is None or card.active_parameters is None:
        return math.nan if usage.generated_tokens or usage.prompt_tokens else 0.0
    return 2.0 * card.active_parameters * _computed(usage) + _attention(usage, card)


def _computed(usage: Usage) -> int:
    return usage.prompt_tokens - (usage.cached_tokens or 0) + usage.generated_tokens


def _attention(usage: Usage, card: ModelCard) -> float:
    """Return the operations of looking back; NaN where the model's shape is not known."""
    if card.dimensions is None:
        return math.nan
    shape = card.dimensions
    if not usage.requests:
        return 0.0
    before = (usage.cached_tokens or 0) / usage.requests
    after = (usage.prompt_tokens + usage.generated_tokens) / usage.requests
    positions = (
        after * (after + 1) - before * (before + 1)
    ) / 2  # 1 + 2 + ... + after, without the cached ones
    return 4.0 * shape.layers * shape.heads * shape.head_size * positions * usage.requests


def prices_in(run: Run, model: str) -> Prices | None:
    """Return what a model's tokens cost in a run; ``None`` where nobody said."""
    return next((each.prices for each in run.prices if each.model == model), None)


def _dollars(run: Run) -> float:
    """Return the bill, with what it would have been more had the cache been empty."""
    if run.receipt.dollars is None:
        return math.nan
    more = Decimal(0)
    for sample, used in zip(run.samples, cold(run.samples), strict=True):
        prices = prices_in(run, sample.model)
        if prices is not None and used != sample.usage:
            more += (price(used, prices) or 0) - (price(sample.usage, prices) or 0)
    return float(run.receipt.dollars + more)


def _teraflops(run: Run, cards: Mapping[str, ModelCard]) -> float:
    """Add up the samples, each at its own positions, and what the bill has besides: probes elsewhere, verifiers."""
    total, told = 0.0, defaultdict[str, Usage](Usage)
    for sample, used in zip(run.samples, cold(run.samples), strict=True):
        total += operations(used, cards.get(sample.model))
        told[sample.model] += sample.usage
    billed = defaultdict[str, Usage](Usage)
    for line in run.receipt.lines:
        if line.role is Role.VERIFIER:
            total += operations(line.usage, cards.get(line.model))
        else:
            billed[line.model] += line.usage
    for model, usage in billed.items():
        rest = _computed(usage) - _computed(told[model])
        card = cards.get(model)
        if rest > 0:  # tokens that no sample kept, such as those of a request that was repeated
            known = card is not None and card.active_parameters is not None
            total += 2.0 * (card.active_parameters or 0) * rest if known and card is not None else math.nan
    return total / 1e12


def kv_bytes_per_token(card: ModelCard | None, value_bytes: int = VALUE_BYTES) -> float:
    """Return the bytes that keys and values of one token take; NaN where the model's shape is not known.

    Models that keep a compressed cache (latent attention) or drop old tokens (sliding windows) keep less.
    """
    if card is None or card.dimensions is None:
        return math.nan
    shape = card.dimensions
    return 2.0 * shape.layers * shape.key_value_heads * shape.head_size * value_bytes


def peak_kv_bytes(
    samples: Iterable[Sample], cards: Mapping[str, ModelCard], value_bytes: Mapping[str, int] | None = None
) -> float:
    """Return the most bytes of keys and values that samples held at once.

    A sample holds its prompt and all its tokens from its start to its end; samples that ran at the same time and
    have the same prompt hold it once. That is what an engine with a prefix cache needs at least: whole blocks, and
    what is kept for later, come on top.
    """
    listed = list(samples)
    most = 0.0
    for moment in sorted({sample.started for sample in listed}):
        held = [
            each for each in listed if each.started <= moment and (each.ended is None or each.ended >= moment)
        ]
        bytes_held = _held(held, cards, value_bytes or {})
        if math.isnan(bytes_held):
            return math.nan
        most = max(most, bytes_held)
    return most


def _held(samples: Iterable[Sample], cards: Mapping[str, ModelCard], value_bytes: Mapping[str, int]) -> float:
    total, prompts = 0.0, set[tuple[str, tuple[int, ...]]]()
    for sample in samples:
        each = kv_bytes_per_token(cards.get(sample.model), value_bytes.get(sample.model, VALUE_BYTES))
        total += each * len(sample.token_ids)
        if (sample.model, sample.prompt_ids) not in prompts:
            prompts.add((sample.model, sample.prompt_ids))
            total += each * len(sample.prompt_ids)
    return total
