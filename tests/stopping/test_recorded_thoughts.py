"""The figures that stopping within recorded thoughts is known to give.

The recording is not part of this project: 198 thoughts of Gemma-4-12B on GPQA-Diamond, probed at each tenth. It
is read from ``$THINKCTL_SHARED`` or from ``../shared``.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import pytest

from thinkctl.evals.probes import ProbePool, read_probe_pool
from thinkctl.hindsight import hindsight
from thinkctl.selectors import Majority
from thinkctl.stopping import AnswerConfidence, AnswerStable, EntropyAfterThinking, Patient

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
GPQA = SHARED / "data" / "pools" / "gpqa198_gemma4_12b_probes.jsonl.gz"

pytestmark = pytest.mark.skipif(not GPQA.exists(), reason="the recording is not on this machine")


@cache
def recording() -> ProbePool:
    return read_probe_pool(GPQA)


@pytest.mark.parametrize(
    ("policy", "accuracy", "share"),
    [
        (None, 56.06, 100.0),
        (AnswerConfidence(0.95, every=1), 52.0, 23.0),
        (AnswerConfidence(0.99, every=1), 59.1, 39.4),
        (AnswerConfidence(0.999, every=1), 61.6, 66.3),
        (AnswerStable(3, every=1), 52.5, 46.1),
        (AnswerStable(5, every=1), 56.6, 75.1),
        (Patient(AnswerConfidence(0.95, every=1), 2), 56.6, 50.2),
        (EntropyAfterThinking(every=1), 56.06, 100.0),  # ten probes are too few for its averages
    ],
    ids=str,
)
def test_stopping_within_recorded_thoughts_gives_the_known_figures(policy, accuracy, share) -> None:
    """Percent of the questions and of all thinking tokens; probes are not counted."""
    pool = recording()
    seen = [hindsight(policy, history, Majority()) for history in pool]
    right = [
        each.answer is not None and each.answer.key == pool.gold[each.history.problem.id] for each in seen
    ]
    spent = sum(each.history.samples[0].thinking_tokens for each in seen)
    whole = sum(history.samples[0].thinking_tokens for history in pool)
    assert 100 * sum(right) / len(right) == pytest.approx(accuracy, abs=0.06)
    assert 100 * spent / whole == pytest.approx(share, abs=0.06)
