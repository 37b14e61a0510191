"""An engine that plays recorded samples: any policy, selector or smaller budget, without a model.

Every new stream on a problem's prompt gets the next sample that was recorded for it, in launch order, and
nothing is decoded that was not recorded: tokens, log-probabilities and ends are those of the recording, and
whatever would need the model is a ``RequestFailed`` that says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, final

from thinkctl.engines.recording import Recording
from thinkctl.engines.tapes import Tape, Vocabulary, not_recorded
from thinkctl.errors import ConfigurationError, ContextExceeded, EngineUnavailable, RequestFailed
from thinkctl.runfile import Recorded, is_run_file, read, read_header, read_pool
from thinkctl.types import (
    Capabilities,
    Delta,
    EngineCounters,
    Finish,
    GenerationSpec,
    ModelCard,
    Run,
    StreamUsage,
    TokenLogprob,
)

__all__ = ["ReplayEngine"]

_STREAMS: Final = 1 << 20
_BATCH: Final = 32
"""Tokens per delta where time does not matter: as often as a controller decides by default."""
_TURNS: Final = 8
"""Turns of the event loop in which a stream may be closed before it goes beyond the recording."""


@final
class ReplayEngine:
    r"""Plays runs, or the samples of pools, in launch order.

    Each new stream on a problem's prompt plays the problem's next sample; those of several runs of one problem
    follow each other. When they are used up the request fails; ``reset()`` begins again with the first. A
    prompt that goes on with tokens of a sample goes on exactly there; forced text after them is in the
    recording only where the same text was forced then. What is drawn (temperature, seed) is what was recorded,
    whatever is asked.

    A probe is played again where the same text is forced after the same tokens.

    A sample ends as it did: ``STOP``, or ``LENGTH`` where it was truncated or its thought was closed by force.
    One that was cut or failed has no end, and going on there fails. Pools have no text, so a pool's sample is
    empty tokens and then ``\boxed{answer}`` as the last; their prompts are estimates, and so is their usage.

    Args:
        recordings: Runs, or a pool.
        card: The model; of runs without one only the name is known.
        model: Of runs of several models, the one to replay.
        pace: Take as many seconds as the recording did, by the event loop's clock; else none.
        tokens_per_delta: How many tokens come at once; 1 with ``pace``, else 32.

    Raises:
        ConfigurationError: for recordings without samples, or of several models if none was chosen.
    """

    def __init__(
        self,
        recordings: Iterable[Run | Recorded],
        *,
        card: ModelCard | None = None,
        model: str | None = None,
        pace: bool = False,
        tokens_per_delta: int | None = None,
    ) -> None:
        if tokens_per_delta is not None and tokens_per_delta < 1:
            raise ConfigurationError(
                f"tokens_per_delta={tokens_per_delta}; a delta brings at least one token"
            )
        recordings = list(recordings)
        model = _choose(_models_of(recordings), card, model)
        self._card: Final = card or ModelCard(name=model or "recorded")
        self._recording: Final = Recording(recordings, self._card, model)
        self._caps: Final = Capabilities(
            logprobs=_logprobs_of(self._recording.tapes),
            probe_logprobs=_logprobs_of(self._recording.probes),
            streams=_STREAMS,
            scores=False,
        )
        self._pace: Final = pace
        self._batch: Final = tokens_per_delta or (1 if pace else _BATCH)
        self._open: Final[set[_Playback]] = set()
        self._prompt_tokens = 0
        self._generated_tokens = 0
        self._closed = False

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        card: ModelCard | None = None,
        model: str | None = None,
        pace: bool = False,
        tokens_per_delta: int | None = None,
    ) -> Self:
        """Play a run file or a pool, whichever it is; the card is that of the file's header unless given.

        Raises ``RunFileError`` for a file that is broken or neither.
        """
        path = Path(path)
        recordings: list[Run | Recorded]
        if is_run_file(path):
            recordings = list(read(path))
            found = read_header(path).card
            if (
                model is None
                or len(_models_of(recordings)) == 1
                or (found is not None and found.name == model)
            ):
                card = card or found
        else:
            recordings = list(read_pool(path))
            card = card or ModelCard(name=path.name.partition(".")[0])
        return cls(recordings, card=card, model=model, pace=pace, tokens_per_delta=tokens_per_delta)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    @property
    def caps(self) -> Capabilities:
        """What this engine honours; log-probabilities as many as every recorded token has."""
        return self._caps

    @property
    def tokenizer(self) -> Vocabulary:
        """The recording's own tokenizer: one id for each recorded token, and words for other texts."""
        return self._recording.vocabulary

    def reset(self) -> None:
        """Begin again with the first sample of every problem. Streams in progress and counters go on."""
        self._recording.rewind()

    async def start(self) -> None:
        """Do nothing: the recording was read when the engine was made. Raises if it was closed since."""
        self._check_open()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineUnavailable("the replay engine was closed; make a new one")

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> _Playback:
        """Play what comes after ``prompt``. Which sample that is, is settled by the order of these calls."""
        if spec.max_tokens < 1:
            raise ConfigurationError(f"max_tokens={spec.max_tokens}; a generation needs room for one token")
        context = self._card.context
        if context is not None and len(prompt) + spec.max_tokens > context:
            raise ContextExceeded(
                f"prompt of {len(prompt)} and max_tokens={spec.max_tokens} do not fit the context {context}; "
                "ask for fewer tokens"
            )
        try:
            chat, path = self._recording.vocabulary.find(prompt)
            tape, place = chat.take(path)
        except RequestFailed as error:
            return _Playback(self, len(prompt), spec, error)
        estimated = chat.estimated or tape.estimated
        return _Playback(self, len(prompt), spec, (tape, place), estimated=estimated)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        """Raise ``RequestFailed``: next-token scores are not recorded."""
        raise RequestFailed("not recorded: scores of next tokens; take a verifier that reads the samples")

    async def counters(self) -> EngineCounters:
        """Return what was played since the engine was made."""
        return EngineCounters(self._prompt_tokens, 0, self._generated_tokens, len(self._open))

    async def aclose(self) -> None:
        """Shut down; streams in progress end with ``EngineUnavailable``. May be called again."""
        self._closed = True
        for stream in tuple(self._open):
            stream.wake()


@final
class _Playback:
    """One stream. One task reads it; another may close it."""

    def __init__(
        self,
        engine: ReplayEngine,
        prompt_tokens: int,
        spec: GenerationSpec,
        found: tuple[Tape, int] | RequestFailed,
        *,
        estimated: bool = False,
    ) -> None:
        self._engine = engine
        self._spec = spec
        self._found = found
        self._prompt_tokens = prompt_tokens
        self._estimated = estimated
        self._given = 0
        self._began: float | None = None
        self._ended = False
        self._sleeper: asyncio.Future[None] | None = None

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        self._check()
        if isinstance(self._found, RequestFailed):
            self._end()
            raise self._found
        tape, start = self._found
        place = start + self._given
        until = tape.until(place)
        if place == until and not (tape.tokens == tape.lead and tape.ends_at(place)):
            return await self._go_beyond(tape, place)
        stop = min(tape.burst(min(place + self._engine._batch, until)), until, start + self._spec.max_tokens)
        named = {token - tape.first + 1 for token in self._spec.stop_token_ids}
        stop = min([stop, *(end for end in named if end > place)])
        await self._wait_until(self._begin() + (stop - start) * tape.seconds_per_token)
        self._check()
        self._given += stop - place
        self._engine._generated_tokens += stop - place
        finish = Finish.STOP if stop in named else self._finish(tape, stop)
        if finish is not None:
            self._end()
        return Delta(tape.ids(place, stop), self._logprobs(tape, place, stop), finish)

    async def _go_beyond(self, tape: Tape, place: int) -> Delta:
        """End where the recording ends, but not the model: its thought was closed, or it was cut or failed.

        Whoever closed or cut it then has had the time to do so again.
        """
        if self._given:
            await self._wait_until(self._begin() + (self._given + 1) * tape.seconds_per_token)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            self._check()
        self._end()
        if self._given and place < tape.tokens:
            return Delta((), finish=Finish.LENGTH)
        raise _beyond(tape, place)

    def _check(self) -> None:
        """Raise what ends the reading now, if anything does."""
        if self._ended:
            raise StopAsyncIteration
        if self._engine._closed:
            self._end()
            self._engine._check_open()

    async def close(self) -> StreamUsage:
        """Stop now and return what was used: what was delivered, for nothing else was played."""
        self._end()
        self.wake()
        if self._began is None:
            return StreamUsage()
        return StreamUsage(self._prompt_tokens, 0, self._given, 0, self._estimated)

    async def force(self, token_ids: Sequence[int]) -> bool:
        """Return ``False``: close the stream and continue with the text, which may be in the recording."""
        return False

    def wake(self) -> None:
        """Let a reader that waits look again."""
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

    def _begin(self) -> float:
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
            self._engine._open.add(self)
            self._engine._prompt_tokens += self._prompt_tokens
        return self._began

    def _end(self) -> None:
        self._ended = True
        self._engine._open.discard(self)

    def _finish(self, tape: Tape, stop: int) -> Finish | None:
        finish = tape.ends_at(stop)
        if finish is Finish.STOP and not self._spec.ignore_end:
            return finish
        return Finish.LENGTH if finish is Finish.LENGTH or self._given == self._spec.max_tokens else None

    def _logprobs(self, tape: Tape, start: int, stop: int) -> tuple[TokenLogprob, ...] | None:
        """Return what was recorded, no more alternatives than were asked for; all tokens of a delta or none."""
        most = self._spec.logprobs
        if most is None or tape.logprobs is None:
            return None
        found = [logprob for logprob in tape.logprobs[start:stop] if logprob is not None]
        if len(found) < stop - start:
            return None
        return tuple(
            logprob if len(logprob.top) <= most else TokenLogprob(logprob.sampled, logprob.top[:most])
            for logprob in found
        )

    async def _wait_until(self, due: float) -> None:
        """Let others run, with ``pace`` until the token was there in the recording."""
        loop = asyncio.get_running_loop()
        if not self._engine._pace or due <= loop.time():
            await asyncio.sleep(0)
            return
        self._sleeper = loop.create_future()
        timer = loop.call_at(due, self.wake)
        try:
            await self._sleeper
        finally:
            self._sleeper = None
            timer.cancel()


def _beyond(tape: Tape, place: int) -> RequestFailed:
    if tape.finish is Finish.ERROR:
        return RequestFailed(f"{tape.name} failed after {place} tokens when it was recorded: {tape.error}")
    cut = " (it was cut there)" if tape.finish is Finish.CUT and place == tape.tokens else ""
    return not_recorded(f"token {place} of {tape.name}{cut}")


def _models_of(recordings: Iterable[Run | Recorded]) -> list[str]:
    """Return the models of all samples, in the order they first appear."""
    runs = (recorded for recorded in recordings if isinstance(recorded, Run))
    return list(dict.fromkeys(sample.model for run in runs for sample in run.samples))


def _choose(models: list[str], card: ModelCard | None, model: str | None) -> str | None:
    """Return the model to replay; ``None`` for pools."""
    if model is None and card is not None and card.name in models:
        model = card.name
    if model is None and len(models) > 1:
        known = ", ".join(map(repr, models))
        raise ConfigurationError(
            f"the recording has samples of the models {known}; choose one with model=..."
        )
    return models[0] if model is None and models else model


def _logprobs_of(tapes: Iterable[Tape]) -> int:
    """Return how many alternatives every token has that the model said; -1: some have no log-probability."""
    least: int | None = None
    for tape in tapes:
        forced = {place for start, stop in [(0, tape.lead), *tape.closings] for place in range(start, stop)}
        if tape.tokens > len(forced) and tape.logprobs is None:
            return -1
        for place, logprob in enumerate(tape.logprobs or ()):
            if logprob is None and place not in forced:
                return -1
            if logprob is not None:
                least = len(logprob.top) if least is None else min(least, len(logprob.top))
    return -1 if least is None else least
