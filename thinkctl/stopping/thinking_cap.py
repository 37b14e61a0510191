"""A cap on the thought of every sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.types import Decision, History

__all__ = ["ThinkingCap"]


@final
@dataclass(frozen=True)
class ThinkingCap:
    """Close every thought after ``tokens`` tokens and ask for the answer. Never stops a run.

    Source: budget forcing, Muennighoff et al. 2025 (arXiv:2501.19393), section 3.1, the upper limit.
    """

    tokens: int

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise ConfigurationError(f"tokens={self.tokens!r} is no length; give 0 (no thought) or more")

    def decide(self, history: History) -> Decision:
        return Decision(thinking_tokens=self.tokens, why=f"thoughts end after {self.tokens} tokens")
