"""Certaindex by answers: conclude a thought once it keeps giving the same answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.probing import by_probes, check_at_least, grid_request, probes_on_grid
from thinkctl.stopping.repetition_guard import RepetitionGuard
from thinkctl.types import Decision, History, Needs, Probe, ProbeRequest, Sample, name_of

__all__ = ["AnswerStable"]


@final
@dataclass(frozen=True)
class AnswerStable:
    """Conclude a thought once its last ``k`` probes gave the same answer, none of them with a doubt.

    After each ``every`` tokens the thought is closed in a fork and at most ``max_tokens`` tokens of answer are
    generated greedily. Answers are compared by value, as votes are; a probe without one starts the count again.
    ``uncertain`` are words that tell a doubt where they stand beside the answer. Reads no log-probabilities.
    Never stops a run. ``text``, ``every`` and ``guard`` are as in ``AnswerConfidence``.

    Source: Certaindex in Dynasor, Fu et al. 2024 (arXiv:2412.20993), section 4, and answer convergence, Liu and
    Wang 2025 (arXiv:2506.02536). Deviations: greedy probes. Two slips of the released code are not repeated: it
    exits when the answers disagree, and takes an answer ``no`` for a doubt.
    """

    k: int = 3
    every: int = 64
    max_tokens: int = 20
    uncertain: tuple[str, ...] = ("wait", "hold", "but", "okay", "no", "hmm")
    text: str = ""
    guard: RepetitionGuard | None = RepetitionGuard()

    def __post_init__(self) -> None:
        if self.k < 2:
            raise ConfigurationError(f"k={self.k!r}: it takes two answers to agree; give 2 or more")
        check_at_least(self, 1, every=self.every, max_tokens=self.max_tokens)
        if isinstance(self.uncertain, str) or not all(isinstance(w, str) and w for w in self.uncertain):
            raise ConfigurationError(
                f"uncertain={self.uncertain!r} are no words; give some such as ('wait',)"
            )
        object.__setattr__(self, "uncertain", tuple(self.uncertain))

    @property
    def needs(self) -> Needs:
        """Probes; their answers are enough."""
        return Needs(probes=True, why=name_of(self))

    def decide(self, history: History) -> Decision:
        return by_probes(history, self)

    def reason(self, sample: Sample) -> str | None:
        last = probes_on_grid(sample, self.every, self.text)[-self.k :]
        keys = {probe.answer.key if probe.answer is not None else "" for probe in last}
        if len(last) < self.k or len(keys) > 1 or "" in keys or any(map(self._doubts, last)):
            return None
        answer = last[-1].answer
        said = "" if answer is None else answer.text
        return f"has answered {said!r} {self.k} times in a row, last after {last[-1].at} tokens"

    def ask(self, sample: Sample) -> ProbeRequest | None:
        return grid_request(sample, self.every, ProbeRequest(sample.index, self.text, self.max_tokens))

    def _doubts(self, probe: Probe) -> bool:
        """Say whether there is an uncertain word beside the answer; in the answer it is part of it."""
        beside = probe.text.replace(probe.answer.text, " ", 1) if probe.answer is not None else probe.text
        words = set(re.findall(r"\w+", beside.lower()))
        return any(word.lower() in words for word in self.uncertain)
