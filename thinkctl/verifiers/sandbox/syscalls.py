"""The system calls that model-written code never needs, as a filter for the kernel."""

from __future__ import annotations

import platform
import struct
from collections.abc import Mapping
from typing import Final

__all__ = ["filter_for"]

_EPERM: Final = 1
_ENOSYS: Final = 38
_KILL: Final = 0x80000000
_ERRNO: Final = 0x00050000
_ALLOW: Final = 0x7FFF0000
_NEW_NAMESPACES: Final = 0x7E020000 | 0x00000080
"""The flags of ``clone`` that make namespaces: in one of its own a process would have all capabilities."""
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_FOREIGN: Final = 0x40000000
"""From this number on are the calls of another binary interface of x86-64."""

_ALIKE: Final = {
    "pidfd_getfd": 438,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "mount_setattr": 442,
    "memfd_secret": 447,
}
"""Calls so young that they have the same number everywhere."""
_DENIED: Final[Mapping[str, Mapping[str, int]]] = {
    "x86_64": {
        "ptrace": 101,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "unshare": 272,
        "setns": 308,
        "mount": 165,
        "umount2": 166,
        "pivot_root": 155,
        "chroot": 161,
        "bpf": 321,
        "perf_event_open": 298,
        "userfaultfd": 323,
        "keyctl": 250,
        "add_key": 248,
        "request_key": 249,
        "memfd_create": 319,  # memory that no limit of a process counts
        "shmget": 29,
        "msgget": 68,
        "open_by_handle_at": 304,
        "kcmp": 312,
        **_ALIKE,
    },
    "aarch64": {
        "ptrace": 117,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "unshare": 97,
        "setns": 268,
        "mount": 40,
        "umount2": 39,
        "pivot_root": 41,
        "chroot": 51,
        "bpf": 280,
        "perf_event_open": 241,
        "userfaultfd": 282,
        "keyctl": 219,
        "add_key": 217,
        "request_key": 218,
        "memfd_create": 279,
        "shmget": 194,
        "msgget": 186,
        "open_by_handle_at": 265,
        "kcmp": 272,
        **_ALIKE,
    },
}
_CLONE: Final = {"x86_64": 56, "aarch64": 220}
_CLONE3: Final = 435
_MACHINES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def filter_for(machine: str = "") -> bytes | None:
    """Return the filter as ``bwrap --seccomp`` reads it; ``None`` for a processor whose calls are not listed here.

    Denied are: looking into other processes, namespaces and mounts, keys, and memory outside every limit. A call of
    another binary interface than the processor's own ends the process.
    """
    machine = machine or platform.machine()
    if machine not in _DENIED:
        return None
    lines = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, _MACHINES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_AT_LEAST, 0, 1, _FOREIGN),
        (_RETURN, 0, 0, _KILL),
        (_JUMP_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),  # its flags cannot be read from here; libraries then use clone
    ]
    for number in sorted(_DENIED[machine].values()):
        lines += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    lines += [
        (_JUMP_EQUAL, 0, 3, _CLONE[machine]),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_ANY, 0, 1, _NEW_NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
