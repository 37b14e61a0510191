"""DEER: conclude a thought once the model is sure of the answer that it would give now."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.stopping.probing import by_probes, check_at_least, grid_request, probes_on_grid
from thinkctl.stopping.repetition_guard import RepetitionGuard
from thinkctl.types import Decision, History, Needs, Probe, ProbeRequest, Sample, name_of

__all__ = ["AnswerConfidence", "answer_confidence"]

Mean = Literal["arithmetic", "geometric"]


@final
@dataclass(frozen=True)
class AnswerConfidence:
    r"""Conclude a thought once a probe gives its answer with a probability of at least ``threshold``.

    After each ``every`` tokens the thought is closed in a fork and at most ``max_tokens`` tokens of answer are
    generated greedily. Their mean probability, ``"arithmetic"`` or ``"geometric"``, is the confidence in [0, 1].
    The last probe counts; one without an answer, or without log-probabilities, concludes nothing. Never stops
    a run.

    ``marks`` are texts at which a model changes its mind, such as ``("Wait", "Alternatively")``: given some, it
    is probed as often as it has said one, at most once in ``every`` tokens, instead of on the grid. ``text`` is
    forced in place of the model card's closing text and answer cue; it must end within the answer form.
    Policies that probe the same places side by side should force the same text. A recording with probes at
    other places than multiples of ``every`` is read with ``every=1``. ``guard`` comes first: a loop is never
    concluded on its confidence.

    The threshold is not a probability of being right and does not transfer between models and tasks: the
    published 0.95 cost 4 to 8 points on recorded GPQA thoughts of Gemma-4-12B, where 0.99 to 0.999 gained 3 to 5.
    Calibrate it on questions of your own.

    Source: DEER, Yang et al. 2025 (arXiv:2504.15895), section 3; the authors' code takes the arithmetic
    mean for most models and the geometric for Qwen3. Deviations: a grid by default, which makes a
    run repeatable; greedy probes; every generated token counts, since the form's opening is forced, not generated.
    """

    threshold: float = 0.95
    every: int = 64
    max_tokens: int = 20
    mean: Mean = "arithmetic"
    marks: tuple[str, ...] = ()
    text: str = ""
    guard: RepetitionGuard | None = RepetitionGuard()

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigurationError(
                f"threshold={self.threshold!r} is no probability above 0; give at most 1, 0.95 is published"
            )
        check_at_least(self, 1, every=self.every, max_tokens=self.max_tokens)
        if self.mean not in ("arithmetic", "geometric"):
            raise ConfigurationError(f"mean={self.mean!r} is not known; use 'arithmetic' or 'geometric'")
        if isinstance(self.marks, str) or not all(isinstance(mark, str) and mark for mark in self.marks):
            raise ConfigurationError(f"marks={self.marks!r} are no texts; give some such as ('Wait',)")
        object.__setattr__(self, "marks", tuple(self.marks))

    @property
    def needs(self) -> Needs:
        """Probes, and the log-probability of each of their tokens."""
        return Needs(probes=True, probe_logprobs=0, why=name_of(self))

    def decide(self, history: History) -> Decision:
        return by_probes(history, self)

    def reason(self, sample: Sample) -> str | None:
        probes = probes_on_grid(sample, 1 if self.marks else self.every, self.text)
        last = probes[-1] if probes else None
        if last is None or last.answer is None:
            return None
        confidence = answer_confidence(last, self.mean)
        if confidence is None or confidence < self.threshold:
            return None
        return f"answers {last.answer.text!r} with {confidence:.1%} after {last.at} tokens"

    def ask(self, sample: Sample) -> ProbeRequest | None:
        request = ProbeRequest(sample.index, self.text, self.max_tokens, logprobs=0)
        if not self.marks:
            return grid_request(sample, self.every, request)
        return request if self._changed_its_mind(sample) else None

    def _changed_its_mind(self, sample: Sample) -> bool:
        """Say whether it has come to a mark that no probe was made at, and far enough from the last one."""
        said = sum(sample.text.count(mark) for mark in self.marks)
        probes = probes_on_grid(sample, 1, self.text)
        if not probes:
            return said > 0
        tokens = sum(len(segment.token_ids) for segment in sample.segments)
        return tokens - probes[-1].at >= self.every and said > len(probes)


def answer_confidence(probe: Probe, mean: Mean = "arithmetic") -> float | None:
    """Return the mean probability of a probe's tokens in [0, 1], ``None`` where it is not known."""
    if not probe.logprobs:
        return None
    known = [logprob.sampled for logprob in probe.logprobs]
    if any(math.isnan(value) or value > 1e-6 for value in known):
        return None
    if mean == "geometric":
        return min(1.0, math.exp(sum(known) / len(known)))
    return min(1.0, math.fsum(map(math.exp, known)) / len(known))
