"""Calibration: the guarantee holds, a naive choice breaks it, and what cannot be calibrated says so.

The recorded probes are not part of this project. They are read from ``$THINKCTL_SHARED`` or from ``../shared``.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkctl import ChainOfThought, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.evals.bounds import clopper_pearson
from thinkctl.evals.calibration import Calibration, LossTable, calibrate, calibrated
from thinkctl.evals.probes import read_probe_pool
from thinkctl.runfile import RunFile, read
from thinkctl.selectors import Majority
from thinkctl.stopping import AdaptiveConsistency, AnswerConfidence, CannotBeOvertaken, Margin, any_of
from thinkctl.testing import Script, ScriptedEngine
from thinkctl.testing import run as watched
from thinkctl.types import (
    Answer,
    Decision,
    Finish,
    History,
    Needs,
    Problem,
    Receipt,
    Request,
    Run,
    Sample,
    StopReason,
    Usage,
)

SHARED = Path(os.environ.get("THINKCTL_SHARED", Path(__file__).resolve().parents[3] / "shared"))
GPQA = SHARED / "data" / "pools" / "gpqa198_gemma4_12b_probes.jsonl.gz"
NAMELESS = Problem.of("?")


@dataclass(frozen=True)
class StopAfter:
    """Stop after so many votes."""

    votes: int = 3

    def decide(self, history: History) -> Decision:
        return Decision(stop=len(history.answers) >= self.votes)


@dataclass(frozen=True)
class ReadsProbes(StopAfter):
    needs: Needs = Needs(probes=True)


def recorded(name, *keys, tokens=10):
    samples = tuple(
        Sample(
            index,
            Request(NAMELESS.messages),
            finish=Finish.STOP,
            answer=None if key is None else Answer(key, key, index),
            usage=Usage(requests=1, thinking_tokens=tokens),
        )
        for index, key in enumerate(keys)
    )
    return History(NAMELESS.model_copy(update={"id": str(name)}), samples=samples)


def finished(history, stop=StopReason.DONE, selector=None):
    return Run(history, None, None, stop, "", Receipt(), selector=selector)


def questions(number, *keys):
    return [recorded(name, *keys) for name in range(number)]


def votes(number, seed=0, width=7):
    """Questions of every difficulty, with two possible answers."""
    draw = np.random.default_rng(seed)
    shares = draw.beta(3, 1, size=number)
    said = np.where(draw.random((number, width)) < shares[:, None], "a", "b")
    return [recorded(name, *row) for name, row in enumerate(said.tolist())]


# -- the guarantee -------------------------------------------------------------------------------------------

GRID = (6, 5, 4, 3, 2, 1)


@cache
def population() -> LossTable:
    return LossTable(StopAfter(), votes(3000), "changed", knob="votes", grid=GRID)


def naive(table: LossTable, rows, epsilon: float) -> int | None:
    """The threshold that everybody would take: the most economical one whose observed risk is low enough."""
    low = [place for place in range(len(GRID)) if table.losses(place)[rows].mean() <= epsilon]
    return low[-1] if low else None


@pytest.mark.parametrize(("delta", "n"), [(0.1, 60), (0.1, 200), (0.25, 60)])
def test_over_many_calibration_sets_the_true_risk_is_above_epsilon_no_more_often_than_delta(delta, n):
    table = population()
    risks = [table.losses(place).mean() for place in range(len(GRID))]
    epsilon = risks[4] - 1e-6  # the hardest case: the next threshold's risk is hardly too high
    draw, sets = np.random.default_rng(1), 600
    broken = naively = 0
    for _ in range(sets):
        rows = draw.choice(3000, size=n, replace=False)
        found = calibrated(table, epsilon, delta, rows)
        broken += found.threshold is not None and risks[GRID.index(found.threshold)] > epsilon
        place = naive(table, rows, epsilon)
        naively += place is not None and risks[place] > epsilon
    allowed = delta + 3 * math.sqrt(delta * (1 - delta) / sets)
    assert broken / sets <= allowed
    assert broken, "a simulation in which nothing could go wrong shows nothing"
    assert naively / sets > allowed + 0.05, "without the bound the promise must break here"


@cache
def gpqa() -> LossTable:
    if not GPQA.exists():
        pytest.skip(
            f"the recording {GPQA.name} is not there; set THINKCTL_SHARED to the folder with data/pools"
        )
    pool = read_probe_pool(GPQA)
    return LossTable(AnswerConfidence(every=1), pool, "harm", gold=pool.gold)


@pytest.mark.parametrize(
    ("epsilon", "published_broken", "published_tokens", "published_accuracy"),
    [(0.05, 0.055, 0.83, 0.577), (0.10, 0.075, 0.647, 0.608), (0.15, 0.12, 0.53, 0.593)],
)
def test_half_of_a_real_recording_calibrates_for_the_other_half_as_published(
    epsilon, published_broken, published_tokens, published_accuracy
):
    table, draw = gpqa(), np.random.default_rng(0)
    places = {value: place for place, value in enumerate(table.knob.grid)}
    broken, naively, tokens, accuracy = [], [], [], []
    for _ in range(200):
        rows = draw.permutation(len(table.ids))
        half, other = rows[:99], rows[99:]
        found = calibrated(table, epsilon, 0.1, half)
        held_out = table.measure(None if found.threshold is None else places[found.threshold], 0.1, other)
        broken.append(held_out.rate > epsilon)
        tokens.append(held_out.tokens / table.measure(None, 0.1, other).tokens)
        accuracy.append(held_out.accuracy or 0.0)
        low = [place for place in places.values() if table.losses(place)[half].mean() <= epsilon]
        naively.append(table.losses(low[-1])[other].mean() > epsilon)
    assert np.mean(broken) == pytest.approx(published_broken, abs=0.06)
    assert np.mean(tokens) == pytest.approx(published_tokens, abs=0.04)
    assert np.mean(accuracy) == pytest.approx(published_accuracy, abs=0.02)
    assert np.mean(naively) > 0.28


# -- the walk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "feasible"), [(1, False), (44, False), (45, True), (300, True)])
def test_without_a_loss_a_risk_of_five_percent_takes_45_questions(n, feasible):
    found = calibrate(StopAfter(), questions(n, *"aaaa"), "changed", knob="votes", grid=(3, 2))
    assert (found.feasible, found.needed, found.n) == (feasible, 45, n)
    assert found.policy == (StopAfter(2) if feasible else None)
    assert feasible or "it takes 45 questions" in found.verdict


def test_the_walk_ends_at_the_first_threshold_that_fails_though_a_later_one_would_pass():
    good, bad = questions(90, *"aaaaa"), [recorded(f"bad {name}", *"baaaa") for name in range(10)]
    table = LossTable(StopAfter(), [*good, *bad], "changed", knob="votes", grid=(4, 3, 2, 5, 1))
    found = calibrated(table, 0.05, 0.1)
    assert [step.value for step in found.walk] == [4, 3, 2]
    assert (found.threshold, found.losses, found.tokens) == (3, 0, 3000)
    assert table.measure(3).losses == 0
    assert found.walk[-1].losses == 10
    assert found.saved == pytest.approx(0.4)


def test_where_nothing_passes_it_thinks_fully_and_says_how_many_questions_it_would_need():
    runs = [*questions(48, *"aaa"), *(recorded(f"bad {name}", *"baa") for name in range(2))]
    found = calibrate(StopAfter(), runs, "changed", 0.05, 0.1, knob="votes", grid=(1,))
    assert (found.policy, found.threshold, found.losses) == (None, None, 2)
    assert found.bound == clopper_pearson(2, 50, 0.1)
    assert (found.tokens, found.full_tokens, found.saved) == (1500, 1500, 0)
    assert found.needed_at_rate is not None
    n = found.needed_at_rate
    assert clopper_pearson(math.ceil(0.04 * n - 1e-9), n, 0.1) <= 0.05
    assert f"about {n:,} with losses as frequent" in found.advice


def test_where_losses_are_too_frequent_no_number_of_questions_helps():
    found = calibrate(StopAfter(), questions(50, *"baa"), "changed", knob="votes", grid=(1,))
    assert (found.feasible, found.needed_at_rate) == (False, None)
    assert "with any number of questions" in found.verdict


def test_full_thinking_that_is_wrong_too_often_is_named_as_the_cause():
    runs, gold = questions(50, *"aaa"), {str(name): "a" if name else "b" for name in range(50)}
    found = calibrate(StopAfter(), runs, "wrong", 0.01, 0.5, gold=gold, knob="votes", grid=(1,))
    assert found.advice == "full thinking itself is wrong on 2.0%"


@pytest.mark.parametrize(
    ("loss", "gold", "keys", "lost"),
    [
        ("harm", "a", "baa", True),
        ("harm", "a", "aba", False),
        ("harm", "b", "baa", False),
        ("harm", "c", "baa", False),
        ("wrong", "a", "baa", True),
        ("wrong", "b", "baa", False),
        ("wrong", "c", "aaa", True),
        ("changed", None, "baa", True),
        ("changed", None, "aab", False),
        ("changed", None, [None, "a", "a"], True),
        ("changed", None, [None, None, None], False),
    ],
)
def test_losses_are_what_their_names_say(loss, gold, keys, lost):
    policy = StopBySamples(1)
    known = None if gold is None else {"q": gold}
    table = LossTable(policy, [recorded("q", *keys)], loss, gold=known, knob="samples", grid=(1,))
    assert table.losses(0).tolist() == [float(lost)]


@dataclass(frozen=True)
class StopBySamples:
    samples: int = 1

    def decide(self, history: History) -> Decision:
        return Decision(stop=len(history.settled) >= self.samples)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.02, 0.1, 0.3]), st.integers(20, 80))
def test_what_passed_is_bounded_and_what_came_after_it_is_not(seed, epsilon, n):
    found = calibrate(StopAfter(), votes(n, seed), "changed", epsilon, 0.1, knob="votes", grid=GRID)
    assert all(step.bound <= epsilon for step in found.walk[:-1])
    assert found.feasible == (found.walk[0].bound <= epsilon)
    assert not found.feasible or found.bound <= epsilon
    assert found.walk[-1].bound > epsilon or found.threshold == GRID[-1]


# -- losses of one's own -------------------------------------------------------------------------------------


def answers_b(seen, run):
    return seen.answer is not None and seen.answer.key == "b"


def half_if_b(seen, run):
    return 0.5 if answers_b(seen, run) else 0.0


def test_a_loss_of_zeros_and_ones_is_bounded_exactly_and_others_by_a_bound_for_all_means():
    runs = votes(100)
    exact = calibrate(StopAfter(), runs, answers_b, 0.4, knob="votes", grid=GRID)
    other = calibrate(StopAfter(), runs, half_if_b, 0.4, knob="votes", grid=GRID)
    assert (exact.method, exact.loss, other.method) == ("clopper-pearson", "answers_b", "hoeffding-bentkus")
    assert other.walk[0].losses == exact.walk[0].losses / 2
    assert other.walk[0].rate < other.walk[0].bound < 0.4


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda seen, run: 1.5, "returned 1.5; return a float between 0 and 1"),
        (lambda seen, run: math.nan, "returned nan"),
        (lambda seen, run: None, "returned None"),
        (lambda seen, run: True if seen.samples > 3 else 0.0, "return a bool, as before"),
    ],
)
def test_a_loss_must_be_of_one_kind_between_zero_and_one(loss, said):
    with pytest.raises(ConfigurationError) as error:
        calibrate(StopAfter(), votes(50), loss, 0.4, knob="votes", grid=(3, 2, 1))
    assert said in str(error.value)


def test_a_loss_gets_the_run_as_it_was_given():
    runs = [finished(history) for history in questions(50, *"aaaa")]
    seen = []

    def loss(_, run):
        seen.append(run)
        return False

    calibrate(StopAfter(), runs, loss, knob="votes", grid=(2,))
    assert {id(run) for run in seen} == {id(run) for run in runs}


# -- questions -----------------------------------------------------------------------------------------------


def test_several_runs_of_one_question_are_refused_or_count_as_one():
    runs = [recorded(name % 60, *("aaa" if name < 60 else "baa")) for name in range(120)]
    with pytest.raises(ConfigurationError, match="120 runs are of 60 questions"):
        calibrate(StopAfter(), runs, "changed", knob="votes", grid=(2, 1))
    found = calibrate(StopAfter(), runs, "changed", 0.7, knob="votes", grid=(2, 1), repeats="mean")
    assert (found.n, found.method, found.walk[0].losses) == (60, "hoeffding-bentkus", 60 * 0.5)


def test_each_run_is_read_with_its_own_selector():
    said = recorded("q", "a", "b", "a")
    table = [
        LossTable(StopAfter(), [run], "changed", knob="votes", grid=(2,), selector=given).losses(0).tolist()
        for run, given in (
            (said, None),
            (finished(said, selector={"name": "latest"}), None),
            (finished(said, selector={"name": "latest"}), Majority()),
        )
    ]
    assert table == [[0.0], [1.0], [0.0]]


def test_rows_are_questions_each_once():
    table = LossTable(StopAfter(), questions(50, *"aaa"), "changed", knob="votes", grid=(2,))
    assert table.ids == tuple(map(str, range(50)))
    assert calibrated(table, 0.2, 0.1, range(10, 40)).n == 30
    for wrong in ([0, 0], [50], [-1]):
        with pytest.raises(ConfigurationError, match="rows from 0 to 49"):
            calibrated(table, 0.2, 0.1, wrong)
    with pytest.raises(ConfigurationError, match="no question to calibrate on"):
        calibrated(table, 0.2, 0.1, [])


# -- from a live run to a calibrated policy ----------------------------------------------------------------------


def test_a_policy_that_watched_live_runs_is_calibrated_on_their_run_file(tmp_path):
    draw = np.random.default_rng(0)

    def script(sure: float) -> Script:
        early = "4}" if draw.random() < sure else "5}"
        words = " ".join(draw.choice(list("abcdefghijkl"), 200))
        return Script(
            f"{words} \\boxed{{4}}",
            logprob=(-0.5, math.log(sure)),
            conclusion=lambda forced, at: early if at < 150 else "4}",
        )

    engine = ScriptedEngine([script(sure) for sure in draw.uniform(0.6, 1, 150)])

    async def record():
        controller = Controller(engine, ChainOfThought(), shadows=[AnswerConfidence(1.0, every=32)])
        with RunFile.open(tmp_path / "runs.jsonl", card=engine.card) as file:
            for place in range(150):
                file.append(await controller.solve(f"Question {place}"))

    watched(record())
    runs = list(read(tmp_path / "runs.jsonl"))
    found = calibrate(AnswerConfidence(every=32), runs, "changed", 0.1)
    assert found.cautions == ()
    assert found.threshold is not None
    assert 0.75 <= found.threshold <= 0.97
    assert 0.1 < found.saved < 0.9
    assert found.losses > 0
    with pytest.raises(ConfigurationError, match="that answer-confidence reads, one each 48 tokens"):
        calibrate(AnswerConfidence(every=48), runs, "changed", 0.1)


# -- what cannot be calibrated ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epsilon": 0}, "epsilon=0 is not between 0 and 1"),
        ({"delta": 1}, "delta=1 is not between 0 and 1"),
        ({"loss": "regret"}, "there is no loss 'regret'; known: harm, wrong, changed"),
        ({"loss": "harm"}, "needs reference answers: give gold, or loss='changed'"),
        ({"loss": "harm", "gold": {"0": "a"}}, "49 of 50 recordings have no reference answer ('1', '2'"),
        ({"runs": []}, "there is no recording"),
        ({"runs": [recorded("empty")]}, "1 recordings have no finished sample ('empty')"),
        ({"grid": ()}, "is empty"),
        ({"grid": (2, 2)}, "repeats a value"),
        ({"knob": "depth"}, "stop-after has no 'depth'"),
        ({"repeats": "median"}, "say 'refuse' or 'mean'"),
        ({"policy": CannotBeOvertaken(4), "knob": None, "grid": None}, "it never changes the answer"),
        ({"policy": StopAfter(), "knob": None, "grid": None}, "nothing is known of stop-after's parameters"),
        ({"policy": StopAfter(), "grid": None}, "give a grid of values"),
        ({"grid": (9, 8)}, "did nothing to these recordings at any threshold"),
        ({"policy": ReadsProbes()}, "reads probes, and the recordings have none"),
        ({"policy": replace(ReadsProbes(), needs=Needs(scores=True))}, "reads verdicts"),
        ({"policy": replace(ReadsProbes(), needs=Needs(logprobs=5))}, "reads log-probabilities"),
    ],
)
def test_what_cannot_be_calibrated_says_why(changes, said):
    given = {"policy": StopAfter(), "runs": questions(50, *"aaaa"), "loss": "changed"}
    given |= {"knob": "votes", "grid": (3, 2)} | changes
    with pytest.raises(ConfigurationError) as error:
        calibrate(given.pop("policy"), given.pop("runs"), **given)
    assert said in str(error.value)


def test_an_incomplete_recording_is_told_with_the_result():
    runs = [
        finished(history, stop)
        for history, stop in zip(
            questions(50, *"aaaa"), [StopReason.POLICY] * 2 + [StopReason.TOKENS] + [StopReason.DONE] * 47,
            strict=True,
        )
    ]  # fmt: skip
    found = calibrate(Margin(), runs, "changed")
    assert found.feasible
    assert [caution.partition(":")[0] for caution in found.cautions] == [
        "2 runs had been stopped by a policy",
        "1 runs had been ended by a wall or a failure",
    ]


def test_probes_at_other_places_than_a_policy_reads_are_refused_not_taken_for_safety():
    gpqa()
    pool = read_probe_pool(GPQA)
    with pytest.raises(ConfigurationError, match="232 of the 30,096 probes that answer-confidence reads"):
        calibrate(AnswerConfidence(), pool, "harm", gold=pool.gold)
    (caution,) = calibrated(gpqa()).cautions
    assert "about 790 tokens apart: live, give every=790" in caution


def test_thoughts_that_were_not_probed_to_their_end_are_told():
    gpqa()
    pool = read_probe_pool(GPQA)
    ended = []
    for history in pool:
        (sample,) = history.samples
        early = tuple(
            probe for probe in sample.probes if probe.at < sample.thinking_tokens / 2
        )  # 4 are sure by then
        ended.append(replace(history, samples=(replace(sample, probes=early),)))
    found = calibrate(AnswerConfidence(every=1), ended, "harm", gold=pool.gold)
    assert "194 thoughts were not probed to their end" in found.cautions[0]


def test_policies_of_this_library_need_no_knob_and_keep_their_other_parameters():
    runs = questions(50, *"aaaaaaaaaa")
    found = calibrate(any_of(AdaptiveConsistency(0.95), CannotBeOvertaken(10)), runs, "changed")
    assert found.knob == "policies.0.confidence"
    assert found.policy == any_of(AdaptiveConsistency(0.55), CannotBeOvertaken(10))
    assert isinstance(found, Calibration)
