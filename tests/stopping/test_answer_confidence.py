"""DEER: a thought is concluded once its answer is sure enough."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stopping.growing import closed, decided, growing, probe
from thinkctl.errors import ConfigurationError
from thinkctl.stopping import AnswerConfidence, RepetitionGuard
from thinkctl.stopping.answer_confidence import answer_confidence
from thinkctl.types import Decision, Needs, ProbeRequest, TokenLogprob

SURE, UNSURE = probe(64, "4", 0.99, 0.97), probe(64, "4", 0.99, 0.8)


def asked(policy, sample):
    return [request.at for request in decided(policy, sample).probe]


# -- when it asks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "probed", "at"),
    [
        (0, (), []),
        (63, (), []),
        (64, (), [64]),
        (100, (), [64]),
        (127, (64,), []),
        (128, (64,), [128]),
        (128, (), [64]),  # one place after the other
        (255, (64,), [128]),
        (256, (64,), [256]),  # what is far behind is let go
        (300, (), [256]),
        (300, (64, 256), []),
        (300, (192, 300), [256]),  # a probe elsewhere is another policy's
    ],
)
def test_a_thought_is_probed_at_one_multiple_after_the_other(tokens, probed, at) -> None:
    assert asked(AnswerConfidence(), growing(tokens, *[probe(place) for place in probed])) == at


def test_it_asks_for_the_closing_text_and_the_log_probability_of_each_token() -> None:
    (request,) = decided(AnswerConfidence(max_tokens=12), growing(70)).probe
    assert request == ProbeRequest(0, "", max_tokens=12, logprobs=0, at=64)
    (request,) = decided(AnswerConfidence(text="So: \\boxed{"), growing(70)).probe
    assert request.text == "So: \\boxed{"


def test_inherited_tokens_are_not_probed() -> None:
    assert asked(AnswerConfidence(every=10), growing(29, inherited=20)) == []
    assert asked(AnswerConfidence(every=10), growing(30, inherited=20)) == [30]


@pytest.mark.parametrize(
    "sample",
    [
        closed(growing(70)),
        replace(growing(70), concluded=True),
    ],
)
def test_a_thought_that_has_ended_is_neither_probed_nor_concluded(sample) -> None:
    assert decided(AnswerConfidence(), sample) == Decision()
    assert decided(AnswerConfidence(), replace(sample, probes=(SURE,))) == Decision()


def test_a_probe_after_another_text_is_another_policy_s() -> None:
    policy = AnswerConfidence(text="So: \\boxed{")
    assert decided(policy, growing(70, SURE)).conclude == ()
    assert asked(policy, growing(70, SURE)) == [64]
    assert decided(policy, growing(70, replace(SURE, forced=policy.text))).conclude == (0,)


# -- when it concludes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probes", "concluded"),
    [
        ([], False),
        ([SURE], True),
        ([UNSURE], False),
        ([replace(SURE, answer=None)], False),
        ([replace(SURE, logprobs=None)], False),
        ([replace(SURE, logprobs=())], False),
        ([replace(SURE, logprobs=(TokenLogprob(math.nan),))], False),
        ([replace(SURE, logprobs=(TokenLogprob(7.0),))], False),
        ([probe(64, "4", 1.0), probe(128, "5", 0.5)], False),  # the last one counts
        ([probe(64, "4", 0.5), probe(128, "5", 1.0)], True),
        ([probe(128, "5", 1.0), probe(64, "4", 0.5)], True),  # whichever came in last
        ([probe(70, "4", 1.0)], False),
    ],
)
def test_the_last_probe_on_the_grid_decides(probes, concluded) -> None:
    assert decided(AnswerConfidence(), growing(140, *probes)).conclude == (0,) * concluded


@pytest.mark.parametrize(
    ("mean", "confidence"), [("arithmetic", (0.9 + 0.4) / 2), ("geometric", math.sqrt(0.9 * 0.4))]
)
def test_the_confidence_is_a_mean_of_the_probabilities(mean, confidence) -> None:
    assert answer_confidence(probe(1, "4", 0.9, 0.4), mean) == pytest.approx(confidence)
    sample = growing(64, probe(64, "4", 0.9, 0.4))
    assert decided(AnswerConfidence(confidence - 0.001, mean=mean), sample).conclude == (0,)
    assert decided(AnswerConfidence(confidence + 0.001, mean=mean), sample).conclude == ()


def test_an_impossible_token_has_probability_0() -> None:
    assert answer_confidence(probe(1, "4", 1.0, 0.0)) == pytest.approx(0.5)
    assert answer_confidence(probe(1, "4", 1.0, 0.0), "geometric") == 0


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=20))
def test_the_geometric_mean_is_never_above_the_arithmetic_and_both_are_probabilities(shares) -> None:
    given_by = probe(1, "4", *shares)
    arithmetic, geometric = answer_confidence(given_by), answer_confidence(given_by, "geometric")
    assert arithmetic is not None
    assert geometric is not None
    assert 0 <= geometric <= arithmetic + 1e-12 <= 1 + 1e-12


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0.01, 1), st.floats(0.01, 1))
def test_a_higher_threshold_never_concludes_more(shares, one, other) -> None:
    sample = growing(64, probe(64, "4", *shares))
    low, high = sorted([one, other])
    strict = decided(AnswerConfidence(high), sample).conclude
    assert not strict or decided(AnswerConfidence(low), sample).conclude


def test_the_reason_names_sample_answer_and_confidence() -> None:
    assert decided(AnswerConfidence(), growing(64), growing(70, SURE)).why == (
        "sample 1 answers '4' with 98.0% after 64 tokens"
    )


# -- marks, guard, parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "probes", "asks"),
    [
        ("I think", [], False),
        ("Wait, no", [], True),
        ("Wait, no", [probe(60)], False),
        ("Wait, no. Alternatively", [probe(60)], False),  # too near to the last
        ("Wait, no. Alternatively", [probe(30)], True),
        ("Wait, no. Alternatively", [probe(10), probe(30)], False),
    ],
)
def test_marks_are_probed_once_each_and_not_too_near_to_each_other(text, probes, asks) -> None:
    policy = AnswerConfidence(marks=("Wait", "Alternatively"), every=64)
    found = decided(policy, growing(100, *probes, text=text)).probe
    assert found == (ProbeRequest(0, "", 20, 0, None),) * asks


def test_with_marks_a_probe_anywhere_counts() -> None:
    assert decided(AnswerConfidence(marks=("Wait",)), growing(99, probe(77, "4", 1.0))).conclude == (0,)


def test_a_loop_is_cut_and_not_concluded_on_its_confidence() -> None:
    loop = growing([1, 2] * 200, probe(384, "4", 1.0))
    assert decided(AnswerConfidence(), loop).cut == (0,)
    assert decided(AnswerConfidence(), loop).conclude == ()
    assert decided(AnswerConfidence(guard=None), loop).conclude == (0,)


def test_a_guard_may_conclude_loops_and_they_are_not_probed() -> None:
    policy = AnswerConfidence(guard=RepetitionGuard(then="conclude"))
    decision = decided(policy, growing([1, 2] * 200), growing(70))
    assert (decision.conclude, [request.sample for request in decision.probe]) == ((0,), [1])


def test_it_needs_probes_with_log_probabilities() -> None:
    assert AnswerConfidence().needs == Needs(probes=True, probe_logprobs=0, why="answer-confidence")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"threshold": 0}, "threshold=0"),
        ({"threshold": 1.01}, "threshold=1.01"),
        ({"threshold": math.nan}, "threshold=nan"),
        ({"every": 0}, "every=0"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"mean": "harmonic"}, "mean='harmonic'"),
        ({"marks": "Wait"}, "marks='Wait'"),
        ({"marks": ("",)}, "marks="),
    ],
)
def test_what_cannot_be_is_refused(wrong, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AnswerConfidence(**wrong)
