"""Start jailed processes, read what they say, and end them: blocking, for a worker thread."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, final

from thinkctl.errors import ConfigurationError
from thinkctl.verifiers.sandbox.jail import HOME, Limits, command, plain_command
from thinkctl.verifiers.sandbox.syscalls import filter_for

__all__ = ["Cell", "Ended", "Plan", "Ran", "watch"]

Ended = Literal["exit", "timeout", "output", "memory", "signal", "killed"]

_LOOK: Final = 0.05
"""Seconds between two looks at the memory of all processes together."""
_GONE_AFTER: Final = 2.0
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_CHUNK: Final = 65_536
_SIGNALS: Final = 128
_LAST_WORDS: Final = 500


@final
@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it said.

    ``ended`` is ``exit`` (by itself, with ``exit_code``), ``timeout`` (seconds on the clock or of the processor),
    ``output`` (it said too much), ``memory``, ``signal`` (it crashed; ``exit_code`` is 128 plus the signal) or
    ``killed`` (from outside). ``exit_code`` is ``None`` where the sandbox ended it. ``seconds`` are on the clock.
    All of it is under the program's control: an exit code of 0 proves nothing.
    """

    exit_code: int | None
    stdout: str
    stderr: str
    seconds: float
    ended: Ended
    sandboxed: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What to start: files by their name inside, of which ``main.py`` is run, its stdin, and inherited descriptors."""

    files: Mapping[str, str]
    stdin: str = ""
    args: Sequence[str] = ()
    descriptors: Sequence[int] = ()
    folders: Sequence[tuple[str, str]] = ()


@final
@dataclass(slots=True)
class Cell:
    """One running program with all that it starts."""

    process: subprocess.Popen[bytes]
    began: float
    first: int | None = None
    """A descriptor of the first process of its namespace: when that is gone, all are."""
    first_id: int | None = None
    folder: str | None = None
    said: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})

    @classmethod
    def start(cls, plan: Plan, limits: Limits, bubblewrap: str | None) -> Cell:
        """Start a program; without ``bubblewrap`` it has limits but no walls."""
        with contextlib.ExitStack() as stack:
            stdin = _sealed(plan.stdin.encode("utf-8", "surrogatepass"), stack)
            if bubblewrap is None:
                return cls._plain(plan, limits, stdin)
            data = [
                (_sealed(text.encode("utf-8", "surrogatepass"), stack), f"{HOME}/{name}")
                for name, text in plan.files.items()
            ]
            denied = filter_for()
            seccomp = None if denied is None else _sealed(denied, stack)
            told, info = os.pipe()
            stack.callback(os.close, told)
            with os.fdopen(info, "wb") as info_file:
                arguments = command(
                    bubblewrap,
                    limits,
                    inner=(f"{HOME}/main.py", *plan.args),
                    folders=plan.folders,
                    data=data,
                    seccomp=seccomp,
                    info=info,
                )
                numbers = [number for number, _ in data] + [info, *([seccomp] if seccomp is not None else [])]
                cell = cls(_popen(arguments, stdin, [*numbers, *plan.descriptors], "/"), time.monotonic())
                info_file.close()
            try:
                cell._find_first(told)
            except BaseException:
                cell.end()
                raise
            return cell

    @classmethod
    def _plain(cls, plan: Plan, limits: Limits, stdin: int) -> Cell:
        folder = tempfile.mkdtemp(prefix="thinkctl-")
        try:
            for name, text in plan.files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8", errors="surrogatepass")
            arguments = plain_command(limits, (str(Path(folder, "main.py")), *plan.args))
            process = _popen(arguments, stdin, plan.descriptors, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return cls(process, time.monotonic(), folder=folder)

    def _find_first(self, told: int) -> None:
        """Learn the first process of the namespace from bubblewrap."""
        text = b""
        while not text.rstrip().endswith(b"}"):
            part = os.read(told, _CHUNK)
            if not part:
                _, stderr = self.process.communicate()
                why = stderr.decode("utf-8", "replace").strip()[-_LAST_WORDS:]
                raise ConfigurationError(f"bubblewrap could not make the sandbox: {why}; see thinkctl doctor")
            text += part
        self.first_id = int(json.loads(text)["child-pid"])
        with contextlib.suppress(ProcessLookupError):  # it is over already
            self.first = os.pidfd_open(self.first_id)

    def end(self) -> None:
        """Kill everything that it started, and return when it is gone."""
        if self.first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
            select.select([self.first], [], [])
            os.close(self.first)
            self.first = None
        if self.process.poll() is None:
            self.process.kill()
        if self.folder is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self.folder is not None:
            _await_group(self.process.pid)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def drain(self, most: int) -> None:
        """Read what is left in its pipes, without waiting."""
        for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            while stream is not None and len(self.said[name]) < most:
                part = _read(stream.fileno())
                if not part:
                    break
                self.said[name] += part

    def memory(self) -> int:
        """Return the bytes of memory of all its processes together."""
        top = self.process.pid if self.first_id is None else self.first_id
        return sum(map(_resident, _family(top)))

    def report(self, ended: Ended | None, most: int) -> Ran:
        """Return how it ended; ``ended`` is given where the sandbox ended it."""
        code = self.process.returncode
        code = _SIGNALS - code if code is not None and code < 0 else code
        stdout, stderr = (
            bytes(self.said[name][:most]).decode("utf-8", "replace") for name in ("stdout", "stderr")
        )
        if ended is None:
            if code == _SIGNALS + signal.SIGXCPU:
                ended, code = "timeout", None
            elif code is not None and code > _SIGNALS:
                ended = "signal"
            else:
                ended = "memory" if code and "MemoryError" in stderr[-_LAST_WORDS:] else "exit"
        else:
            code = None
        return Ran(code, stdout, stderr, time.monotonic() - self.began, ended, sandboxed=self.folder is None)


def watch(
    cells: Sequence[Cell], *, seconds: float, output: int, memory: int, switch: int | None = None
) -> list[Ran]:
    """Wait until the first of ``cells`` ends, a limit is reached or ``switch`` can be read; then end all of them.

    ``seconds`` are counted from the start of the first, ``output`` is in bytes for what one program says in all,
    ``memory`` in bytes for all processes of one program.
    """
    why: dict[int, Ended] = {}
    try:
        with selectors.DefaultSelector() as ready, contextlib.ExitStack() as stack:
            if switch is not None:
                ready.register(switch, selectors.EVENT_READ, None)
            for cell in cells:
                for name, stream in (("stdout", cell.process.stdout), ("stderr", cell.process.stderr)):
                    if stream is not None:
                        os.set_blocking(stream.fileno(), False)
                        ready.register(stream, selectors.EVENT_READ, (cell, name))
            ready.register(_exit_of(cells[0], stack), selectors.EVENT_READ, cells[0])
            _pump(cells, ready, why, seconds, output, memory)
    finally:
        for cell in cells:
            cell.drain(output)
            cell.end()
    for cell in cells[1:]:
        why.setdefault(id(cell), "killed")
    return [cell.report(why.get(id(cell)), output) for cell in cells]


def _pump(
    cells: Sequence[Cell],
    ready: selectors.BaseSelector,
    why: dict[int, Ended],
    seconds: float,
    output: int,
    memory: int,
) -> None:
    until = cells[0].began + seconds
    next_look = cells[0].began + _LOOK
    while True:
        now = time.monotonic()
        if now >= until:
            why.setdefault(id(cells[0]), "timeout")
            return
        if now >= next_look:
            next_look = now + _LOOK
            for cell in cells:
                if cell.memory() > memory:
                    why[id(cell)] = "memory"
                    return
        for key, _ in ready.select(min(until, next_look) - now):
            if key.data is None:
                why.update((id(cell), "killed") for cell in cells)
                return
            if isinstance(key.data, Cell):
                cells[0].process.wait()
                return
            cell, name = key.data
            part = _read(key.fd)
            if part == b"":
                ready.unregister(key.fileobj)
            elif part is not None:
                cell.said[name] += part
                if sum(map(len, cell.said.values())) > output:
                    why[id(cell)] = "output"
                    return


def _await_group(group: int) -> None:
    """Wait until the killed processes of a group are gone: they are not our children, nobody tells us."""
    until = time.monotonic() + _GONE_AFTER
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(_LOOK / 10)


def _exit_of(cell: Cell, stack: contextlib.ExitStack) -> int:
    """Return a descriptor that can be read once the process has ended."""
    number = os.pidfd_open(cell.process.pid)
    stack.callback(os.close, number)
    return number


def _read(number: int) -> bytes | None:
    """Return what is there now; nothing at the end, ``None`` where nothing has come yet."""
    try:
        return os.read(number, _CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _popen(
    arguments: Sequence[str], stdin: int, descriptors: Iterable[int], folder: str
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=tuple(descriptors),
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
        start_new_session=True,
    )


def _sealed(content: bytes, stack: contextlib.ExitStack) -> int:
    """Return a descriptor of a file in memory that nobody can change, not even through ``/proc``."""
    number = os.memfd_create("thinkctl", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    stack.callback(os.close, number)
    view = memoryview(content)
    while view:
        view = view[os.write(number, view) :]
    os.lseek(number, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
    fcntl.fcntl(number, fcntl.F_ADD_SEALS, seals)
    return number


def _family(top: int) -> set[int]:
    """Return a process and all that descend from it."""
    found, left = {top}, [top]
    while left:
        process = left.pop()
        for thread in _listed(f"/proc/{process}/task"):
            children = _text(f"/proc/{process}/task/{thread}/children").split()
            new = {int(child) for child in children} - found
            found |= new
            left += new
    return found


def _resident(process: int) -> int:
    """Return the bytes that are its own; pages shared with a parent are counted in part where the kernel tells."""
    numbers = _text(f"/proc/{process}/statm").split()
    return (int(numbers[1]) - int(numbers[2])) * _PAGE if len(numbers) > 2 else 0


def _listed(path: str) -> list[str]:
    try:
        return [entry.name for entry in Path(path).iterdir()]
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
