"""Answer without a thought where the budget is too small for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from thinkctl.stopping.probing import check_at_least
from thinkctl.types import Decision, History

__all__ = ["NoThinking"]


@final
@dataclass(frozen=True)
class NoThinking:
    """Start samples without a thought in a run whose budget is under ``below`` tokens. Never stops a run.

    The run's ``tokens`` or the ``thinking_tokens`` of each sample count, whichever is less; a run without either
    thinks. A model that marks its thoughts is started after a short thought in its own words that says it has
    finished thinking, and then writes its solution; another model is asked for its answer at once. Samples that
    continue another one are left alone.

    Source: NoThinking, Ma et al. 2025 (arXiv:2504.09858): 51.3 against 28.9 on AMC 2023 at 700 tokens, where
    the default comes from. Thinking is better where there are tokens enough.
    """

    below: int = 700

    def __post_init__(self) -> None:
        check_at_least(self, 1, below=self.below)

    def decide(self, history: History) -> Decision:
        limits = history.budget.tokens, history.budget.thinking_tokens
        least = min((limit for limit in limits if limit is not None), default=self.below)
        if least >= self.below:
            return Decision()
        return Decision(think=False, why=f"{least} tokens are too few to think: fewer than {self.below}")
