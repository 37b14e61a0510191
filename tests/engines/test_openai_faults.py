"""Servers that misbehave: each case ends with a clear error or a right answer, inside the budget, nothing leaked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from decimal import Decimal
from typing import Any, TypeVar

import pytest

from tests.engines.fake_server import Behaviour, FakeServer, Reply, delta, usage
from thinkctl import Budget, Controller, Prices, SelfConsistency, ZeroShot
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.errors import ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.types import Finish, GenerationSpec, Message, StopReason, StreamUsage

T = TypeVar("T")
ASK = [Message(role="user", content="What is 2+2?")]
ANSWER = [delta("It "), delta("is "), delta("\\boxed{"), delta("4}."), delta(finish="stop"), usage(4)]


async def leaves_nothing(server: FakeServer, work: Coroutine[Any, Any, T]) -> T:
    """Await work, and see that no task of ours and no generation of the server's outlives it."""
    try:
        return await work
    finally:
        assert await server.idle(), "the server still generates"


def against(*behaviours: Behaviour, tokens: int = 10, owner: str = "somebody", **options: Any):
    """Read one stream to its end; return text, finish, error, usage, and the server."""

    async def read():
        async with FakeServer(*behaviours, owner=owner) as server:
            engine = OpenAIEngine(base_url=server.address, **options)
            async with engine:
                stream = engine.stream(engine.tokenizer.chat(ASK), GenerationSpec(tokens))
                text, finish, error = "", None, None
                try:
                    async for part in stream:
                        text += engine.tokenizer.decode(part.token_ids)
                        finish = part.finish
                except RequestFailed as failed:
                    error = failed
                used = await leaves_nothing(server, stream.close())
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert not [task for task in others if "thinkctl/engines" in str(task.get_coro())]
            return text, finish, error, used, server

    return asyncio.run(asyncio.wait_for(read(), 30))


def plays(*bodies: Any, done: bool = True) -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.events(*bodies, done=done)

    return behave


def answers(status: int, message: str = "no", **headers: str) -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.json({"error": {"message": message}}, status, **headers)

    return behave


def sends(data: bytes, kind: str = "text/event-stream") -> Behaviour:
    async def behave(reply: Reply) -> None:
        await reply.head(kind=kind)
        await reply.raw(data)

    return behave


# -- usage -------------------------------------------------------------------------------------------------------


def test_usage_that_comes_at_the_end_is_the_bill() -> None:
    text, finish, error, used, _ = against(plays(*ANSWER))
    assert (text, finish, error) == ("It is \\boxed{4}.", Finish.STOP, None)
    assert used == StreamUsage(7, None, 4, 0, estimated=False, requests=1)


def test_tokens_that_no_chunk_told_of_are_counted_by_the_final_usage() -> None:
    text, _, _, used, _ = against(plays(delta("It is \\boxed{4}."), delta(finish="stop"), usage(9)))
    assert text == "It is \\boxed{4}."
    assert used == StreamUsage(7, None, 9, 0)


@pytest.mark.parametrize(
    "said", [None, usage(1), usage(-3), usage("many"), usage(10**12), {"choices": [], "usage": []}], ids=str
)
def test_usage_that_is_missing_or_a_lie_is_counted_and_marked_never_zero(said) -> None:
    _, _, error, used, _ = against(plays(*ANSWER[:-1], *([] if said is None else [said])))
    assert error is None
    assert (used.generated_tokens, used.wasted_tokens, used.estimated) == (4, 0, True)
    assert used.prompt_tokens > 0


# -- limits ------------------------------------------------------------------------------------------------------


def test_a_server_that_ignores_max_tokens_is_cut_off_and_what_it_sent_too_much_is_counted() -> None:
    async def endless(reply: Reply) -> None:
        await reply.head()
        while True:
            await reply.event(delta("on "))
            await asyncio.sleep(0.001)

    text, finish, error, used, server = against(endless, tokens=6)
    assert (text, finish, error) == ("on " * 6, Finish.LENGTH, None)
    assert used.wasted_tokens >= 1
    assert used.generated_tokens == 6 + used.wasted_tokens
    assert server.asked[0]["max_tokens"] == 6


def test_what_was_generated_beyond_a_budget_is_told_on_the_receipt() -> None:
    async def endless(reply: Reply) -> None:
        await reply.head()
        for _ in range(5000):
            await reply.event(delta("on "))

    run, _ = solved(endless, budget=Budget(tokens=20))
    assert run.receipt.overshoot_tokens > 0
    assert run.receipt.generated_tokens - run.receipt.overshoot_tokens <= 20


def test_of_several_choices_the_first_is_read() -> None:
    chunks = [
        delta("4", index=0),
        delta("5", index=1),
        delta("!", "stop", index=0),
        delta("?", "stop", index=1),
    ]
    text, finish, _, _, server = against(plays(*chunks, usage(2)))
    assert (text, finish) == ("4!", Finish.STOP)
    assert "n" not in server.asked[0]


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "kind", "says"),
    [
        (
            answers(400, "temperature is not supported"),
            RequestFailed,
            "answered 400: temperature is not supported",
        ),
        (
            answers(400, "This model's maximum context length is 10"),
            ContextExceeded,
            "maximum context length",
        ),
        (answers(422, "the prompt is too long"), ContextExceeded, "too long"),
        (answers(429, "slow down", retry_after="999"), RequestFailed, "answered 429: slow down"),
        (answers(501, "never"), RequestFailed, "answered 501"),
        (sends(b"\x00\xff\xfe rubbish \x80\n\n"), RequestFailed, "what is no JSON"),
        (sends(b"data: {not json}\n\n"), RequestFailed, "no JSON"),
        (sends(b"data: \xff\xfe\n\n"), RequestFailed, "the server at"),
        (sends(b"<html>hello</html>", "text/html"), RequestFailed, "'text/html' instead of a stream"),
        (sends(b"{}", "application/json"), RequestFailed, "instead of a stream"),
        (sends(b""), RequestFailed, "broke off after 0 tokens"),
        (sends(b"data: [DONE]\n\n"), RequestFailed, "broke off after 0 tokens"),
        (sends(b"data: " + b"x" * (9 << 20)), RequestFailed, "line of more than 8 MiB"),
        (plays({"error": {"message": "out of memory"}}), RequestFailed, "out of memory"),
        (
            plays("null", "[]", "3", '"text"', {"choices": "none"}, {"choices": [None, 5]}),
            RequestFailed,
            "0 tokens",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_served_is_a_clear_error(behaviour, kind, says) -> None:
    text, _, error, used, _ = against(behaviour)
    assert isinstance(error, kind)
    assert says in str(error)
    assert (text, used.generated_tokens) == ("", used.wasted_tokens)


def test_a_stream_that_is_cut_in_the_middle_of_a_token_keeps_what_came_on_the_bill() -> None:
    async def cut(reply: Reply) -> None:
        await reply.head()
        await reply.event(delta("It "))
        await reply.event(delta("is "))
        await reply.raw(b'data: {"choices": [{"index": 0, "del')

    text, _, error, used, _ = against(cut)
    assert text == "It is "
    assert isinstance(error, RequestFailed)
    assert used.estimated
    assert used.generated_tokens >= 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_will_never_be_served_ends_the_engine_s_run(status) -> None:
    async def solve():
        async with FakeServer(answers(status, "go away")) as server:
            engine = OpenAIEngine(base_url=server.address)
            async with engine:
                with pytest.raises(EngineUnavailable, match=str(status)) as caught:
                    await Controller(engine, ZeroShot()).solve("What is 2+2?", Budget(tokens=50))
            assert await server.idle()
            return caught.value

    error = asyncio.run(solve())
    assert error.run is not None
    assert error.run.receipt.generated_tokens == 0


def test_a_server_that_is_not_there_says_so() -> None:
    async def start() -> None:
        async with FakeServer(plays()) as server:
            address = server.address
        with pytest.raises(EngineUnavailable, match="cannot be reached"):
            await OpenAIEngine(base_url=address).start()

    asyncio.run(start())


# -- trying again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "busy",
    [
        answers(429),
        answers(429, retry_after="0.05"),
        answers(429, retry_after_ms="20"),
        answers(500),
        answers(503),
    ],
)
def test_a_busy_server_is_asked_again_and_each_request_is_on_the_bill(busy) -> None:
    text, _, error, used, server = against(busy, plays(*ANSWER))
    assert (text, error) == ("It is \\boxed{4}.", None)
    assert (used.requests, len(server.asked)) == (2, 2)


def test_a_server_that_stays_busy_is_given_up_on() -> None:
    _, _, error, used, server = against(answers(429, "full", retry_after="0.01"), attempts=4)
    assert "answered 429 after 4 attempts: full" in str(error)
    assert (used.requests, used.generated_tokens, len(server.asked)) == (4, 0, 4)


def test_nothing_is_sent_again_after_a_token_came() -> None:
    _, _, error, used, server = against(plays(delta("It "), done=False), attempts=4)
    assert isinstance(error, RequestFailed)
    assert (used.requests, len(server.asked)) == (1, 1)


def test_where_requests_are_limited_nothing_is_sent_again() -> None:
    run, server = solved(answers(500), plays(*ANSWER), budget=Budget(requests=1, tokens=100))
    assert len(server.asked) == run.receipt.requests == 1


# -- time --------------------------------------------------------------------------------------------------------


def solved(*behaviours: Behaviour, budget: Budget, n: int = 1, prices: Prices | None = None, **options: Any):
    """Solve a problem; return the run and the server."""

    async def solve():
        async with FakeServer(*behaviours) as server:
            engine = OpenAIEngine(base_url=server.address, **options)
            async with engine:
                controller = Controller(engine, SelfConsistency(n), prices=prices)
                run = await leaves_nothing(server, controller.solve("What is 2+2?", budget))
            return run, server

    return asyncio.run(asyncio.wait_for(solve(), 30))


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
