"""Policies within a sample against a plain chat server: probes and cuts of many samples in flight."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.controller.rig import Asks
from tests.engines.fake_server import FakeServer, Reply, delta, usage
from thinkctl import Budget, Controller, Run
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.errors import ConfigurationError
from thinkctl.protocols import StoppingPolicy
from thinkctl.stopping import AnswerConfidence, AnswerStable, RepetitionGuard
from thinkctl.types import Finish, Role, Usage

LONG = 600


class Model:
    """Thinks for long, of 5 and from the sixtieth word on of 4; asked to go on, it says what it thinks of."""

    def __init__(self, loops: bool = False) -> None:
        self.loops = loops
        self.launched = 0
        self.most_at_once = 0
        self.thinking = 0

    async def __call__(self, reply: Reply) -> None:
        said = [turn["content"] for turn in reply.asked["messages"] if turn["role"] == "assistant"]
        if said:
            answer = "4" if said[0].count("w") >= 60 else "5"
            await reply.events(delta("\\boxed{"), delta(f"{answer}}}"), delta(finish="stop"), usage(2))
            return
        number, self.launched = self.launched, self.launched + 1
        self.thinking += 1
        self.most_at_once = max(self.most_at_once, self.thinking)
        try:
            await self.think(reply, number)
        finally:
            self.thinking -= 1

    async def think(self, reply: Reply, number: int) -> None:
        await reply.head()
        for place in range(LONG):
            word = " w and so" if self.loops and number % 4 == 0 else f" w{number}-{place}"
            await reply.event(delta(word))
            await asyncio.sleep(0.002)
        for body in (delta(" \\boxed{7}"), delta(finish="stop"), usage(LONG + 1), "[DONE]"):
            await reply.event(body)


def solved(model: Model, policy: StoppingPolicy, **engine: Any) -> tuple[Run, FakeServer]:
    async def main() -> tuple[Run, FakeServer]:
        async with FakeServer(model) as server:
            async with OpenAIEngine(base_url=server.address, **engine) as asked:
                controller = Controller(asked, Asks(16), policy=policy)
                found = await controller.solve("2+2?", Budget(tokens=50_000))
            assert await server.idle(), "the server still generates"
            return found, server

    return asyncio.run(asyncio.wait_for(main(), 60))


@pytest.mark.parametrize("continuation", ["turn", "final-message"])
def test_sixteen_thoughts_are_probed_over_http_and_concluded_on_stable_answers(continuation) -> None:
    model = Model()
    found, _ = solved(model, AnswerStable(k=2, every=48), continuation=continuation)
    assert model.most_at_once == 16
    assert [sample.answer and sample.answer.key for sample in found.samples] == ["4"] * 16
    assert all(sample.concluded and len(sample.token_ids) < LONG / 2 for sample in found.samples)
    assert [[probe.at for probe in sample.probes] for sample in found.samples] == [[48, 96, 144]] * 16
    billed = sum((line.usage for line in found.receipt.lines if line.role is Role.PROBE), Usage())
    assert (billed.requests, billed.probe_tokens) == (
        48,
        sum(sample.usage.probe_tokens for sample in found.samples),
    )


def test_loops_are_cut_over_http() -> None:
    found, _ = solved(Model(loops=True), RepetitionGuard())
    assert [sample.finish for sample in found.samples] == [Finish.CUT, *[Finish.STOP] * 3] * 4
    assert all(256 <= len(sample.token_ids) < 400 for sample in found.samples[::4])


def test_a_server_without_log_probabilities_refuses_answer_confidence() -> None:
    with pytest.raises(ConfigurationError, match="log-probabilities"):
        solved(Model(), AnswerConfidence())
