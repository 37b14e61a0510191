"""A program that is killed leaves no model behind that goes on computing for nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.engine

PROGRAM = """
import asyncio
from thinkctl import Controller, SelfConsistency, engine_from

async def main():
    engine = engine_from("vllm:smollm2-135m-instruct", context=2048)
    await engine.start()
    print("started", flush=True)
    await Controller(engine, SelfConsistency(8)).solve("Write a very long story about numbers.")

if __name__ == "__main__":
    asyncio.run(main())
"""


def children(parent: int) -> set[int]:
    """Return the processes below a process, from /proc."""
    found: dict[int, set[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            found.setdefault(int(fields[1]), set()).add(int(entry.name))
    below, seen = {parent}, set[int]()
    while below:
        seen |= below
        below = {child for each in below for child in found.get(each, set())}
    return seen - {parent}


def alive(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:1]
    except OSError:
        return False


def test_the_engine_ends_when_its_program_is_killed(tmp_path) -> None:
    pytest.importorskip("vllm")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "started\n"
        time.sleep(1)
        below = children(running.pid)
        assert below, "the engine runs in this process: nothing is shown"
        os.kill(running.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while any(map(alive, below)) and time.monotonic() < until:
        time.sleep(0.2)
    assert [process for process in below if alive(process)] == []
