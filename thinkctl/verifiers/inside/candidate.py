"""The process that runs model-written code: for each test a fresh fork, which answers calls with values."""

from __future__ import annotations

import builtins
import contextlib
import json
import operator
import os
import signal
import socket
import sys
import types
from typing import Any

from thinkctl.verifiers.inside.values import Opaque, decode, encode, receive, send

__all__ = ["main"]

_NAME = "answer"
_FILE = "<answer>"
_LONGEST_TEXT = 300
_MOST_LINES = 3
_OPERATIONS: dict[str, Any] = {
    "bool": bool,
    "equal": operator.eq,
    "getitem": operator.getitem,
    "iterate": iter,
    "len": len,
    "repr": repr,
    "str": str,
}


def main() -> None:
    """Fork for each connection that comes over the control socket; the code never runs in this process."""
    given = json.loads(sys.stdin.read())
    control = socket.socket(fileno=int(sys.argv[1]))
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    control.send(b"ready")
    child = 0
    while True:
        _, numbers, _, _ = socket.recv_fds(control, 16, 1)
        if child:
            _end(child)
        if not numbers:
            return
        child = os.fork()
        if child == 0:
            os.setsid()
            control.close()
            try:
                _Server(
                    socket.socket(fileno=numbers[0]), given["setup"], given["code"], given["entry"]
                ).serve()
            finally:
                os._exit(0)
        os.close(numbers[0])


def _end(child: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


class _Server:
    def __init__(self, peer: socket.socket, setup: str, code: str, entry: str) -> None:
        self.peer, self.setup, self.code, self.entry = peer, setup, code, entry
        self.kept: list[Any] = []
        self.space: dict[str, Any] = {}

    def serve(self) -> None:
        """Load the code, then answer calls until the other side has enough."""
        send(self.peer, self.load())
        while True:
            try:
                message = receive(self.peer)
            except EOFError:
                return
            try:
                send(self.peer, self.answer(message))
            except ValueError as error:
                send(
                    self.peer,
                    {"error": "ValueError", "text": f"the result cannot be read: {error}", "where": []},
                )

    def load(self) -> dict[str, Any]:
        """Run the code once and tell which names it defines."""
        module = types.ModuleType(_NAME)
        sys.modules[_NAME] = module
        self.space = module.__dict__
        try:
            if self.setup:
                exec(compile(self.setup, "<setup>", "exec"), self.space)
                self.space.pop(self.entry, None)
            before = dict(self.space)
            exec(compile(self.code, _FILE, "exec"), self.space)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the code's
            return self.failure(error)
        names = {}
        for name, value in list(self.space.items()):
            if name.startswith("__") or before.get(name, self) is value:
                continue
            try:
                names[name] = (
                    ["module", value.__name__] if isinstance(value, types.ModuleType) else self.out(value)
                )
            except Exception:  # noqa: BLE001 - a value that cannot be told is not there
                continue
        return {
            "names": names,
            "functions": [n for n, v in self.space.items() if getattr(v, "__module__", "") == _NAME],
        }

    def answer(self, message: dict[str, Any]) -> dict[str, Any]:
        """Do one operation on an object of the code."""
        try:
            target = self.kept[message["of"]]
            do = message["do"]
            args = [decode(value, self.find) for value in message["args"]]
            named = {name: decode(value, self.find) for name, value in message["named"].items()}
            if do == "call":
                reply = {"value": self.out(target(*args, **named))}
            elif do == "get":
                reply = {"value": self.out(getattr(target, *args))}
            else:
                reply = {"value": self.out(_OPERATIONS[do](target, *args))}
            reply["changed"] = {
                place: now
                for place, (value, was) in enumerate(zip(args, message["args"], strict=True))
                if isinstance(value, (list, dict, set, bytearray)) and (now := self.out(value)) != was
            }
            return reply
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is the code's
            return self.failure(error)

    def out(self, value: Any) -> Any:
        return encode(value, self.keep)

    def keep(self, value: Any) -> Opaque:
        self.kept.append(value)
        return Opaque(len(self.kept) - 1, type(value).__name__)

    def find(self, number: int, _: str) -> Any:
        return self.kept[number]

    def failure(self, error: BaseException) -> dict[str, Any]:
        """Return what is told of an error: its class, its nearest built-in class, and the code's own lines."""
        known = next(
            (kind.__name__ for kind in type(error).__mro__ if hasattr(builtins, kind.__name__)), "Exception"
        )
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - its text is the code's too
            text = ""
        lines = self.code.splitlines()
        where: list[str] = []
        if isinstance(error, SyntaxError) and error.filename == _FILE:
            text, spot = error.msg or "", error.lineno or 0
            where.append(f"line {spot}: {lines[spot - 1].strip() if 0 < spot <= len(lines) else ''}")
        step = error.__traceback__
        while step is not None:
            frame = step.tb_frame.f_code
            if frame.co_filename == _FILE:
                line = lines[step.tb_lineno - 1].strip() if 0 < step.tb_lineno <= len(lines) else ""
                inside = "" if frame.co_name == "<module>" else f", in {frame.co_name}"
                where.append(f"line {step.tb_lineno}{inside}: {line}"[:_LONGEST_TEXT])
            step = step.tb_next
        return {
            "error": known,
            "name": type(error).__name__[:80],
            "text": text[:_LONGEST_TEXT],
            "where": where[-_MOST_LINES:],
        }
