"""Parts and probes for tests of the controller: scripts, small parts, odd engines, and audits of a run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from thinkctl import Budget, Controller, Prices, Problem, Request, Run, Sample, Sampling
from thinkctl.protocols import Engines, Selector, Stream
from thinkctl.selectors import Majority
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.types import (
    Capabilities,
    Decision,
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    History,
    Message,
    ModelCard,
    ProbeRequest,
    Receipt,
    Role,
    StreamUsage,
    ThinkingMarks,
    Verdict,
)

T = TypeVar("T")

QUESTION = "What is 17*23-4?"
ASK = (Message(role="user", content=QUESTION),)
MARKS = ModelCard(name="scripted", thinking=ThinkingMarks(start="<think>", end="</think>"))
A_DOLLAR = Prices(
    dollars_per_million_prompt_tokens=Decimal(1_000_000),
    dollars_per_million_generated_tokens=Decimal(1_000_000),
)
"""A dollar for each token, prompt or generated."""
PER_TOKEN = Prices(
    dollars_per_million_prompt_tokens=Decimal(0), dollars_per_million_generated_tokens=Decimal(1_000_000)
)
"""A dollar for each generated token, prompts free."""


# -- what the model says ---------------------------------------------------------------------------------------


def words(number: int) -> str:
    """Return a text of so many tokens."""
    return " ".join(["w"] * number)


def says(answer: str, thought: int = 3, **more: Any) -> Script:
    r"""Think so many tokens, box the answer, end the turn: ``thought + 2`` tokens, of which two are answer."""
    return Script(f"{words(thought)} \\boxed{{{answer}}}", **more)


def tokens_of(thought: int = 3) -> int:
    """Return how many tokens :func:`says` takes."""
    return thought + 2


def abstains(thought: int = 3, **more: Any) -> Script:
    """Think and end the turn without an answer; asked for one, box nothing."""
    more.setdefault("conclusion", "}")
    return Script(words(thought), **more)


def endless(answer: str = "4", thought: str = "hm", **more: Any) -> Script:
    """Think for ever; when made to conclude say the answer, one token, and the end of turn unread.

    Different thoughts must differ in their text where several are concluded in the same moment: the engine
    tells them apart by it.
    """
    more.setdefault("conclusion", f"{answer}}}")
    return Script(thought, ends=False, **more)


def slow(script: Script) -> Script:
    """Return a script that takes 0.1 s for a token."""
    return Script(script.text, 0.1, ends=script.ends, conclusion=script.conclusion, chunk=script.chunk)


# -- parts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposes:
    """A strategy made of a function of the history."""

    function: Callable[[History], Sequence[Request]]
    selector: Selector = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        return self.function(history)


@dataclass(frozen=True)
class Asks:
    """A strategy that asks for ``n`` samples, all at once, with these fields of a request."""

    n: int = 1
    sampling: Sampling = Sampling()
    selector: Selector = Majority()
    model: str | None = None

    def propose(self, history: History) -> Sequence[Request]:
        return [Request(history.problem.messages, self.sampling, model=self.model)] * (
            self.n - history.bought
        )


@dataclass(frozen=True)
class Chain:
    """A strategy that asks for ``requests`` one after the other, each when the one before has ended."""

    requests: tuple[Request, ...]
    selector: Selector = Majority()

    def propose(self, history: History) -> Sequence[Request]:
        return () if history.in_flight else self.requests[history.bought : history.bought + 1]


class Decides:
    """A policy made of a function. It keeps what it was shown, and fails when it is asked without end."""

    def __init__(self, function: Callable[[History], Decision], most_in_a_moment: int = 300) -> None:
        self.function = function
        self.most_in_a_moment = most_in_a_moment
        self.seen: list[History] = []
        self._moment = -1.0
        self._calls = 0

    def decide(self, history: History) -> Decision:
        self._calls = self._calls + 1 if history.elapsed == self._moment else 1
        self._moment = history.elapsed
        assert self._calls <= self.most_in_a_moment, (
            f"asked {self._calls} times at {history.elapsed} s: it spins"
        )
        self.seen.append(history)
        return self.function(history)


def decides(function: Callable[[History], Decision]) -> Decides:
    """Return the policy that decides by this function."""
    return Decides(function)


def probing(*at: int, **more: object) -> Decides:
    """Return a policy that probes every sample at so many tokens."""

    def decide(history: History) -> Decision:
        asks = [
            ProbeRequest(sample.index, **more)  # type: ignore[arg-type]
            for sample in history.in_flight
            if sum(sample.thinking_tokens >= place for place in at) > len(sample.probes)
        ]
        return Decision(probe=tuple(asks))

    return decides(decide)


@dataclass
class Judges:
    """A verifier made of an async function of the sample and the metered engines."""

    function: Callable[[Sample, Engines], Coroutine[Any, Any, Verdict]]

    async def judge(self, history: History, sample: Sample, engines: Engines) -> Verdict:
        return await self.function(sample, engines)


async def generate(engines: Engines, text: str, tokens: int) -> str:
    """Have a metered engine generate, as a judge would, and close the stream."""
    engine = next(iter(engines.values()))
    stream = engine.stream(
        engine.tokenizer.chat([Message(role="user", content=text)]), GenerationSpec(tokens)
    )
    ids: list[int] = []
    try:
        async for delta in stream:
            ids += delta.token_ids
    finally:
        await stream.close()
    return engine.tokenizer.decode(ids)


# -- engines that are odd --------------------------------------------------------------------------------------


class Odd:
    """A scripted engine whose streams take their time to close, or fail to."""

    def __init__(
        self,
        inner: ScriptedEngine,
        *,
        closing_seconds: float = 0.0,
        close_fails: BaseException | None = None,
        starting_seconds: float = 0.0,
    ) -> None:
        self.inner = inner
        self.closing_seconds = closing_seconds
        self.close_fails = close_fails
        self.starting_seconds = starting_seconds
        self.starts = 0

    @property
    def card(self) -> ModelCard:
        return self.inner.card

    @property
    def caps(self) -> Capabilities:
        return self.inner.caps

    @property
    def tokenizer(self) -> Any:
        return self.inner.tokenizer

    async def start(self) -> None:
        self.starts += 1
        if self.starts == 1:
            await asyncio.sleep(self.starting_seconds)

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Stream:
        return OddStream(self, self.inner.stream(prompt, spec))

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        return await self.inner.score(prompt, token_ids)

    async def counters(self) -> EngineCounters:
        return await self.inner.counters()

    async def aclose(self) -> None:
        await self.inner.aclose()


class OddStream:
    """A stream of an odd engine."""

    def __init__(self, engine: Odd, inner: Stream) -> None:
        self.engine = engine
        self.inner = inner

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self.inner.__aiter__()

    async def force(self, token_ids: Sequence[int]) -> bool:
        return await self.inner.force(token_ids)

    async def close(self) -> StreamUsage:
        used = await self.inner.close()
        if self.engine.closing_seconds:
            await asyncio.sleep(self.engine.closing_seconds)
        if self.engine.close_fails is not None:
            raise self.engine.close_fails
        return used


# -- running and auditing --------------------------------------------------------------------------------------


def solve(
    engine: ScriptedEngine | Odd,
    strategy: Any,
    budget: Budget | None = None,
    *,
    problem: str | Problem = QUESTION,
    seed: int = 0,
    start: float = 0.0,
    **knobs: Any,
) -> Run:
    """Solve one problem in virtual time, and audit what is left behind."""

    async def main() -> Run:
        return await Controller(engine, strategy, **knobs).solve(problem, budget, seed=seed)

    found = run(main(), start=start)
    audit(found, engine, budget)
    return found


def audit(found: Run, engine: ScriptedEngine | Odd, budget: Budget | None = None) -> None:
    """Check what holds for every run that had the engine for itself."""
    scripted = engine.inner if isinstance(engine, Odd) else engine
    truth = counters(scripted)
    assert scripted.open_streams == 0, "a stream outlived its run"
    assert truth.running == 0
    receipt = found.receipt
    assert reconciles([receipt], truth), "the bill is not what the engine counted"
    if receipt.cached_tokens is not None:
        assert receipt.cached_tokens == truth.cached_tokens
        assert receipt.prompt_tokens == (truth.prompt_tokens or 0) + (truth.cached_tokens or 0)
    samples = sum((sample.usage for sample in found.samples), start=type(receipt.usage)())
    verified = [line.usage for line in receipt.lines if line.role is Role.VERIFIER]
    assert sum(verified, samples).generated_tokens == receipt.generated_tokens, "samples and bill differ"
    assert sum(verified, samples).requests == receipt.requests
    scores = sum(line.usage.estimated for line in receipt.lines if line.role is Role.VERIFIER)
    assert scores or scripted.dead or receipt.requests == len(scripted.log), (
        "requests are streams that were opened"
    )
    for line in receipt.lines:
        used = line.usage
        kinds = (
            used.thinking_tokens,
            used.answer_tokens,
            used.probe_tokens,
            used.forced_tokens,
            used.wasted_tokens,
        )
        assert min(kinds) >= 0, f"a negative count on the bill: {line}"
    assert all(sample.finished for sample in found.samples), "a finished run holds a growing sample"
    assert [sample.index for sample in found.samples] == list(range(len(found.samples)))
    for sample in found.samples:
        assert sample.ended is not None
        assert 0 <= sample.started <= sample.ended <= receipt.seconds + 1e-9
        assert sample.answer is None or sample.answer.sample == sample.index
        assert sample.text == scripted.tokenizer.decode(sample.token_ids)
        assert 0 <= sample.thought_chars <= len(sample.text)
    if found.answer is not None:
        assert found.answer in found.history.answers
    if budget is not None:
        if budget.tokens is not None:
            assert receipt.generated_tokens <= budget.tokens
        if budget.requests is not None:
            assert receipt.requests <= budget.requests
        if budget.dollars is not None:
            assert receipt.dollars is None or receipt.dollars <= budget.dollars
        if budget.thinking_tokens is not None:
            assert all(sample.thinking_tokens <= budget.thinking_tokens for sample in found.samples)


def reconciles(receipts: Sequence[Receipt], truth: EngineCounters) -> bool:
    """Whether bills are together what the engine counted, to the token.

    A score that was broken off is billed as the one token that it can be at most: nobody knows.
    """
    lines = [line for receipt in receipts for line in receipt.lines]
    scores = sum(line.usage.requests for line in lines if line.role is Role.VERIFIER and line.usage.estimated)
    more = sum(line.usage.generated_tokens for line in lines) - (truth.generated_tokens or 0)
    return 0 <= more <= scores


def counters(engine: ScriptedEngine) -> EngineCounters:
    """Return the engine's truth from outside a loop."""
    return run(engine.counters())


def finishes(found: Run) -> list[Finish | None]:
    """Return how the samples ended."""
    return [sample.finish for sample in found.samples]


def keys(found: Run) -> list[str | None]:
    """Return what the samples answered."""
    return [sample.answer.key if sample.answer else None for sample in found.samples]


def key(found: Run) -> str | None:
    """Return the answer of a run, as votes are counted."""
    return found.answer.key if found.answer else None
