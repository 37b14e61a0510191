"""A vLLM server's own counters, out of its ``/metrics`` page."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from thinkctl.errors import MissingExtra
from thinkctl.types import EngineCounters

__all__ = ["counters_from"]

_COMPUTED: Final = "local_compute"


def counters_from(page: str, model: str) -> EngineCounters:
    """Read the counters of one model. What the page does not tell is ``None``."""
    sums: dict[str, float] = {}
    for name, source, value in _samples(page, model):
        key = f"{name}/{source}" if source else name
        sums[key] = sums.get(key, 0.0) + value
    running = _sum(sums, "vllm:num_requests_running", "vllm:num_requests_waiting")
    return EngineCounters(
        prompt_tokens=_sum(sums, f"vllm:prompt_tokens_by_source_total/{_COMPUTED}"),
        cached_tokens=_sum(sums, "vllm:prompt_tokens_by_source_total/local_cache_hit"),
        generated_tokens=_sum(sums, "vllm:generation_tokens_total"),
        running=running,
    )


def _samples(page: str, model: str) -> Iterator[tuple[str, str, float]]:
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as error:
        raise MissingExtra(
            "a server's counters need prometheus-client: pip install 'thinkctl[openai]'"
        ) from error
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            mine = sample.labels.get("model_name", model) == model
            if mine and sample.name.startswith("vllm:") and math.isfinite(sample.value):
                yield sample.name, sample.labels.get("source", ""), sample.value


def _sum(sums: dict[str, float], *names: str) -> int | None:
    known = [sums[name] for name in names if name in sums]
    return int(sum(known)) if known else None
