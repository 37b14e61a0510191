"""What a controller is made of; the same for all its runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from thinkctl.controller.ledger import Ledger
from thinkctl.protocols import Engine, Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.types import Decision, Prices, Request

__all__ = ["Setup", "least", "thinking_limit"]


@final
@dataclass(frozen=True, slots=True)
class Setup:
    """Engines by model name, the parts, and the knobs of the loop."""

    engines: Mapping[str, Engine]
    strategy: Strategy
    policy: StoppingPolicy | None
    selector: Selector
    verifier: Verifier | None
    prices: Mapping[str, Prices | None]
    speculate: int
    decide_every: int
    usual_tokens: int

    @property
    def default_model(self) -> str:
        """The model of a request that names none."""
        return next(iter(self.engines))


def least(*limits: int | None) -> int | None:
    """Return the smallest of the limits that are set."""
    known = [limit for limit in limits if limit is not None]
    return min(known) if known else None


def thinking_limit(request: Request, ledger: Ledger, decision: Decision) -> int | None:
    """Return how many tokens a sample's thought may have, by its request, the budgets and the policy."""
    return least(decision.thinking_tokens, ledger.thinking_tokens, request.sampling.thinking_tokens)
