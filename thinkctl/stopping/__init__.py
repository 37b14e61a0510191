"""When to stop: pure functions of the history. Held as ``policy``; ``None`` stands for never."""

from thinkctl.stopping.adaptive_consistency import AdaptiveConsistency
from thinkctl.stopping.allocation import Elimination, FirstCome, FlipProbability, LeastConfident, Uniform
from thinkctl.stopping.cannot_be_overtaken import CannotBeOvertaken
from thinkctl.stopping.combine import AllOf, AnyOf, all_of, any_of
from thinkctl.stopping.thinking_cap import ThinkingCap

__all__ = [
    "AdaptiveConsistency",
    "AllOf",
    "AnyOf",
    "CannotBeOvertaken",
    "Elimination",
    "FirstCome",
    "FlipProbability",
    "LeastConfident",
    "ThinkingCap",
    "Uniform",
    "all_of",
    "any_of",
]
