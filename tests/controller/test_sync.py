"""``solve_sync``: the same without ``await``, on a loop of its own. Real threads, no virtual time."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.controller.rig import QUESTION, Asks, Judges, Odd, endless, key, says
from thinkctl import Budget, Controller
from thinkctl.errors import ConfigurationError, EngineUnavailable
from thinkctl.testing import ScriptedEngine
from thinkctl.types import StopReason, Verdict


def controller(**knobs) -> Controller:
    return Controller(ScriptedEngine([says("4")]), Asks(3), **knobs)


def test_it_works_in_plain_code() -> None:
    found = controller().solve_sync(QUESTION, Budget(tokens=100), seed=3)
    assert (key(found), found.history.seed, found.history.budget.tokens) == ("4", 3, 100)


def test_it_works_inside_a_running_loop() -> None:
    async def main() -> str | None:
        return key(controller().solve_sync(QUESTION))

    assert asyncio.run(main()) == "4"


def test_it_works_from_many_threads_at_once() -> None:
    shared = controller()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: key(shared.solve_sync(f"{number}?")), range(40)))
    assert answers == ["4"] * 40


def test_all_calls_run_on_the_same_loop() -> None:
    """An engine that lives on a loop stays on it."""
    loops = set()

    class Looks(Odd):
        async def start(self) -> None:
            loops.add(asyncio.get_running_loop())

    made = Controller(Looks(ScriptedEngine([says("4")])), Asks(1))
    for _ in range(3):
        made.solve_sync(QUESTION)
    threading.Thread(target=made.solve_sync, args=(QUESTION,)).run()
    assert len(loops) == 1


def test_errors_come_out_as_they_are() -> None:
    class Broken(Odd):
        async def start(self) -> None:
            raise EngineUnavailable("no such model")

    with pytest.raises(EngineUnavailable, match="no such model"):
        Controller(Broken(ScriptedEngine(["x"])), Asks(1)).solve_sync(QUESTION)
    with pytest.raises(ConfigurationError, match="price"):
        controller().solve_sync(QUESTION, Budget.parse("dollars=1"))


def test_a_deadline_is_kept_in_real_time() -> None:
    made = Controller(ScriptedEngine([endless(seconds_per_token=0.002)]), Asks(2))
    begun = time.monotonic()
    found = made.solve_sync(QUESTION, Budget(seconds=0.3))
    assert (found.stop, key(found)) == (StopReason.SECONDS, "4")
    assert time.monotonic() - begun < 5, "a busy machine may be late, but not without end"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let the interrupt raise, also where the tests run in the background, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_cancels_the_work_and_waits_until_the_engine_is_free() -> None:
    """As Ctrl-C does: it comes in the main thread while the work is done in another."""
    engine = ScriptedEngine([endless(seconds_per_token=0.01)])
    made = Controller(Odd(engine, closing_seconds=0.05), Asks(2))

    def interrupt() -> None:
        while not engine.open_streams:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        made.solve_sync(QUESTION, Budget(seconds=20))
    assert engine.open_streams == 0
    assert key(controller().solve_sync(QUESTION)) == "4", "the loop goes on working"


def test_an_interrupt_before_the_work_began_cancels_it_too(monkeypatch) -> None:
    """It may come before the other thread has even started the task."""
    engine = ScriptedEngine([endless(seconds_per_token=0.01)])
    waits = iter([KeyboardInterrupt()])
    wait = threading.Event.wait

    def interrupted(event: threading.Event, timeout: float | None = None) -> bool:
        for interrupt in waits:
            raise interrupt
        return wait(event, timeout)

    busy = threading.Event()
    asyncio_loop = controller()  # make sure that the loop runs
    asyncio_loop.solve_sync(QUESTION)
    from thinkctl.controller.background import _background_loop

    _background_loop().call_soon_threadsafe(wait, busy, 5)
    threading.Timer(0.05, busy.set).start()
    monkeypatch.setattr(threading.Event, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Controller(engine, Asks(1)).solve_sync(QUESTION)
    assert engine.log == []


def test_called_by_what_it_runs_itself_it_is_refused_instead_of_waiting_for_ever() -> None:
    async def judge(sample, engines) -> Verdict:
        controller().solve_sync("Is that right?")
        return Verdict(1.0)

    with pytest.raises(ConfigurationError, match="would wait for itself; await solve"):
        controller(verifier=Judges(judge)).solve_sync(QUESTION)


FORK = """
import os, sys
from thinkctl import Controller, SelfConsistency
from thinkctl.testing import ScriptedEngine
def ask():
    return Controller(ScriptedEngine(["so \\\\boxed{4}"]), SelfConsistency(2)).solve_sync("2+2?").answer.key
assert ask() == "4"
child = os.fork()
if child == 0:
    os._exit(0 if ask() == "4" else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_it_works_in_a_forked_child_which_has_none_of_its_parents_threads() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=30, check=False)
    assert done.returncode == 0
