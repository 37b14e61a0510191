"""Probe recordings: what is read of them, and the figures that a right replay of a real one gives.

The real recording is not part of this project. It is read from ``$THINKCTL_SHARED`` or from ``../shared``.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from thinkctl.errors import ConfigurationError, RunFileError
from thinkctl.evals.probes import is_probe_pool, read_probe_pool
from thinkctl.hindsight import hindsight
from thinkctl.selectors import Majority
from thinkctl.stopping import AnswerConfidence, AnswerStable, EntropyAfterThinking
from thinkctl.types import Decision, Needs, Probe

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
GPQA = SHARED / "data" / "pools" / "gpqa198_gemma4_12b_probes.jsonl.gz"


@dataclass(frozen=True)
class OnProbes:
    """Close a thought as soon as its probes so far say so."""

    least: float | None = None
    most_entropy: float | None = None
    alike: int | None = None
    needs = Needs(probes=True)

    def decide(self, history):
        return Decision(
            conclude=tuple(one.index for one in history.in_flight if one.probes and self.enough(one.probes))
        )

    def enough(self, probes: tuple[Probe, ...]) -> bool:
        last = probes[-1].logprobs
        assert last is not None
        if self.least is not None:
            return math.exp(last[0].sampled) >= self.least
        if self.most_entropy is not None:
            return -math.fsum(math.exp(one) * one for one in last[0].top) <= self.most_entropy
        assert self.alike is not None
        said = [probe.text for probe in probes[-self.alike :]]
        return len(said) == self.alike and len(set(said)) == 1


def row(**changes):
    probes = [
        {"tokens": 0, "probs": {"A": 0.5, "B": 0.1}},
        {"tokens": 40, "probs": {"A": 0.3, "B": 0.1}, "pred": "A"},
        {"tokens": 100, "probs": {"A": 0.02, "B": 0.08}},
    ]
    return {"id": "q", "gold": "B", "trace_tokens": 100, "probes": probes} | changes


def written(folder, *rows):
    path = folder / "probes.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def test_a_probed_problem_is_one_finished_sample_with_its_probes(tmp_path):
    pool = read_probe_pool(written(tmp_path, row()))
    (history,) = pool
    (sample,) = history.samples
    assert sample.answer is not None
    assert (sample.finished, sample.answer.key, sample.thinking_tokens) == (True, "B", 100)
    assert [probe.at for probe in sample.probes] == [40, 100]
    assert pool.gold == {"q": "B"}


def test_probabilities_are_relative_to_all_labels_together(tmp_path):
    (history,) = read_probe_pool(written(tmp_path, row()))
    logprobs = history.samples[0].probes[0].logprobs
    assert logprobs is not None
    (logprob,) = logprobs
    assert math.exp(logprob.sampled) == pytest.approx(0.75)
    assert [math.exp(one) for one in logprob.top] == pytest.approx([0.75, 0.25])
    assert logprob.sampled <= 0


@pytest.mark.parametrize(
    ("probe_tokens", "full", "early"), [(0, 100, 40), (1, 101, 40 + 1 + 1), (3, 103, 40 + 3 + 3)]
)
def test_probes_are_billed_to_who_asks_for_them(tmp_path, probe_tokens, full, early):
    (history,) = read_probe_pool(written(tmp_path, row()), probe_tokens=probe_tokens)
    assert hindsight(None, history, Majority()).usage.generated_tokens == full
    stopped = hindsight(OnProbes(0.7), history, Majority())
    assert stopped.usage.generated_tokens == early
    assert stopped.answer is not None
    assert (stopped.answer.text, stopped.unknown) == ("A", 0)


def test_the_probe_before_any_thought_is_kept_if_asked_for(tmp_path):
    (history,) = read_probe_pool(written(tmp_path, row()), first=0)
    assert [probe.at for probe in history.samples[0].probes] == [0, 40, 100]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ""}, "id: expected a text, got ''"),
        ({"gold": 3}, "gold: expected a text, got 3"),
        ({"trace_tokens": -1}, "trace_tokens: expected a count of tokens, got -1"),
        ({"trace_tokens": 90}, "the last probe comes after 100 of 90 tokens"),
        ({"probes": []}, "expected a list of at least one probe"),
        ({"probes": [{"tokens": 100, "probs": {"A": 1.5}}]}, "probes[0]: probs: A has 1.5"),
        ({"probes": [{"tokens": 100, "probs": {"A": 0.0}}]}, "no label has a probability above 0"),
        ({"probes": [{"tokens": 100, "probs": {"A": 1}, "pred": "C"}]}, "pred: 'C' is none of the labels A"),
        ({"probes": [{"tokens": 100, "probs": {"A": 1}}] * 2}, "probes[1]: it comes after 100 tokens"),
        ({"probes": [{"tokens": 100}]}, "probs: expected an object, got NoneType"),
    ],
)
def test_what_is_wrong_with_a_line_is_said(tmp_path, changes, said):
    with pytest.raises(RunFileError) as error:
        read_probe_pool(written(tmp_path, row(id="first"), row(**changes)))
    assert "line 2 is not a probed problem" in str(error.value)
    assert said in str(error.value)


def test_what_is_no_recording_of_probes_is_refused(tmp_path):
    with pytest.raises(RunFileError, match="'q' was there before"):
        read_probe_pool(written(tmp_path, row(), row()))
    with pytest.raises(RunFileError, match="holds no probed problem"):
        read_probe_pool(written(tmp_path))
    with pytest.raises(ConfigurationError, match="probe_tokens=-1"):
        read_probe_pool(written(tmp_path, row()), probe_tokens=-1)


def test_a_recording_of_probes_is_told_from_other_files(tmp_path):
    assert is_probe_pool(written(tmp_path, row()))
    assert not is_probe_pool(written(tmp_path, {"id": "q", "samples": []}))
    assert not is_probe_pool(written(tmp_path))


# -- the real one ---------------------------------------------------------------------------------------------


@cache
def real(probe_tokens: int = 0):
    if not GPQA.exists():
        pytest.skip(
            f"the recording {GPQA.name} is not there; set THINKCTL_SHARED to the folder with data/pools"
        )
    return read_probe_pool(GPQA, probe_tokens=probe_tokens)


def replayed(policy, probe_tokens: int = 0) -> tuple[float, float]:
    """Return accuracy and the share of full thinking's tokens, both in percent."""
    pool = real(probe_tokens)
    seen = [hindsight(policy, history, Majority()) for history in pool]
    full = sum(hindsight(None, history, Majority()).usage.generated_tokens for history in pool)
    right = sum(
        one.answer.text == pool.gold[one.history.problem.id] for one in seen if one.answer is not None
    )
    tokens = sum(one.usage.generated_tokens for one in seen)
    assert not sum(one.unknown for one in seen)
    return round(100 * right / len(pool), 2), round(100 * tokens / full, 2)


@pytest.mark.parametrize(
    ("policy", "accuracy", "tokens"),
    [
        (None, 56.06, 100.0),
        (OnProbes(least=0.95), 52.02, 23.01),
        (OnProbes(least=0.99), 59.09, 39.44),
        (OnProbes(least=0.999), 61.62, 66.33),
        (OnProbes(most_entropy=0.01), 63.13, 65.28),
        (AnswerConfidence(0.95, every=1), 52.02, 23.01),
        (AnswerConfidence(0.99, every=1), 59.09, 39.44),
        (AnswerConfidence(0.999, every=1), 61.62, 66.33),
        (AnswerStable(3, every=1), 52.53, 46.10),
        (AnswerStable(5, every=1), 56.57, 75.12),
        (EntropyAfterThinking(every=1), 56.06, 100.0),
        (OnProbes(alike=3), 52.53, 46.10),
        (OnProbes(alike=5), 56.57, 75.12),
    ],
)
def test_the_published_figures_of_stopping_at_probes_are_reproduced(policy, accuracy, tokens):
    assert replayed(policy) == (accuracy, tokens)


def test_the_settled_entropy_cannot_be_told_from_eleven_probes():
    """The published entropy <= 0.01 is a threshold on a value, not on its variance after twenty probes."""
    probes = max(len(history.samples[0].probes) for history in real())
    assert probes == 10 < EntropyAfterThinking().least_probes


def test_counting_a_token_for_each_probe_changes_little_here():
    for policy in (OnProbes(least=0.95), OnProbes(least=0.999)):
        (accuracy, free), (same, billed) = replayed(policy), replayed(policy, probe_tokens=1)
        assert same == accuracy
        assert free < billed <= free + 0.2


def test_the_probe_before_any_thought_would_spoil_the_figures():
    real()
    pool = read_probe_pool(GPQA, first=0)
    early = [hindsight(OnProbes(least=0.95), history, Majority()) for history in pool]
    right = sum(one.answer.text == pool.gold[one.history.problem.id] for one in early if one.answer)
    assert round(100 * right / len(pool), 2) == 27.27
