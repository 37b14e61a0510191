"""Whole runs with servers that misbehave: the deadline holds, the budget holds, and an answer is still found."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from tests.engines.fake_server import Reply, delta, usage
from tests.engines.faulty import ANSWER, against, answers, plays, solved
from thinkctl import Budget, Prices
from thinkctl.types import Finish, StopReason

# -- time --------------------------------------------------------------------------------------------------------


async def hangs(reply: Reply) -> None:
    await reply.until_left()


async def hangs_after_the_head(reply: Reply) -> None:
    await reply.head()
    await reply.until_left()


async def drips(reply: Reply) -> None:
    await reply.head()
    while True:
        await reply.event(delta("and "))
        await asyncio.sleep(0.05)


async def never_says_done(reply: Reply) -> None:
    await reply.events(*ANSWER[:-1], done=False)
    await reply.until_left()


@pytest.mark.parametrize("behaviour", [hangs, hangs_after_the_head, drips])
def test_a_deadline_holds_whatever_the_server_does(behaviour) -> None:
    began = time.monotonic()
    run, _ = solved(behaviour, budget=Budget(seconds=0.8), n=3)
    assert run.receipt.seconds < 1.5, "a busy machine may be late; how late is measured on the real engine"
    assert time.monotonic() - began < 5
    assert run.stop is StopReason.SECONDS


def test_a_retry_does_not_outlive_the_deadline() -> None:
    run, _ = solved(answers(429, retry_after="30"), budget=Budget(seconds=0.5))
    assert run.receipt.seconds < 1.2


def test_a_server_that_says_nothing_for_too_long_has_failed() -> None:
    _, _, error, _, server = against(hangs, timeout=0.2, attempts=2)
    assert "did not answer in time after 2 attempts" in str(error)
    assert len(server.asked) == 2


def test_a_server_that_does_not_say_that_it_is_done_is_not_waited_for() -> None:
    text, finish, error, used, _ = against(never_says_done)
    assert (text, finish, error) == ("It is \\boxed{4}.", Finish.STOP, None)
    assert (used.generated_tokens, used.estimated) == (4, True)


# -- whole runs --------------------------------------------------------------------------------------------------


def test_a_vote_is_right_while_a_third_of_the_requests_fail() -> None:
    behaviours = [plays(*ANSWER), answers(400), plays(*ANSWER[:2], done=False)] * 3
    run, _ = solved(*behaviours, budget=Budget(tokens=500), n=9, attempts=1)
    assert run.answer is not None
    assert run.answer.key == "4"
    assert run.receipt.generated_tokens >= 9
    assert sum(sample.finish is Finish.ERROR for sample in run.samples) == 6


def test_a_dollar_cap_is_never_passed_though_a_text_server_s_prompt_is_only_guessed() -> None:
    prices = Prices(
        dollars_per_million_prompt_tokens=Decimal(1), dollars_per_million_generated_tokens=Decimal(2)
    )
    cap = Decimal("0.0005")
    run, _ = solved(plays(*ANSWER), budget=Budget(dollars=cap), n=50, prices=prices)
    assert run.receipt.dollars is not None
    assert 0 < run.receipt.dollars <= cap
    assert run.answer is not None


def test_chunks_of_text_that_come_twice_end_in_an_answer_and_a_bill_that_is_marked() -> None:
    twice = [delta("It "), delta("is "), delta("is "), delta("\\boxed{4}"), delta("\\boxed{4}"), *ANSWER[-2:]]
    run, _ = solved(plays(*twice), budget=Budget(tokens=100))
    assert run.answer is not None
    assert run.answer.key == "4"
    assert run.receipt.usage.estimated


def test_text_that_is_no_text_does_no_harm() -> None:
    odd = [delta("\ud800 \x00 "), delta("\\boxed{4}"), delta(finish="stop"), usage(5)]
    run, _ = solved(plays(*odd), budget=Budget(tokens=100))
    assert run.answer is not None
    assert run.answer.key == "4"


def test_a_thought_that_comes_apart_is_put_between_marks_and_counted_as_thinking() -> None:
    thought = {
        "choices": [{"index": 0, "delta": {"reasoning_content": "two and two"}, "finish_reason": None}]
    }
    run, _ = solved(plays(thought, *ANSWER[:-1], usage(5)), budget=Budget(tokens=100))
    assert run.samples[0].text == "<think>two and two</think>It is \\boxed{4}."


# -- going on ----------------------------------------------------------------------------------------------------


def test_a_thought_that_is_closed_is_gone_on_with_by_asking_and_what_is_said_twice_is_left_out() -> None:
    thinks = plays(*[delta("so ")] * 40, delta(finish="length"), usage(40))
    concludes = plays(
        delta("The final "), delta("answer is \\boxed{"), delta("4}"), delta(finish="stop"), usage(3)
    )
    run, server = solved(thinks, concludes, budget=Budget(tokens=64))
    assert run.answer is not None
    assert (run.answer.key, run.answer.concluded) == ("4", True)
    roles = [turn["role"] for turn in server.asked[1]["messages"]]
    assert roles[-2:] == ["assistant", "user"]
    assert run.samples[0].text.count("The final answer is") == 1


def test_with_vllm_the_last_message_is_gone_on_with() -> None:
    thinks = plays(*[delta("so ")] * 40, delta(finish="length"), usage(40))
    concludes = plays(delta("4}"), delta(finish="stop"), usage(1))
    run, server = solved(thinks, concludes, budget=Budget(tokens=64), continuation="final-message")
    asked = server.asked[1]
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)
    assert asked["messages"][-1]["role"] == "assistant"
    assert asked["messages"][-1]["content"].endswith("The final answer is \\boxed{")
    assert run.answer is not None


# -- accelerators ------------------------------------------------------------------------------------------------


def test_a_native_thinking_budget_is_sent_along_and_held_by_us_where_it_is_ignored() -> None:
    thinks = plays(*[delta("so ")] * 5, delta(finish="length"), usage(5))
    concludes = plays(delta("4}"), delta(finish="stop"), usage(1))
    run, server = solved(
        thinks,
        concludes,
        budget=Budget(tokens=200, thinking_tokens=5),
        native_thinking=True,
        effort="low",
        extra={"service_tier": "flex"},
        omit=["top_p"],
    )
    first = server.asked[0]
    assert (first["thinking_token_budget"], first["max_tokens"], first["reasoning_effort"]) == (5, 5, "low")
    assert first["service_tier"] == "flex"
    assert "top_p" not in first
    assert [sample.thinking_tokens for sample in run.samples] == [5]
    assert run.answer is not None
