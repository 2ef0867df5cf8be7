"""The part of the file system that a process, and all that it starts, may still see: Landlock, of Linux 5.13."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ragline.connectors.seccomp import PR_SET_NO_NEW_PRIVS

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the calls, on every processor."""
ASK_VERSION = 1
PATH_BENEATH = 1

EXECUTE, WRITE, READ, LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_DEVICE = 1 << 6 | 1 << 11  # of characters, of blocks
TRUNCATE, IOCTL = 1 << 14, 1 << 15
RIGHTS = (0, 13, 14, 15, 15, 16)
"""How many kinds of access each version of Landlock knows; later ones know no more of files."""
OF_FILES = EXECUTE | WRITE | READ | TRUNCATE | IOCTL
TCP = 1 << 0 | 1 << 1
OTHERS = 1 << 0 | 1 << 1
"""Abstract sockets of others, and signals to them (from version 6)."""

USE = EXECUTE | READ | LIST
"""Rights on programs and libraries."""
ALL = (1 << 16) - 1 & ~(EXECUTE | MAKE_DEVICE)
"""Rights on a folder of one's own; what is written there cannot be run."""


def version() -> int:
    """Return the version of Landlock in this kernel, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    return max(0, int(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, ASK_VERSION)))


def confine(allowed: Iterable[tuple[Path, int]]) -> bool:
    """Leave this thread, and what it starts, only these (path, rights): for files also those in folders below.

    Paths that are not there are passed over. Nothing undoes it. False where the kernel cannot do it. Call it before
    there are other threads.
    """
    known = version()
    if not known:
        return False
    rights = (1 << RIGHTS[min(known, len(RIGHTS) - 1)]) - 1
    libc = ctypes.CDLL(None, use_errno=True)
    # struct landlock_ruleset_attr: files, network (from version 4), scope (from version 6).
    handled = struct.pack("QQQ", rights, TCP, OTHERS)[: 8 if known < 4 else 16 if known < 6 else 24]
    rules = libc.syscall(CREATE_RULESET, handled, len(handled), 0)
    if rules < 0:
        return False
    try:
        for path, wanted in allowed:
            _allow(libc, rules, path, wanted & rights)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            return False
        return bool(libc.syscall(RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights &= rights if os.path.isdir(place) else OF_FILES
        # struct landlock_path_beneath_attr is packed: 8 bytes of rights, 4 of the descriptor.
        if libc.syscall(ADD_RULE, rules, PATH_BENEATH, struct.pack("=Qi", rights, place), 0) != 0:
            raise OSError(ctypes.get_errno(), f"Landlock takes no rule for {path}")
    finally:
        os.close(place)


def around(folder: Path, rights: int, hidden: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Yield what together is all of a folder without the hidden places: itself, where none of them lies in it.

    Of a folder that has one in it the names can be listed, down to those that are hidden: modules are found so.
    """
    if folder in hidden:
        return
    if not any(place.is_relative_to(folder) for place in hidden):
        yield folder, rights
        return
    yield folder, rights & LIST
    with suppress(OSError):
        for each in sorted(folder.iterdir()):
            yield from around(each.resolve(), rights, hidden)
