"""Servers that speak OpenAI's protocol, hosted ones and vLLM's. Needs ``pip install 'thinkctl[openai]'``."""

from __future__ import annotations

from thinkctl.engines.openai._engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
