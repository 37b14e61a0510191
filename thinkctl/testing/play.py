"""What the streams of a scripted engine share: who runs, what was computed, which script comes next."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, final

from thinkctl.testing.script import Launch, Plan, Script
from thinkctl.testing.tokens import END_OF_TURN, ScriptedTokenizer
from thinkctl.testing.tracks import Place, PrefixCache, StreamLog, Track, Tracks
from thinkctl.types import Capabilities, EngineCounters, GenerationSpec

__all__ = ["Play", "Player"]


class Player(Protocol):
    """A stream as the play sees it."""

    prompt: tuple[int, ...]
    spec: GenerationSpec
    admitted: bool

    @property
    def so_far(self) -> tuple[int, ...]:
        """The tokens of the prompt and those delivered, once it runs."""
        ...

    def wake(self) -> None:
        """Look again at what is to be done: something happened."""


@final
class Play:
    """The state of one scripted engine."""

    def __init__(
        self,
        scripts: Sequence[Script | str] | Callable[[int, str], Script | str],
        tokenizer: ScriptedTokenizer,
        caps: Capabilities,
    ) -> None:
        self.caps = caps
        self.tracks = Tracks(tokenizer)
        self.cache = PrefixCache(caps.block)
        self.open: dict[Player, None] = {}
        self.log: list[StreamLog] = []
        self.launched = 0
        self.generated = 0
        self.most_open = 0
        self.dead = ""
        self._scripts = scripts
        self._tokenizer = tokenizer
        self._running = 0
        self._computed = 0
        self._cached = 0

    def counters(self) -> EngineCounters:
        """Return the truth."""
        return EngineCounters(self._computed, self._cached, self.generated, len(self.open))

    def die(self, why: str) -> None:
        """End everything; the first reason stays."""
        self.dead = self.dead or why
        for stream in tuple(self.open):
            stream.wake()

    def enter(self, stream: Player) -> Track:
        """Open a stream: find what it goes on from, or launch the next script."""
        found = self.tracks.continuing(stream.prompt)
        launch, place = found or self._launch(stream.prompt)
        now = asyncio.get_running_loop().time()
        log = StreamLog(stream.prompt, stream.spec, launch.number, found is not None, now)
        track = Track(log, launch, [place])
        self.tracks.add(track)
        self.log.append(track.log)
        self.open[stream] = None
        self.most_open = max(self.most_open, len(self.open))
        return track

    def admit(self) -> None:
        """Let queued streams run while there is room: lowest priority number first, then the oldest."""
        queue = sorted((s for s in self.open if not s.admitted), key=lambda s: s.spec.priority)
        for stream in queue[: max(self.caps.streams - self._running, 0)]:
            self._running += 1
            stream.admitted = True
            stream.wake()

    def leave(self, stream: Player) -> None:
        """Close a stream; another may run in its place."""
        if stream in self.open:
            del self.open[stream]
            self._running -= stream.admitted
            self.admit()

    def prefill(self, prompt: tuple[int, ...]) -> int:
        """Count a prompt and return how many of its tokens were cached: whole blocks, never all of it."""
        for stream in self.open if self.caps.block else ():
            self.cache.add(stream.so_far)
        cached = self.cache.add(prompt)
        self._cached += cached
        self._computed += len(prompt) - cached
        return cached

    def _launch(self, prompt: tuple[int, ...]) -> tuple[Launch, Place]:
        number = self.launched
        self.launched += 1
        if callable(self._scripts):
            told = self._scripts(number, self._tokenizer.decode(prompt))
        else:
            told = self._scripts[number % len(self._scripts)]
        script = Script(told) if isinstance(told, str) else told
        ids = (*self._tokenizer.encode(script.text), *[END_OF_TURN] * script.ends)
        return Launch(number, script), (Plan(script, ids, thought=True), 0)
