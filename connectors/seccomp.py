"""A filter in the Linux kernel for the calls that reading a file never needs: network, mounts, other processes."""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER = 1
ALL_THREADS = 1 << 0
NO_SLOWER_CPU = 1 << 2  # without it, kernels before 5.16 switch a protection on that slows all of the process down

LOAD, EQUALS, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of classic BPF: load a word, compare it with a constant and jump, return."""
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
"""Where they stand in the kernel's `seccomp_data`, in bytes; both machines are little-endian."""
ALLOW, FAIL_WITH = 0x7FFF0000, 0x00050000

AF_UNIX = 1
NEW_NAMESPACES = 0x7E020000
"""The flags of clone(2) that make a namespace; other uses start threads and programs."""
FOREIGN_NUMBERS = 0x40000000
"""From here on x86-64 has the calls of x32, under other numbers."""

NEVER: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "socket": (41, 198),
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "pidfd_getfd": (438, 438),
        "setsid": (112, 157),  # whoever leaves the group of the worker would not be killed with it
        "setpgid": (109, 154),
        "mount": (165, 40),
        "umount2": (166, 39),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fspick": (433, 433),
        "mount_setattr": (442, 442),
        "open_by_handle_at": (304, 265),
        "unshare": (272, 97),
        "setns": (308, 268),
        "bpf": (321, 280),
        "perf_event_open": (298, 241),
        "userfaultfd": (323, 282),
        "add_key": (248, 217),
        "request_key": (249, 218),
        "keyctl": (250, 219),
        "init_module": (175, 105),
        "finit_module": (313, 273),
        "delete_module": (176, 106),
        "kexec_load": (246, 104),
        "kexec_file_load": (320, 294),
        "reboot": (169, 142),
        "swapon": (167, 224),
        "swapoff": (168, 225),
    }
)
"""Calls that fail with EPERM, with their numbers on x86-64 and on aarch64."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What differs between processors. `column` is theirs in NEVER; the others are the numbers of calls."""

    architecture: int
    column: int
    seccomp: int
    clone: int
    clone3: int
    socketpair: int


MACHINES: Mapping[str, Machine] = MappingProxyType(
    {
        "x86_64": Machine(0xC000003E, 0, seccomp=317, clone=56, clone3=435, socketpair=53),
        "aarch64": Machine(0xC00000B7, 1, seccomp=277, clone=220, clone3=435, socketpair=199),
    }
)


def forbid() -> bool:
    """Let the calls of NEVER fail in this process and all that it starts, for ever; False where that cannot be."""
    machine = MACHINES.get(platform.machine()) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None
    if machine is None:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = b"".join(instructions(machine))
    code = ctypes.create_string_buffer(program)
    # struct sock_fprog: the number of instructions, padding, their address.
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    flags = ALL_THREADS | NO_SLOWER_CPU
    return bool(libc.syscall(machine.seccomp, SET_MODE_FILTER, flags, header) == 0)


def instructions(machine: Machine) -> Iterator[bytes]:
    """Yield the filter: 8 bytes an instruction, the answers at each place, so that all jumps are short."""
    denied = _step(RETURN, FAIL_WITH | errno.EPERM)
    yield _step(LOAD, ARCHITECTURE_AT)
    yield _step(EQUALS, machine.architecture, yes=1)
    yield denied
    yield _step(LOAD, NUMBER_AT)
    yield _step(AT_LEAST, FOREIGN_NUMBERS, no=1)
    yield denied
    for numbers in NEVER.values():
        yield _step(EQUALS, numbers[machine.column], no=1)
        yield denied
    # Its flags lie in memory, where no filter can look. The C library takes clone instead.
    yield _step(EQUALS, machine.clone3, no=1)
    yield _step(RETURN, FAIL_WITH | errno.ENOSYS)
    yield _step(EQUALS, machine.clone, no=4)
    yield _step(LOAD, FIRST_ARGUMENT_AT)
    yield _step(ANY_BIT, NEW_NAMESPACES, no=1)
    yield denied
    yield _step(RETURN, ALLOW)
    yield _step(EQUALS, machine.socketpair, no=3)
    yield _step(LOAD, FIRST_ARGUMENT_AT)
    yield _step(EQUALS, AF_UNIX, yes=1)
    yield denied
    yield _step(RETURN, ALLOW)


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """Return an instruction; `yes` and `no` are how many to leave out when a comparison holds, or does not."""
    return struct.pack("HBBI", code, yes, no, value)
