"""Intervals hold the truth as often as they say: a small version of tests/benchmarks/coverage.py."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.coverage import COUNTED, WORLDS, coverage, population
from thinkctl.evals.statistics.shares import share_of

REPEATS = 200


@pytest.mark.parametrize("questions", [60, 200])
def test_intervals_hold_the_truth_about_as_often_as_they_say(questions):
    held = coverage(population(WORLDS[0], 10_000), questions, REPEATS, 150)
    # 95 % of 200 repeats are between 91 and 99 % by chance, in 99 of 100 runs; the seed is fixed.
    assert {
        name: share for name, share in held.items() if name in COUNTED and not 0.91 <= share <= 0.99
    } == {}


@pytest.mark.parametrize("questions", [60, 200])
@pytest.mark.parametrize("metric", ["passed", "majority"])
def test_a_share_near_one_is_held_about_as_often_too(metric, questions):
    """Where nearly every question has the value 1, and the few that have not are mostly not among those drawn."""
    values = getattr(population(WORLDS[3], 20_000), metric).reshape(20_000, -1)[:, -1]
    random, repeats = np.random.default_rng(1), 1000
    drawn = values[random.integers(0, len(values), (repeats, questions))]
    found = [share_of(some) for some in drawn]
    held = np.mean([each.low <= values.mean() <= each.high for each in found])
    assert 0.91 <= held <= 0.985


def test_samples_taken_for_questions_would_hold_it_far_less_often():
    everyone, random, held = population(WORLDS[0], 10_000), np.random.default_rng(0), 0
    chance = everyone.majority[:, 0]
    for _ in range(REPEATS):
        samples = random.random((60, 16)) < chance[random.integers(0, len(chance), 60)][:, None]
        found = share_of(samples.ravel().astype(float))
        held += found.low <= chance.mean() <= found.high
    assert held / REPEATS < 0.7
