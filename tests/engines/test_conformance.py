"""The conformance checks themselves: fakes that keep the promises pass, engines that break one are caught."""

# Parts that break a promise are handed in on purpose.
# pyright: reportArgumentType=false

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from thinkctl import Budget, Controller, SelfConsistency
from thinkctl.engines.replay import ReplayEngine
from thinkctl.errors import ContextExceeded
from thinkctl.testing import Script, ScriptedEngine, run
from thinkctl.testing.conformance import CHECKS, Trial, check_engine
from thinkctl.types import Delta, StreamUsage

TEXT = " ".join(f"word{place}" for place in range(40))


def scripted(seconds_per_token: float = 0.01, **changes: Any) -> ScriptedEngine:
    return ScriptedEngine([Script(TEXT, ends=False, seconds_per_token=seconds_per_token)], **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"seconds_per_token": 0.0},
        {"waste": 1},
        {"force": 8},
        {"block": 4, "force": 4, "waste": 2},
        {"context": 90},
        {"streams": 3},
    ],
    ids=str,
)
def test_the_scripted_engine_conforms(changes) -> None:
    run(check_engine(scripted(**changes)))


def test_the_replay_engine_conforms() -> None:
    """It plays one sample after the other, so the same prompt says the same only to who reads text."""

    async def play() -> None:
        controller = Controller(ScriptedEngine([TEXT]), SelfConsistency(16))
        recording = await controller.solve("Count to forty.", Budget(tokens=1000))
        engine = ReplayEngine([recording] * 8, tokens_per_delta=1)
        (chat,) = engine.tokenizer.chats
        await check_engine(engine, prompt=chat.ids(0, chat.tokens), repeats=False)

    run(play())


class Broken:
    """A scripted engine whose streams go through ``flaw``."""

    def __init__(self, flaw: Callable[[Any, Any], Any], **changes: Any) -> None:
        self._inner = scripted(**changes)
        self._flaw = flaw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def stream(self, prompt, spec):
        return self._flaw(self._inner.stream(prompt, spec), spec)


class Stream:
    """A stream as it should be; flaws inherit from it."""

    def __init__(self, inner, spec) -> None:
        self.inner, self.spec = inner, spec

    def __aiter__(self):
        return self

    async def __anext__(self) -> Delta:
        return await anext(self.inner)

    async def close(self) -> StreamUsage:
        return await self.inner.close()

    async def force(self, token_ids) -> bool:
        return await self.inner.force(token_ids)


class HidesItsWaste(Stream):
    async def close(self) -> StreamUsage:
        usage = await self.inner.close()
        return replace(usage, generated_tokens=usage.generated_tokens - usage.wasted_tokens, wasted_tokens=0)


class NeverStops(Stream):
    async def close(self) -> StreamUsage:
        return StreamUsage(1, 0, 1)


class ForgetsToMark(Stream):
    async def __anext__(self) -> Delta:
        return replace(await anext(self.inner), forced=False)


class LiesAboutForcing(Stream):
    async def force(self, token_ids) -> bool:
        return True


class SwallowsTheFinish(Stream):
    async def __anext__(self) -> Delta:
        return replace(await anext(self.inner), finish=None)


class SaysOneTokenTwice(Stream):
    async def __anext__(self) -> Delta:
        delta = await anext(self.inner)
        return replace(delta, token_ids=(*delta.token_ids, delta.token_ids[0]))


class LosesWhatACancelledWaitWasFor(Stream):
    async def __anext__(self) -> Delta:
        delta = await anext(self.inner)
        await asyncio.sleep(0)
        return delta


class ChangesItsBill(Stream):
    calls = 0

    async def close(self) -> StreamUsage:
        self.calls += 1
        usage = await self.inner.close()
        return replace(usage, prompt_tokens=usage.prompt_tokens + self.calls)


@pytest.mark.parametrize(
    ("flaw", "changes", "caught_by"),
    [
        (HidesItsWaste, {"waste": 1}, "the bills add up to the counters"),
        (NeverStops, {}, "a close ends the work and is counted"),
        (ForgetsToMark, {"force": 8}, "forced tokens come out and are marked"),
        (LiesAboutForcing, {}, "forcing after the end is refused"),
        (LiesAboutForcing, {}, "a stream nobody awaited costs nothing"),
        (SwallowsTheFinish, {}, "no more tokens than granted"),
        (SaysOneTokenTwice, {}, "many streams run at once"),
        (SaysOneTokenTwice, {}, "stopping and continuing changes nothing"),
        (LosesWhatACancelledWaitWasFor, {"seconds_per_token": 0.0}, "a reader that gives up loses nothing"),
        (ChangesItsBill, {}, "a second close says the same"),
    ],
)
def test_a_broken_promise_is_caught(flaw, changes, caught_by) -> None:
    with pytest.raises(AssertionError):
        run(CHECKS[caught_by](Trial(Broken(flaw, **changes))))  # type: ignore[arg-type]


def test_the_checks_say_which_of_them_failed() -> None:
    with pytest.raises(
        AssertionError, match=r"^no more tokens than granted: a stream that reached max_tokens"
    ):
        run(check_engine(Broken(SwallowsTheFinish)))


def test_an_engine_that_takes_what_does_not_fit_is_caught() -> None:
    class Vast(Broken):
        def stream(self, prompt, spec):
            try:
                return self._inner.stream(prompt, spec)
            except ContextExceeded:
                return self._inner.stream(prompt[:1], replace(spec, max_tokens=1))

    with pytest.raises(AssertionError, match="fit a context of 90"):
        run(CHECKS["what does not fit the context is refused"](Trial(Vast(Stream, context=90))))  # type: ignore[arg-type]
