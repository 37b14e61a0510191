"""The parts of an arm, and what a budget makes of them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any, Final, final

from thinkctl import registry
from thinkctl.errors import ConfigurationError
from thinkctl.evals.studies.spec import TASK_VERIFIER, ArmSpec, Limit, Study
from thinkctl.evals.tasks import Task
from thinkctl.evals.votes import is_vectorised
from thinkctl.protocols import Selector, StoppingPolicy, Strategy, Verifier
from thinkctl.stopping import ExpectedImprovement, Threshold, ValueOfComputation
from thinkctl.strategies import BestOfN, ProgramOfThought, SelfConsistency
from thinkctl.types import Budget, needs_of

__all__ = ["INDEPENDENT", "Arm", "Rung", "asks_for", "build_arm", "verifier_of"]

INDEPENDENT: Final = (SelfConsistency, BestOfN, ProgramOfThought)
"""Strategies that draw independent samples of one prompt: any first part of a pool is a run of fewer."""
_BETWEEN_SAMPLES: Final = (Threshold, ExpectedImprovement, ValueOfComputation)
"""Policies, besides the rules on votes, that act only when a sample has ended."""
_COUNTS: Final = {"n": 0, "rounds": -1, "waits": -1}
"""Fields that say how many samples a strategy asks for, and how far that is from what they say."""


@final
@dataclass(frozen=True, slots=True)
class Rung:
    """An arm at one of its budgets: what runs then, inside which wall. ``samples`` is ``None`` for tokens."""

    budget: int
    strategy: Strategy
    wall: Budget
    samples: int | None


@final
@dataclass(frozen=True, slots=True)
class Arm:
    """An arm with its parts. ``rungs`` are its budgets, smallest first.

    ``pool`` is how many samples are drawn once for all rungs; 0: every rung is run by itself, and measured.
    """

    spec: ArmSpec
    strategy: Strategy
    policy: StoppingPolicy | None
    selector: Selector
    limit: Limit
    pool: int
    rungs: tuple[Rung, ...]

    @property
    def pooled(self) -> bool:
        """Whether its rungs are replayed from one pool of samples."""
        return self.pool > 0

    @property
    def models(self) -> tuple[str, ...]:
        """All models that it asks; the first is the one that requests without a name go to."""
        return (self.spec.model, *self.spec.models)

    @property
    def pool_strategy(self) -> Strategy:
        """The strategy that draws the pool."""
        strategy: Strategy = _with(self.strategy, "n", self.pool, self.spec.name)
        return strategy


def build_arm(study: Study, place: int) -> Arm:
    """Build the parts of the arm at this place. Raises ``ConfigurationError`` with the arm and the key."""
    spec = study.arms[place]
    where = f"arms[{place}] ({spec.name})"
    try:
        strategy = registry.strategy(spec.strategy)
        policy = None if spec.policy in (None, "none") else registry.policy(spec.policy or "")
        chosen = None if spec.selector is None else registry.selector(spec.selector)
        if spec.verifier not in (None, TASK_VERIFIER):
            registry.verifier(spec.verifier or "")
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    for name, value in (("think", spec.think), ("sampling", spec.sampling)):
        if value is not None:
            strategy = _with(strategy, name, value, where)
    if needs_of(strategy).scores and spec.verifier is None:
        raise ConfigurationError(
            f'{where}: its strategy needs a verifier; write verifier = "{TASK_VERIFIER}" for the task\'s own check, '
            "or a part (thinkctl list verifiers)"
        )
    limit, budgets = _budgets(study, spec, strategy)
    pool = 0
    if (
        isinstance(strategy, INDEPENDENT)
        and not spec.measured
        and _is_between_samples(policy)
        and strategy.n > 1
    ):
        pool = spec.pool or study.pool or (max(budgets) if limit == "samples" else strategy.n)
        if limit == "samples" and pool < max(budgets):
            raise ConfigurationError(
                f"{where}: a pool of {pool} samples cannot tell what {max(budgets)} do; raise pool or lower budgets"
            )
    rungs = tuple(_rung(spec, strategy, limit, budget, where) for budget in budgets)
    return Arm(spec, strategy, policy, chosen or strategy.selector, limit, pool, rungs)


def verifier_of(spec: ArmSpec, task: Task) -> Verifier | None:
    """Return what checks the samples of an arm on a task. Raises ``ConfigurationError`` where the task has no check."""
    if spec.verifier is None:
        return None
    if spec.verifier != TASK_VERIFIER:
        return registry.verifier(spec.verifier)
    if task.verifier is None:
        raise ConfigurationError(
            f"arm {spec.name!r} wants the check of {task.name!r}, which has none; name a verifier (thinkctl list "
            "verifiers), or the tasks of the arm: tasks = [...]"
        )
    return task.verifier()


def _is_between_samples(policy: StoppingPolicy | None) -> bool:
    return is_vectorised(policy) or isinstance(policy, _BETWEEN_SAMPLES)


def _budgets(study: Study, spec: ArmSpec, strategy: Strategy) -> tuple[Limit, tuple[int, ...]]:
    limit = spec.limit or study.limit
    if spec.budgets is not None:
        return limit, tuple(sorted(set(spec.budgets)))
    asked = asks_for(strategy)
    if asked == 1:
        return "samples", (1,)
    if study.budgets:
        return limit, study.budgets
    if asked is None:
        raise ConfigurationError(
            f"arm {spec.name!r} has no budgets, and its strategy does not say how many samples it takes; "
            'give budgets = [...] and limit = "tokens"'
        )
    return "samples", (asked,)


def asks_for(strategy: Strategy) -> int | None:
    """Return how many samples a strategy asks for; ``None`` where no field of it says so. One for zero-shot."""
    names = _fields(strategy)
    for name, shift in _COUNTS.items():
        if name in names:
            return int(getattr(strategy, name)) - shift
    return 1 if names <= {"sampling", "think"} else None


def _rung(spec: ArmSpec, strategy: Strategy, limit: Limit, budget: int, where: str) -> Rung:
    wall = spec.wall or Budget()
    if limit == "tokens":
        most = budget if wall.tokens is None else min(budget, wall.tokens)
        return Rung(budget, strategy, wall.model_copy(update={"tokens": most}), None)
    for name, shift in _COUNTS.items():
        if name not in _fields(strategy):
            continue
        if budget + shift < 1 and name == "rounds":  # a strategy of no rounds cannot be made
            break
        return Rung(budget, _with(strategy, name, budget + shift, where), wall, budget)
    if asks_for(strategy) == 1:
        return Rung(budget, strategy, wall, 1)
    return Rung(budget, strategy, wall.model_copy(update={"requests": budget}), budget)


def _fields(strategy: Strategy) -> set[str]:
    return (
        {each.name for each in dataclasses.fields(strategy)} if dataclasses.is_dataclass(strategy) else set()
    )


def _with(strategy: Any, name: str, value: object, where: str) -> Any:
    if name not in _fields(strategy):
        raise ConfigurationError(
            f"{where}: the strategy has no {name!r} that could be {value!r}; leave it out"
        )
    return replace(strategy, **{name: value})
