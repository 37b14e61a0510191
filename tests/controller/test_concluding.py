"""Closing a thought and asking for the answer: from what, with which text, in which way."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.controller.rig import (
    ASK,
    MARKS,
    PER_TOKEN,
    Asks,
    Proposes,
    abstains,
    decides,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    words,
)
from thinkctl import Budget, ModelCard, Problem, Request, Run, Sampling
from thinkctl.testing import End, Script, ScriptedEngine
from thinkctl.types import Decision, Finish, History, Origin, Role, StopReason

CUE = "\n\nThe final answer is \\boxed{"


def conclude_after(tokens: int) -> object:
    """Return the policy that concludes every sample that has thought so many tokens."""

    def decide(history: History) -> Decision:
        return Decision(
            conclude=tuple(sample.index for sample in history.in_flight if sample.thinking_tokens >= tokens)
        )

    return decides(decide)


def by_role(found: Run, role: Role) -> int:
    """Return the generated tokens of one role."""
    return sum(line.usage.generated_tokens for line in found.receipt.lines if line.role is role)


# -- the reserve -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "reserve"),
    [
        (Budget(tokens=1000), 64),
        (Budget(tokens=256), 64),
        (Budget(tokens=200), 50),
        (Budget(tokens=1000, answer_tokens=100), 100),
        (Budget(tokens=1000, answer_tokens=500), 250),
        (Budget(tokens=8), 2),
        (Budget(dollars=Decimal(200)), 50),
        (Budget(dollars=Decimal(200), tokens=100), 25),
    ],
    ids=str,
)
def test_the_reserve_is_what_was_asked_for_and_at_most_a_quarter(budget: Budget, reserve: int) -> None:
    """A thought that never ends and a conclusion that never ends show both sides of the wall."""
    engine = ScriptedEngine([endless(conclusion=words(500))], prices=PER_TOKEN)
    found = solve(engine, Asks(1), budget)
    total = budget.tokens or int(budget.dollars or 0)
    assert (by_role(found, Role.SAMPLE), by_role(found, Role.CONCLUSION)) == (total - reserve, reserve)


def test_three_tokens_are_too_few_for_a_reserve() -> None:
    found = solve(ScriptedEngine([endless()]), Asks(1), Budget(tokens=3))
    assert (found.receipt.generated_tokens, found.answer) == (3, None)
    assert not found.samples[0].concluded


def test_without_a_token_limit_the_reserve_bounds_the_conclusion_alone() -> None:
    engine = ScriptedEngine([endless(conclusion=words(500))])
    found = solve(engine, Asks(1), Budget(thinking_tokens=30))
    assert (by_role(found, Role.SAMPLE), by_role(found, Role.CONCLUSION)) == (30, 64)


# -- at the thinking wall --------------------------------------------------------------------------------------


def test_at_the_thinking_wall_the_thought_is_closed_and_the_answer_comes_from_the_reserve() -> None:
    engine = ScriptedEngine([endless("42")])
    found = solve(engine, Asks(1), Budget(tokens=100))
    (sample,) = found.samples
    assert sample.text == "hm" * 75 + CUE + "42}"
    assert sample.thought == "hm" * 75
    assert (sample.finish, sample.concluded, found.stop) == (Finish.STOP, True, StopReason.TOKENS)
    assert found.answer is not None
    assert (found.answer.key, found.answer.concluded) == ("42", True)
    assert by_role(found, Role.CONCLUSION) == 1


def test_the_closing_text_is_the_model_s_own_end_of_thinking_and_answer_cue() -> None:
    card = MARKS.model_copy(update={"answer_cue": " Therefore: "})
    engine = ScriptedEngine([Script("<think>hm", ends=False, conclusion="7}")], card=card)
    found = solve(engine, Asks(1), Budget(tokens=40))
    assert found.samples[0].text == "<think>hm" * 15 + "</think> Therefore: \\boxed{7}"


@pytest.mark.parametrize(
    ("form", "cue", "conclusion", "key"),
    [
        ("boxed", "\\boxed{", "42} or so", "42"),
        ("hashes", "#### ", "42\n and", "42"),
        ("choice", "\\boxed{", "B} is", "B"),
        ("text", "Final answer: ", "a cat\n", "a cat"),
        ("number", "\\boxed{", "1,000}.", "1000"),
    ],
)
def test_the_answer_form_opens_the_answer_and_says_when_it_is_complete(form, cue, conclusion, key) -> None:
    problem = Problem.model_validate({"messages": "Which?", "form": form})
    engine = ScriptedEngine([endless(conclusion=conclusion + " and on and on and on")])
    found = solve(engine, Asks(1), Budget(tokens=200), problem=problem)
    (sample,) = found.samples
    assert f"The final answer is {cue}" in sample.text
    assert keys(found) == [key]
    assert " and on" not in sample.text, "generation ends where the answer is complete"


def test_a_conclusion_longer_than_its_reserve_is_truncated_and_abstains() -> None:
    engine = ScriptedEngine([endless(conclusion=f"{words(60)} 4}}"), says("5")])
    found = solve(engine, Asks(2), Budget(tokens=200), usual_tokens=30)
    assert (keys(found), finishes(found)) == ([None, "5"], [Finish.LENGTH, Finish.STOP])
    assert found.samples[0].concluded


def test_a_truncated_conclusion_is_better_than_nothing_where_nobody_else_has_answered() -> None:
    engine = ScriptedEngine([endless(conclusion=f"so 4 {words(60)}")])
    problem = Problem.model_validate({"messages": "Which?", "form": "number"})
    found = solve(engine, Asks(1), Budget(tokens=100), problem=problem)
    assert (key(found), finishes(found)) == ("4", [Finish.LENGTH])
    assert found.answer is not None
    assert found.answer.concluded
    assert found.receipt.generated_tokens == 100


def test_what_is_no_answer_in_the_expected_form_is_not_salvaged() -> None:
    engine = ScriptedEngine([endless(conclusion=words(60))])
    problem = Problem.model_validate({"messages": "Which?", "form": "number"})
    assert solve(engine, Asks(1), Budget(tokens=100), problem=problem).answer is None


def test_a_sample_that_has_answered_but_goes_on_talking_is_not_concluded_at_the_wall() -> None:
    engine = ScriptedEngine([Script(f"{words(5)} \\boxed{{4}} and then", ends=False)])
    found = solve(engine, Asks(1), Budget(tokens=60))
    assert (finishes(found), keys(found)) == ([Finish.LENGTH], ["4"])
    assert not found.samples[0].concluded


def test_a_sample_whose_answer_was_begun_but_not_finished_is_asked_again() -> None:
    """Half a number is another number."""
    engine = ScriptedEngine([Script(f"{words(5)} \\boxed{{1 2", ends=False, conclusion="12}")])
    found = solve(engine, Asks(1), Budget(tokens=60))
    assert (finishes(found), keys(found)) == ([Finish.STOP], ["12"])
    assert found.samples[0].concluded


def test_every_sample_at_the_wall_is_concluded_and_votes() -> None:
    engine = ScriptedEngine([endless("4"), endless("5"), endless("4")])
    found = solve(engine, Asks(3), Budget(tokens=300, answer_tokens=10), usual_tokens=20)
    assert keys(found) == ["4", "5", "4"]
    assert all(sample.concluded for sample in found.samples)


def test_an_end_of_turn_is_taken_back_where_a_thought_goes_on_and_stays_on_the_bill() -> None:
    engine = ScriptedEngine([abstains(5, conclusion="4}")])
    found = solve(engine, Asks(1))
    (sample,) = found.samples
    assert engine.tokenizer.end_of_turn not in sample.token_ids[:-1]
    assert sample.text == words(5) + CUE + "4}"
    assert (sample.usage.thinking_tokens, sample.usage.answer_tokens) == (6, 1)
    assert found.receipt.generated_tokens == 7


def test_a_conclusion_that_cannot_be_paid_for_does_not_mark_the_sample() -> None:
    """One request is one stream: there is none left for concluding, and nothing is put into its mouth."""
    engine = ScriptedEngine([endless()])
    found = solve(engine, Asks(1), Budget(tokens=100, requests=1))
    (sample,) = found.samples
    assert (sample.concluded, sample.finish, sample.answer) == (False, Finish.LENGTH, None)
    assert [segment.origin for segment in sample.segments] == [Origin.SAMPLED]


# -- the two ways to close a thought -----------------------------------------------------------------------------


@pytest.mark.parametrize(("force", "waste"), [(0, 0), (0, 2), (3, 1), (30, 0), (30, 2)])
@pytest.mark.parametrize("marked", [False, True])
def test_a_thought_is_closed_in_flight_where_the_engine_can_and_else_continued(force, waste, marked) -> None:
    text = ("<think>" if marked else "w") + words(50)
    script = Script(text, ends=False, conclusion="42}", seconds_per_token=0.1)
    engine = ScriptedEngine([script], card=MARKS if marked else None, force=force, waste=waste)
    found = solve(engine, Asks(1), policy=conclude_after(10), decide_every=5)
    (sample,) = found.samples
    closing = ("</think>" if marked else "") + CUE
    assert sample.thought == engine.tokenizer.decode(engine.tokenizer.encode(text)[:10])
    assert sample.text == sample.thought + closing + "42}"
    assert (sample.concluded, sample.finish) == (True, Finish.STOP)
    assert sample.answer is not None
    assert (sample.answer.key, sample.answer.concluded) == ("42", True)
    length = len(engine.tokenizer.encode(closing))
    if force >= length:
        assert [log.end for log in engine.log] == [End.CLOSED]
        assert (found.receipt.forced_tokens, found.receipt.requests) == (length, 1)
        assert found.receipt.prompt_tokens == len(sample.prompt_ids), "nothing is prefilled again"
    else:
        assert [log.continued for log in engine.log] == [False, True]
        assert (found.receipt.forced_tokens, found.receipt.requests) == (0, 2)
    assert sample.usage.thinking_tokens == 10
    assert found.stop is StopReason.DONE


def test_both_ways_leave_the_same_transcript() -> None:
    def told(force: int) -> tuple[object, ...]:
        engine = ScriptedEngine([endless("42", seconds_per_token=0.1)], force=force)
        (sample,) = solve(engine, Asks(1), policy=conclude_after(10), decide_every=5).samples
        return sample.text, sample.segments, sample.answer, sample.finish, sample.thought_chars

    assert told(0) == told(30)


@pytest.mark.parametrize("force", [0, 30])
def test_a_forced_conclusion_keeps_to_the_reserve(force: int) -> None:
    engine = ScriptedEngine([endless(conclusion=words(200), seconds_per_token=0.1), says("5")], force=force)
    found = solve(engine, Asks(2), Budget(answer_tokens=9), policy=conclude_after(10), decide_every=5)
    sample, _ = found.samples
    assert sample.usage.answer_tokens == 9
    assert (sample.finish, sample.answer) == (Finish.LENGTH, None)


@pytest.mark.parametrize("force", [0, 30])
def test_half_an_answer_is_no_answer_however_it_was_asked_for(force: int) -> None:
    """The reserve ends inside the number."""
    engine = ScriptedEngine(
        [endless(conclusion="1 2 3 4 5 6 7 8}", seconds_per_token=0.1), says("5")], force=force
    )
    found = solve(engine, Asks(2), Budget(answer_tokens=4), policy=conclude_after(10), decide_every=5)
    assert (keys(found), finishes(found)) == ([None, "5"], [Finish.LENGTH, Finish.STOP])


def test_a_closing_text_that_no_longer_fits_the_grant_is_appended_instead() -> None:
    """75 tokens of thought were granted; after 72 there is no room for the closing text in the stream."""
    engine = ScriptedEngine([endless("42", seconds_per_token=0.1)], force=30)
    found = solve(engine, Asks(1), Budget(tokens=100), policy=conclude_after(72), decide_every=72)
    assert keys(found) == ["42"]
    assert found.receipt.forced_tokens == 0


def test_an_answer_that_fills_the_grant_after_a_forced_closing_goes_on_from_the_reserve() -> None:
    engine = ScriptedEngine([endless(conclusion=f"{words(12)} 42}}", seconds_per_token=0.1)], force=30)
    found = solve(engine, Asks(1), Budget(tokens=100), policy=conclude_after(66), decide_every=66)
    assert found.receipt.forced_tokens == 5
    assert [log.spec.max_tokens for log in engine.log] == [75, 21]
    assert found.samples[0].answer is not None
    assert found.samples[0].text.endswith(" 42}")


# -- the last resort -------------------------------------------------------------------------------------------


def test_when_nothing_was_answered_the_longest_thought_is_made_to_answer() -> None:
    engine = ScriptedEngine([abstains(5, conclusion="5}"), abstains(9, conclusion="9}"), abstains(2)])
    found = solve(engine, Asks(3))
    assert keys(found) == [None, "9", None]
    assert found.history.walled
    assert found.stop is StopReason.DONE


def test_where_the_longest_thought_gives_no_answer_the_next_is_asked() -> None:
    engine = ScriptedEngine([abstains(5, conclusion="5}"), abstains(9)])
    assert keys(solve(engine, Asks(2))) == ["5", None]


def test_a_failed_sample_s_thought_is_still_good_for_an_answer() -> None:
    engine = ScriptedEngine([Script(words(9), conclusion="9}", fail_after=7)])
    found = solve(engine, Asks(1))
    assert keys(found) == ["9"]


def test_a_sample_that_the_policy_cut_is_made_to_answer_when_there_is_no_other() -> None:
    policy = decides(lambda history: Decision(cut=tuple(each.index for each in history.in_flight)))
    engine = ScriptedEngine([endless(seconds_per_token=0.1)])
    found = solve(engine, Asks(2), policy=policy)
    assert keys(found) == ["4", None]


@pytest.mark.parametrize("force", [0, 30])
def test_a_conclusion_that_a_stop_broke_off_is_finished_when_there_is_no_other_answer(force: int) -> None:
    """The policy stops the run three tokens into the only conclusion."""

    def decide(history: History) -> Decision:
        (sample,) = history.samples or (None,)
        stop = sample is not None and sample.usage.answer_tokens >= 3
        conclude = (0,) if sample is not None and sample.thinking_tokens >= 10 and not sample.finished else ()
        return Decision(stop=stop, conclude=conclude)

    script = endless(conclusion=f"{words(8)} 42}}", seconds_per_token=0.1)
    engine = ScriptedEngine([script], force=force, waste=1)
    found = solve(engine, Asks(1), Budget(tokens=200), policy=decides(decide), decide_every=1)
    assert found.stop is StopReason.POLICY
    assert found.samples[0].text == "hm" * 10 + CUE + f"{words(8)} 42}}"
    assert found.answer is not None
    assert found.answer.concluded


def test_the_last_resort_keeps_to_the_deadline() -> None:
    """The strategy is done after a second; concluding would take ten, and there are two."""
    script = abstains(8, seconds_per_token=0.1, conclusion=f"{words(100)} 4}}")
    problem = Problem.model_validate({"messages": "Which?", "form": "number"})
    found = solve(ScriptedEngine([script]), Asks(1), Budget(seconds=3), problem=problem)
    assert found.seconds == pytest.approx(3)
    assert found.answer is None


def test_without_a_thought_nothing_is_made_up() -> None:
    found = solve(ScriptedEngine([Script(words(5), first=10)]), Asks(1), Budget(seconds=1))
    assert (found.answer, found.confidence, found.receipt.generated_tokens) == (None, None, 0)


def test_a_model_without_thinking_marks_ends_its_thought_where_the_answer_opens() -> None:
    (sample,) = solve(ScriptedEngine([says("4", 6)]), Asks(1)).samples
    assert (sample.usage.thinking_tokens, sample.usage.answer_tokens) == (6, 2)
    assert sample.thought == words(6)


def test_a_model_with_thinking_marks_ends_its_thought_after_them() -> None:
    script = Script("<think>a b \\boxed{1} c</think>So \\boxed{2}")
    (sample,) = solve(ScriptedEngine([script], card=MARKS), Asks(1)).samples
    assert sample.thought == "<think>a b \\boxed{1} c</think>"
    assert (sample.usage.thinking_tokens, sample.usage.answer_tokens) == (6, 3)
    assert sample.answer is not None
    assert sample.answer.key == "2", "a box inside the thought is a draft"


def test_a_request_that_must_not_think_is_all_answer() -> None:
    strategy = Proposes(lambda history: [Request(ASK, think=False)] * (not history.bought))
    (sample,) = solve(ScriptedEngine([says("4", 6)]), strategy).samples
    assert (sample.usage.thinking_tokens, sample.usage.answer_tokens) == (0, 8)
    assert sample.thought == ""


# -- the context -----------------------------------------------------------------------------------------------


def test_a_thought_that_fills_the_context_is_concluded_inside_it() -> None:
    engine = ScriptedEngine([endless()], context=120)
    found = solve(engine, Asks(1), Budget(answer_tokens=10))
    (sample,) = found.samples
    assert keys(found) == ["4"]
    assert len(sample.prompt_ids) + len(sample.token_ids) <= 120
    assert sample.thinking_tokens == 120 - len(sample.prompt_ids) - 10 - 5
    assert found.stop is StopReason.DONE


def test_a_card_without_limits_is_no_limit() -> None:
    assert ModelCard(name="x").context is None
    found = solve(ScriptedEngine([says("4", 3000)]), Asks(1, Sampling()))
    assert keys(found) == ["4"]
