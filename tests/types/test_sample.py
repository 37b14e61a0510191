"""Samples: what is derived from their segments."""

from __future__ import annotations

import math

import pytest

from thinkctl.testing import sample_of
from thinkctl.types import Finish, Origin, Request, Sample, Segment, TokenLogprob


def logs(*values: float) -> tuple[TokenLogprob, ...]:
    return tuple(TokenLogprob(value) for value in values)


def test_token_ids_are_those_of_all_segments_whatever_their_origin() -> None:
    segments = (Segment((1, 2), Origin.INHERITED), Segment((3,), Origin.FORCED), Segment((4, 5)))
    assert Sample(0, Request(()), segments=segments).token_ids == (1, 2, 3, 4, 5)


def test_confidence_is_the_geometric_mean_of_its_own_tokens() -> None:
    segments = (
        Segment((1,), Origin.INHERITED, logs(-9.0)),
        Segment((2, 3), Origin.SAMPLED, logs(-0.1, -0.3)),
        Segment((4,), Origin.FORCED),
        Segment((5,), Origin.SAMPLED, logs(-0.5)),
    )
    assert Sample(0, Request(()), segments=segments).confidence == pytest.approx(math.exp(-0.3))


@pytest.mark.parametrize("segments", [(), (Segment((1, 2)),), (Segment((1,), Origin.SAMPLED, ()),)])
def test_without_log_probabilities_there_is_no_confidence(segments) -> None:
    assert Sample(0, Request(()), segments=segments).confidence is None


@pytest.mark.parametrize("finish", [None, *Finish])
def test_a_sample_is_finished_when_it_has_a_finish(finish: Finish | None) -> None:
    assert Sample(0, Request(()), finish=finish).finished is (finish is not None)


def test_the_thought_is_the_text_up_to_the_answer() -> None:
    sample = sample_of("4", thought="Let me see.")
    assert sample.thought == "Let me see."
    assert sample.text.startswith(sample.thought)
    assert sample.thinking_tokens == sample.usage.thinking_tokens == 3
