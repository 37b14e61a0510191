"""The scheduler's own count of its work, summed over steps. Nothing in it comes from streams."""

from __future__ import annotations

from typing import Protocol, final

from thinkctl.types import EngineCounters

__all__ = ["Step", "Tally"]


class Step(Protocol):
    """What vLLM's scheduler reports of one step that computed something."""

    num_ctx_tokens: int
    num_generation_requests: int
    num_generation_tokens: int


@final
class Tally:
    """Sums up what steps report: prompts computed, requests admitted, requests decoded for.

    A request decodes one token in each step of its generation, and its first in the step that ends its prompt.
    So first tokens are requests admitted. Two rare things reports do not tell, and drivers ask the worker: the
    ``barren``, which were aborted between two chunks of their prompt, and how many chunks of preempted requests
    were computed ``again`` without a token coming of it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Count from 0."""
        self._admitted = 0
        self._decoded = 0
        self._prompt = 0
        self._cached = 0
        self.barren = 0
        self.preempted = 0
        self.unfinished = 0
        self.reports = 0

    def report(self, unfinished: int) -> None:
        """Note how many requests ran or waited after a step."""
        self.unfinished = unfinished
        self.reports += 1

    def admit(self, requests: int, cached_tokens: int, preempted: int = 0) -> None:
        """Count requests that were scheduled for the first time, and those that came back."""
        self._admitted += requests
        self._cached += cached_tokens
        self.preempted += preempted

    def add(self, step: Step) -> None:
        """Count a step."""
        recomputed = step.num_generation_tokens - step.num_generation_requests  # after a preemption
        self._decoded += step.num_generation_requests
        self._prompt += step.num_ctx_tokens + recomputed

    def counters(self, running: int, again: int = 0) -> EngineCounters:
        """Return the sums."""
        return EngineCounters(
            prompt_tokens=self._prompt + again,
            cached_tokens=self._cached,
            generated_tokens=self._admitted + self._decoded - self.barren - again,
            running=running,
        )
