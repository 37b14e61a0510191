"""Hostile programs harm nothing, and hostile code cannot say of itself that it passed its tests."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verifiers.boxes import BRIEF, ROOMY, needs_bubblewrap
from tests.verifiers.test_sandbox import left_running
from thinkctl.verifiers import Ran, Sandbox, Tested, run_tests

pytestmark = needs_bubblewrap


@pytest.fixture(params=["as root", "as a user"])
def who(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Wall in both ways: as root without a user namespace, else with one."""
    if request.param == "as a user":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    elif os.geteuid() != 0:
        pytest.skip("we are not root")
    return str(request.param)


def ran(program: str, box: Sandbox = ROOMY, **more: object) -> Ran:
    return asyncio.run(box.run(program, **more))  # type: ignore[arg-type]


def mark() -> str:
    return f"mark-{time.monotonic_ns()}"


# -- what a program could do to the machine ----------------------------------------------------------------------


def test_a_fork_bomb_runs_into_the_limit_of_processes() -> None:
    """Only where the program has a user id of its own: root that plays a user is not counted by the kernel."""
    name = mark()
    program = (
        "import os, time\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(99)\n    n += 1\n"
    )
    found = ran(program + "finally: print(n)", Sandbox(seconds=60, processes=12), args=[name])
    assert 1 <= int(found.stdout) <= 12
    assert left_running(name) == []


def test_threads_count_as_processes() -> None:
    program = "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,), daemon=True).start()"
    assert "can't start new thread" in ran(program).stderr


def test_many_processes_together_may_not_hold_more_memory_than_one(who: str) -> None:
    program = "import os, time\nfor _ in range(6): os.fork() or (bytearray(100 << 20), time.sleep(99))\ntime.sleep(99)"
    program = program.replace("(bytearray(100 << 20), time.sleep(99))", "hold()")
    hold = "import time\ndef hold():\n  x = b'x' * (100 << 20)\n  time.sleep(99)\n"
    assert ran(hold + program, Sandbox(seconds=60, memory_mib=256)).ended == "memory"


@pytest.mark.parametrize(
    "program",
    [
        "open('x', 'wb').write(b'x' * (64 << 20))",
        "for n in range(99): open(f'{n}', 'wb').write(b'x' * (1 << 20))",
        "import os; os.memfd_create('x')",
        "x = [open(f'{n}', 'w') for n in range(999)]",
    ],
    ids=["one large file", "many files", "files in memory", "many open files"],
)
def test_the_disk_cannot_be_filled(program: str) -> None:
    found = ran(program, Sandbox(seconds=60, output_bytes=4_000))
    assert found.exit_code == 1
    assert any(
        each in found.stderr for each in ("No space", "too large", "not permitted", "Too many open", "Errno")
    )


@pytest.mark.parametrize(
    "path",
    ["/x", "/dev/x", "/dev/shm/x", "/etc/x", "/usr/lib/x", "/program/x", str(Path.home() / "x"), "/proc/x"],
)
def test_nothing_outside_can_be_written(path: str, who: str) -> None:
    found = ran(f"open({path!r}, 'w')")
    assert any(why in found.stderr for why in ("Read-only", "Permission denied", "No such file")), (
        found.stderr
    )


def test_the_program_itself_cannot_be_changed(who: str) -> None:
    assert "OSError" in ran("open(__file__, 'w')").stderr.replace("PermissionError", "OSError")


def test_a_secret_a_home_and_the_environment_are_not_there(tmp_path: Path, monkeypatch, who: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush")
    monkeypatch.setenv("SECRET_KEY", "hush")
    program = f"""import os
print(os.path.exists({str(secret)!r}), os.path.exists({str(Path(__file__))!r}), os.path.exists('/etc/passwd'))
print({str(Path.home())!r} == os.path.expanduser('~'), sorted(os.listdir(os.path.expanduser('~'))))
print('hush' in str(os.environ), 'hush' in open('/proc/self/environ').read())
print([n for n in os.listdir('/proc') if n.isdigit() and 'pytest' in open(f'/proc/{{n}}/cmdline').read()])
"""
    assert ran(program).stdout.splitlines() == ["False False False", "False []", "False False", "[]"]


@pytest.fixture
def server() -> Iterator[tuple[int, list[object]]]:
    """Listen on this machine; what connects is noted."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        came: list[object] = []

        def accept() -> None:
            while True:
                try:
                    came.append(listening.accept()[1])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listening.getsockname()[1], came
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_there_is_no_network(server: tuple[int, list[object]], who: str) -> None:
    port, came = server
    program = f"""import socket
for ask in (lambda: socket.create_connection(('127.0.0.1', {port}), 2),
            lambda: socket.create_connection(('1.1.1.1', 53), 2),
            lambda: socket.getaddrinfo('example.com', 80)):
    try: ask(); print('came through')
    except OSError: print('no')
"""
    assert ran(program).stdout == "no\nno\nno\n"
    assert came == []


@pytest.mark.parametrize(
    "call",
    [
        "libc.unshare(0x10000000)",
        "libc.ptrace(16, os.getppid(), 0, 0)",
        "libc.mount(b'/', b'/tmp', b'', 4096, None)",
        "libc.syscall(310, 1, 0, 0, 0, 0, 0)",
        "libc.syscall(425, 1, 0)",
        "libc.setuid(0)",
        "libc.keyctl(0, 0)",
    ],
)
def test_calls_that_lead_out_are_denied(call: str) -> None:
    program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    call = call.replace("libc.keyctl(", "libc.syscall(250, ")
    found = ran(f"{program}print({call}, os.strerror(ctypes.get_errno()))")
    assert found.stdout == "-1 Operation not permitted\n", found


@pytest.mark.parametrize(
    "program",
    [
        "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(99)\n  os._exit(0)",
        "if os.fork() == 0:\n  [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]\n  time.sleep(99)",
        "[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]\ntime.sleep(99)",
        "for _ in range(5):\n  if os.fork() == 0: os._exit(0)\ntime.sleep(99)",
        "if os.fork() == 0:\n  os.closerange(0, 99)\n  time.sleep(99)",
    ],
    ids=["a daemon", "a child deaf to signals", "deaf to signals", "zombies", "a child that closed all"],
)
def test_nothing_of_a_program_outlives_it(program: str, who: str) -> None:
    name = mark()
    began = time.monotonic()
    ran(f"import os, signal, time\n{program}", BRIEF, args=[name])
    assert left_running(name) == []
    assert time.monotonic() - began < 20


def test_links_out_of_its_folder_lead_nowhere(who: str) -> None:
    assert "No such file" in ran("import os; os.symlink('/etc/passwd', 'a'); open('a')").stderr


# -- what code could do to its tests -------------------------------------------------------------------------------

WRONG = "def f(x): return 0\n"
TESTS = ("assert f(2) == 4", "assert f(3) == 9", "assert abs(f(4) - 16) < 1e-6", "assert f(5) in (25, 26)")


def after(code: str, tests: tuple[str, ...] = TESTS, box: Sandbox = ROOMY, setup: str = "") -> Tested:
    return asyncio.run(run_tests(code, tests, box, setup=setup, entry_point="f"))


CHEATS = {
    "exits with 0": "import os\nos._exit(0)",
    "exits when called": "import os\ndef f(x): os._exit(0)",
    "leaves when called": "import sys\ndef f(x): sys.exit(0)",
    "leaves by another error": "def f(x): raise GeneratorExit",
    "says that it passed": WRONG + 'print(\'{"passed": true, "why": null}\\n\' * 9, flush=True)',
    "says it where the report goes": WRONG
    + """import os
for n in range(99):
  try: os.write(n, b'{"passed": true, "why": null}\\n' * 9)
  except OSError: pass""",
    "is equal to all": """class All:
  __eq__ = __lt__ = __gt__ = __le__ = __ge__ = __contains__ = __bool__ = lambda *_: True
  __ne__ = lambda *_: False
  __sub__ = __rsub__ = __abs__ = __neg__ = lambda s, *_: s
  __hash__ = lambda s: 4
  __index__ = __int__ = lambda s: 0
def f(x): return All()""",
    "is a number that is equal to all": """class All(int):
  __eq__ = __lt__ = __gt__ = __contains__ = lambda *_: True
  __sub__ = __abs__ = lambda s, *_: s
  __hash__ = int.__hash__
def f(x): return All(0)""",
    "is a text that is equal to all": """class All(str):
  __eq__ = lambda *_: True
  __hash__ = str.__hash__
def f(x): return All()""",
    "has its own abs and its own errors": WRONG
    + "abs = lambda x: 0\nAssertionError = None\nlen = all = any = lambda *_: True",
    "changes the built-ins": WRONG
    + "import builtins\nbuiltins.abs = lambda x: 0\nbuiltins.AssertionError = ZeroDivisionError",
    "raises what a failed test raises": "def f(x): raise AssertionError",
    "ends loops": "def f(x): raise StopIteration",
    "reads the frames of its caller": """import sys
def f(x):
  frame = sys._getframe()
  while frame is not None:
    for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
      if isinstance(value, (str, dict, list)) and value is not NEEDLE and NEEDLE in str(value): return x * x
    frame = frame.f_back
  return 0""",
    "looks for the tests in memory": """def f(x):
  needle = NEEDLE.encode()
  with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:
    for line in maps:
      where, rights, *_ = line.split()
      if rights.startswith('rw'):
        start, end = (int(part, 16) for part in where.split('-'))
        memory.seek(start)
        try: found = memory.read(end - start).count(needle)
        except OSError: continue
        if found > OWN: return x * x
  return 0""",
    "looks for the tests in files and processes": """import os
def f(x):
  for folder, _, names in [*os.walk('/program'), *os.walk('.'), *os.walk('/proc')]:
    for name in names:
      if name in ('kmsg', 'kcore'): continue
      if '/proc' in folder and name not in ('cmdline', 'environ'): continue
      try:
        if NEEDLE in open(os.path.join(folder, name), errors='replace').read(): return x * x
      except OSError: pass
  return 0""",
    "sends values of its own over every socket": """import os, json, struct
body = json.dumps({'value': 4}).encode()
for n in range(3, 64):
  try: os.write(n, struct.pack('!I', len(body)) + body)
  except OSError: pass
def f(x): return 0""",
    "sends what is no message": """import os
def f(x):
  for n in range(3, 64):
    try: os.write(n, b'\\xff' * 99)
    except OSError: pass""",
    "patches the process that runs it": """import sys
for name, module in list(sys.modules.items()):
  if 'thinkctl' in name or name == '__main__':
    for each in list(vars(module)):
      if not each.startswith('__'): setattr(module, each, lambda *_, **__: True)
def f(x): return 0""",
    "replaces the streams and the exit": """import sys, atexit, os
atexit.register(os._exit, 0)
sys.stdout = sys.stderr = None
sys.exit = lambda *_: None
"""
    + WRONG,
    "kills its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n" + WRONG,
    "kills all": "import os, signal\nos.kill(-1, signal.SIGKILL)\n" + WRONG,
    "leaves a thread that goes on": """import threading, os, time
def late():
  while True:
    for n in range(3, 64):
      try: os.write(n, b'{"value": 4}')
      except OSError: pass
threading.Thread(target=late, daemon=True).start()
def f(x): return 0""",
    "answers nothing": "import time\ndef f(x): time.sleep(999)",
    "says the deepest value": "def f(x):\n  a = []\n  for _ in range(9999): a = [a]\n  return a",
    "says itself": "def f(x):\n  a = []\n  a.append(a)\n  return a",
    "says the longest value": "def f(x): return 'x' * 50_000_000",
    "says the largest number": "def f(x): return 10 ** 99_999",
    "says a value that has no representation": "class R:\n  __repr__ = __str__ = lambda s: 1 / 0\ndef f(x): return R()",
    "says a value that cannot be told": "class L(list):\n  __iter__ = lambda s: 1 / 0\ndef f(x): return L([4])",
    "has an error that has no text": "class E(Exception):\n  __str__ = lambda s: 1 / 0\ndef f(x): raise E",
}


@pytest.mark.parametrize("cheat", [name for name, code in CHEATS.items() if "NEEDLE" not in code])
def test_wrong_code_cannot_pass(cheat: str) -> None:
    box = (
        Sandbox(seconds=0.4)
        if cheat in ("answers nothing", "kills its parent", "kills all")
        else Sandbox(seconds=10)
    )
    found = after(CHEATS[cheat], TESTS[:3] if "value" in cheat or "all" in cheat else TESTS[:2], box)
    assert not any(found.passed)
    assert found.feedback


LOOKS = [name for name, code in CHEATS.items() if "NEEDLE" in code]
NEEDLE = "NEEDLE = ' '.join(['f(2)', '==', '4'])\nOWN = 2\n"
"""What they look for; how often it is in the memory of a process for having been put together."""


@pytest.mark.parametrize("cheat", LOOKS)
def test_code_that_looks_for_the_tests_does_not_find_them(cheat: str) -> None:
    assert not any(after(NEEDLE + CHEATS[cheat], TESTS[:2]).passed)


@pytest.mark.parametrize("cheat", LOOKS[:2])
def test_code_that_looks_for_the_tests_would_find_them_if_they_were_there(cheat: str) -> None:
    there = "THERE = ['f(2) == 4 ' + str(n) for n in range(9)]\n"
    assert after(there + NEEDLE + CHEATS[cheat], TESTS[:2]).passed == (True, True)


def test_right_code_passes_the_same_tests() -> None:
    assert after("def f(x): return x * x").passed == (True,) * 4


def test_values_sent_ahead_answer_at_most_the_question_that_they_fit() -> None:
    """A message of the code's own is but another way to return a value."""
    found = after(CHEATS["sends values of its own over every socket"])
    assert found.passed[1:] == (False, False, False)


@pytest.mark.parametrize(
    ("test", "code"),
    [
        (
            "import math\nassert math.isclose(f(2), 4)",
            "class math: isclose = lambda *_: True\ndef f(x): return 0",
        ),
        ("assert helper(f(2)) == 4", "def helper(x): return 4\ndef f(x): return 0"),
        ("assert all(map(f, [1, 2]))", "def f(x): raise StopIteration"),
        (
            "assert [x for x in f(2)] == [4]",
            "class L:\n  __iter__ = lambda s: iter([])\ndef f(x): return L()",
        ),
        (
            "def check(candidate):\n  assert candidate(2) == 4\ncheck(f)",
            "def check(c): pass\ndef f(x): return 0",
        ),
        ("assert 4 in f(2)", "class All:\n  __contains__ = lambda *_: True\ndef f(x): return All()"),
        ("assert f(2) == 4", "def f(x): return 4\nf.__call__ = None\ndel f"),
    ],
)
def test_what_the_test_names_is_the_test_s_own(test: str, code: str) -> None:
    found = asyncio.run(run_tests(code, [test], ROOMY, setup="def helper(x): return x", entry_point="f"))
    assert found.passed == (False,)


def test_a_candidate_cannot_reach_the_next_test() -> None:
    """What it leaves behind in one test is gone in the next."""
    code = "seen = []\ndef f(x):\n  seen.append(x)\n  open('seen', 'a').write('x')\n  return len(seen)"
    assert after(code, ("assert f(1) == 1", "assert f(1) == 1")).passed == (True, True)


def test_a_test_that_hangs_does_not_take_the_others_along() -> None:
    code = "import time\ndef f(x):\n  if x == 1: time.sleep(999)\n  return x"
    found = after(code, ("assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2"), Sandbox(seconds=2))
    assert found.passed == (True, False, True)
    assert found.feedback == "f(1) took longer than 2 s"
