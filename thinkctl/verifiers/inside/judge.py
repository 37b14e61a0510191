"""The process that runs the tests. It never runs model-written code: it has only values of it."""

from __future__ import annotations

import ast
import builtins
import collections
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any, cast

from thinkctl.verifiers.inside.values import Opaque, decode, encode, receive, send

__all__ = ["main"]

_FILE = "<test>"
_LONGEST_SOURCE = 300
_LONGEST_VALUE = 200
_MOST_CALLS = 3
_OURS = frozenset(dir(builtins)) | sys.stdlib_module_names
"""Names that a test means as Python does: code that defines an ``abs`` of its own must not measure itself with it."""


_ENDS = (AssertionError, StopIteration, StopAsyncIteration)
"""Errors that would end a loop of the test, or look like its own finding; so would those that end a process."""


class _Late(BaseException):
    """The time of a test is over. No ``except Exception`` of a test may catch it."""


def main() -> None:
    """Run each test against a fresh process of the code; one line of JSON about each on stdout."""
    given = json.loads(sys.stdin.read())
    control = socket.socket(fileno=int(sys.argv[1]))
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)
    signal.signal(signal.SIGALRM, _late)
    control.recv(16)  # the other process is up: from here on time counts
    until = time.monotonic() + given["seconds_in_all"]
    for source in given["tests"]:
        left = min(given["seconds"], until - time.monotonic())
        if left <= 0:
            result = {"passed": False, "why": "it had no turn: the tests before it took all the time"}
        else:
            result = _Test(source, given, left).run(control)
        report.write(json.dumps(result) + "\n")
        report.flush()


def _late(*_: object) -> None:
    raise _Late


class _Test:
    def __init__(self, source: str, given: dict[str, Any], seconds: float) -> None:
        self.source, self.setup, self.entry, self.seconds = source, given["setup"], given["entry"], seconds
        self.limit = given["seconds"]
        self.calls: collections.deque[str] = collections.deque(maxlen=_MOST_CALLS)
        self.running = ""
        self.peer: Any = None

    def run(self, control: socket.socket) -> dict[str, Any]:
        self.peer, other = socket.socketpair()
        try:
            socket.send_fds(control, [b"test"], [other.fileno()])
            other.close()
            signal.setitimer(signal.ITIMER_REAL, self.seconds)
            try:
                why = self.judge()
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except _Late:
            why = f"{self.running or 'it'} took longer than {self.limit:g} s"
        except _Ended:
            why = f"the code ended its process{' in ' + self.running if self.running else ''}"
        except (OSError, ValueError) as error:
            why = f"the code does not answer as it should: {error}"
        finally:
            self.peer.close()
        return {
            "passed": why is None,
            "why": why,
            "missing": why is not None and why.startswith("There is no "),
        }

    def judge(self) -> str | None:
        """Return why the test fails, or ``None``."""
        told = self.ask(None)
        if "names" not in told:
            return _described("running the code", told)
        space: dict[str, Any] = {"__name__": "tests"}
        try:
            if self.setup:
                exec(compile(self.setup, "<setup>", "exec"), space)
            ours = (set(space) | _OURS) - {self.entry}
            for name, value in told["names"].items():
                _bind(space, str(name), value, self, ours)
            if self.entry and self.entry not in told["names"]:
                found = [str(name) for name in told.get("functions", ())][:5]
                others = f"found `{'`, `'.join(found)}`" if found else "the code defines none"
                return f"There is no function `{self.entry}`; {others}."
            exec(compile(self.source, _FILE, "exec"), space)
        except (_Late, _Ended):
            raise
        except SystemExit:
            return "the test itself ended"
        except AssertionError as error:
            message = f" ({str(error)[:_LONGEST_VALUE]})" if str(error) else ""
            said = "; ".join(self.calls) or "it is not so"
            return f"{self.statement(error)} failed{message}: {said}"
        except BaseException as error:  # noqa: BLE001 - whatever a test raises, it fails
            failure: dict[str, Any] | None = getattr(error, "told", None)
            if failure is not None:
                return f"{self.statement(error)} failed: {_described(getattr(error, 'call', ''), failure)}"
            return f"{self.statement(error)} failed: {type(error).__name__}: {str(error)[:_LONGEST_VALUE]}"
        return None

    def statement(self, error: BaseException) -> str:
        """Return the statement of the test that failed."""
        step, line = error.__traceback__, 0
        while step is not None:
            line = step.tb_lineno if step.tb_frame.f_code.co_filename == _FILE else line
            step = step.tb_next
        try:
            found = [
                node
                for node in ast.walk(ast.parse(self.source))
                if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0)
            ]
            text = ast.get_source_segment(
                self.source, min(found, key=lambda node: (node.end_lineno or 0) - node.lineno)
            )
        except (SyntaxError, ValueError, RecursionError):
            text = None
        text = " ".join((text or self.source).split())
        return text if len(text) <= _LONGEST_SOURCE else text[:_LONGEST_SOURCE] + "..."

    # -- the other process --------------------------------------------------------------------------------------

    def ask(self, message: dict[str, Any] | None) -> dict[str, Any]:
        """Send a message, if any, and return the reply."""
        try:
            if message is not None:
                send(self.peer, message)
            reply: Any = receive(self.peer)
        except (EOFError, OSError):
            raise _Ended from None
        except ValueError:
            raise ValueError("the code sent something that is no value") from None
        if not isinstance(reply, dict):
            raise ValueError("the code sent something that is no value")
        return cast("dict[str, Any]", reply)

    def do(self, proxy: Remote, do: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Have an operation done on one of the code's objects and return its value."""
        told = vars(proxy)
        call = _call(told["name"], do, args, named)
        self.running = call
        message = {
            "do": do,
            "of": told["number"],
            "args": [encode(value, _number) for value in args],
            "named": {name: encode(value, _number) for name, value in named.items()},
        }
        reply = self.ask(message)
        self.running = ""
        if "error" in reply:
            raise _as_exception(reply, call)
        value = decode(reply.get("value"), lambda number, kind: Remote(self, number, f"<{kind}>"))
        changed: dict[str, Any] = reply.get("changed") or {}
        for place, now in changed.items():
            _become(args[int(place)], decode(now, lambda number, kind: Remote(self, number, f"<{kind}>")))
        if do == "call":
            self.calls.append(f"{call} returned {_shown(value)}")
        return value


class _Ended(BaseException):
    """The code's process is gone."""


class Remote:
    """Stands for an object of the code. It is equal to another of the code's objects only, never to plain data."""

    def __init__(self, test: _Test, number: int, name: str) -> None:
        vars(self).update(test=test, number=number, name=name)

    def __call__(self, *args: Any, **named: Any) -> Any:
        return _do(self, "call", *args, **named)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__"):
            raise AttributeError(name)
        value = _do(self, "get", name)
        if isinstance(value, Remote):
            vars(value)["name"] = f"{vars(self)['name']}.{name}"
        return value

    def __bool__(self) -> bool:
        return bool(_do(self, "bool"))

    def __len__(self) -> int:
        return int(_do(self, "len"))

    def __iter__(self) -> Iterator[Any]:
        return iter(_do(self, "iterate"))

    def __getitem__(self, key: Any) -> Any:
        return _do(self, "getitem", key)

    def __str__(self) -> str:
        return str(_do(self, "str"))

    def __repr__(self) -> str:
        return str(_do(self, "repr"))

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Remote) and _do(self, "equal", other) is True)

    def __hash__(self) -> int:
        return int(vars(self)["number"])


def _do(proxy: Remote, what: str, *args: Any, **named: Any) -> Any:
    test: _Test = vars(proxy)["test"]
    return test.do(proxy, what, args, named)


def _number(value: Any) -> Opaque:
    if isinstance(value, Remote):
        return Opaque(vars(value)["number"], "")
    raise TypeError(f"a {type(value).__name__} of the test cannot be given to the code")


def _bind(space: dict[str, Any], name: str, value: Any, test: _Test, ours: AbstractSet[str]) -> None:
    """Let the test see a name of the code: its modules as our own, its data as data, the rest from afar."""
    try:
        if isinstance(value, list) and value[0] == "module":
            module = str(cast("Any", value)[1])
            if module.partition(".")[0] in sys.stdlib_module_names:
                space.setdefault(name, importlib.import_module(module))
        elif name not in ours:
            space[name] = decode(value, lambda number, _: Remote(test, number, name))
    except (ValueError, ImportError, IndexError):
        pass


def _as_exception(reply: dict[str, Any], call: str) -> BaseException:
    kind = getattr(builtins, str(reply["error"]), Exception)
    if not (isinstance(kind, type) and issubclass(kind, Exception)) or issubclass(kind, _ENDS):
        kind = RuntimeError
    try:
        error: BaseException = kind(str(reply.get("text")))
    except TypeError:
        error = RuntimeError(str(reply.get("text")))
    error.told, error.call = reply, call  # type: ignore[attr-defined]
    return error


def _described(what: str, told: dict[str, Any]) -> str:
    """Return what is told of an error of the code."""
    text = str(told.get("text") or "")
    lines = [f"{what} raised {told.get('name') or told.get('error')}{': ' + text if text else ''}"]
    return "\n".join([*lines, *(f"  {line}" for line in told.get("where") or ())])


def _call(name: str, do: str, args: tuple[Any, ...], named: dict[str, Any]) -> str:
    if do != "call":
        return f"{do} of {name}"
    inner = [_shown(value) for value in args] + [f"{key}={_shown(value)}" for key, value in named.items()]
    return f"{name}({', '.join(inner)})"


def _shown(value: Any) -> str:
    try:
        text = vars(value)["name"] if isinstance(value, Remote) else repr(value)
    except Exception:  # noqa: BLE001 - a number of too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "..."


def _become(value: Any, now: Any) -> None:
    """Change an argument as the code has changed its copy."""
    if isinstance(value, list | bytearray):
        value[:] = now
    else:
        value.clear()
        value.update(now)
