"""A policy that is asked again, later, or at certain places only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.hindsight import at_token
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping.memo import remembered
from thinkctl.stopping.probing import check_at_least, length, probes_all_the_same, thought_is_open
from thinkctl.types import Decision, History, Needs, Sample, needs_of

__all__ = ["EveryTokens", "Patient", "WarmUp"]


@final
@dataclass(frozen=True)
class Patient:
    """Stop, cut or conclude only what ``policy`` would on each of its last ``k`` looks.

    Looks at a run are those after each of its last ``k`` settled samples; a run that it stops from the start
    takes ``k - 1`` samples all the same. Looks at a sample are those after each of its last ``k`` probes, whoever
    asked for them, so that what concludes on probes needs ``k`` of them in a row; what goes by tokens alone is
    left as it is. Probes, caps, starts without a thought and confidence are the policy's own.
    """

    policy: StoppingPolicy
    k: int = 2

    def __post_init__(self) -> None:
        _check_policy(self, self.policy)
        check_at_least(self, 1, k=self.k)

    @property
    def needs(self) -> Needs:
        """What the policy needs."""
        return needs_of(self.policy)

    def decide(self, history: History) -> Decision:
        now = self.policy.decide(history)
        cut, conclude = set(now.cut), set(now.conclude)
        for back in range(1, self.k if cut or conclude else 1):
            before = self.policy.decide(_without_probes(history, back))
            # of what was cut then and is concluded now, both looks would end the thought
            conclude &= {*before.cut, *before.conclude}
            cut &= set(before.cut)
        streak = self._streak(history, now)
        more = now.more
        if now.stop:
            more = max(1, self.k - streak)
        elif more is not None:
            more += self.k - 1
        held = {*now.conclude} - conclude
        return replace(
            now,
            stop=streak >= self.k,
            cut=tuple(index for index in now.cut if index in cut),
            conclude=tuple(index for index in now.conclude if index in conclude),
            probe=(*now.probe, *probes_all_the_same(self.policy, history, held)),
            more=more,
        )

    def _streak(self, history: History, now: Decision) -> int:
        """Return on how many looks in a row, up to now, the policy would have stopped; ``k`` at most."""
        if not now.stop or history.walled:
            return self.k if now.stop else 0
        settled = len(history.settled)
        for back in range(1, self.k):
            if back > settled or not self.policy.decide(replace(history, counted=settled - back)).stop:
                return back
        return self.k


@final
@dataclass(frozen=True)
class WarmUp:
    """Ask ``policy`` only once ``samples`` are settled, and about a sample only once it has ``tokens`` tokens.

    Before the first it decides nothing, but for its confidence in the leader; up to the second a sample is
    neither cut nor concluded nor probed. ``tokens`` are all after the prompt.
    """

    policy: StoppingPolicy
    samples: int = 0
    tokens: int = 0

    def __post_init__(self) -> None:
        _check_policy(self, self.policy)
        check_at_least(self, 0, samples=self.samples, tokens=self.tokens)

    @property
    def needs(self) -> Needs:
        """What the policy needs."""
        return needs_of(self.policy)

    def decide(self, history: History) -> Decision:
        now = self.policy.decide(history)
        missing = self.samples - len(history.settled)
        if missing > 0:
            more = missing if now.stop else None if now.more is None else max(now.more, missing)
            why = f"warms up for {missing} more samples"
            return Decision(more=more, confidence=now.confidence, why=why)
        ready = {each.index for each in history.in_flight if length(each) >= self.tokens}
        return replace(
            now,
            cut=tuple(index for index in now.cut if index in ready),
            conclude=tuple(index for index in now.conclude if index in ready),
            probe=tuple(request for request in now.probe if request.sample in ready),
        )


@final
@dataclass(frozen=True)
class EveryTokens:
    """Show ``policy`` each growing sample only as it was at its last multiple of ``tokens`` tokens.

    So what it decides of a sample does not depend on when news of it came, and rarer looks are fewer chances to
    be wrong. A sample is shown with the probes up to that place, its text cut in proportion; one that was
    concluded or has ended is shown as it is. ``tokens`` are all after the prompt.
    """

    policy: StoppingPolicy
    tokens: int

    def __post_init__(self) -> None:
        _check_policy(self, self.policy)
        check_at_least(self, 1, tokens=self.tokens)

    @property
    def needs(self) -> Needs:
        """What the policy needs."""
        return needs_of(self.policy)

    def decide(self, history: History) -> Decision:
        shown = replace(
            history, samples=tuple(_at_last_multiple(sample, self.tokens) for sample in history.samples)
        )
        now = self.policy.decide(shown)
        thinking = {sample.index for sample in history.in_flight if thought_is_open(sample)}
        return replace(
            now,
            conclude=tuple(index for index in now.conclude if index in thinking),
            probe=tuple(request for request in now.probe if request.sample in thinking),
        )


def _at_last_multiple(sample: Sample, tokens: int) -> Sample:
    if sample.finished or sample.concluded:
        return sample
    total = length(sample)
    past = total % tokens
    return _at(sample, total - past) if past else sample


@remembered
def _at(sample: Sample, place: int) -> Sample:
    return at_token(sample, place)


def _check_policy(wrapper: object, policy: object) -> None:
    if isinstance(policy, type) or not isinstance(policy, StoppingPolicy):
        raise ConfigurationError(
            f"{type(wrapper).__name__} was given {policy!r}, which is no stopping policy"
        )


def _without_probes(history: History, last: int) -> History:
    """Return a history before the last probes of each growing sample."""
    return replace(
        history,
        samples=tuple(
            sample
            if sample.finished or not sample.probes
            else replace(
                sample,
                probes=tuple(sorted(sample.probes, key=lambda probe: probe.at))[: -last or None],
            )
            for sample in history.samples
        ),
    )
