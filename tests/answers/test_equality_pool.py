"""The worker processes: killed when late, replaced, never more than allowed, gone with their owner."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkctl.answers.pool import Pool, Reply

pytestmark = pytest.mark.worker

ROOT = Path(__file__).resolve().parents[2]
needs_math = pytest.mark.skipif(
    importlib.util.find_spec("math_verify") is None, reason="needs thinkctl[math]"
)

FAKE = """
import json, os, sys, threading
print(json.dumps({"value": "ready"}), flush=True)
for line in sys.stdin:
    question = json.loads(line)
    match question["one"]:
        case "hang":
            threading.Event().wait()
        case "die":
            os._exit(3)
        case "talk":
            print("no answer", flush=True)
        case one:
            print(json.dumps({"value": one == question["other"]}), flush=True)
"""


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool(command=lambda: [sys.executable, "-c", FAKE])
    yield made
    made.close()


def ask(pool: Pool, one: str, other: str = "", seconds: float = 20.0) -> Reply:
    return pool.ask({"one": one, "other": other}, seconds)


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_answers_one_question_after_the_other(pool: Pool):
    assert pool.processes() == []
    assert [ask(pool, "a", "a").value, ask(pool, "a", "b").value] == [True, False]
    assert len(pool.processes()) == 1


def test_a_late_worker_is_killed_and_replaced(pool: Pool):
    ask(pool, "a", "a")
    (late,) = pool.processes()
    begun = time.monotonic()
    assert ask(pool, "hang", seconds=0.2) == Reply(failure="timed out")
    assert 0.2 <= time.monotonic() - begun < 2.0
    assert not is_running(late)
    assert ask(pool, "a", "a") == Reply(True)
    assert late not in pool.processes()


@pytest.mark.parametrize("one", ["die", "talk"])
def test_a_worker_that_breaks_is_replaced(pool: Pool, one: str):
    assert ask(pool, one) == Reply(failure="crashed")
    assert ask(pool, "a", "a") == Reply(True)


@pytest.mark.parametrize("command", [["/nowhere/python"], [sys.executable, "-c", "raise SystemExit(1)"]])
def test_a_worker_that_cannot_start_is_a_failure_and_no_exception(command: list[str]):
    pool = Pool(command=lambda: command)
    assert ask(pool, "a") == Reply(failure="crashed")
    assert pool.processes() == []


def test_workers_that_never_start_are_not_tried_for_ever():
    started: list[int] = []

    def command() -> list[str]:
        started.append(1)
        return [sys.executable, "-c", "raise SystemExit(1)"]

    pool = Pool(command=command)
    assert [ask(pool, "a").failure for _ in range(5)] == ["crashed"] * 5
    assert len(started) == 3


def test_a_pool_that_is_closed_meanwhile_fails_the_question(pool: Pool):
    ask(pool, "a", "a")
    replies: list[Reply] = []
    asking = threading.Thread(target=lambda: replies.append(ask(pool, "hang")))
    asking.start()
    pool.close()
    asking.join(timeout=10)
    assert replies in ([Reply(failure="crashed")], [Reply(failure="timed out")])


def test_never_more_than_two_workers_are_there(pool: Pool):
    seen: list[int] = []

    def work() -> None:
        for _ in range(5):
            assert ask(pool, "a", "a").value is True
            seen.append(len(pool.processes()))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 40
    assert max(seen) <= 2


def test_a_closed_pool_has_no_processes_and_starts_again_when_asked(pool: Pool):
    ask(pool, "a", "a")
    (process_id,) = pool.processes()
    pool.close()
    assert not is_running(process_id)
    assert ask(pool, "a", "a").value is True


@needs_math
def test_the_workers_end_with_the_interpreter():
    code = (
        "from thinkctl.answers import equal\nfrom thinkctl.answers.pool import shared\n"
        "equal('sqrt(8)', '2 sqrt(2)', seconds=20)\nprint(*shared().processes())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    (process_id,) = map(int, done.stdout.split())
    assert not is_running(process_id)


@needs_math
def test_a_script_without_a_guard_may_compare_answers(tmp_path: Path):
    """Spawned copies would run the script again."""
    script = tmp_path / "script.py"
    script.write_text(
        "from thinkctl.answers import equal\nprint(equal('sqrt(8)', '2 sqrt(2)', seconds=20).equal)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout == "True\n"


@needs_math
def test_a_worker_sees_no_secrets(monkeypatch: pytest.MonkeyPatch):
    from thinkctl.answers.pool import _environment

    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert "secret" not in "".join(_environment().values())


@needs_math
@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs Linux")
def test_a_worker_limits_its_memory():
    from thinkctl.answers import equal
    from thinkctl.answers.pool import shared
    from thinkctl.answers.worker import MEMORY_BYTES

    equal("sqrt(8)", "2 sqrt(2)", seconds=20)
    limits = Path(f"/proc/{shared().processes()[0]}/limits").read_text(encoding="ascii")
    (line,) = (line for line in limits.splitlines() if line.startswith("Max address space"))
    assert line.split()[3:5] == [str(MEMORY_BYTES)] * 2
