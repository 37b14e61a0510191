"""What to ask next: one file a strategy, each a small frozen dataclass with one pure ``propose``."""

from thinkctl.strategies.adaptive_branching import AdaptiveBranching
from thinkctl.strategies.beam_search import BeamSearch
from thinkctl.strategies.best_of_n import BestOfN
from thinkctl.strategies.cascade import Cascade, LastStage, mixture_of_thought, model_switch
from thinkctl.strategies.chain_of_thought import ChainOfThought
from thinkctl.strategies.dvts import DVTS
from thinkctl.strategies.mixture import Mixture
from thinkctl.strategies.portfolio import Portfolio
from thinkctl.strategies.program_of_thought import ProgramOfThought
from thinkctl.strategies.rebase import REBASE
from thinkctl.strategies.self_consistency import SelfConsistency
from thinkctl.strategies.self_correction import SelfCorrection
from thinkctl.strategies.steps import WeightedChains
from thinkctl.strategies.uct import UCT
from thinkctl.strategies.using import Using
from thinkctl.strategies.zero_shot import ZeroShot

__all__ = [
    "DVTS",
    "REBASE",
    "UCT",
    "AdaptiveBranching",
    "BeamSearch",
    "BestOfN",
    "Cascade",
    "ChainOfThought",
    "LastStage",
    "Mixture",
    "Portfolio",
    "ProgramOfThought",
    "SelfConsistency",
    "SelfCorrection",
    "Using",
    "WeightedChains",
    "ZeroShot",
    "mixture_of_thought",
    "model_switch",
]
