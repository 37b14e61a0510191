"""thinkctl decides how long a model should think.

Give it a problem, an engine and a budget; it samples chains of thought, corrects and searches, stops when
more thinking is not worth its price, and returns an answer with a receipt.
"""

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
