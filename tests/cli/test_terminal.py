"""On a terminal: drawn in place, cleared at the end, colours only where they are wanted."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
import threading

import pytest

COLOURS = re.compile(r"\x1b\[[0-9;]*3[0-7][0-9;]*m")
SLOW = """
import thinkctl.cli.ask, thinkctl.cli.demo
from thinkctl.cli import main
from thinkctl.testing import Script, ScriptedEngine

engine = ScriptedEngine([Script("so it is \\\\boxed{4}", seconds_per_token=0.05)])
thinkctl.cli.ask.open_engine = thinkctl.cli.demo.open_engine = lambda spec, seed=0: engine
thinkctl.cli.demo.show_study = lambda *_, **__: {}  # it takes long to draw
main(ARGUMENTS)
"""


@pytest.fixture
def on_terminal():
    """Return ``run(*arguments, **environment)``: what came on stdout (a pipe) and stderr (a terminal)."""

    def run(*arguments, **environment):
        master, terminal = pty.openpty()
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW.replace("ARGUMENTS", repr(list(arguments)))],
            stdout=subprocess.PIPE,
            stderr=terminal,
            env={**kept, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **environment},
        )
        os.close(terminal)
        pieces = []

        def read():
            with contextlib.suppress(OSError):  # what Linux says when the other end has gone
                while piece := os.read(master, 65_536):
                    pieces.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
        reader.join()
        os.close(master)
        assert process.returncode == 0
        return out.decode(), b"".join(pieces).decode()

    return run


@pytest.mark.parametrize("command", [["ask", "What is 2+2?"], ["demo", "--problems", "2", "--puzzles", "0"]])
def test_progress_is_drawn_in_place_and_gone_at_the_end(on_terminal, command):
    out, err = on_terminal(*command)
    assert "\x1b" not in out
    assert re.search(r"\x1b\[\d*A", err), "lines are drawn again"
    assert "tokens" in err
    assert "\x1b[2K" in err[-40:], "the last that is drawn is taken away"
    assert "sample 0:" not in err


def test_no_color_takes_the_colours_away_and_leaves_the_drawing(on_terminal):
    _, coloured = on_terminal("ask", "What is 2+2?")
    _, plain = on_terminal("ask", "What is 2+2?", NO_COLOR="1")
    assert COLOURS.search(coloured)
    assert not COLOURS.search(plain)
    assert re.search(r"\x1b\[\d*A", plain)


def test_a_dumb_terminal_gets_lines(on_terminal):
    _, err = on_terminal("ask", "What is 2+2?", TERM="dumb")
    assert "\x1b" not in err
    assert "sample 0: 4, " in err


def test_quiet_shows_nothing_there_either(on_terminal):
    assert on_terminal("ask", "What is 2+2?", "--quiet")[1] == ""
