"""Grants: who gets how many tokens, how a sample goes on, and what comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.controller.rig import (
    MARKS,
    Asks,
    Proposes,
    abstains,
    endless,
    finishes,
    key,
    keys,
    says,
    solve,
    tokens_of,
    words,
)
from thinkctl import Budget, Request, Sampling
from thinkctl.testing import End, Script, ScriptedEngine
from thinkctl.types import Finish, Origin, Segment, StopReason


def granted(engine: ScriptedEngine) -> list[int]:
    """Return the grants of all streams in the order they were opened."""
    return [log.spec.max_tokens for log in engine.log]


# -- the grant is the wall -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 7, 1000])
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 17, 64, 100, 333])
def test_not_one_token_more_than_the_budget_is_generated(tokens: int, n: int, chunk: int) -> None:
    engine = ScriptedEngine([endless(chunk=chunk)], waste=2)
    found = solve(engine, Asks(n), Budget(tokens=tokens))
    assert found.receipt.generated_tokens <= tokens
    assert found.stop is StopReason.TOKENS


def test_the_engine_s_max_tokens_is_the_grant() -> None:
    """100 tokens, a quarter of them kept for concluding."""
    engine = ScriptedEngine([endless()])
    solve(engine, Asks(1), Budget(tokens=100))
    assert granted(engine) == [75, 25]


def test_samples_that_run_at_once_share_the_budget_each_with_its_own_conclusion() -> None:
    engine = ScriptedEngine([endless(seconds_per_token=0.1)])
    solve(engine, Asks(4), Budget(tokens=400, answer_tokens=10), usual_tokens=50)
    assert granted(engine)[:4] == [90, 90, 90, 90]


def test_fewer_are_started_where_each_would_get_too_little() -> None:
    """As long as none has finished a sample is expected to need ``usual_tokens``."""
    engine = ScriptedEngine([endless(seconds_per_token=0.1)])
    solve(engine, Asks(4), Budget(tokens=400, answer_tokens=10), usual_tokens=150)
    assert engine.most_open == 2
    assert granted(engine)[:2] == [190, 190]


def test_what_is_expected_of_a_sample_is_learned_from_those_that_finished() -> None:
    """The first one shows that they are short, so all the others fit at once."""
    engine = ScriptedEngine([says("4", 8, seconds_per_token=0.1)])
    found = solve(engine, Asks(6), Budget(tokens=200, answer_tokens=10))
    assert [sample.started for sample in found.samples] == pytest.approx([0.0] + [1.0] * 5)


def test_one_is_started_however_little_there_is() -> None:
    found = solve(ScriptedEngine([says("4", 1)]), Asks(3), Budget(tokens=5))
    assert (key(found), len(found.samples)) == ("4", 1)


def test_what_a_sample_did_not_use_is_there_for_others() -> None:
    """The first three use 5 of some 30 tokens each; the fourth, which is long, is given what they left."""
    long = says("9", 60, seconds_per_token=0.1)
    engine = ScriptedEngine([long, *[says("4", seconds_per_token=0.1)] * 3])
    found = solve(engine, Asks(4), Budget(tokens=132, answer_tokens=4), usual_tokens=20)
    assert finishes(found) == [Finish.STOP] * 4
    assert not found.samples[0].concluded
    assert granted(engine)[0] == 29
    assert found.receipt.generated_tokens == tokens_of(60) + 3 * tokens_of(3)


def test_a_request_s_own_max_tokens_bound_the_sample_with_its_conclusion() -> None:
    """At most a quarter of them is kept for the answer."""
    engine = ScriptedEngine([endless()])
    found = solve(engine, Asks(1, Sampling(max_tokens=40)))
    assert granted(engine) == [30, 64]
    assert found.samples[0].usage.generated_tokens <= 40
    assert (found.stop, keys(found)) == (StopReason.DONE, ["4"])


# -- going on --------------------------------------------------------------------------------------------------


def test_a_sample_that_fills_its_grant_goes_on_from_its_own_tokens() -> None:
    """The second stream's prompt is the first one's prompt and every token it said."""
    long = says("9", 60, seconds_per_token=0.1)
    engine = ScriptedEngine([long, *[says("4", seconds_per_token=0.1)] * 3])
    found = solve(engine, Asks(4), Budget(tokens=132, answer_tokens=4), usual_tokens=20)
    first, *_, second = [log for log in engine.log if log.launch == 0]
    assert second.prompt_ids == (*first.prompt_ids, *first.token_ids)
    assert found.samples[0].text == long.text
    assert found.samples[0].usage.requests == 2
    assert engine.launched == 4


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 200), st.booleans())
def test_whatever_the_grants_the_text_is_what_the_model_would_have_said_at_once(
    thought: int, chunk: int, usual: int, marked: bool
) -> None:
    """Token-exact continuation: streams are cut anywhere, also inside the thinking marks and the answer."""
    script = says("12", thought, chunk=chunk)
    if marked:
        script = Script(f"<think>{words(thought)}</think> so \\boxed{{12}}", chunk=chunk)
    engine = ScriptedEngine([script, endless(chunk=2)], card=MARKS if marked else None)
    found = solve(engine, Asks(4), Budget(tokens=150), usual_tokens=usual)
    for sample in found.samples:
        own = [log for log in engine.log if log.prompt_ids[: len(sample.prompt_ids)] == sample.prompt_ids]
        assert own
        if sample.finish is Finish.STOP and not sample.concluded and sample.index % 2 == 0:
            assert sample.text == script.text
            assert (sample.answer and sample.answer.key) == "12"
    for log in engine.log:
        if log.continued:
            assert any(
                log.prompt_ids[: len(before.prompt_ids) + len(before.token_ids)]
                == (*before.prompt_ids, *before.token_ids)
                for before in engine.log
                if before is not log
            )


def test_every_token_of_a_sample_is_in_exactly_one_segment() -> None:
    engine = ScriptedEngine([endless(chunk=3)])
    (sample,) = solve(engine, Asks(1), Budget(tokens=100, answer_tokens=10)).samples
    closing = engine.tokenizer.encode(engine.card.answer_cue + "\\boxed{")
    thought, forced, answer = sample.segments
    assert thought == Segment(sample.token_ids[:90])
    assert forced == Segment(tuple(closing), Origin.FORCED)
    assert engine.tokenizer.decode(answer.token_ids) == "4}"


def test_a_renewal_shorter_than_a_prefill_is_worth_is_not_asked_for() -> None:
    """What would be left for thinking is too little to go on with: the thought is concluded instead."""
    engine = ScriptedEngine([endless(), says("5", 8)])
    solve(engine, Asks(2), Budget(tokens=100, answer_tokens=10), usual_tokens=35)
    assert all(log.spec.max_tokens >= 16 for log in engine.log if log.continued and log.spec.max_tokens > 10)


# -- what comes back late --------------------------------------------------------------------------------------


def test_a_conclusion_gives_its_reserve_back_to_those_that_still_think() -> None:
    """Two endless thoughts reach the wall together.

    One is concluded, for two of its 30 tokens; the other waits for what comes back and thinks on with it.
    """
    engine = ScriptedEngine([says("4", 1), endless("5"), says("4", 1), endless("6")], waste=1)
    found = solve(engine, Asks(4), Budget(tokens=120, seconds=5))
    assert found.stop is StopReason.TOKENS
    assert keys(found) == ["4", "5", "4", "6"]
    assert found.receipt.generated_tokens >= 120 - 30, "only the last conclusion's reserve may be left"


def test_a_whole_crowd_at_the_wall_uses_all_but_one_reserve() -> None:
    engine = ScriptedEngine([endless()])
    found = solve(engine, Asks(8), Budget(tokens=1000), usual_tokens=10)
    assert keys(found) == ["4"] * 8
    assert found.receipt.generated_tokens >= 1000 - 64 - 16


def test_who_waits_for_tokens_is_concluded_at_the_thinking_wall() -> None:
    """The one that concludes is slow; the one that waits for it must not sleep past the deadline."""
    slow = endless("5", seconds_per_token=0.1, conclusion=f"{words(40)} 5}}")
    engine = ScriptedEngine([slow, endless("6", seconds_per_token=0.1)])
    found = solve(engine, Asks(2), Budget(tokens=200, seconds=9), usual_tokens=10)
    assert found.seconds <= 9
    assert keys(found)[1] == "6"


# -- the reserve of the run ------------------------------------------------------------------------------------


def test_an_abstention_hands_its_reserve_back_to_the_run() -> None:
    """Every sample ends by itself without an answer: one of them is concluded with what was kept back."""
    engine = ScriptedEngine([abstains(20, conclusion="7}")])
    found = solve(engine, Asks(3), Budget(tokens=100), usual_tokens=20)
    assert key(found) == "7"
    assert found.answer is not None
    assert found.answer.concluded


def test_a_forever_asking_strategy_leaves_the_reserve_alone_as_long_as_nothing_was_answered() -> None:
    silent = abstains(6, conclusion="7}")
    strategy = Proposes(lambda history: [Request(history.problem.messages)] * (not history.in_flight))
    found = solve(ScriptedEngine([silent]), strategy, Budget(tokens=100, answer_tokens=20), usual_tokens=6)
    assert key(found) == "7"
    assert found.stop is StopReason.TOKENS
    assert found.receipt.generated_tokens > 70


def test_streams_that_were_cut_short_are_closed_and_billed() -> None:
    engine = ScriptedEngine([endless(seconds_per_token=0.1)], waste=1)
    found = solve(engine, Asks(3), Budget(seconds=1))
    assert {log.end for log in engine.log} == {End.CLOSED}
    assert found.receipt.wasted_tokens == len(engine.log)
