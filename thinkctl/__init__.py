"""thinkctl decides how long a model should think.

Give it a problem, an engine and a budget; it samples chains of thought, corrects and searches, stops when
more thinking is not worth its price, and returns an answer with a receipt.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from thinkctl.controller import Controller, Purse, budget, budgeted
    from thinkctl.engines import engine_from
    from thinkctl.errors import ConfigurationError, EngineUnavailable, ThinkctlError
    from thinkctl.selectors import BestScore, Latest, Majority, WeightedMajority
    from thinkctl.stopping import AdaptiveConsistency, CannotBeOvertaken, ThinkingCap, all_of, any_of
    from thinkctl.strategies import ChainOfThought, SelfConsistency, ZeroShot
    from thinkctl.types import (
        Budget,
        History,
        ModelCard,
        Prices,
        Problem,
        Receipt,
        Request,
        Run,
        Sample,
        Sampling,
    )

__all__ = [
    "AdaptiveConsistency",
    "BestScore",
    "Budget",
    "CannotBeOvertaken",
    "ChainOfThought",
    "ConfigurationError",
    "Controller",
    "EngineUnavailable",
    "History",
    "Latest",
    "Majority",
    "ModelCard",
    "Prices",
    "Problem",
    "Purse",
    "Receipt",
    "Request",
    "Run",
    "Sample",
    "Sampling",
    "SelfConsistency",
    "ThinkctlError",
    "ThinkingCap",
    "WeightedMajority",
    "ZeroShot",
    "all_of",
    "any_of",
    "budget",
    "budgeted",
    "engine_from",
]

__version__ = "0.1.0"

_HOMES = {
    "AdaptiveConsistency": "thinkctl.stopping",
    "BestScore": "thinkctl.selectors",
    "Budget": "thinkctl.types",
    "CannotBeOvertaken": "thinkctl.stopping",
    "ChainOfThought": "thinkctl.strategies",
    "ConfigurationError": "thinkctl.errors",
    "Controller": "thinkctl.controller",
    "EngineUnavailable": "thinkctl.errors",
    "History": "thinkctl.types",
    "Latest": "thinkctl.selectors",
    "Majority": "thinkctl.selectors",
    "ModelCard": "thinkctl.types",
    "Prices": "thinkctl.types",
    "Problem": "thinkctl.types",
    "Purse": "thinkctl.controller",
    "Receipt": "thinkctl.types",
    "Request": "thinkctl.types",
    "Run": "thinkctl.types",
    "Sample": "thinkctl.types",
    "Sampling": "thinkctl.types",
    "SelfConsistency": "thinkctl.strategies",
    "ThinkctlError": "thinkctl.errors",
    "ThinkingCap": "thinkctl.stopping",
    "WeightedMajority": "thinkctl.selectors",
    "ZeroShot": "thinkctl.strategies",
    "all_of": "thinkctl.stopping",
    "any_of": "thinkctl.stopping",
    "budget": "thinkctl.controller",
    "budgeted": "thinkctl.controller",
    "engine_from": "thinkctl.engines",
}
"""Where each name lives: it is imported when it is first asked for, so that ``thinkctl --help`` loads none of them."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'thinkctl' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
