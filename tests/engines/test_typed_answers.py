"""Answers of a type on real engines: in process by both drivers, over HTTP by both token routes, and portable."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from tests.engines.conftest import DRIVERS, SETTINGS
from thinkctl import Budget, Controller, Run, Sampling, SelfConsistency, ZeroShot, models
from thinkctl.answers import form_of
from thinkctl.engines.openai import OpenAIEngine
from thinkctl.protocols import Engine, Strategy
from thinkctl.selectors import FieldwiseMajority
from thinkctl.types import Constraint, Finish, GenerationSpec, Message, Problem

pytestmark = pytest.mark.engine

SMALL = "smollm2-135m-instruct"


class Person(BaseModel):
    name: str
    age: int
    city: Literal["Paris", "Rome"]


TYPES: dict[str, Any] = {
    "integer": int,
    "number": float,
    "boolean": bool,
    "choice": Literal["Paris", "New York"],
    "pattern": re.compile(r"[A-Z]{2}-\d{3}"),
    "model": Person,
    "list": list[int],
}
QUESTION = "Ann Lee, who is 31, lives in Paris, in flat AB-123 with 2 cats. What is to be known of her?"
KINDS = ["lockstep", "async", "transformers", "generate", "completions", "chat"]


@asynccontextmanager
async def opened(kind: str, address: str) -> AsyncIterator[Engine]:
    """Start an engine of the smallest model."""
    engine: Engine
    if kind in DRIVERS:
        pytest.importorskip("vllm")
        engine = DRIVERS[kind](models.resolve(SMALL), **SETTINGS)
    elif kind == "transformers":
        from thinkctl.engines.transformers import TransformersEngine  # torch: seconds

        engine = TransformersEngine(models.resolve(SMALL), context=1024)
    else:
        engine = OpenAIEngine(base_url=address, route=kind, api_key="none")  # type: ignore[arg-type]
    try:
        await engine.start()
        yield engine
    finally:
        await engine.aclose()


@pytest.fixture(scope="module", params=KINDS)
def bench(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, asyncio.Runner]]:
    kind = str(request.param)
    address = "" if kind in {*DRIVERS, "transformers"} else request.getfixturevalue("served")
    with asyncio.Runner() as runner:
        manager = opened(kind, address)
        engine = runner.run(manager.__aenter__())
        try:
            yield engine, runner
        finally:
            runner.run(manager.__aexit__(None, None, None))


def solved(
    bench: tuple[Engine, asyncio.Runner], what: Any, budget: Budget, strategy: Strategy | None = None
) -> Run:
    engine, runner = bench
    thinker = strategy or SelfConsistency(2, sampling=Sampling(temperature=0.8, max_tokens=24))
    controller = Controller(engine, thinker)
    problem = Problem.of(QUESTION, answer_type=what)
    return runner.run(asyncio.wait_for(controller.solve(problem, budget), 240))


@pytest.mark.parametrize("name", TYPES)
def test_every_sample_that_was_not_cut_off_answers_in_the_type(bench, name: str) -> None:
    run = solved(bench, TYPES[name], Budget(tokens=600))
    form = form_of(run.history.problem)
    assert run.answer is not None
    for sample in run.samples:
        assert not sample.error
        assert sample.answer is not None
        assert form.extract(form.cue + sample.answer.text + "}\n", complete=True) is not None
    assert run.receipt.overshoot_tokens == 0


def test_a_zero_shot_answer_is_asked_for_at_once(bench) -> None:
    run = solved(bench, int, Budget(tokens=200), ZeroShot())
    (sample,) = run.samples
    assert sample.answer is not None
    assert re.fullmatch(r"-?[0-9]+", sample.answer.text)
    assert run.receipt.usage.thinking_tokens == 0


def test_an_answer_that_its_reserve_cuts_is_of_its_type_nevertheless(bench) -> None:
    run = solved(bench, Person, Budget(tokens=120, answer_tokens=6))
    assert run.answer is not None
    Person.model_validate_json(run.answer.text)
    assert any(sample.finish is Finish.LENGTH for sample in run.samples)
    assert run.receipt.generated_tokens <= 120


def test_fields_are_voted_on(bench) -> None:
    engine, runner = bench
    strategy = SelfConsistency(3, sampling=Sampling(temperature=0.8, max_tokens=24))
    controller = Controller(engine, strategy, selector=FieldwiseMajority())
    run = runner.run(controller.solve(Problem.of(QUESTION, answer_type=Person), Budget(tokens=900)))
    assert run.answer is not None
    Person.model_validate_json(run.answer.text)


def test_an_engine_holds_what_it_says_to_a_constraint(bench) -> None:
    """Also where the model would say something else at every token."""
    engine, runner = bench
    if not engine.caps.token_prompts:
        pytest.skip("a prompt of text is put into the server's own template")
    prompt = engine.tokenizer.chat([Message(role="user", content="Write a poem.")])

    async def say() -> tuple[str, Finish | None]:
        spec = GenerationSpec(max_tokens=40, temperature=1.0, constraint=Constraint("(x-[0-9]{3}é){2}"))
        stream = engine.stream(prompt, spec)
        ids: list[int] = []
        finish = None
        async for delta in stream:
            ids += delta.token_ids
            finish = delta.finish
        await stream.close()
        return engine.tokenizer.decode(ids), finish

    text, finish = runner.run(say())
    assert re.fullmatch(r"(x-[0-9]{3}é){2}", text)
    assert finish is Finish.STOP
