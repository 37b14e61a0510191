"""An engine that says what it is told to: exact tokens, exact bills, virtual time, and faults on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import final

from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.testing.play import Play
from thinkctl.testing.script import MOST_LOGPROBS, Script, spread
from thinkctl.testing.tokens import END_OF_TURN, ScriptedTokenizer
from thinkctl.testing.tracks import End, StreamLog, Track
from thinkctl.types import (
    Capabilities,
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    ModelCard,
    Prices,
    StreamUsage,
    TokenLogprob,
)

__all__ = ["ScriptedEngine", "ScriptedStream"]


@final
class ScriptedEngine:
    """Plays scripts to new chats in launch order, over and over, or asks a function for each.

    The function gets the launch number, which counts from 0, and the prompt's text.

    A prompt that is an earlier stream's prompt and a prefix of what it said goes on exactly there; if other
    tokens follow, they were forced and the script's conclusion is said. Where several streams fit, the first
    that ended just there and was not continued yet is meant.

    ``waste`` tokens are decoded but not delivered when a running stream is closed, within its grant;
    ``force`` is the longest text that can be forced in flight; ``block`` is the block of a prefix cache;
    beyond ``streams`` at once, streams queue by priority. ``scores`` gives the log-probability of a token's
    text after a prompt's text (default: all are equally likely). With ``constraints`` it takes what an answer is
    to be held to, as ``log`` shows, and plays its script nevertheless.
    """

    def __init__(
        self,
        scripts: Sequence[Script | str] | Callable[[int, str], Script | str],
        *,
        card: ModelCard | None = None,
        waste: int = 0,
        force: int = 0,
        prices: Prices | None = None,
        context: int | None = None,
        block: int = 0,
        streams: int = 64,
        scores: Callable[[str, str], float] | None = None,
        constraints: bool = True,
    ) -> None:
        if isinstance(scripts, str):
            raise ConfigurationError(f"scripts={scripts!r} is one text; give a list of them")
        if not callable(scripts) and not scripts:
            raise ConfigurationError("scripts is empty; give at least one")
        told = {"prices": prices, "context": context}
        self._card = (card or ModelCard(name="scripted")).model_copy(
            update={name: value for name, value in told.items() if value is not None}
        )
        self._caps = Capabilities(
            overshoot=waste,
            force=force,
            logprobs=MOST_LOGPROBS,
            streams=streams,
            block=block,
            constraints=constraints,
        )
        marks = self._card.thinking
        self._tokenizer = ScriptedTokenizer((marks.start, marks.end) if marks else ())
        self._scores = scores
        self._play = Play(scripts, self._tokenizer, self._caps)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def caps(self) -> Capabilities:
        """What this engine honours."""
        return self._caps

    @property
    def tokenizer(self) -> ScriptedTokenizer:
        """The engine's own tokenizer."""
        return self._tokenizer

    @property
    def log(self) -> list[StreamLog]:
        """Every stream that was awaited, in the order of their first awaits."""
        return self._play.log

    @property
    def open_streams(self) -> int:
        """Streams that were awaited and have not ended."""
        return len(self._play.open)

    @property
    def most_open(self) -> int:
        """The most streams that were open at once."""
        return self._play.most_open

    @property
    def launched(self) -> int:
        """New chats so far; continuations are not counted."""
        return self._play.launched

    @property
    def dead(self) -> str:
        """Why the engine is dead; empty while it lives."""
        return self._play.dead

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> ScriptedStream:
        """Start a generation. Raises ``ContextExceeded`` if it does not fit the card's context."""
        if spec.max_tokens < 1:
            raise ConfigurationError(f"max_tokens={spec.max_tokens}; a generation needs room for one token")
        if spec.logprobs is not None and spec.logprobs > MOST_LOGPROBS:
            raise ConfigurationError(f"logprobs={spec.logprobs}; this engine gives at most {MOST_LOGPROBS}")
        context = self._card.context
        if context is not None and len(prompt) + spec.max_tokens > context:
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit the context {context}; "
                "ask for fewer tokens"
            )
        return ScriptedStream(self._play, tuple(prompt), spec)

    async def start(self) -> None:
        """Do nothing: it is always ready."""

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Return the log-probability of each id as the next token. Counts the prompt and one token."""
        await asyncio.sleep(0)
        if self.dead:
            raise EngineUnavailable(self.dead)
        self._play.prefill(tuple(prompt))
        self._play.generated += 1
        if self._scores is None:
            return dict.fromkeys(token_ids, -math.log(max(len(set(token_ids)), 1)))
        text = self._tokenizer.decode(prompt)
        return {token: self._scores(text, self._tokenizer.decode([token])) for token in token_ids}

    async def counters(self) -> EngineCounters:
        """Return the truth. A dead engine still tells it."""
        return self._play.counters()

    async def aclose(self) -> None:
        """Shut down: streams in progress end with ``EngineUnavailable``. May be called again."""
        self._play.die("the engine was shut down")

    def die(self, why: str) -> None:
        """Die now, as an engine that crashes: streams in progress end with ``EngineUnavailable``."""
        self._play.die(why)


@final
class ScriptedStream:
    """One generation of a ``ScriptedEngine``. One task reads it; another may close it or force tokens."""

    def __init__(self, play: Play, prompt: tuple[int, ...], spec: GenerationSpec) -> None:
        self.prompt = prompt
        self.spec = spec
        self.admitted = False
        self._play = play
        self._track: Track | None = None
        self._closed = False
        self._forced: tuple[int, ...] = ()
        self._began = math.nan
        self._asked = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def so_far(self) -> tuple[int, ...]:
        """The tokens of the prompt and those delivered, once it runs; nothing before."""
        if self._track is None or math.isnan(self._began):
            return ()
        return (*self.prompt, *self._track.log.token_ids)

    def __aiter__(self) -> AsyncIterator[Delta]:
        """Go on with the tokens that were not delivered yet."""
        return self

    async def __anext__(self) -> Delta:
        """Return the next tokens. May be cancelled and called again without losing any."""
        if self._waiter is not None:
            raise RuntimeError("the stream is being read by another task; one stream has one reader")
        if self._closed:
            raise StopAsyncIteration
        track = self._track
        if track is None:
            if self._play.dead:
                self._closed = True
                raise EngineUnavailable(self._play.dead)
            track = self._track = self._play.enter(self)
            self._play.admit()
        while True:
            self._go_on_or_end(track)
            if not self.admitted:
                await self._pause(math.inf)
                continue
            wanted = self._wanted(track)
            due = self._due(track, wanted)
            await self._pause(due - asyncio.get_running_loop().time())
            self._go_on_or_end(track)
            if wanted == self._wanted(track) and due <= asyncio.get_running_loop().time() + 1e-9:
                return self._deliver(track, wanted)

    async def close(self) -> StreamUsage:
        """Stop now and return what was used. May be called again and at any state."""
        if self._track is None:
            self._closed = True
            return StreamUsage()
        if not self._closed:
            track = self._track
            works = not math.isnan(self._began) and not self._play.dead
            waste = min(self._play.caps.overshoot or 0, self._left(track)) if works else 0
            self._count(track, waste, wasted=waste)
            self._end(track, End.DIED if self._play.dead else End.CLOSED)
        return self._track.log.usage

    async def force(self, token_ids: Sequence[int]) -> bool:
        """Emit these tokens next and then the script's conclusion; ``False`` where that cannot be now."""
        track = self._track
        possible = (
            track is not None
            and self.admitted
            and not self._closed
            and not self._play.dead
            and not self._forced
            and 0 < len(token_ids) <= min(self._play.caps.force, self._left(track))
        )
        if possible:
            self._forced = tuple(token_ids)
            self.wake()
        return possible

    def _left(self, track: Track) -> int:
        return self.spec.max_tokens - track.log.usage.generated_tokens

    def _go_on_or_end(self, track: Track) -> None:
        """Raise what ends the reading now, if anything does."""
        if self._closed:
            raise StopAsyncIteration
        if self._play.dead:
            self._end(track, End.DIED)
            raise EngineUnavailable(self._play.dead)
        if not self.admitted:
            return
        if math.isnan(self._began):
            self._begin(track)
        plan, place = track.places[-1]
        script = plan.script
        if self._forced or not plan.thought:
            return
        if script.die_after is not None and place >= script.die_after:
            self._play.die(f"the engine died after {place} tokens, as scripted")
            self._end(track, End.DIED)
            raise EngineUnavailable(self._play.dead)
        if script.fail_after is not None and place >= script.fail_after and not track.launch.failed:
            track.launch.failed = True
            self._end(track, End.FAILED)
            raise RequestFailed(f"the request failed after {place} tokens, as scripted")

    def _begin(self, track: Track) -> None:
        """Compute the prompt; decoding begins after the script's first seconds."""
        cached = self._play.prefill(self.prompt)
        track.log.usage = StreamUsage(len(self.prompt), cached)
        self._began = asyncio.get_running_loop().time() + track.launch.script.first

    def _wanted(self, track: Track) -> int:
        """Return how many tokens come next."""
        if self._forced:
            return len(self._forced)
        plan, place = track.places[-1]
        most = min(plan.script.chunk, self._left(track))
        if plan.thought:
            limits = (plan.script.die_after, None if track.launch.failed else plan.script.fail_after)
            most = min([most, *(limit - place for limit in limits if limit is not None)])
        return next((n for n in range(1, most) if self._ends(plan.token(place + n - 1))), most)

    def _due(self, track: Track, wanted: int) -> float:
        """Return when they are decoded. A reader who comes late has kept the engine waiting."""
        each = track.launch.script.seconds_per_token
        said = len(track.log.token_ids)
        if not self._asked:
            self._asked = True
            self._began = max(self._began, asyncio.get_running_loop().time() - said * each)
        return self._began + (said + wanted) * each

    def _ends(self, token: int) -> bool:
        return token in self.spec.stop_token_ids or (token == END_OF_TURN and not self.spec.ignore_end)

    def _deliver(self, track: Track, wanted: int) -> Delta:
        """Hand over the next tokens and end the stream if they end it."""
        self._asked = False
        plan, place = track.places[-1]
        forced, self._forced = self._forced, ()
        if forced:
            ids, logprobs = forced, None
            track.places += [self._play.tracks.after((plan, place), forced)] * wanted
            track.log.forced_tokens += wanted
        else:
            ids = tuple(plan.token(place + n) for n in range(wanted))
            logprobs = self._logprobs([plan.logprob(place + n) for n in range(wanted)])
            track.places += [(plan, place + n + 1) for n in range(wanted)]
        track.log.token_ids += ids
        self._count(track, wanted)
        finish = None
        if not forced and self._ends(ids[-1]):
            finish = Finish.STOP
            self._end(track, End.STOP)
        elif not self._left(track):
            finish = Finish.LENGTH
            self._end(track, End.LENGTH)
        return Delta(ids, logprobs, finish, forced=bool(forced))

    def _logprobs(self, chosen: Sequence[float]) -> tuple[TokenLogprob, ...] | None:
        most = self.spec.logprobs
        return None if most is None else tuple(TokenLogprob(value, spread(value, most)) for value in chosen)

    def _count(self, track: Track, tokens: int, wasted: int = 0) -> None:
        used = track.log.usage
        track.log.usage = replace(
            used,
            generated_tokens=used.generated_tokens + tokens,
            wasted_tokens=used.wasted_tokens + wasted,
        )
        self._play.generated += tokens

    def _end(self, track: Track, end: End) -> None:
        self._closed = True
        track.log.end = end
        track.log.ended = asyncio.get_running_loop().time()
        self._play.cache.add(self.so_far)
        self._play.leave(self)
        self.wake()

    def wake(self) -> None:
        """Look again at what is to be done: something happened."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _pause(self, seconds: float) -> None:
        """Let others run for so many seconds, or until something happens to this stream."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        self._waiter = asyncio.get_running_loop().create_future()
        timer = None
        if seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self.wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
