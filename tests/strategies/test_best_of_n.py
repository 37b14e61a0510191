"""Best-of-N: many samples, and a verifier chooses."""

from __future__ import annotations

import pytest

from tests.controller.rig import Judges, says, solve
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.selectors import BestScore, MajorityOfTheBests, WeightedMajority
from thinkctl.stopping import Threshold
from thinkctl.strategies import BestOfN
from thinkctl.testing import ScriptedEngine, check_strategy, history_of
from thinkctl.types import Finish, Sample, StopReason, Verdict


def scoring(**scores: float) -> Judges:
    """A verifier that likes answers so much."""

    async def judge(sample: Sample, engines: object) -> Verdict:
        key = sample.answer.key if sample.answer is not None else ""
        score = scores.get(f"a{key}", 0.0)
        return Verdict(score, passed=score == 1.0)

    return Judges(judge)


@pytest.mark.parametrize("by", ["score", "weighted", "majority-of-the-bests"])
def test_it_conforms(by) -> None:
    check_strategy(BestOfN(by=by))


@pytest.mark.parametrize(
    ("by", "selector"),
    [
        ("score", BestScore()),
        ("weighted", WeightedMajority("score")),
        ("majority-of-the-bests", MajorityOfTheBests()),
    ],
)
def test_by_names_the_selector(by, selector) -> None:
    assert BestOfN(by=by).selector == selector


def test_it_tops_up_to_n_whatever_is_in_flight() -> None:
    histories = [history_of(), history_of("4"), history_of("4", ...), history_of("4", ..., None)]
    assert [len(BestOfN(4).propose(history)) for history in histories] == [4, 3, 2, 1]
    assert BestOfN(2).propose(history_of("4", "5")) == []


@pytest.mark.parametrize(("field", "value"), [("n", 0), ("by", "luck")])
def test_what_makes_no_sense_is_refused(field, value) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}={value!r}"):
        BestOfN(**{field: value})


def test_without_a_verifier_it_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigurationError, match="best-of-n needs scores"):
        Controller(ScriptedEngine(["4"]), BestOfN(2))


@pytest.mark.parametrize(("by", "answer"), [("score", "9"), ("weighted", "4")])
def test_the_verifier_s_favourite_wins_or_its_weighted_vote(by, answer) -> None:
    engine = ScriptedEngine([says("4"), says("9"), says("4"), says("4")])
    found = solve(engine, BestOfN(4, by), verifier=scoring(a4=0.5, a9=0.9))
    assert (found.answer and found.answer.key) == answer


def test_with_an_exact_check_it_ends_at_the_first_that_passes_and_spends_no_more() -> None:
    engine = ScriptedEngine([says("5"), says("4"), says("4")])
    found = solve(engine, BestOfN(8), Budget(tokens=2_000), policy=Threshold(1.0), verifier=scoring(a4=1.0))
    assert (found.stop, found.answer and found.answer.key, found.history.bought) == (
        StopReason.POLICY,
        "4",
        2,
    )
    assert {sample.finish for sample in found.samples} == {Finish.STOP}
