"""How certain a model was of its tokens ranks its samples, without any call."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import says, solve
from thinkctl import Budget, registry
from thinkctl.agreement import Borda
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import Verifier
from thinkctl.strategies import BestOfN
from thinkctl.testing import ScriptedEngine, history_of, sample_of
from thinkctl.types import Origin, Sample, Segment, TokenLogprob, Verdict, spec_of
from thinkctl.verifiers import SelfCertainty, self_certainty


def sample(*tops: tuple[float, ...], origin: Origin = Origin.SAMPLED) -> Sample:
    """Return a sample of tokens with these probabilities of their alternatives."""
    logprobs = tuple(
        TokenLogprob(math.log(top[0]), tuple(math.log(p) if p else -math.inf for p in top)) for top in tops
    )
    ids = tuple(range(len(tops)))
    segment = Segment(ids, origin, logprobs if origin is Origin.SAMPLED else None)
    return replace(sample_of("4"), segments=(segment,))


def judged(what: Sample, top: int = 20) -> Verdict:
    return asyncio.run(SelfCertainty(top).judge(history_of(what), what, {}))


def test_with_the_whole_vocabulary_it_is_the_paper_s_formula() -> None:
    tops = [(0.7, 0.2, 0.1), (0.4, 0.35, 0.25)]
    size, vocabulary = len(tops), 3
    expected = -sum(math.log(vocabulary * p) for top in tops for p in top) / (size * vocabulary)
    assert self_certainty(sample(*tops)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tops", "nats"),
    [
        ([(0.25, 0.25, 0.25, 0.25)], 0.0),  # uniform: as uncertain as can be
        ([(0.5, 0.5)], 0.0),
        ([(0.5, 0.25)], math.log(2) * 1.5 - math.log(2)),
        ([(0.9, 0.0)], (100 - math.log(0.9)) / 2 - math.log(2)),  # impossible is -100
        ([(0.5, 0.5), (0.5, 0.25)], math.log(2) / 4),
        ([(0.5, 0.25), (0.9,)], math.log(2) / 2),  # one alternative tells nothing
    ],
)
def test_known_values(tops, nats) -> None:
    assert self_certainty(sample(*tops)) == pytest.approx(nats)


def test_only_so_many_alternatives_count() -> None:
    many, few = sample((0.4, 0.3, 0.2, 0.1)), sample((0.4, 0.3))
    assert self_certainty(many, top=2) == self_certainty(few)
    assert self_certainty(many) != self_certainty(few)


def test_without_log_probabilities_nothing_is_said() -> None:
    assert judged(sample_of("4")) == Verdict()
    assert judged(sample((0.9,))) == Verdict()
    assert judged(sample((0.9, 0.1), origin=Origin.FORCED)) == Verdict()


def test_a_sharper_distribution_scores_higher() -> None:
    sharper = [sample((p, *[(1 - p) / 4] * 4)) for p in (0.2, 0.4, 0.6, 0.9, 0.999)]
    scores = [judged(each).score or 0.0 for each in sharper]
    assert all(low < high for low, high in pairwise(scores))
    assert scores[0] == pytest.approx(0)


@given(st.lists(st.lists(st.floats(-200, 0) | st.just(-math.inf), max_size=8).map(tuple), max_size=8))
def test_every_score_is_in_its_range(tops) -> None:
    logprobs = tuple(TokenLogprob(-0.1, top) for top in tops)
    what = replace(sample_of("4"), segments=(Segment(tuple(range(len(tops))), Origin.SAMPLED, logprobs),))
    score = judged(what).score
    assert score is None or 0 <= score < 1


def test_the_controller_asks_the_engine_for_what_it_needs() -> None:
    engine = ScriptedEngine([says("4", logprob=-3.0), says("5", logprob=-0.01), says("4", logprob=-2.0)])
    found = solve(engine, BestOfN(3), Budget(tokens=200), verifier=SelfCertainty(5))
    assert {log.spec.logprobs for log in engine.log} == {5}
    scores = [sample.verdict.score for sample in found.samples if sample.verdict and sample.verdict.score]
    assert scores.index(max(scores)) == 1
    assert found.answer is not None
    assert found.answer.key == "5"
    assert found.receipt.verifier_tokens == 0
    assert Borda().select(found.history) is not None


def test_an_engine_that_cannot_give_it_is_refused_when_the_controller_is_made() -> None:
    found = solve(ScriptedEngine([says("4")]), BestOfN(1), verifier=SelfCertainty(2))
    engine = ReplayEngine([replace(found, history=history_of("4"))])
    with pytest.raises(ConfigurationError, match="self-certainty needs log-probabilities"):
        solve(engine, BestOfN(1), verifier=SelfCertainty())  # type: ignore[arg-type]


def test_it_is_a_registered_verifier() -> None:
    assert isinstance(SelfCertainty(), Verifier)
    assert registry.build(spec_of(SelfCertainty(7))) == SelfCertainty(7)
    with pytest.raises(ConfigurationError, match="top=1"):
        SelfCertainty(1)
