"""What to ask next: one file a strategy, each a small frozen dataclass with one pure ``propose``."""

from thinkctl.strategies.best_of_n import BestOfN
from thinkctl.strategies.chain_of_thought import ChainOfThought
from thinkctl.strategies.self_consistency import SelfConsistency
from thinkctl.strategies.self_correction import SelfCorrection
from thinkctl.strategies.zero_shot import ZeroShot

__all__ = ["BestOfN", "ChainOfThought", "SelfConsistency", "SelfCorrection", "ZeroShot"]
