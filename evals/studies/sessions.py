"""What engines did each time a study had them open, and what of it is in no record: ``sessions.jsonl``.

A session writes a line when it begins, when a run ends, now and then meanwhile, and when it ends; the last line of a
session counts. So a session that was killed has told what it had generated until a few seconds before.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from thinkctl.evals.studies.energy import EnergyMeter
from thinkctl.protocols import Engine, Stream, Tokenizer
from thinkctl.types import Capabilities, Delta, EngineCounters, GenerationSpec, ModelCard, StreamUsage

__all__ = ["Lost", "Session", "lost", "read_sessions"]

_NAME: Final = "sessions.jsonl"
_SECONDS_BETWEEN_LINES: Final = 5.0


@final
class Session:
    """What the engines of a group of models do while they are open. ``clock`` tells seconds.

    ``generated`` are the tokens that the engines have generated, those of unfinished runs included; ``tokens`` are
    those of the runs that have ended and are recorded. ``tick`` is called every few seconds while tokens come.
    """

    def __init__(
        self,
        folder: Path,
        models: Sequence[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path, self._models, self._clock = folder / _NAME, tuple(models), clock
        self._id: Final = uuid.uuid4().hex
        self.tick: Callable[[], None] | None = None
        self._meter = EnergyMeter()
        self._began = self._wrote = clock()
        self.generated, self.tokens, self.runs, self.under_way = 0, 0, 0, 0
        _mend(self._path)
        self._write(ended=False)

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return self._clock() - self._began

    def counted(self, engine: Engine) -> Engine:
        """Return an engine whose tokens are counted here."""
        return _Counted(engine, self)

    def began_run(self) -> None:
        """Take note that a run is under way."""
        self.under_way += 1

    def ended_run(self, tokens: int) -> None:
        """Take note that a run that was under way is recorded, with the tokens on its bill."""
        self.under_way -= 1
        self.runs += 1
        self.tokens += tokens
        self._write(ended=False)

    def count(self, tokens: int) -> None:
        """Take note of generated tokens."""
        self.generated += tokens
        if self._clock() - self._wrote >= _SECONDS_BETWEEN_LINES:
            self._write(ended=False)
            if self.tick is not None:
                self.tick()

    def end(self) -> None:
        """Write the last line, and leave only the last line of each session."""
        self._write(ended=True)
        draft = self._path.with_name(f".{_NAME}")
        rows = read_sessions(self._path.parent)
        draft.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        draft.replace(self._path)

    def _write(self, *, ended: bool) -> None:
        self._wrote = self._clock()
        row = {
            "id": self._id,
            "models": list(self._models),
            "runs": self.runs,
            "generated_tokens": self.tokens,
            "seconds": round(self.seconds, 3),
            "joules": self._meter.joules(),
            "energy_source": self._meter.source,
            "ended": ended,
            "cut_off": self.under_way,
            "lost_tokens": max(0, self.generated - self.tokens),
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _mend(path: Path) -> None:
    """End a line that was torn, so that the next one stands by itself."""
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            file.write(b"\n")


@final
class _Counted:
    """An engine that tells a session what it generates."""

    def __init__(self, engine: Engine, session: Session) -> None:
        self._engine, self._session = engine, session

    @property
    def card(self) -> ModelCard:
        return self._engine.card

    @property
    def caps(self) -> Capabilities:
        return self._engine.caps

    @property
    def tokenizer(self) -> Tokenizer:
        return self._engine.tokenizer

    async def start(self) -> None:
        await self._engine.start()

    def stream(self, prompt: Sequence[int], spec: GenerationSpec) -> Stream:
        return _CountedStream(self._engine.stream(prompt, spec), self._session)

    async def score(self, prompt: Sequence[int], token_ids: Sequence[int]) -> Mapping[int, float]:
        found = await self._engine.score(prompt, token_ids)
        self._session.count(1)
        return found

    async def counters(self) -> EngineCounters:
        return await self._engine.counters()

    async def aclose(self) -> None:
        await self._engine.aclose()


@final
class _CountedStream:
    """A stream whose tokens are counted as they come, and set right by what it says when it is closed."""

    def __init__(self, inner: Stream, session: Session) -> None:
        self._inner, self._session = inner, session
        self._deltas = aiter(inner)
        self._counted = 0

    def __aiter__(self) -> AsyncIterator[Delta]:
        return self

    async def __anext__(self) -> Delta:
        delta = await anext(self._deltas)
        self._count(self._counted + len(delta.token_ids))
        return delta

    async def force(self, token_ids: Sequence[int]) -> bool:
        return await self._inner.force(token_ids)

    async def close(self) -> StreamUsage:
        used = await self._inner.close()
        self._count(used.generated_tokens)
        return used

    def _count(self, tokens: int) -> None:
        self._session.count(tokens - self._counted)
        self._counted = tokens


def read_sessions(folder: Path) -> list[dict[str, Any]]:
    """Return the last line of each session, in the order in which they began; torn lines are left out."""
    path = folder / _NAME
    rows: dict[str, dict[str, Any]] = {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "models" in row:
            rows[str(row.get("id", number))] = row
    return list(rows.values())


@final
@dataclass(frozen=True, slots=True)
class Lost:
    """What was generated for a study and is in no record: runs that were cut off are run again from their beginning.

    ``runs`` were under way when a session ended; ``tokens`` had been generated for them. ``killed`` sessions did not
    end by themselves: what they generated in their last seconds is not counted.
    """

    runs: int
    tokens: int
    killed: int

    def in_words(self) -> str:
        """Say it in a sentence; empty where nothing was lost."""
        if not self.runs and not self.tokens:
            return ""
        runs = f"{self.runs:,} run{' was' if self.runs == 1 else 's were'} cut off and run again from the beginning"
        least = "at least " if self.killed else ""
        return f"{runs}; {least}{self.tokens:,} tokens that were generated for them are in no result."


def lost(folder: Path) -> Lost:
    """Return what the sessions in a study's folder generated in vain."""
    rows = read_sessions(folder)
    return Lost(
        sum(int(row.get("cut_off", 0)) for row in rows),
        sum(int(row.get("lost_tokens", 0)) for row in rows),
        sum(not row.get("ended", True) for row in rows),
    )
