"""All samples of one problem so far: the one value that strategies, policies and selectors read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from thinkctl.types.budget import Budget
from thinkctl.types.problem import Problem
from thinkctl.types.sample import Answer, Sample
from thinkctl.types.usage import Usage

__all__ = ["History"]


@dataclass(frozen=True, slots=True)
class History:
    """Samples in launch order, those in flight included. Immutable.

    ``elapsed`` is in seconds since the run began. ``walled`` says that a wall ended the run: then every
    finished sample counts, also one that is younger than a sample still in flight. ``counted`` is set when a
    policy ended the run: the number of oldest samples that it had counted.
    """

    problem: Problem
    budget: Budget = field(default_factory=Budget)
    samples: tuple[Sample, ...] = ()
    elapsed: float = 0.0
    seed: int = 0
    walled: bool = False
    counted: int | None = None

    @property
    def bought(self) -> int:
        """How many samples were launched."""
        return len(self.samples)

    @property
    def usage(self) -> Usage:
        """What its samples used so far, probes included; a verifier's own tokens are on the receipt only."""
        return sum((sample.usage for sample in self.samples), Usage())

    @property
    def settled(self) -> tuple[Sample, ...]:
        """The samples that count: the gap-free prefix of finished ones, or all finished ones at a wall.

        Counting in completion order would favour short chains; a sample that finished early waits for its
        elders.
        """
        if self.counted is not None:
            return self.samples[: self.counted]
        if self.walled:
            return tuple(sample for sample in self.samples if sample.finished)
        for place, sample in enumerate(self.samples):
            if not sample.finished:
                return self.samples[:place]
        return self.samples

    @property
    def in_flight(self) -> tuple[Sample, ...]:
        """The samples that still grow."""
        return tuple(sample for sample in self.samples if not sample.finished)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """The votes: answers of settled samples in launch order; a sample without an answer abstains."""
        return tuple(sample.answer for sample in self.settled if sample.answer is not None)

    def received(self, sample: Sample) -> History:
        """Return the history with a new sample, or with a newer state of one.

        Raises ``ValueError`` if the sample would leave a hole in launch order.
        """
        if sample.index > self.bought:
            raise ValueError(
                f"sample {sample.index} came before sample {self.bought}; launch order has no holes"
            )
        samples = (*self.samples[: sample.index], sample, *self.samples[sample.index + 1 :])
        return replace(self, samples=samples)
