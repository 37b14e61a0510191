"""The engine for servers against a real vLLM server: by its token route, by completions, by chat."""

# These engines count everything.
# pyright: reportOperatorIssue=false

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.conftest import running
from thinkctl import Budget, Controller, SelfConsistency
from thinkctl.engines import engine_from
from thinkctl.engines.doctor import examine
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.errors import EngineUnavailable
from thinkctl.testing.conformance import CHECKS, Check, Trial
from thinkctl.types import Message

pytestmark = pytest.mark.engine


@dataclass
class Line:
    """An engine that talks to the server, in its event loop."""

    engine: OpenAIEngine
    runner: asyncio.Runner

    def run(self, coroutine):
        return self.runner.run(coroutine)


@pytest.fixture(scope="module", params=["generate", "completions", "chat"])
def line(served: str, request: pytest.FixtureRequest) -> Iterator[Line]:
    engine = OpenAIEngine(base_url=served, route=request.param)
    with running(engine) as runner:
        yield Line(engine, runner)


@pytest.mark.parametrize("check", CHECKS.values(), ids=list(CHECKS))
def test_it_conforms_on_every_route(line: Line, check: Check) -> None:
    prompt = line.engine.tokenizer.chat([Message(role="user", content="Count from one to twenty.")])
    line.run(asyncio.wait_for(check(Trial(line.engine, prompt, 24, True, 8)), 120))


def test_a_whole_run_ends_with_an_answer_and_a_right_bill(line: Line) -> None:
    async def solve():
        before = await line.engine.counters()
        run = await Controller(line.engine, SelfConsistency(4)).solve("What is 2+2?", Budget(tokens=400))
        return run, before, await line.engine.counters()

    run, before, after = line.run(solve())
    assert run.answer is not None
    assert run.receipt.generated_tokens <= 400
    assert after.running == 0
    if not run.receipt.usage.estimated:
        assert run.receipt.generated_tokens == after.generated_tokens - before.generated_tokens


def test_by_itself_it_takes_the_exact_route(served: str) -> None:
    async def look():
        engine = engine_from(f"openai:small@{served}")
        assert isinstance(engine, OpenAIEngine)
        async with engine:
            return engine.route, engine.caps, engine.card

    route, caps, card = asyncio.run(look())
    assert (type(route).__name__, caps.token_prompts, caps.counters) == ("Generate", True, True)
    assert (card.name, card.context, card.parameters) == ("small", 2048, 134_515_008)


def test_a_model_that_is_not_served_is_named_with_those_that_are(served: str) -> None:
    with pytest.raises(EngineUnavailable, match=r"does not serve 'big'; it serves small"):
        asyncio.run(OpenAIEngine("big", base_url=served).start())


def test_the_doctor_finds_what_the_server_honours(served: str) -> None:
    async def look():
        async with OpenAIEngine(base_url=served) as engine:
            return {finding.name: finding for finding in await examine(engine)}

    found = asyncio.run(look())
    print(*(f"{one.name}: {one.verdict}, {one.seen}" for one in found.values()), sep="\n")  # noqa: T201 - for -s
    exact = ("usage in streams", "max_tokens", "continuation", "logprobs", "counters", "prefix cache")
    assert {found[name].verdict for name in exact} == {"yes"}
    assert found["abort when left"].verdict == "yes"
    assert found["abort when left"].seen.endswith("as billed")
    assert found["n"].seen == "n=2 brought 2"
    assert found["constraints"].verdict == "yes"


@pytest.mark.parametrize("example", ["local_server", "dollar_cap"])
def test_the_examples_for_servers_run_against_it(served: str, example: str) -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(root / "examples" / f"{example}.py"), f"openai:{served}"],
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    if example == "local_server":
        counts = re.search(r"the receipt says (\d+) tokens, the server (\d+)", done.stdout)
        assert counts is not None
        assert counts[1] == counts[2]


def test_the_command_line_s_bill_reconciles_with_the_server(served: str) -> None:
    command = [sys.executable, "-m", "thinkctl.cli", "ask", "What is 2+2?", "--model", f"openai:{served}"]
    limits = ["--budget", "tokens=300", "--strategy", "self-consistency(4)"]
    done = subprocess.run(
        [*command, *limits, "--reconcile", "--json", "--quiet"],
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
    )
    told = json.loads(done.stdout)
    assert done.returncode == (0 if told["reconciliation"]["agrees"] else 1), done.stderr
    assert told["receipt"]["generated_tokens"] <= 300
    assert told["reconciliation"]["exact"] or told["receipt"]["estimated"], told["reconciliation"]
