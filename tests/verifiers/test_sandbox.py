"""A program goes into the sandbox, what it said comes out, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import sys
import time
import warnings
from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.verifiers.boxes import BRIEF, ROOMY, needs_bubblewrap
from thinkctl.errors import ConfigurationError
from thinkctl.registry import verifier
from thinkctl.testing import run
from thinkctl.types import spec_of
from thinkctl.verifiers import Ran, Sandbox, UnitTests
from thinkctl.verifiers.sandbox import jail, sandbox
from thinkctl.verifiers.sandbox.syscalls import filter_for

pytestmark = needs_bubblewrap


def ran(program: str, box: Sandbox = ROOMY, **more: object) -> Ran:
    return asyncio.run(box.run(program, **more))  # type: ignore[arg-type]


def test_what_a_program_says_and_how_it_ends_come_out() -> None:
    found = ran("import sys; print(6 * 7); print('oh', file=sys.stderr); sys.exit(3)")
    assert (found.exit_code, found.stdout, found.stderr, found.ended) == (3, "42\n", "oh\n", "exit")
    assert 0 < found.seconds < ROOMY.seconds
    assert found.sandboxed


def test_input_and_arguments_go_in() -> None:
    found = ran("import sys; print(sys.stdin.read(), sys.argv[1:])", stdin="a\nb \u2192", args=["x", "-y"])
    assert found.stdout == "a\nb \u2192 ['x', '-y']\n"


@pytest.mark.parametrize(
    ("program", "box", "ended"),
    [
        ("while True: pass", BRIEF, "timeout"),
        ("import time; time.sleep(99)", BRIEF, "timeout"),
        ("while True: pass", Sandbox(seconds=60, cpu_seconds=1), "timeout"),
        ("while True: print('x' * 999)", ROOMY, "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 999)", ROOMY, "output"),
        ("bytearray(10**10)", ROOMY, "memory"),
        ("import os; os.abort()", ROOMY, "signal"),
        ("import ctypes; ctypes.string_at(0)", ROOMY, "signal"),
    ],
)
def test_a_program_that_does_not_end_well_is_ended(program: str, box: Sandbox, ended: str) -> None:
    found = ran(program, box)
    assert found.ended == ended
    assert found.seconds < 30
    assert len(found.stdout) + len(found.stderr) <= box.output_bytes


def test_output_that_is_no_text_is_text_all_the_same() -> None:
    assert ran(r"import sys; sys.stdout.buffer.write(b'\xff\x00ok')").stdout == "\ufffd\x00ok"


def test_a_program_of_any_text_is_run() -> None:
    assert "SyntaxError" in ran("x = '\ud800\x00").stderr


def test_the_order_of_a_set_is_the_same_every_time() -> None:
    program = "print({str(n) for n in range(50)})"
    assert ran(program).stdout == ran(program).stdout


def test_installed_packages_are_there_only_when_they_are_asked_for() -> None:
    assert "ModuleNotFoundError" in ran("import pydantic").stderr
    assert ran("import iniconfig; print('ok')", Sandbox(seconds=60, packages=("iniconfig",))).stdout == "ok\n"


def test_programs_run_at_the_same_time_but_not_too_many() -> None:
    async def both(parallel: int) -> bool:
        """Return whether two programs have overlapped."""
        box = Sandbox(seconds=60, parallel=parallel)
        program = "import time; print(time.monotonic()); time.sleep(0.5); print(time.monotonic())"
        found = await asyncio.gather(box.run(program), box.run(program))
        (_, ended), (began, _) = sorted(tuple(map(float, each.stdout.split())) for each in found)
        return began < ended

    assert not asyncio.run(both(1))
    assert asyncio.run(both(2))


def left_running(mark: str) -> list[str]:
    """Return the processes of this machine that have an argument with this mark."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = each.read_bytes()
        except OSError:
            continue
        if mark.encode() in arguments and each.parent.name != str(os.getpid()):
            found.append(f"{each.parent.name} {arguments!r}")
    return found


def test_cancelling_kills_everything_before_it_returns() -> None:
    mark = f"mark-{time.monotonic_ns()}"

    async def cancelled() -> float:
        task = asyncio.create_task(ROOMY.run("import os\nos.fork()\nwhile True: pass", args=[mark]))
        while not left_running(mark):  # noqa: ASYNC110 - another process tells nobody that it has begun
            await asyncio.sleep(0.02)
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - began

    assert asyncio.run(cancelled()) < 5
    assert left_running(mark) == []


def test_what_waits_for_its_turn_is_cancelled_at_once() -> None:
    async def cancelled() -> list[object]:
        box = Sandbox(seconds=60, parallel=1)
        tasks = [asyncio.create_task(box.run("while True: pass")) for _ in range(3)]
        await asyncio.sleep(0.1)
        for task in reversed(tasks):
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    began = time.monotonic()
    assert [type(each) for each in asyncio.run(cancelled())] == [asyncio.CancelledError] * 3
    assert time.monotonic() - began < 20


def test_it_runs_in_an_event_loop_whose_clock_stands_still() -> None:
    assert run(ROOMY.run("print(1)")).stdout == "1\n"


def test_no_descriptor_and_no_folder_is_left() -> None:
    ran("print(1)")
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    for program in ("print(1)", "while True: print(1)", "import os; os.abort()"):
        ran(program)
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# -- without bubblewrap ------------------------------------------------------------------------------------------


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    def trouble() -> str:
        return "bubblewrap (bwrap) is not installed"

    monkeypatch.setattr(jail, "bubblewrap_trouble", trouble)
    monkeypatch.setattr(sandbox, "bubblewrap_trouble", trouble)
    sandbox._warn.cache_clear()


@pytest.mark.usefixtures("without")
def test_without_bubblewrap_nothing_is_run_and_the_error_says_what_to_install() -> None:
    with pytest.raises(
        ConfigurationError, match=r"not installed.*apt-get install bubblewrap.*allow_unsandboxed"
    ):
        ran("print(1)")


@pytest.mark.usefixtures("without")
def test_it_goes_without_where_that_is_said_and_warns_once() -> None:
    box = Sandbox(seconds=60, allow_unsandboxed=True)
    with pytest.warns(UserWarning, match="WITHOUT a sandbox"):
        found = ran("print(1)", box)
    assert (found.stdout, found.sandboxed) == ("1\n", False)
    assert "Not sandboxed" in box.warning
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ran("import sys; sys.exit(2)", box).exit_code == 2


@pytest.mark.usefixtures("without")
@pytest.mark.filterwarnings("ignore:model-written code runs WITHOUT")
@pytest.mark.parametrize(
    ("program", "ended"),
    [
        ("while True: pass", "timeout"),
        ("bytearray(10**10)", "memory"),
        ("while True: print('x' * 999)", "output"),
        ("import os, time\nif os.fork() == 0: time.sleep(99)", "exit"),
    ],
)
def test_limits_hold_without_walls(program: str, ended: str) -> None:
    mark = f"mark-{time.monotonic_ns()}"
    box = Sandbox(seconds=2, allow_unsandboxed=True)
    assert ran(program, box, args=[mark]).ended == ended
    assert left_running(mark) == []


def test_with_bubblewrap_there_is_a_sandbox_also_where_none_is_demanded() -> None:
    assert ran("print(1)", Sandbox(seconds=60, allow_unsandboxed=True)).sandboxed
    assert Sandbox(allow_unsandboxed=True).warning == ""


# -- as a user that is not root ----------------------------------------------------------------------------------


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root has two ways to be walled in"
)
def test_who_is_not_root_gets_a_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = ran("import os; print(os.getuid()); open('/x', 'w')")
    assert found.stdout == "65534\n"
    assert "Read-only file system" in found.stderr
    assert "Read-only file system" in ran("open('/dev/x', 'w')").stderr


# -- settings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"seconds": 0},
        {"seconds": float("inf")},
        {"memory_mib": 1},
        {"processes": 1},
        {"parallel": 0},
        {"fast": 1},
    ],
)
def test_limits_that_cannot_be_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(settings))):
        Sandbox.model_validate(settings)


def test_a_package_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ValidationError, match="nonesuch-package"):
        Sandbox(packages=("nonesuch-package",))


def test_it_is_written_like_other_settings() -> None:
    part = verifier("unit-tests(sandbox=sandbox(seconds=2, memory_mib=256))")
    assert part == UnitTests(Sandbox(seconds=2, memory_mib=256))
    assert verifier(spec_of(part)) == part


def test_a_processor_whose_calls_are_not_known_gets_no_filter() -> None:
    assert filter_for("riscv64") is None
    assert len(filter_for("aarch64") or b"") % 8 == 0
