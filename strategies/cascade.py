"""A small model first, and a large one where the small one is not sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Selector, StoppingPolicy, Strategy
from thinkctl.selectors import Majority, top_two
from thinkctl.strategies.mixture import Mixture
from thinkctl.strategies.parts import ask_as, choose_in, needs_of_all, part_of
from thinkctl.strategies.program_of_thought import ProgramOfThought
from thinkctl.strategies.self_consistency import SelfConsistency
from thinkctl.strategies.using import Using
from thinkctl.types import Answer, History, Needs, Request, needs_of

__all__ = ["Cascade", "LastStage", "mixture_of_thought", "model_switch"]

_SMALL: Final = "0"
_LARGE: Final = "1"


@final
@dataclass(frozen=True)
class LastStage:
    """The answer of the last stage of a cascade that has one, chosen by that stage's own selector."""

    small: Selector = Majority()
    large: Selector = Majority()

    def select(self, history: History) -> Answer | None:
        return (
            choose_in(_LARGE, self.large, history)
            or choose_in(_SMALL, self.small, history)
            or Majority().select(history)
        )


@final
@dataclass(frozen=True)
class Cascade:
    """Ask ``small`` until ``policy`` is satisfied; where it is not, once ``small`` has no more to ask, ask ``large``.

    ``policy`` is a stopping policy, which sees the samples of ``small`` alone; no more of them run at once than it
    needs before it could stop. A number in (0, 1] is a rule of its own: the leading answer must have that share of the
    samples when all have been taken. ``small`` and ``large`` are strategies, such as ``SelfConsistency(10)`` and
    ``Using(SelfConsistency(3), "large-model")``; for more stages ``large`` is a cascade again.

    The answer is that of the last stage that has one. With ``together`` all answers vote, of whatever stage.

    Source: with a share, Yue et al. 2023 (arXiv:2310.03094), section 3; with ``AdaptiveConsistency(0.99)`` see
    docs/log.md.
    """

    small: Strategy
    large: Strategy
    policy: StoppingPolicy | float = 1.0
    together: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.policy, int | float):
            if not 0 < self.policy <= 1:
                raise ConfigurationError(
                    f"policy={self.policy!r} is no share of the samples; give a number above 0 and up to 1, or a policy"
                )
        elif needs_of(self.policy).probes:
            raise ConfigurationError(
                f"policy={self.policy!r} probes samples in flight, which a strategy cannot do; take a policy on votes"
            )

    @property
    def needs(self) -> Needs:
        """What the stages and the policy need."""
        return needs_of_all((self.small, self.large, self.policy), "cascade")

    @property
    def selector(self) -> Selector:
        return Majority() if self.together else LastStage(self.small.selector, self.large.selector)

    def propose(self, history: History) -> Sequence[Request]:
        if not part_of(history, _LARGE).samples:
            own = part_of(history, _SMALL)
            useful = self._useful(own)
            if useful == 0:
                return ()
            requests = ask_as(_SMALL, self.small, history)
            if requests or own.in_flight:
                return requests[:useful]
            if isinstance(self.policy, int | float) and top_two(own)[0] >= self.policy * max(1, own.bought):
                return ()
        return ask_as(_LARGE, self.large, history)

    def _useful(self, own: History) -> int | None:
        """Return how many more samples of the small stage may run now: 0 where it is settled; ``None``: any number."""
        if isinstance(self.policy, int | float):
            return None
        settled, more = len(own.settled), None
        for count in range(settled + 1):  # as if they had come one after the other
            decision = self.policy.decide(replace(own, counted=count) if count < settled else own)
            if decision.stop:
                return 0
            more = decision.more
        pending = sum(not sample.finished or sample.answer is not None for sample in own.samples[settled:])
        return None if more is None else max(0, max(1, more) - pending)


def model_switch(models: Sequence[str], n: int = 5) -> Strategy:
    """Return a cascade over models: ``n`` samples of each in turn, until those of one all agree; else all vote.

    Raises ``ConfigurationError`` without a model. Source: ModelSwitch, Chen et al. 2025 (arXiv:2504.00762), algorithm
    1. Deviation: in the vote all models weigh the same.
    """
    if not models:
        raise ConfigurationError("models=[] leaves nobody to ask; name the models, the cheapest first")
    first, *others = models
    stage = Using(SelfConsistency(n), first)
    return Cascade(stage, model_switch(others, n), 1.0, together=True) if others else stage


def mixture_of_thought(
    large: str,
    small: str | None = None,
    *,
    n: int = 20,
    policy: StoppingPolicy | float = 0.8,
    large_n: int = 3,
) -> Cascade:
    """Return a cascade from the ``small`` model, which answers in words and in programs, to the ``large`` one.

    Half of ``n`` samples of the small model are chains of thought, half are programs, which needs a verifier that runs
    them. ``policy`` is the cascade's. ``small=None`` is the controller's first engine.

    Source: MoT-1D-Vote, Yue et al. 2023 (arXiv:2310.03094), section 3.
    """
    both = Mixture(
        (SelfConsistency(n - n // 2), ProgramOfThought(n // 2)) if n > 1 else (SelfConsistency(n),)
    )
    return Cascade(
        both if small is None else Using(both, small), Using(SelfConsistency(large_n), large), policy
    )
