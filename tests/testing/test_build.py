"""Histories made of answers."""

from __future__ import annotations

import math

import pytest

from thinkctl.testing import history_of, sample_of
from thinkctl.types import Budget, Finish, Origin, Problem, TokenLogprob, Usage


def test_answers_vote_nothing_abstains_and_dots_are_in_flight() -> None:
    history = history_of("4", None, "5", ..., "6")
    assert [answer.text for answer in history.answers] == ["4", "5"]
    assert [answer.sample for answer in history.answers] == [0, 2]
    assert [sample.index for sample in history.in_flight] == [3]
    assert [sample.finish for sample in history.samples] == [*[Finish.STOP] * 3, None, Finish.STOP]


def test_equal_calls_make_equal_histories() -> None:
    assert history_of("4", ..., scores=[0.5]) == history_of("4", ..., scores=[0.5])


def test_what_is_said_of_samples_is_in_them() -> None:
    history = history_of("4", "5", "6", scores=[0.5], logprobs=[-0.1, None, [-1.0, -3.0]], thoughts=["Hm."])
    scores = [sample.verdict.score if sample.verdict else None for sample in history.samples]
    assert scores == [0.5, None, None]
    assert history.samples[0].confidence == pytest.approx(math.exp(-0.1))
    assert history.samples[1].confidence is None
    assert history.samples[0].thought == "Hm."
    assert history.samples[1].thought == "Let me think, time 2."


def test_log_probabilities_are_given_one_after_the_other() -> None:
    known = TokenLogprob(-0.5, (-0.5,))
    (segment,) = sample_of("4", thought="one two", logprobs=[-1.0, known]).segments
    values = [logprob.sampled for logprob in segment.logprobs or ()]
    assert values == [-1.0, *[-0.5] * (len(segment.token_ids) - 1)]


def test_a_concluded_sample_was_forced_to_answer() -> None:
    sample = sample_of("4", concluded=True, logprobs=-0.1)
    assert [segment.origin for segment in sample.segments] == [Origin.SAMPLED, Origin.FORCED, Origin.SAMPLED]
    assert sample.answer is not None
    assert sample.answer.concluded
    assert sample.text.endswith(r"\boxed{4}")


@pytest.mark.parametrize("answer", ["4", None, ...])
@pytest.mark.parametrize("concluded", [False, True])
def test_the_usage_is_that_of_the_tokens(answer: str | None, concluded: bool) -> None:
    sample = sample_of(answer, concluded=concluded)
    assert sample.usage.generated_tokens == len(sample.token_ids)
    assert sample.usage.prompt_tokens == len(sample.prompt_ids)
    assert history_of(sample, sample).usage == sample.usage + sample.usage


def test_samples_take_their_place_in_launch_order() -> None:
    history = history_of("4", sample_of("5", finish=Finish.LENGTH), sample_of(None, finish=Finish.ERROR))
    assert [sample.index for sample in history.samples] == [0, 1, 2]
    assert history.answers[1].sample == 1
    assert history.samples[2].error


def test_the_moment_is_when_the_last_sample_ended_unless_told() -> None:
    assert history_of("4", "5", ...).elapsed == 2.0
    assert history_of("4", elapsed=7.5).elapsed == 7.5
    assert history_of().elapsed == 0.0
    assert history_of().usage == Usage()


def test_the_rest_of_a_history_is_taken_as_it_is() -> None:
    budget = Budget(tokens=10)
    history = history_of(..., "4", budget=budget, problem="1+3?", seed=3, walled=True)
    assert (history.budget, history.seed, history.problem) == (budget, 3, Problem.of("1+3?"))
    assert len(history.answers) == 1
    assert not history_of("4", counted=0).answers
