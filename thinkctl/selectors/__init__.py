"""Which answer wins.

Selectors read the settled samples of a history in launch order. A sample without an answer abstains, and ties
go to the first launched, so no result depends on which sample happened to finish first.
"""

from thinkctl.selectors.fields import FieldwiseMajority
from thinkctl.selectors.tools import ToolMajority
from thinkctl.selectors.votes import (
    BestScore,
    Latest,
    Majority,
    MajorityOfTheBests,
    WeightedMajority,
    score_of,
    tally,
    top_two,
    weighted_vote,
)

__all__ = [
    "BestScore",
    "FieldwiseMajority",
    "Latest",
    "Majority",
    "MajorityOfTheBests",
    "ToolMajority",
    "WeightedMajority",
    "score_of",
    "tally",
    "top_two",
    "weighted_vote",
]
