"""What runs inside vLLM's worker: count each stream's tokens where they are made, and make it emit given ones.

The worker imports this module by name, so it belongs to the leaf that may import vLLM. It is written for
vLLM's first model runner, whose logits processors see every request's *live* list of output ids: that list
is the exact count of tokens decoded for a stream, including those that an abort kept from being delivered.
The second runner (vLLM's default on CUDA where Triton is installed) hands its processors no such list, so
nothing here is registered there and the driver falls back to an estimate.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any, Final

import torch
from vllm.v1.sample.logits_processor import BatchUpdate, LogitsProcessor, MoveDirectionality

__all__ = ["KEY", "SCORE", "Steering", "WorkerExtension"]

KEY: Final = "thinkctl_key"
"""Name of the extra argument of a request that says under which key the worker shall watch it."""

SCORE: Final = "thinkctl_score"
"""Name of the extra argument with the token ids whose log-probabilities the worker shall keep."""

_LOOK_FOR_PARENT: Final = 1.0
"""Seconds between two looks whether the parent process is still there."""

_REMEMBERED: Final = 4096
"""Streams after which the oldest that left the batch are forgotten. Those that ended by themselves are never
asked for."""


class _Watched:
    """One stream in the worker. ``slot`` is its row in the batch, ``None`` while it has none."""

    __slots__ = ("cached", "count", "forced", "key", "output", "owner", "score", "scores", "slot", "start")

    def __init__(self, key: str, score: list[int] | None) -> None:
        self.key = key
        self.owner: Steering | None = None
        self.slot: int | None = None
        self.output: list[int] | None = None
        self.count = 0
        self.cached: int | None = None
        self.start = 0
        self.forced: list[int] = []
        self.score = score
        self.scores: list[float] = []

    @property
    def computed(self) -> int:
        """Tokens decoded so far."""
        return self.count if self.output is None else len(self.output)


_watched: dict[str, _Watched] = {}
"""By key, oldest first. Keys are unique over all engines of a process, so one table serves them all."""

_active: dict[str, _Watched] = {}
"""Those whose logits must be touched: forced ones and scored ones. Empty nearly always."""


def _forget(key: str) -> _Watched | None:
    _active.pop(key, None)
    return _watched.pop(key, None)


class Steering(LogitsProcessor):
    """Watches the batch and, where a stream is forced, leaves its logits only one finite value."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        self._rows: dict[int, _Watched] = {}
        self._batch: Any = None
        self._discarded: Any = None
        self.again = 0

    def attach(self, runner: Any) -> None:
        """Take note of what the model runner knows of its batch beyond what processors are told."""
        self._batch = runner.input_batch
        self._discarded = getattr(getattr(runner, "discard_request_mask", None), "np", None)

    def is_argmax_invariant(self) -> bool:
        """Say no: forcing changes the argmax, and a processor that says yes is skipped for greedy requests."""
        return False

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests as they enter, leave and move rows. Order as vLLM prescribes it."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self._leave(row)
        fresh: list[_Watched] = []
        for row, params, _prompt, output in batch_update.added:
            self._leave(row)  # an added request may take the row of one that is not reported as removed
            arguments = params.extra_args or {}
            if (key := arguments.get(KEY)) is not None:
                fresh.append(self._enter(row, key, output, arguments.get(SCORE)))
        for one, other, direction in batch_update.moved:
            mover, occupant = self._rows.pop(one, None), self._rows.pop(other, None)
            if direction == MoveDirectionality.SWAP:
                self._place(one, occupant)
            elif occupant is not None:
                self._retire(occupant)
            self._place(other, mover)
        for watched in fresh:
            self._note_cached(watched)

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        """Force the next token of those that are to be forced; keep the scores of those to be scored."""
        if self._discarded is not None and self._discarded[: len(logits)].any():
            self._note_again(len(logits))
        if not _active:
            return logits
        for watched in list(_active.values()):  # a copy: engines in other threads share the table
            if watched.owner is not self or watched.slot is None:
                continue
            row = logits[watched.slot]
            if watched.score is not None:
                watched.scores = torch.log_softmax(row.float(), dim=-1)[watched.score].tolist()
            position = watched.computed - watched.start
            if 0 <= position < len(watched.forced):
                row.fill_(float("-inf"))
                row[watched.forced[position]] = 0.0
            elif watched.score is None and position >= len(watched.forced):
                del _active[watched.key]
        return logits

    def _enter(self, row: int, key: str, output: list[int], score: list[int] | None) -> _Watched:
        watched = _watched.get(key)
        if watched is None:
            watched = _watched[key] = _Watched(key, score)
            if score is not None:
                _active[key] = watched
            self._drop_oldest()
        watched.owner = self
        watched.output = output  # a request that was preempted comes back with its tokens
        self._place(row, watched)
        return watched

    def _place(self, row: int, watched: _Watched | None) -> None:
        if watched is not None:
            self._rows[row] = watched
            watched.slot = row

    def _leave(self, row: int) -> None:
        watched = self._rows.pop(row, None)
        if watched is not None and watched.slot == row:
            self._retire(watched)

    @staticmethod
    def _retire(watched: _Watched) -> None:
        watched.count, watched.output, watched.slot = watched.computed, None, None

    @staticmethod
    def _drop_oldest() -> None:
        if len(_watched) > _REMEMBERED:
            gone = [key for key, watched in list(_watched.items()) if watched.slot is None]
            for key in gone[: _REMEMBERED // 2]:  # half of them, so that it is seldom done
                _forget(key)

    def _note_cached(self, watched: _Watched) -> None:
        """Keep how much of the prompt was cached: a stream that dies before its first token never tells."""
        counts = getattr(self._batch, "num_computed_tokens_cpu", None)
        if watched.cached is None and counts is not None and watched.slot is not None:
            watched.cached = int(counts[watched.slot])

    def _note_again(self, rows: int) -> None:
        """Count streams that were preempted and whose tokens are still being computed again: no token comes of it."""
        for row in self._discarded[:rows].nonzero()[0].tolist():
            watched = self._rows.get(row)
            self.again += watched is not None and watched.computed > 0


def _end_with_parent(parent: int) -> None:
    """End this process when its parent is gone, however that went: vLLM's would go on decoding for nobody."""
    while os.getppid() == parent:
        time.sleep(_LOOK_FOR_PARENT)
    os._exit(1)


class WorkerExtension:
    """Calls that the drivers make by ``collective_rpc``. vLLM mixes this class into its worker."""

    model_runner: Any

    def thinkctl_attach(self, owner: int) -> bool:
        """Give the processor its runner; say whether there is a processor at all.

        ``owner`` is the process that drives the engine. A worker in another one ends when its parent has.
        """
        if os.getpid() != owner:
            threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
        found = self._thinkctl_processors()
        for processor in found:
            processor.attach(self.model_runner)
        return bool(found)

    def thinkctl_again(self) -> int:
        """Return how often a preempted stream was computed for and no token came of it."""
        return sum(processor.again for processor in self._thinkctl_processors())

    def _thinkctl_processors(self) -> list[Steering]:
        processors = getattr(self.model_runner.input_batch, "logitsprocs", None)
        return [item for item in getattr(processors, "all", ()) if isinstance(item, Steering)]

    def thinkctl_settle(self, keys: list[str]) -> dict[str, list[int | None]]:
        """Return (tokens decoded, prompt tokens cached) of streams that were aborted, and forget them.

        A key that is missing in the answer was never scheduled.
        """
        gone = {key: _forget(key) for key in keys}
        return {
            key: [watched.computed, watched.cached] for key, watched in gone.items() if watched is not None
        }

    def thinkctl_force(self, key: str, token_ids: list[int]) -> int | None:
        """Make a stream emit these tokens; return the index of the first, or ``None`` if it is not here."""
        watched = _watched.get(key)
        if watched is None:
            return None
        end = watched.start + len(watched.forced)
        if watched.forced and watched.computed < end:
            watched.forced = [*watched.forced, *token_ids]
        else:
            end, watched.start, watched.forced = watched.computed, watched.computed, list(token_ids)
        _active[key] = watched
        return end

    def thinkctl_scores(self, key: str) -> list[float]:
        """Return the log-probabilities kept for a scored stream, and forget it."""
        watched = _forget(key)
        return [] if watched is None else watched.scores

    def thinkctl_seed(self, seed: int) -> None:
        """Start the worker's random numbers anew."""
        torch.manual_seed(seed)
