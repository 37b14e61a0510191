"""What the command costs before it does anything."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

HEAVY = {
    *(
        "gguf",
        "jinja2",
        "matplotlib",
        "numpy",
        "openai",
        "outlines",
        "pyarrow",
        "reasoning_gym",
        "scipy",
        "torch",
    ),
    *("transformers", "vllm", "zstandard"),
}


COMMANDS = {
    "help": ["--help"],
    "help of a command": ["ask", "--help"],
    "list": ["list"],
    "a file that is not there": ["ask", "?", "--model", "replay:no"],
    "an engine that nobody knows": ["ask", "?", "--model", "nonsense:x"],
}
IN_TURN = """
import sys
from thinkctl.cli import main
for arguments in ARGUMENTS:
    try: main(arguments)
    except SystemExit: pass
    print("loaded", *{name.partition(".")[0] for name in sys.modules})
"""


def processor_seconds(*arguments):
    """What a call takes of the processor: a busy machine does not make it more."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "thinkctl.cli", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turn(**environment):
    """Run all commands, one after the other, in one new process."""
    return subprocess.run(
        [sys.executable, "-c", IN_TURN.replace("ARGUMENTS", repr(list(COMMANDS.values())))],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture(scope="module")
def loaded():
    """The packages that were loaded after each command."""
    lines = [line.split()[1:] for line in in_turn().stdout.splitlines() if line.startswith("loaded ")]
    return dict(zip(COMMANDS, lines, strict=True))


def test_help_takes_less_than_half_a_second():
    assert any(processor_seconds("--help") < 0.5 for _ in range(3))


@pytest.mark.parametrize("command", COMMANDS)
def test_no_heavy_library_is_imported_for_this(loaded, command):
    assert "thinkctl" in loaded[command]
    assert HEAVY.isdisjoint(loaded[command])


def test_every_command_explains_itself(call):
    said = call("--help").out
    for command in ("ask", "demo", "list", "models"):
        assert f"\n  {command} " in said
        assert call(command, "--help").code == 0


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "40"}])
def test_what_is_no_terminal_gets_no_escapes(environment):
    ran = in_turn(**environment)
    assert "Usage" in ran.stdout
    assert "nonsense" in ran.stderr
    assert "\x1b" not in ran.stdout + ran.stderr
