"""Processes that answer questions of algebra, and are killed when they take too long.

Each is a fresh interpreter (``python -m thinkctl.answers.worker``) and neither a fork nor a spawned copy: a fork
copies locks and devices of an engine, and a spawned copy runs the caller's script again unless it is guarded.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias, final

__all__ = ["NEEDS", "Pool", "Reply", "available", "shared"]

NEEDS: Final = "needs thinkctl[math]"
"""Failure of a question when math-verify is not installed: ``pip install 'thinkctl[math]'`` brings it."""

Value: TypeAlias = "bool | str | None"

_WORKERS = 2
_START_SECONDS = 60.0
_MOST_FAILED_STARTS = 3  # one after the other; a library that does not load is not tried for every question
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL")


@final
@dataclass(frozen=True, slots=True)
class Reply:
    """What a worker answered; ``failure`` says why there is no answer: ``timed out``, ``crashed``, or :data:`NEEDS`."""

    value: Value = None
    failure: str | None = None


def available() -> bool:
    """Say whether math-verify is installed, without importing it."""
    return importlib.util.find_spec("math_verify") is not None


def _environment() -> dict[str, str]:
    """Give the worker what it needs to find its libraries, and no secrets."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109
    return {**kept, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _command() -> list[str]:
    return [sys.executable, "-P", "-W", "ignore", "-m", "thinkctl.answers.worker"]


@final
class _Worker:
    """One process. Not thread-safe: the pool hands it to one thread at a time."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )

    @property
    def process_id(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def receive(self, seconds: float) -> Reply:
        """Wait for a line; after ``seconds`` the process is killed, and the line with it."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self._process.kill()

        timer = threading.Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            line = self._process.stdout.readline() if self._process.stdout else b""
        except (OSError, ValueError):  # the pool was closed meanwhile
            line = b""
        finally:
            timer.cancel()
            timer.join()  # afterwards it is certain whether the process was killed
        if late.is_set() or not line.endswith(b"\n"):
            self.end()
            return Reply(failure="timed out" if late.is_set() else "crashed")
        try:
            return Reply(json.loads(line)["value"])
        except (ValueError, KeyError, TypeError):
            self.end()
            return Reply(failure="crashed")

    def ask(self, question: Mapping[str, str], seconds: float) -> Reply:
        """Ask one question; a worker that fails to answer it is gone afterwards."""
        line = json.dumps({**question, "seconds": seconds}) + "\n"
        try:
            if self._process.stdin:
                self._process.stdin.write(line.encode("ascii"))
                self._process.stdin.flush()
        except (OSError, ValueError):
            self.end()
            return Reply(failure="crashed")
        return self.receive(seconds)

    def end(self) -> None:
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                if pipe:
                    pipe.close()
            except OSError:  # what was not sent to a dead process is lost on purpose
                continue
        self._process.wait()


@final
class Pool:
    """At most ``size`` workers, started when they are first needed, and replaced when they had to be killed.

    Thread-safe. A question waits for a free worker for as long as that takes: at most the ``seconds`` of those
    before it, and the start of a worker, about a second.
    """

    def __init__(self, size: int = _WORKERS, command: Callable[[], list[str]] = _command) -> None:
        self._command = command
        self._slots = threading.BoundedSemaphore(size)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._owner = os.getpid()
        self._failed_starts = 0

    def ask(self, question: Mapping[str, str], seconds: float) -> Reply:
        """Answer within ``seconds`` of work, or fail. The start of a worker is not counted as work."""
        with self._slots:
            worker = self._take()
            if isinstance(worker, Reply):
                return worker
            finished = False
            try:
                reply = worker.ask(question, seconds)
                finished = True
            finally:
                self._give_back(worker, usable=finished)
            return reply

    def _take(self) -> _Worker | Reply:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.alive():
                    return worker
                self._forget(worker)
            if self._failed_starts >= _MOST_FAILED_STARTS:
                return Reply(failure="crashed")
            try:
                worker = _Worker(self._command())
            except OSError:  # no interpreter, no memory, no more processes
                self._failed_starts += 1
                return Reply(failure="crashed")
            self._all.add(worker)
        ready = worker.receive(_START_SECONDS)
        with self._lock:
            self._failed_starts = self._failed_starts + 1 if ready.failure else 0
            if ready.failure:
                self._forget(worker)
        return Reply(failure="crashed") if ready.failure else worker

    def _give_back(self, worker: _Worker, *, usable: bool) -> None:
        with self._lock:
            if usable and worker in self._all and worker.alive():
                self._idle.append(worker)
            else:
                self._forget(worker)

    def _forget(self, worker: _Worker) -> None:
        self._all.discard(worker)
        worker.end()

    def processes(self) -> list[int]:
        """List the process ids of all workers."""
        with self._lock:
            return sorted(worker.process_id for worker in self._all)

    def close(self) -> None:
        """Kill all workers. The next question starts new ones. A forked copy of the pool closes nothing."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            self._failed_starts = 0
            self._idle.clear()
            for worker in list(self._all):
                self._forget(worker)


@cache
def _pool_of(_process_id: int) -> Pool:
    pool = Pool()
    atexit.register(pool.close)
    return pool


def shared() -> Pool:
    """Give the pool of this process; a forked process gets its own."""
    return _pool_of(os.getpid())
