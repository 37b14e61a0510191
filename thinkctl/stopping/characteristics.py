"""Operating characteristics of rules on votes: error and votes against the share of the frequent answer, exactly.

Votes are independent draws of two answers, one with share p >= 1/2. Dynamic programming over what a rule can
know of them: the two counts, whose vote came first, and how the windows stand. No simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping.boundary import Boundary
from thinkctl.stopping.cannot_be_overtaken import CannotBeOvertaken, votes_to_safety
from thinkctl.stopping.combine import AllOf, AnyOf
from thinkctl.stopping.value_of_computation import ValueOfComputation
from thinkctl.stopping.window import Window
from thinkctl.stopping.wrap import WarmUp
from thinkctl.types import name_of

__all__ = ["Characteristics", "Takes", "boundary_of", "characteristics", "is_votes_rule", "rule_of"]

Takes = Literal["majority", "window"]
"""Whose answer a run gives: the majority of all votes (ours), or an agreed window's, as in the code of ESC."""

_MOST_VOTES: Final = 400


@final
@dataclass(frozen=True, slots=True)
class Characteristics:
    """How a rule does where the more frequent of two answers has this ``share``, at a cap of so many votes.

    ``wrong`` is the probability of ending on the rarer answer, half of it where a draw remains at the end.
    ``votes`` is the expected number of votes. ``stopped`` is the probability that the rule ended the run, and
    not the cap.
    """

    share: float
    wrong: float
    votes: float
    stopped: float


@final
@dataclass(frozen=True, slots=True)
class _Seen:
    """What can matter of the votes so far: those for the frequent answer and for the other one.

    ``first`` is the answer of the first vote (``True``: the frequent one). ``windows`` holds for each size the votes of
    the window that is begun and those of them for the frequent answer; ``agreed`` the sizes of which one
    window agreed, and the answer of the last that did.
    """

    right: int = 0
    other: int = 0
    first: bool | None = None
    windows: tuple[tuple[int, int], ...] = ()
    agreed: tuple[bool | None, ...] = ()


def characteristics(
    policy: StoppingPolicy | None, share: float, *, cap: int = 40, takes: Takes = "majority"
) -> Characteristics:
    """Return how a rule on votes does at a share in [0.5, 1] and a cap of votes; ``None`` takes all votes.

    Raises ``ConfigurationError`` for a policy that reads more than votes.
    """
    if not 0.5 <= share <= 1:
        raise ConfigurationError(f"share={share!r} is not that of the more frequent answer, from 0.5 to 1")
    if not 1 <= cap <= _MOST_VOTES:
        raise ConfigurationError(f"cap={cap!r} votes cannot be worked out; give 1 to {_MOST_VOTES}")
    if policy is not None and not is_votes_rule(policy):
        raise ConfigurationError(
            f"{name_of(policy)} reads more than votes, so a share does not tell what it does"
        )
    sizes = tuple(sorted(set(_sizes(policy))))
    stops = _stops(policy, sizes)
    reached = {_Seen(windows=((0, 0),) * len(sizes), agreed=(None,) * len(sizes)): 1.0}
    wrong = votes = stopped = 0.0
    for taken in range(cap + 1):
        going_on: dict[_Seen, float] = {}
        for seen, chance in reached.items():
            stop = taken > 0 and stops(seen)
            if stop or taken == cap:
                wrong += chance * _wrong(seen, takes)
                votes += chance * taken
                stopped += chance * stop
                continue
            for is_right, odds in ((True, share), (False, 1 - share)):
                if odds:
                    step = _after(seen, sizes, is_right=is_right)
                    going_on[step] = going_on.get(step, 0.0) + chance * odds
        reached = going_on
    return Characteristics(share, wrong, votes, stopped)


def is_votes_rule(policy: object) -> bool:
    """Whether a policy stops on votes alone, in one of the ways that are known here."""
    if isinstance(policy, AnyOf | AllOf):
        return all(map(is_votes_rule, policy.policies))
    if isinstance(policy, WarmUp):
        return is_votes_rule(policy.policy)
    return isinstance(policy, CannotBeOvertaken | Window) or rule_of(policy) is not None


def boundary_of(policy: object, runner_ups: int) -> tuple[int, ...] | None:
    """Return the least leader for a runner-up of 0 to ``runner_ups`` votes, or ``None`` if it is no such rule."""
    rule = rule_of(policy)
    return None if rule is None else tuple(rule.least_leader(votes) for votes in range(runner_ups + 1))


def rule_of(policy: object) -> Boundary | None:
    """Return a policy as a rule on two counts, or ``None`` if it is none."""
    if isinstance(policy, ValueOfComputation):
        return policy.boundary
    return policy if isinstance(policy, Boundary) else None


def _sizes(policy: object) -> Iterator[int]:
    if isinstance(policy, Window):
        yield policy.size
    elif isinstance(policy, AnyOf | AllOf):
        for part in policy.policies:
            yield from _sizes(part)
    elif isinstance(policy, WarmUp):
        yield from _sizes(policy.policy)


def _stops(policy: object, sizes: tuple[int, ...]) -> Callable[[_Seen], bool]:
    """Return a rule as a function of what can matter to it."""
    if isinstance(policy, AnyOf | AllOf):
        parts = [_stops(part, sizes) for part in policy.policies]
        every = all if isinstance(policy, AllOf) else any
        return lambda seen: every(part(seen) for part in parts)
    if isinstance(policy, WarmUp):
        inner, samples = _stops(policy.policy, sizes), policy.samples
        return lambda seen: seen.right + seen.other >= samples and inner(seen)
    if isinstance(policy, Window):
        place = sizes.index(policy.size)
        return lambda seen: seen.agreed[place] is not None
    if isinstance(policy, CannotBeOvertaken):
        n = policy.n
        return lambda seen: votes_to_safety(_in_order(seen), max(0, n - seen.right - seen.other)) == 0
    rule = rule_of(policy)
    if rule is None:
        return lambda _: False
    table = rule.least_leader
    return lambda seen: max(seen.right, seen.other) >= table(min(seen.right, seen.other))


def _in_order(seen: _Seen) -> tuple[int, ...]:
    """Return the votes of the answers that were given, in first-vote order."""
    counts = (seen.right, seen.other) if seen.first else (seen.other, seen.right)
    return tuple(filter(None, counts))


def _after(seen: _Seen, sizes: tuple[int, ...], *, is_right: bool) -> _Seen:
    windows, agreed = list(seen.windows), list(seen.agreed)
    for place, size in enumerate(sizes):
        taken, right = windows[place][0] + 1, windows[place][1] + is_right
        if taken == size:
            agreed[place] = bool(right) if right in (0, size) else agreed[place]
            taken = right = 0
        windows[place] = (taken, right)
    return _Seen(
        seen.right + is_right,
        seen.other + (not is_right),
        is_right if seen.first is None else seen.first,
        tuple(windows),
        tuple(agreed),
    )


def _wrong(seen: _Seen, takes: Takes) -> float:
    windows = [answer for answer in seen.agreed if answer is not None]
    if takes == "window" and windows:
        return float(not windows[0])
    return 0.5 if seen.right == seen.other else float(seen.right < seen.other)
