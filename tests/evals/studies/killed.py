"""Kill a study at random points and go on with it, again and again; a process of its own that forks.

Run: python -m tests.evals.studies.killed FOLDER KILLS SEED. Prints as JSON how long an undisturbed run took, and how
many lines were in unfinished run files when each of its successors was killed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from tests.evals.studies.conftest import study_of, sums
from thinkctl.evals.studies import run_study

QUESTIONS = 6
STUDY: dict[str, Any] = {
    "at_once": 3,
    "seeds": [0, 1],
    "tasks": [{"name": "sums", "repeats": 3}],
    "models": {
        "small": {"engine": "scripted:small", "options": {"right": 0.5, "seconds_per_token": 0.0002}},
        "large": {"engine": "scripted:large", "options": {"right": 0.8, "seconds_per_token": 0.0002}},
    },
    "arms": [
        {"name": "large", "model": "large", "strategy": "zero-shot"},
        {"name": "votes", "model": "small", "strategy": "self-consistency(4)"},
        {
            "name": "adaptive",
            "model": "small",
            "strategy": "self-consistency(4)",
            "policy": "margin(2)",
            "measured": True,
            "budgets": [2, 4],
        },
    ],
}


def forked(folder: Path) -> int:
    """Run the study in a process of its own; return its id."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # of forking with threads: none of ours is running
        child = os.fork()
    if child:
        return child
    try:
        run_study(study_of(**STUDY), folder, task_of=sums)
    except BaseException:  # noqa: BLE001 - the fork must never return into its parent's work
        os._exit(1)
    os._exit(0)


def recorded(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("runs/*.jsonl"))


def wait_for_more(folder: Path, child: int, took: float) -> None:
    """Wait until something more is recorded, or the study is at its end."""
    before, until = recorded(folder), time.monotonic() + took
    while recorded(folder) == before and time.monotonic() < until:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.001)


def main(folder: Path, kills: int, seed: int) -> None:
    began = time.monotonic()
    _, status = os.waitpid(forked(folder / "whole"), 0)
    took = time.monotonic() - began
    draw, seen, finished = random.Random(seed), list[int](), 0
    for number in range(kills):
        child = forked(folder / "killed")
        if number % 2:  # every second kill comes after progress, however slow the machine is today
            wait_for_more(folder / "killed", child, took)
        time.sleep(draw.uniform(0.0, 2.0 * took / kills))
        os.kill(child, signal.SIGKILL)
        _, ended = os.waitpid(child, 0)
        finished += not os.WIFSIGNALED(ended)
        seen.append(recorded(folder / "killed"))
    _, last = os.waitpid(forked(folder / "killed"), 0)
    told = {"seconds": took, "whole": status, "last": last, "seen": seen, "finished": finished}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
