"""Self-correction: revise what failed an outside check, with what the check said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import Judges, solve
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError
from thinkctl.strategies import SelfCorrection
from thinkctl.strategies.prompts import reason_first
from thinkctl.testing import Script, ScriptedEngine, check_strategy, history_of, sample_of
from thinkctl.types import History, Sample, Verdict

FAILED = Verdict(0.0, passed=False, feedback='near "FORM": syntax error')


def version(key: str | None, verdict: Verdict | None = FAILED, index: int = 0) -> Sample:
    return replace(sample_of(key, index=index), verdict=verdict)


def after(*versions: Sample) -> History:
    return history_of(*[replace(each, index=place) for place, each in enumerate(versions)])


@pytest.mark.parametrize(
    "strategy",
    [
        SelfCorrection(),
        SelfCorrection(1, 1),
        SelfCorrection(intrinsic=True),
        SelfCorrection(1, 1, drafts=3),
        SelfCorrection(drafts=4, passes=2),
    ],
)
def test_it_conforms(strategy) -> None:
    check_strategy(strategy)


def test_the_first_draft_is_the_plain_question() -> None:
    (request,) = SelfCorrection().propose(history_of())
    assert request.messages == reason_first(history_of().problem)


def test_a_failed_check_is_shown_with_the_draft_and_the_answer_s_form_is_asked_for_again() -> None:
    (request,) = SelfCorrection().propose(after(version("5")))
    *question, draft, told = request.messages
    assert tuple(question) == reason_first(history_of().problem)
    assert (draft.role, draft.content) == ("assistant", version("5").text)
    assert FAILED.feedback in told.content
    assert told.content.endswith("put your final answer within \\boxed{}.")


@pytest.mark.parametrize(
    "verdict",
    [Verdict(1.0, passed=True), Verdict(0.2), Verdict(), None],
    ids=["passed", "only scored", "empty", "unchecked"],
)
def test_what_did_not_fail_a_check_is_left_alone(verdict) -> None:
    assert SelfCorrection().propose(after(version("5", verdict))) == ()


@pytest.mark.parametrize("verdict", [Verdict(), None])
def test_on_request_the_model_judges_itself(verdict) -> None:
    (request,) = SelfCorrection(intrinsic=True).propose(after(version("5", verdict)))
    assert "Check your answer step by step" in request.messages[-1].content
    assert SelfCorrection(intrinsic=True).propose(after(version("5", Verdict(passed=True)))) == ()


def test_it_waits_while_a_version_grows() -> None:
    assert SelfCorrection().propose(history_of(...)) == ()


def test_it_revises_at_most_so_many_times() -> None:
    versions = [version(str(place)) for place in range(6)]
    bought = [len(SelfCorrection(3, 9).propose(after(*versions[:place]))) for place in range(1, 7)]
    assert bought == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("keys", "scores", "goes_on"),
    [
        (["1", "2", "3"], [0, 0, 0], True),  # new answers, no worse
        (["1", "1", "1"], [0, 0, 0], False),  # the same again and again
        (["1", "2", "3"], [0.5, 0.2, 0.4], False),  # worse than the first
        (["1", "2", "3"], [0.5, 0.2, 0.6], True),
        (["1", None, None], [0, 0, 0], False),
    ],
)
def test_it_gives_up_when_revisions_bring_nothing(keys, scores, goes_on) -> None:
    versions = [version(key, Verdict(score, passed=False)) for key, score in zip(keys, scores, strict=True)]
    assert bool(SelfCorrection(9, patience=2).propose(after(*versions))) is goes_on


def test_a_revision_starts_from_the_best_version() -> None:
    versions = [
        version("1", Verdict(0.5, passed=False, feedback="half")),
        version("2", Verdict(0.1, passed=False)),
    ]
    (request,) = SelfCorrection().propose(after(*versions))
    assert request.messages[-2].content == versions[0].text
    assert "half" in request.messages[-1].content


def test_a_long_report_is_cut_to_its_end() -> None:
    verdict = Verdict(passed=False, feedback="x" * 9_000 + " AssertionError: 3 != 4")
    (request,) = SelfCorrection().propose(after(version("1", verdict)))
    assert len(request.messages[-1].content) < 2_300
    assert "AssertionError: 3 != 4" in request.messages[-1].content


@pytest.mark.parametrize(("rounds", "patience", "field"), [(0, 1, "rounds"), (1, 0, "patience")])
def test_what_corrects_nothing_is_refused(rounds, patience, field) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}=0"):
        SelfCorrection(rounds, patience)


def test_without_a_verifier_it_is_refused_unless_the_model_judges_itself() -> None:
    engine = ScriptedEngine(["4"])
    with pytest.raises(ConfigurationError, match="self-correction needs scores"):
        Controller(engine, SelfCorrection())
    Controller(engine, SelfCorrection(intrinsic=True))


# -- through the loop --------------------------------------------------------------------------------------------


def checker(right: str = "4") -> Judges:
    async def judge(sample: Sample, engines: object) -> Verdict:
        passed = sample.answer is not None and sample.answer.key == right
        return Verdict(
            float(passed), passed, "" if passed else f"{sample.answer and sample.answer.key} is wrong"
        )

    return Judges(judge)


def learns(number: int, prompt: str) -> Script:
    """A model that answers 5, and 4 once it is told that 5 is wrong."""
    return Script("so \\boxed{4}" if "5 is wrong" in prompt else "hm \\boxed{5}")


def test_the_error_goes_back_to_the_model_and_the_corrected_answer_wins() -> None:
    found = solve(ScriptedEngine(learns), SelfCorrection(), verifier=checker())
    assert [sample.answer and sample.answer.key for sample in found.samples] == ["5", "4"]
    assert (found.answer and found.answer.key) == "4"


def test_an_answer_that_passes_at_once_costs_one_sample() -> None:
    found = solve(ScriptedEngine(learns), SelfCorrection(), verifier=checker("5"))
    assert (found.history.bought, found.answer and found.answer.key) == (1, "5")


def test_where_nothing_passes_the_first_of_the_best_versions_is_the_answer() -> None:
    found = solve(ScriptedEngine(learns), SelfCorrection(3), verifier=checker("7"))
    assert found.answer is not None
    assert found.history.bought <= 4


@given(st.integers(5, 60))
def test_no_budget_is_passed(tokens) -> None:
    found = solve(ScriptedEngine(learns), SelfCorrection(), Budget(tokens=tokens), verifier=checker("7"))
    assert found.receipt.usage.generated_tokens <= tokens


def asked_for(strategy: SelfCorrection, verdicts: list[Verdict]) -> list[int]:
    """Return how many messages each request had, one more version after every verdict."""
    history, lengths = history_of(), list[int]()
    for place, verdict in enumerate(verdicts):
        requests = strategy.propose(history)
        if not requests:
            break
        lengths.append(len(requests[0].messages))
        made = replace(version(str(place), verdict, place), request=requests[0])
        history = after(*history.samples, made)
    return lengths


def test_a_draft_that_is_given_up_is_followed_by_a_new_one() -> None:
    """Three drafts with one revision each; then it ends."""
    assert asked_for(SelfCorrection(1, 1, drafts=3), [FAILED] * 9) == [1, 3, 1, 3, 1, 3]


def test_a_new_draft_may_be_the_last_version() -> None:
    passed = Verdict(1.0, passed=True)
    assert asked_for(SelfCorrection(1, 1, drafts=3), [FAILED, FAILED, passed, FAILED]) == [1, 3, 1]


def test_a_revision_of_a_later_draft_starts_from_that_draft() -> None:
    """The first draft scored best of all; the second one is revised all the same."""
    strategy = SelfCorrection(2, 1, drafts=2)
    history = history_of()
    for place, score in enumerate((0.9, 0.1, 0.3)):
        (request,) = strategy.propose(history)
        made = replace(
            version(f"v{place}", Verdict(score, passed=False, feedback="no"), place), request=request
        )
        history = after(*history.samples, made)
    (revision,) = strategy.propose(history)
    assert revision.messages[-2].content == history.samples[2].text
    answer = strategy.selector.select(history)
    assert answer is not None
    assert answer.key == "v0"


def test_it_goes_on_until_enough_versions_have_passed() -> None:
    """The second draft needs a revision, the third passes at once: three have passed."""
    passed = Verdict(1.0, passed=True)
    strategy = SelfCorrection(2, 2, drafts=5, passes=3)
    assert asked_for(strategy, [passed, FAILED, passed, passed, passed]) == [1, 1, 3, 1]


def test_it_ends_when_there_are_no_drafts_left_though_too_few_passed() -> None:
    passed = Verdict(1.0, passed=True)
    assert asked_for(SelfCorrection(1, 1, drafts=2, passes=2), [passed, FAILED, FAILED, FAILED]) == [1, 1, 3]


def test_a_verdict_that_neither_passed_nor_failed_ends_it() -> None:
    assert asked_for(SelfCorrection(drafts=3, passes=3), [Verdict(0.5), FAILED]) == [1]


def test_more_passes_than_drafts_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="passes=3 is more than drafts=2"):
        SelfCorrection(drafts=2, passes=3)
