"""Policies made of policies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TypeVar, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping.probing import merged, probes_all_the_same
from thinkctl.types import Decision, History, Needs, ProbeRequest, needs_of

__all__ = ["AllOf", "AnyOf", "all_of", "any_of"]

T = TypeVar("T")


@final
@dataclass(frozen=True)
class AnyOf:
    """Stop as soon as one of ``policies`` would.

    ``cut``, ``conclude`` and ``probe`` are what any of them asks for: of a sample the first of these, and probes
    of one place and text as one that serves all, with the log-probabilities that any of them reads. ``more`` is
    the smallest bound that one sets; policies without a bound leave it alone. The strictest ``thinking_tokens``
    and the highest ``confidence`` count. Samples start without a thought if one says so. A budget's wall comes
    before every policy.
    """

    policies: tuple[StoppingPolicy, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "policies", _checked("any_of", self.policies))

    @property
    def needs(self) -> Needs:
        """What all of them need."""
        return _all_needs(self.policies)

    def decide(self, history: History) -> Decision:
        decisions = [policy.decide(history) for policy in self.policies]
        stopping = [decision for decision in decisions if decision.stop]
        cut = _union(decision.cut for decision in decisions)
        conclude = tuple(one for one in _union(each.conclude for each in decisions) if one not in cut)
        return Decision(
            stop=bool(stopping),
            cut=cut,
            conclude=conclude,
            probe=merged(_probes(decisions), self.needs.probe_logprobs, without=(*cut, *conclude)),
            more=min(_known(decision.more for decision in decisions), default=None),
            thinking_tokens=_strictest_cap(decisions),
            think=all(decision.think for decision in decisions),
            confidence=max(_known(decision.confidence for decision in decisions), default=None),
            why=_joined(stopping or decisions),
        )


@final
@dataclass(frozen=True)
class AllOf:
    """Stop only when all of ``policies`` would.

    ``cut`` and ``conclude`` are what every one of them asks for; ``probe`` is what any asks for, since each
    needs its probes, also on a sample that it alone would conclude. ``more`` is the largest bound among those that
    would not stop yet, and none if one of them sets no bound. The strictest ``thinking_tokens`` and the lowest
    ``confidence`` count. Samples start without a thought if all say so. With a policy that never stops, such as
    a thinking cap, this never stops either: put the cap beside it, in ``any_of``.
    """

    policies: tuple[StoppingPolicy, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "policies", _checked("all_of", self.policies))

    @property
    def needs(self) -> Needs:
        """What all of them need."""
        return _all_needs(self.policies)

    def decide(self, history: History) -> Decision:
        decisions = [policy.decide(history) for policy in self.policies]
        waiting = [decision for decision in decisions if not decision.stop]
        cut = _common([decision.cut for decision in decisions])
        conclude = tuple(one for one in _common([each.conclude for each in decisions]) if one not in cut)
        asked, again = _probes(decisions), list[ProbeRequest]()
        for policy, decision in zip(self.policies, decisions, strict=True):
            alone = {*decision.conclude}.difference(cut, conclude)
            again += probes_all_the_same(policy, history, alone)
        return Decision(
            stop=not waiting,
            cut=cut,
            conclude=conclude,
            probe=merged((*asked, *again), self.needs.probe_logprobs, without=(*cut, *conclude)),
            more=_largest_bound(waiting or decisions),
            thinking_tokens=_strictest_cap(decisions),
            think=any(decision.think for decision in decisions),
            confidence=min(_known(decision.confidence for decision in decisions), default=None),
            why=_joined(waiting or decisions),
        )


def any_of(*policies: StoppingPolicy) -> AnyOf:
    """Return the policy that stops as soon as one of these would."""
    return AnyOf(policies)


def all_of(*policies: StoppingPolicy) -> AllOf:
    """Return the policy that stops only when all of these would."""
    return AllOf(policies)


def _checked(name: str, policies: Iterable[StoppingPolicy]) -> tuple[StoppingPolicy, ...]:
    checked = tuple(policies)
    if not checked:
        raise ConfigurationError(f"{name} has no policies; give at least one")
    for policy in checked:
        if isinstance(policy, type) or not isinstance(policy, StoppingPolicy):
            raise ConfigurationError(f"{name} was given {policy!r}, which is no stopping policy")
    return checked


def _all_needs(policies: Iterable[StoppingPolicy]) -> Needs:
    return reduce(or_, map(needs_of, policies), Needs())


def _probes(decisions: Iterable[Decision]) -> list[ProbeRequest]:
    return [request for decision in decisions for request in decision.probe]


def _known(values: Iterable[T | None]) -> list[T]:
    return [value for value in values if value is not None]


def _union(groups: Iterable[Sequence[T]]) -> tuple[T, ...]:
    """Return what is in any group, each once, in the order first seen."""
    return tuple(dict.fromkeys(one for group in groups for one in group))


def _common(groups: Sequence[Sequence[T]]) -> tuple[T, ...]:
    """Return what is in every group, in the order of the first."""
    return tuple(one for one in _union(groups[:1]) if all(one in group for group in groups))


def _largest_bound(decisions: Sequence[Decision]) -> int | None:
    bounds = _known(decision.more for decision in decisions)
    return max(bounds) if len(bounds) == len(decisions) else None


def _strictest_cap(decisions: Iterable[Decision]) -> int | None:
    return min(_known(decision.thinking_tokens for decision in decisions), default=None)


def _joined(decisions: Iterable[Decision]) -> str:
    return "; ".join(dict.fromkeys(decision.why for decision in decisions if decision.why))
