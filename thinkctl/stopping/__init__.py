"""When to stop: pure functions of the history. Held as ``policy``; ``None`` stands for never."""

from thinkctl.stopping.adaptive_consistency import AdaptiveConsistency
from thinkctl.stopping.allocation import Elimination, FirstCome, FlipProbability, LeastConfident, Uniform
from thinkctl.stopping.answer_confidence import AnswerConfidence
from thinkctl.stopping.answer_stable import AnswerStable
from thinkctl.stopping.boundary import Boundary
from thinkctl.stopping.cannot_be_overtaken import CannotBeOvertaken
from thinkctl.stopping.combine import AllOf, AnyOf, all_of, any_of
from thinkctl.stopping.consensus import CGES, ConfidenceConsensus
from thinkctl.stopping.e_value import EValue
from thinkctl.stopping.entropy_after_thinking import EntropyAfterThinking
from thinkctl.stopping.expected_improvement import ExpectedImprovement
from thinkctl.stopping.low_confidence import LowConfidence
from thinkctl.stopping.margin import SPRT, Margin
from thinkctl.stopping.no_thinking import NoThinking
from thinkctl.stopping.repetition_guard import RepetitionGuard
from thinkctl.stopping.thinking_cap import ThinkingCap
from thinkctl.stopping.threshold import Threshold
from thinkctl.stopping.value_of_computation import ValueOfComputation
from thinkctl.stopping.window import Window
from thinkctl.stopping.wrap import EveryTokens, Patient, WarmUp

__all__ = [
    "CGES",
    "SPRT",
    "AdaptiveConsistency",
    "AllOf",
    "AnswerConfidence",
    "AnswerStable",
    "AnyOf",
    "Boundary",
    "CannotBeOvertaken",
    "ConfidenceConsensus",
    "EValue",
    "Elimination",
    "EntropyAfterThinking",
    "EveryTokens",
    "ExpectedImprovement",
    "FirstCome",
    "FlipProbability",
    "LeastConfident",
    "LowConfidence",
    "Margin",
    "NoThinking",
    "Patient",
    "RepetitionGuard",
    "ThinkingCap",
    "Threshold",
    "Uniform",
    "ValueOfComputation",
    "WarmUp",
    "Window",
    "all_of",
    "any_of",
]
