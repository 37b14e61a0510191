"""Engines generate. ``engine_from`` makes one from a spec such as ``vllm:small`` or ``replay:runs.jsonl``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from thinkctl.errors import ConfigurationError, MissingExtra
from thinkctl.protocols import Engine

__all__ = ["KINDS", "engine_from"]

KINDS: Final = {
    "vllm": "vLLM in process: a catalogue name, a local folder or a hub name",
    "vllm-lockstep": "the same on vLLM's lock-step driver: slower, repeatable",
    "transformers": "Hugging Face transformers in process, for machines without vLLM: a catalogue name or a folder",
    "openai": "a server that speaks OpenAI's protocol: MODEL, URL or MODEL@URL",
    "replay": "a file of recorded runs or a pool of samples",
}
"""What a spec may begin with, and what that is."""


def engine_from(spec: str, **options: Any) -> Engine:
    """Make an engine from ``KIND:WHAT``.

    ``vllm:PATH-OR-NAME`` runs a model in process (pulled on first use when it is in the catalogue),
    ``vllm-lockstep:PATH-OR-NAME`` the same on the lock-step driver, ``transformers:PATH-OR-NAME`` the same without
    vLLM, ``openai:MODEL@URL`` asks a server (its only
    model without ``MODEL@``, OpenAI's own or ``OPENAI_BASE_URL`` without ``@URL``), ``replay:FILE`` plays recorded
    samples. Options go to the engine. Nothing is loaded before the first generation.

    Raises:
        ConfigurationError: for a spec that is not understood.
        ThinkctlError: for a model that is unknown or cannot be had.
    """
    kind, colon, what = spec.partition(":")
    if not colon or not what.strip() or kind not in KINDS:
        kinds = "; ".join(f"{name}:... is {meaning}" for name, meaning in KINDS.items())
        raise ConfigurationError(f"engine {spec!r} is not understood; write KIND:WHAT, where {kinds}")
    if kind == "replay":
        from thinkctl.engines.replay import ReplayEngine

        return ReplayEngine.from_file(what, **options)
    if kind == "openai":
        return _server(what.strip(), options)
    from thinkctl.models import card_for, resolve

    folder = resolve(what)
    options.setdefault("card", card_for(folder))
    if kind == "transformers":
        return _transformers(folder, options)
    from thinkctl.engines.vllm import VllmEngine, VllmLockstep

    return VllmEngine(folder, **options) if kind == "vllm" else VllmLockstep(folder, **options)


def _transformers(folder: Path, options: dict[str, Any]) -> Engine:
    try:
        from thinkctl.engines.transformers import TransformersEngine
    except ImportError as error:
        raise MissingExtra(f"this engine needs {error.name}: pip install 'thinkctl[transformers]'") from error
    return TransformersEngine(folder, **options)


def _server(what: str, options: dict[str, Any]) -> Engine:
    try:
        from thinkctl.engines.openai import OpenAIEngine
    except ImportError as error:
        raise MissingExtra(f"servers need {error.name}: pip install 'thinkctl[openai]'") from error
    model, at, url = what.rpartition("@")
    if not at:
        model, url = ("", what) if "://" in what else (what, "")
    if url:
        options["base_url"] = url
    return OpenAIEngine(model or None, **options)
