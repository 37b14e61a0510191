"""Hugging Face transformers as an engine: for machines without vLLM. Needs ``pip install 'thinkctl[transformers]'``."""

from __future__ import annotations

from thinkctl.engines.transformers._engine import TransformersEngine

__all__ = ["TransformersEngine"]
