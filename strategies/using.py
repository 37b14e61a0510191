"""Ask another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector, Strategy
from thinkctl.types import History, Needs, Request, needs_of

__all__ = ["Using"]


@final
@dataclass(frozen=True)
class Using:
    """Do what ``strategy`` does, with the model called ``model``, which is one of the controller's engines.

    For the parts of a ``Cascade``, a ``Mixture`` or a ``Portfolio``. Requests that name a model themselves keep it.
    """

    strategy: Strategy
    model: str

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigurationError(
                "model='' names no model; give the name of one of the controller's engines"
            )

    @property
    def needs(self) -> Needs:
        """What the strategy needs."""
        return needs_of(self.strategy)

    @property
    def selector(self) -> Selector:
        return self.strategy.selector

    def propose(self, history: History) -> Sequence[Request]:
        return [
            request if request.model is not None else replace(request, model=self.model)
            for request in self.strategy.propose(history)
        ]
