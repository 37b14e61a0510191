"""Ask a small script a question, in a process of its own that is killed when it takes too long."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, final

from thinkctl.errors import RequestFailed

__all__ = ["ScriptRun", "ask_script"]

_START_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 0.5
"""How long after its time a script may take to end by itself."""
_LONGEST_OUTPUT: Final = 32_000_000
_KEPT_ENVIRONMENT: Final = ("LD_LIBRARY_PATH",)


async def ask_script(script: Path, asked: Mapping[str, Any], seconds: float) -> Sequence[Mapping[str, Any]]:
    """Return what a script says to one JSON line: JSON lines, of which the first says that it is ready.

    It has ``seconds`` from then on; a reply ``{"late": true}`` is the last where they were not enough. It is killed
    when this is cancelled. As many run at once as there are cores. Raises ``RequestFailed`` if it does not start.
    """
    run = ScriptRun(script)
    try:
        return await asyncio.to_thread(run.ask, asked, seconds)
    finally:
        run.kill()


@cache
def _turns() -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(os.cpu_count() or 1)


@final
@dataclass(slots=True)
class ScriptRun:
    """One script's process. ``kill`` may be called at any time, from any thread."""

    script: Path
    _process: subprocess.Popen[bytes] | None = None
    _killed: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def kill(self) -> None:
        """End the process, or see to it that none begins."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def ask(self, asked: Mapping[str, Any], seconds: float) -> Sequence[Mapping[str, Any]]:
        """Return what the script says; nothing if it was killed before it began."""
        with _turns():
            with self._lock:
                if self._killed:
                    return ()
                self._process = process = self._started()
            starting = threading.Timer(_START_SECONDS, process.kill)
            starting.start()
            try:
                return _conversation(process, asked, seconds, starting)
            finally:
                starting.cancel()
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    with contextlib.suppress(OSError):  # a question that nobody read
                        if pipe is not None:
                            pipe.close()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-W", "ignore", str(self.script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
            cwd="/",
            start_new_session=True,
        )


def _conversation(
    process: subprocess.Popen[bytes], asked: Mapping[str, Any], seconds: float, starting: threading.Timer
) -> Sequence[Mapping[str, Any]]:
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):  # it is gone: reading says so
        process.stdin.write(json.dumps(asked).encode("ascii") + b"\n")
        process.stdin.flush()
    first = process.stdout.readline(_LONGEST_OUTPUT)
    starting.cancel()
    if not first:
        raise RequestFailed("a verifier's process did not start; is the machine short of memory?")
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds + _GRACE_SECONDS, end)
    timer.start()
    try:
        output = process.stdout.read(_LONGEST_OUTPUT)
    finally:
        timer.cancel()
    replies = [json.loads(line) for line in [first, *output.split(b"\n")[:-1]]]  # what broke off says nothing
    return [*replies, {"late": True}] if late.is_set() else replies
