"""Asking the policies of a run, in the order in which samples count."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, final

from thinkctl.controller.narrator import Narrator
from thinkctl.controller.setup import Setup
from thinkctl.protocols import StoppingPolicy
from thinkctl.types import Answer, Decision, History, ProbeRequest

__all__ = ["Deciding", "confidence"]

_NOTHING: Final = Decision()


@final
class Deciding:
    """What the policy of one run was asked about, and ``counted``: on how many samples it stopped, if it did."""

    def __init__(self, setup: Setup, narrator: Narrator) -> None:
        self.counted: int | None = None
        self._setup = setup
        self._narrator = narrator
        self._asked_about = 0

    def decide(self, history: History) -> Decision:
        """Return what the policy wants, with the probes of those that only watch."""
        decision = _NOTHING
        if self._setup.policy is not None:
            decision = self._ask(self._setup.policy, history)
        for watcher in self._setup.watchers:
            decision = replace(decision, probe=(*decision.probe, *_probes(watcher, history)))
        if self._narrator.listens:
            answer = self._setup.selector.select(history)
            self._narrator.leads(answer, confidence(history, answer, decision))
        return decision

    def _ask(self, policy: StoppingPolicy, history: History) -> Decision:
        """Ask about every further settled sample in turn, as if they had come one after the other.

        So where a policy stops, and on which votes, depends neither on which samples finished in the same
        moment nor on how many run at once.
        """
        settled, decision = len(history.settled), _NOTHING
        before = [replace(history, counted=count) for count in range(self._asked_about + 1, settled)]
        for shown in [*before, history]:
            decision = policy.decide(shown)
            self._narrator.decided(shown, decision)
            if decision.stop:
                self.counted = len(shown.settled)
                return decision
        self._asked_about = settled
        return decision


def confidence(history: History, answer: Answer | None, decision: Decision) -> float | None:
    """Return the policy's confidence, else the answer's share of the votes."""
    if answer is None or decision.confidence is not None:
        return None if answer is None else decision.confidence
    keys = [vote.key for vote in history.answers]
    return keys.count(answer.key) / len(keys) if keys else None


def _probes(policy: StoppingPolicy, history: History) -> tuple[ProbeRequest, ...]:
    """Return the probes that a policy which only watches needs; whatever it raises must not break the run."""
    try:
        return policy.decide(history).probe
    except Exception:  # noqa: BLE001 - its shadow tells what went wrong
        return ()
