"""The thread that owns the lock-step engine: whatever touches vLLM happens there, one thing after the other."""

from __future__ import annotations

import asyncio
import os
import queue
import time
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, TypeVar, final
from weakref import ref

from thinkctl.engines.owner import Owner
from thinkctl.engines.vllm._settings import Facts, Settings, bring, first_draws, quietly
from thinkctl.engines.vllm._stream import Settled, settled_from
from thinkctl.engines.vllm._tally import Tally
from thinkctl.errors import ConfigurationError, EngineUnavailable, RequestFailed, ThinkctlError
from thinkctl.types import EngineCounters

if TYPE_CHECKING:
    from thinkctl.engines.vllm._stream import BaseStream

__all__ = ["Barrier"]

_TURNS: Final = 16
"""Turns that an event loop gets before a step, so that what the last step set off has been set off."""

T = TypeVar("T")


@final
class _Member:
    """A stream that has begun. ``since`` is when it last began or ceased to wait (monotonic seconds)."""

    __slots__ = ("loop", "request_id", "score", "since", "spec", "stream", "waits")

    def __init__(self, stream: BaseStream, loop: asyncio.AbstractEventLoop, request_id: str) -> None:
        self.stream, self.loop = ref(stream), loop
        self.spec, self.score = stream.spec, stream.score
        self.request_id = request_id
        self.waits = False
        self.since = time.monotonic()

    def turn(self, *, waits: bool) -> None:
        self.waits, self.since = waits, time.monotonic()


@final
class Barrier(Owner[tuple[ModuleType, Facts]]):
    """Steps the engine when every member waits, and runs what is submitted between steps.

    A member that has not waited for ``patience`` seconds is left out until it waits again. Members are known
    weakly: a stream that was dropped is aborted.
    """

    def __init__(self, settings: Settings, patience: float) -> None:
        super().__init__("thinkctl-vllm-lockstep")
        self._settings = settings
        self._patience = patience
        self._members: dict[str, _Member] = {}
        self._changes = 0  # of what streams there are and which of them wait
        self._adapter: Any = None
        self._config: Any = None
        self._llm: Any = None
        self._tally = Tally()
        self._steerable = False

    # ----------------------------------------------------------------------- called from any other thread
    def note(self, key: str, *, waits: bool) -> None:
        """Say that a stream waits for its next token, or no longer does."""

        def turn() -> None:
            if (member := self._members.get(key)) is not None:
                member.turn(waits=waits)
                self._changes += 1

        self._inbox.put(turn)

    def drop(self, key: str) -> None:
        """Abort a stream that nobody can read any more."""
        self._inbox.put(lambda: self._abort_all(lambda other, _: other == key))

    # --------------------------------------------------------------------------- what may be submitted
    def add(self, stream: BaseStream, loop: asyncio.AbstractEventLoop) -> None:
        """Send a request. Raises ``RequestFailed`` if vLLM refuses it."""
        adapter = self._adapter
        try:
            request_id = self._llm.add_request(
                stream.key,
                adapter.prompt(stream.prompt),
                adapter.sampling(stream.spec, stream.key if self._steerable else None, stream.score),
                priority=stream.spec.priority,
            )
        except Exception as error:
            raise RequestFailed(f"vLLM refused the request: {error}") from error
        self._members[stream.key] = _Member(stream, loop, request_id)
        self._changes += 1

    def abort(self, key: str, arrived: int) -> Settled | None:
        """Stop a stream; return what was decoded, ``None`` if it was never scheduled."""
        if (member := self._members.pop(key, None)) is not None:
            self._llm.abort_request([member.request_id], internal=True)
            self._changes += 1
        if not self._steerable:
            return arrived, None  # between two steps nothing is in flight
        settled = settled_from(self.ask("thinkctl_settle", [key]), key)
        if settled is not None and settled[0] == 0:
            self._tally.barren += 1
        return settled

    def force(self, key: str, token_ids: list[int]) -> int | None:
        """Have tokens forced; return the index of the first, ``None`` for a stream that is not here."""
        answers = self.ask("thinkctl_force", key, token_ids) if key in self._members else []
        return next((answer for answer in answers if answer is not None), None)

    def ask(self, method: str, *arguments: Any) -> list[Any]:
        """Call a method of every worker."""
        return self._llm.collective_rpc(method, args=arguments)

    def counters(self) -> EngineCounters:
        """Return the scheduler's counts."""
        again = self._tally.preempted and self._steerable and max(self.ask("thinkctl_again"))
        return self._tally.counters(self._adapter.unfinished(self._llm), int(again))

    def rewind(self, seed: int) -> None:
        """Start the random numbers anew and empty the prefix cache."""
        if self._members or not self._llm.reset_prefix_cache():
            raise ConfigurationError("streams are running; close them before rewinding")
        if self._steerable:
            self.ask("thinkctl_seed", seed)

    # -------------------------------------------------------------------------------------- the thread
    def _run(self) -> None:
        try:
            self._loaded.set_result(self._load())
            while not self._dead:
                self._obey()
                delay = self._time_to_step()
                if delay != 0:
                    self._obey(delay)
                elif self._quiet() and not self._dead:
                    self._step()
        except Exception as error:  # noqa: BLE001 - a worker's failure of any kind is the engine's end
            why = str(error) if isinstance(error, ThinkctlError) else f"the vLLM engine died: {error!r}"
            if not self._loaded.done():
                self._loaded.set_exception(error)
            self._end(why)
        else:
            self._end(self._dead)

    def _load(self) -> tuple[ModuleType, Facts]:
        with quietly():
            adapter = self._adapter = bring()
            config, facts = adapter.configure(self._settings, lockstep=True)
            self._config = config
            try:
                # In no local variable: frames outlive their calls, and would keep the engine.
                self._llm = adapter.open_lockstep(config, self._tally)
            except Exception as error:
                raise EngineUnavailable(
                    f"vLLM {facts.version} could not load {self._settings.model}: {error}"
                ) from error
        self._steerable = facts.steerable
        if facts.steerable and not all(self.ask("thinkctl_attach", os.getpid())):
            raise ConfigurationError(f"vLLM {facts.version} did not load thinkctl's logits processor")
        for place, spec in enumerate(first_draws(facts)):
            self._llm.add_request(f"first-{place}", adapter.prompt([0]), adapter.sampling(spec, None))
        while self._llm.has_unfinished_requests():
            self._llm.step()
        self.rewind(self._settings.seed)
        self._tally.reset()
        return adapter, facts

    def _time_to_step(self) -> float | None:
        """Return seconds until a step is due: 0 when all wait, ``None`` while nobody does."""
        if not any(member.waits for member in self._members.values()):
            return None
        now = time.monotonic()
        due = (member.since + self._patience for member in self._members.values() if not member.waits)
        return max(0.0, max(due, default=now) - now)

    def _quiet(self) -> bool:
        """Let each event loop run what is ready; say whether a step is due all the same.

        Streams that begin together are added one after the other: without this the first would be stepped alone.
        Calls that concern no stream, however many, do not put off a step.
        """
        pings = answers = 0
        before = self._changes

        def pong() -> None:
            nonlocal answers
            answers += 1

        def ping(loop: asyncio.AbstractEventLoop, turns: int) -> None:
            if turns:
                loop.call_soon(ping, loop, turns - 1)
            else:
                self._inbox.put(pong)

        for loop in {member.loop for member in self._members.values() if member.waits}:
            pings += self._tell(loop, ping, loop, _TURNS)
        end = time.monotonic() + self._patience
        while answers < pings and (left := end - time.monotonic()) > 0:
            try:
                task = self._inbox.get(timeout=left)
            except queue.Empty:
                break  # a loop that is blocked holds up nobody for ever
            task()
        return self._changes == before and self._time_to_step() == 0

    def _step(self) -> None:
        for output in self._llm.step():
            member = self._members.get(output.request_id)
            if member is None:
                continue
            piece = self._adapter.piece(output, member.spec.logprobs)
            if member.waits:  # one that was left out stays so
                member.turn(waits=False)
            if piece.finish is not None or piece.error:
                del self._members[output.request_id]
            if (stream := member.stream()) is not None:
                if member.score is not None and not self._steerable:
                    stream.scored = self._adapter.scores_of(output, member.score)
                self._tell(member.loop, _hand_over, stream, piece)

    def _tell(self, loop: asyncio.AbstractEventLoop, *call: Any) -> bool:
        """Call something in an event loop. If it was closed, nobody can wait in it: abort its streams."""
        try:
            loop.call_soon_threadsafe(*call)
        except RuntimeError:
            self._abort_all(lambda _, member: member.loop is loop)
            return False
        return True

    def _abort_all(self, which: Callable[[str, _Member], bool]) -> None:
        for key in [key for key, member in self._members.items() if which(key, member)]:
            self.abort(key, 0)

    def _end(self, why: str) -> None:
        with self._guard:
            self._dead = self._dead or why
        for member in list(self._members.values()):
            if (stream := member.stream()) is not None and not member.loop.is_closed():
                member.loop.call_soon_threadsafe(stream.fail, EngineUnavailable(self._dead))
        self._members.clear()
        self._obey()
        if self._config is not None:
            llm, self._llm = self._llm, None
            self._adapter.shut_lockstep(self._config, llm)


def _hand_over(stream: BaseStream, piece: Any) -> None:
    stream.arrive(piece)
    stream._wake()
