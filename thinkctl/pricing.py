"""What tokens and hours cost, in exact decimals. What is not known costs ``None``, never 0."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Context, Decimal, localcontext
from typing import TYPE_CHECKING, Final

from thinkctl.errors import MissingExtra
from thinkctl.types import Prices, Usage

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, TieredPrices

__all__ = [
    "dollars_for_seconds",
    "dollars_per_hour",
    "only_time_costs",
    "price",
    "prices_for",
    "seconds_for_dollars",
    "worst_case",
]

_EXACT: Final = Context(prec=100)
"""Enough digits that no bill is ever rounded, whatever context the caller has set."""
_SECONDS_PER_HOUR: Final = 3600
_SMALLEST: Final = Decimal("1E-12")
"""Dollars for time are rounded up to a multiple of this: an hour's price does not divide by 3,600 in decimals."""
_NANOSECOND: Final = Decimal("1E-9")
"""Seconds are charged to the nearest of these: what is behind it is noise of the clock's floats."""
_LOOKED_AT: Final = [timedelta(minutes=15 * quarter) for quarter in range(96)]
"""The moments at which a price list is read: prices that change with the time of day change at these."""


# -- what was used -------------------------------------------------------------------------------------------


def price(usage: Usage, prices: Prices | None) -> Decimal | None:
    """Return what ``usage`` costs in dollars, or ``None`` without prices; hours are charged apart.

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


# -- time ----------------------------------------------------------------------------------------------------


def dollars_per_hour(prices: Iterable[Prices | None]) -> Decimal:
    """Return what an hour costs in which all these engines are held at once."""
    with localcontext(_EXACT):
        return sum((each.dollars_per_hour for each in prices if each is not None), Decimal(0))


def dollars_for_seconds(seconds: float, hourly: Decimal) -> Decimal:
    """Return what seconds, to the nanosecond, cost at an hourly price, rounded up to a trillionth of a dollar."""
    with localcontext(_EXACT):
        time = max(Decimal(repr(seconds)).quantize(_NANOSECOND), Decimal(0))
        dollars = time * hourly / _SECONDS_PER_HOUR
        return dollars.quantize(_SMALLEST, rounding=ROUND_UP).normalize()


def seconds_for_dollars(dollars: Decimal, hourly: Decimal) -> float:
    """Return how many seconds an amount buys at an hourly price, which is not 0; none for less than nothing."""
    return float(_EXACT.divide(_EXACT.multiply(max(dollars, Decimal(0)), _SECONDS_PER_HOUR), hourly))


def only_time_costs(prices: Iterable[Prices | None]) -> bool:
    """Whether neither tokens nor requests of these engines cost anything."""
    return not any(
        each is None
        or each.dollars_per_million_prompt_tokens
        or each.dollars_per_million_generated_tokens
        or each.dollars_per_million_cached_tokens
        or each.dollars_per_request
        for each in prices
    )


# -- a price list --------------------------------------------------------------------------------------------


def prices_for(name: str, *, at: datetime | None = None) -> Prices | None:
    """Return what the price list of genai-prices says of ``PROVIDER/MODEL``; ``None`` where it says nothing.

    The provider may be left out where the list knows whose model it is. The list comes with the package;
    nothing is fetched. These prices are never below the bill of standard requests: where a price depends on
    the length of the prompt the dearest tier holds for all tokens, where it depends on the time of day the
    dearest of the 24 hours from ``at`` (default: now), and where the provider charges for writing its prompt
    cache that is the price of a prompt token that was not cached, if it is dearer. ``source`` says so.
    Discounts for batches, other service tiers, searches and tools are not in them.

    Raises ``MissingExtra`` without genai-prices.

    **Source**: the package genai-prices, standard prices in dollars.
    """
    from importlib.metadata import version

    try:
        from genai_prices.data_snapshot import get_snapshot
    except ImportError:
        raise MissingExtra(
            f"the price of {name!r} is looked up in genai-prices, which is not installed; "
            "install thinkctl[prices], or give the prices in numbers"
        ) from None

    snapshot = get_snapshot()
    provider_id, slash, model_name = name.strip().partition("/")
    try:
        provider, model = snapshot.find_provider_model(
            model_name if slash else provider_id, None, provider_id if slash else None, None
        )
    except LookupError:
        return None
    begin = at or datetime.now(tz=UTC)
    lists = _without_repeats(model.get_prices(begin + later) for later in _LOOKED_AT)
    updated = f" of {snapshot.timestamp:%Y-%m-%d}" if snapshot.from_auto_update else ""
    return _dearest(lists, f"genai-prices {version('genai-prices')}{updated} {provider.id}/{model.id}")


def _without_repeats(lists: Iterable[ModelPrice]) -> list[ModelPrice]:
    found: list[ModelPrice] = []
    for each in lists:
        if each not in found:
            found.append(each)
    return found


def _dearest(lists: list[ModelPrice], source: str) -> Prices | None:
    """Return the most that any of these can charge; ``None`` where one does not price prompts or answers."""
    with localcontext(_EXACT):
        plain = [_most(each.input_mtok) for each in lists]
        written = [_most(each.cache_write_mtok) for each in lists]
        prompts = _largest([*plain, *(each for each in written if each is not None)])
        thoughts = [
            each for each in (_most(item.output_reasoning_mtok) for item in lists) if each is not None
        ]
        generated = _largest([*(_most(each.output_mtok) for each in lists), *thoughts])
        if prompts is None or generated is None:
            return None
        requests = [_most(each.requests_kcount) or Decimal(0) for each in lists]
        reasons = [
            *(["dearest tier"] if any(_has_tiers(each) for each in lists) else []),
            *(["dearest hour"] if len(lists) > 1 else []),
            *(["cache writes"] if prompts != _largest(plain) else []),
        ]
        return Prices(
            dollars_per_million_prompt_tokens=prompts,
            dollars_per_million_generated_tokens=generated,
            dollars_per_million_cached_tokens=_largest([_most(each.cache_read_mtok) for each in lists]),
            dollars_per_request=max(requests).scaleb(-3),
            source=", ".join([source, *reasons]),
        )


def _most(amount: Decimal | TieredPrices | None) -> Decimal | None:
    """Return a price whatever the length of the prompt is."""
    if amount is None or isinstance(amount, Decimal):
        return amount
    return max([amount.base, *(tier.price for tier in amount.tiers)])


def _has_tiers(prices: ModelPrice) -> bool:
    parts = (prices.input_mtok, prices.output_mtok, prices.cache_read_mtok, prices.cache_write_mtok)
    return not all(part is None or isinstance(part, Decimal) for part in parts)


def _largest(amounts: list[Decimal | None]) -> Decimal | None:
    """Return the largest of prices; not known where one of them is not."""
    known = [each for each in amounts if each is not None]
    return max(known) if known and len(known) == len(amounts) else None
