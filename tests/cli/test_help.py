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


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "thinkctl.cli", *arguments],
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **environment},
    )


def processor_seconds(*arguments):
    """What a call takes of the processor: a busy machine does not make it more."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(*arguments).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_less_than_half_a_second():
    assert min(processor_seconds("--help") for _ in range(3)) < 0.5


@pytest.mark.parametrize(
    "arguments", [["--help"], ["ask", "--help"], ["list"], ["ask", "?", "--model", "replay:no"]]
)
def test_no_heavy_library_is_imported_for_this(arguments):
    code = (
        "import sys\nfrom thinkctl.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        "print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert HEAVY.isdisjoint(done.stdout.splitlines()[-1].split()[1:])


def test_every_command_explains_itself():
    said = run("--help").stdout
    for command in ("ask", "demo", "list", "models"):
        assert f"\n  {command} " in said
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"COLUMNS": "40"}])
def test_what_is_no_terminal_gets_no_escapes(environment):
    for arguments in (["--help"], ["list"], ["ask", "?", "--model", "nonsense:x"]):
        ran = run(*arguments, **environment)
        assert "\x1b" not in ran.stdout + ran.stderr
