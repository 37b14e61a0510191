"""Stop at a sample that is good enough."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thinkctl.errors import ConfigurationError
from thinkctl.stopping import Threshold
from thinkctl.testing import history_of, sample_of
from thinkctl.types import Verdict


@pytest.mark.parametrize(
    ("answers", "scores", "stop", "confidence"),
    [
        (["1", "2"], [0.2, 0.79], False, 0.79),
        (["1", "2"], [0.2, 0.8], True, 0.8),
        (["1", "2"], [0.9, 0.2], True, 0.9),
        (["1", None], [0.2, 1.0], False, 0.2),  # nothing to give
        (["1", "2"], [None, None], False, None),
        (["1", ..., "2"], [0.2, None, 1.0], False, 0.2),  # behind one that is in flight
        ([], [], False, None),
    ],
)
def test_it_stops_at_the_first_score_that_is_high_enough(answers, scores, stop, confidence) -> None:
    decision = Threshold(0.8).decide(history_of(*answers, scores=scores))
    assert (decision.stop, decision.confidence, decision.more) == (stop, confidence, 1)


@pytest.mark.parametrize(
    ("verdict", "stop"),
    [
        (Verdict(passed=True), True),
        (Verdict(passed=False), False),
        (Verdict(score=0.6, passed=True), True),  # a check that passed is good enough
        (Verdict(score=0.6), False),
        (Verdict(score=float("nan")), False),
        (Verdict(), False),
        (None, False),
    ],
)
def test_a_check_that_passed_stops_it(verdict, stop) -> None:
    judged = replace(sample_of("1"), verdict=verdict)
    assert Threshold().decide(history_of(judged)).stop == stop


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_score_that_no_verdict_has_is_refused(score) -> None:
    with pytest.raises(ConfigurationError, match=f"score={score} is not in"):
        Threshold(score)
