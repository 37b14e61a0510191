"""Servers that misbehave: each case ends with a clear error or a right answer and a right bill, nothing leaked."""

from __future__ import annotations

import asyncio

import pytest

from tests.engines.fake_server import FakeServer, Reply, delta, usage
from tests.engines.faulty import ANSWER, against, answers, plays, sends, solved
from thinkctl import Budget, Controller, ZeroShot
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.errors import ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.types import Finish, StreamUsage

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
