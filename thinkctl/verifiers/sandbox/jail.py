"""The walls: the command that starts Python where it can reach nothing but itself."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from thinkctl.errors import ConfigurationError

__all__ = ["HOME", "Limits", "bubblewrap", "bubblewrap_trouble", "command", "folders_of", "plain_command"]

HOME: Final = "/program"
"""Where the program lies, inside."""
_INSTALL: Final = (
    "Install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap; Fedora: dnf install bubblewrap) and allow "
    "user namespaces, or pass allow_unsandboxed=True if the code is trusted"
)
_NEEDED: Final = ("--size", "--perms", "--ro-bind-data", "--seccomp", "--info-fd", "--cap-drop")
_FIRST_ID: Final = 1_500_000_000
"""User ids from here on belong to nobody: each program that root starts gets one of its own."""
_LAUNCH: Final = """
import json, os, resource, sys
limits, user = json.loads(sys.argv[1])
for name, most in limits.items():
    kind = getattr(resource, name, None)
    if kind is not None:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        spare = 1 if name == "RLIMIT_CPU" and hard == resource.RLIM_INFINITY else 0
        resource.setrlimit(kind, (most, most + spare))
if user:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
os.execv(sys.argv[2], sys.argv[2:])
"""
_ISOLATED: Final = ("-s", "-P")
"""As ``-I``, but that it reads the environment, which is ours: so that the order of a set is the same every time."""
_ENVIRONMENT: Final = {
    "HOME": "/tmp",
    "PATH": "/usr/bin",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. Bytes where nothing else is said."""

    memory: int
    cpu_seconds: int
    processes: int
    file_bytes: int
    disk_bytes: int
    files: int = 64

    def of_process(self, *, processes: bool = True) -> dict[str, int]:
        """Return them by the kernel's names."""
        limits = {
            "RLIMIT_AS": self.memory,
            "RLIMIT_CPU": self.cpu_seconds,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.files,
            "RLIMIT_CORE": 0,
            "RLIMIT_MEMLOCK": 0,
            "RLIMIT_MSGQUEUE": 0,
        }
        return limits | ({"RLIMIT_NPROC": self.processes} if processes else {})


def python() -> str:
    """Return the interpreter of the base installation, not that of a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)


def bubblewrap() -> str:
    """Return the path of a bubblewrap that works here.

    Raises ``ConfigurationError`` if there is none: it says why, and what to install.
    """
    trouble = bubblewrap_trouble()
    if trouble is not None:
        raise ConfigurationError(f"model-written code cannot be run safely: {trouble}. {_INSTALL}")
    return shutil.which("bwrap") or "bwrap"


@functools.cache
def bubblewrap_trouble() -> str | None:
    """Return why bubblewrap cannot be used here; ``None`` if it can. Looked up once."""
    path = shutil.which("bwrap")
    if path is None:
        return "bubblewrap (bwrap) is not installed" if sys.platform == "linux" else "bubblewrap needs Linux"
    try:
        told = _output(path, "--help")
        lacks = [option for option in _NEEDED if option not in told]
        if lacks:
            return f"{_output(path, '--version').strip()} is too old, it has no {', '.join(lacks)}"
        limits = Limits(1 << 29, 5, 8, 1 << 20, 1 << 20)
        walls = command(path, limits, inner=("-c", "print(6 * 7)"), folders=())
        done = subprocess.run(walls, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        return f"bubblewrap does not run: {error}"
    if done.stdout.strip() != "42":
        said = done.stderr.strip().splitlines()
        return f"bubblewrap cannot start Python here: {said[-1] if said else 'it says nothing'}"
    return None


def _output(path: str, option: str) -> str:
    done = subprocess.run([path, option], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def command(
    path: str,
    limits: Limits,
    *,
    inner: Sequence[str],
    folders: Iterable[tuple[str, str]],
    data: Iterable[tuple[int, str]] = (),
    seccomp: int | None = None,
    info: int | None = None,
) -> list[str]:
    """Return the command that runs ``python *inner``, isolated, behind all walls.

    ``folders`` are (outside, inside) pairs to be seen read-only, ``data`` (descriptor, path inside) of files.

    As root no user namespace is made: the program then gets a user id of its own without any capability, which is
    stronger than being root in a namespace, and only so the kernel counts its processes.
    """
    root = os.geteuid() == 0
    arguments = [
        path,
        "--unshare-ipc",
        "--unshare-pid",
        "--unshare-net",
        "--unshare-uts",
        "--unshare-cgroup-try",
    ]
    arguments += [
        "--die-with-parent",
        "--new-session",
        "--clearenv",
        "--hostname",
        "sandbox",
        "--cap-drop",
        "ALL",
    ]
    if root:
        arguments += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        arguments += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    for name, value in _ENVIRONMENT.items():
        arguments += ["--setenv", name, value]
    made: set[Path] = {Path("/")}
    for outside, inside in _system():
        arguments += [*_parents(Path(inside), made), "--ro-bind", outside, inside]
        made.add(Path(inside))
    packages = str(_packages())
    arguments += [*_parents(_packages(), made), "--perms", "0755", "--tmpfs", packages]
    for outside, inside in folders:
        arguments += ["--ro-bind", outside, inside]
    arguments += ["--remount-ro", packages]
    for link in ("/lib", "/lib64", "/lib32"):
        if Path(link).is_symlink():
            arguments += ["--symlink", str(Path(link).readlink()), link]
    arguments += ["--proc", "/proc", "--dev", "/dev"]
    for number, inside in data:
        arguments += [*_parents(Path(inside), made), "--perms", "0444", "--ro-bind-data", str(number), inside]
    arguments += ["--perms", "1777", "--size", str(limits.disk_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    arguments += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if seccomp is not None:
        arguments += ["--seccomp", str(seccomp)]
    if info is not None:
        arguments += ["--info-fd", str(info)]
    user = random.SystemRandom().randrange(_FIRST_ID, _FIRST_ID * 2 - 1) if root and os.getuid() == 0 else 0
    return [*arguments, "--", *_launched(limits.of_process(), user, inner)]


def plain_command(limits: Limits, inner: Sequence[str]) -> list[str]:
    """Return the command without walls: limits only. Processes are not limited, the kernel would count the user's."""
    return _launched(limits.of_process(processes=False), 0, inner)


def _launched(limits: dict[str, int], user: int, inner: Sequence[str]) -> list[str]:
    return [python(), "-I", "-S", "-c", _LAUNCH, json.dumps([limits, user]), python(), *_ISOLATED, *inner]


@functools.cache
def _system() -> tuple[tuple[str, str], ...]:
    """Return what Python needs of the system: its own installation, the libraries, an empty ``site-packages``."""
    base = Path(os.path.realpath(sys.base_prefix))
    folders = [Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/lib32"), Path("/nix/store")]
    folders += [Path(link) for link in ("/lib", "/lib64", "/lib32") if not Path(link).is_symlink()]
    folders += [base / "bin", base / "lib"] if base == Path("/usr") else [base]
    found = sorted({folder for folder in folders if folder.is_dir()})
    kept = [
        folder
        for folder in found
        if not any(folder != other and folder.is_relative_to(other) for other in found)
    ]
    files = [path for path in (Path("/etc/ld.so.cache"), Path("/etc/localtime")) if path.exists()]
    return tuple((str(path), str(path)) for path in [*kept, *files])


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Return the options that make the folders above a path: bubblewrap's own would be open to root alone."""
    options: list[str] = []
    if any(Path(folder) in path.parents for folder, _ in _system()):
        return options
    for parent in reversed(path.parents):
        if parent not in made:
            made.add(parent)
            options += ["--perms", "0755", "--dir", str(parent)]
    return options


def _packages() -> Path:
    """Return where the base installation looks for installed packages."""
    base = os.path.realpath(sys.base_prefix)
    return Path(sysconfig.get_path("purelib", vars={"base": base, "installed_base": base}))


@functools.cache
def folders_of(packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return the (outside, inside) pairs that bring installed packages into the sandbox.

    Raises ``ConfigurationError`` for one that is not installed.
    """
    inside = _packages()
    pairs: dict[str, str] = {}
    for package in packages:
        try:
            files = importlib.metadata.files(package) or ()
        except importlib.metadata.PackageNotFoundError:
            raise ConfigurationError(
                f"packages={packages!r} names {package!r}, which is not installed here; install it or leave it out"
            ) from None
        for name in {file.parts[0] for file in files if file.parts[0] not in {"..", "__pycache__"}}:
            outside = Path(str(importlib.metadata.distribution(package).locate_file(name)))
            if outside.exists():
                pairs[str(outside)] = str(inside / name)
    return tuple(sorted(pairs.items()))
