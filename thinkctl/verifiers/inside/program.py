"""The process that runs a program for its result: a variable, a function's value, or what was printed last."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Any

__all__ = ["main"]

_FILE = "<program>"
_MOST_LINES = 4


def main() -> None:
    """Run ``code.txt`` beside the main file, and write its result to stdout after the mark that was given."""
    mark = sys.argv[1]
    code = Path(sys.argv[0]).with_name("code.txt").read_text(encoding="utf-8", errors="surrogatepass")
    space: dict[str, Any] = {"__name__": "__main__"}
    sys.argv[1:] = []
    try:
        exec(compile(code, _FILE, "exec"), space)
        result = _result(space)
    except SystemExit:
        result = _shown(space.get("answer"))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the program's
        sys.stdout.flush()
        sys.exit(_described(error, code))
    sys.stdout.flush()
    sys.stdout.write(f"\n{mark}{result}\n")


def _result(space: dict[str, Any]) -> str:
    if space.get("answer") is not None:
        return _shown(space["answer"])
    return _shown(space["solution"]()) if callable(space.get("solution")) else ""


def _shown(value: Any) -> str:
    return "" if value is None or callable(value) else str(value)


def _described(error: BaseException, code: str) -> str:
    """Return what the error says, and the program's own lines on the way to it."""
    lines = code.splitlines()
    where = [
        (frame.lineno or 0, "" if frame.name == "<module>" else f", in {frame.name}")
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == _FILE
    ]
    if isinstance(error, SyntaxError) and error.filename == _FILE and error.lineno:
        where.insert(0, (error.lineno, ""))
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    head = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "\n".join(
        [head]
        + [
            f"  line {line}{inside}: {lines[line - 1].strip() if 0 < line <= len(lines) else ''}"[:200]
            for line, inside in where[-_MOST_LINES:]
        ]
    )
