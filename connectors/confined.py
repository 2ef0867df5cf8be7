"""What runs in a worker process: the walls around it, then one task after another."""

from __future__ import annotations

import errno
import io
import math
import os
import pickle
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ragline.config.environment import command_folders, quiet_libraries
from ragline.connectors import landlock, seccomp
from ragline.connectors.tether import die_with_parent
from ragline.errors import OverLimit, RaglineError, Unavailable

MAX_OPEN_FILES = 512
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/gnu/store", "/sys")
"""Where programs, libraries and fonts are, and the numbers of processors."""
OF_THIS_PROCESS = ("self", "cpuinfo", "meminfo", "stat", "sys", "filesystems", "version", "loadavg", "uptime")
"""In /proc; what it shows of other processes is not for a worker."""
ETC = ("fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "group", "magic")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.sendto", "socket.sendmsg")
"""Beginnings of the names of Python's audit events that are about the network."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What a worker is told before its first task: its limits, its folders, and the places it must not see."""

    memory_bytes: int
    file_bytes: int
    result_bytes: int
    cpu_s: float
    reading: Path
    writing: Path
    hidden: Sequence[Path]


@dataclass(frozen=True, slots=True)
class Walls:
    """What holds the worker, beside its limits: the kernel refuses it the network, and all files but its own."""

    network: bool
    files: bool

    def __str__(self) -> str:
        network = "without network" if self.network else "without network as far as Python goes (no seccomp here)"
        files = "sees no file but its own" if self.files else "sees all files of this user (no Landlock here)"
        return f"{network}, {files}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: with a `value`, or an `error`, or for want of memory. `tidy`: nothing it started runs on."""

    value: object = None
    error: RaglineError | None = None
    fault: str = ""
    memory: bool = False
    tidy: bool = True


def main() -> None:
    """Serve the process that started this one, over its standard input and output, until it is gone."""
    tasks, results = channel()
    cell: Cell = pickle.loads(received(tasks) or b"")
    send(results, pickle.dumps(walled(cell)))
    while (task := received(tasks)) is not None:
        send(results, b"")  # it is here: from now on a death is the fault of the task
        send(results, done(task, cell))
        del task


def channel() -> tuple[BinaryIO, BinaryIO]:
    """Take standard input and output for ourselves; what a library prints goes to standard error."""
    tasks, results = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return os.fdopen(tasks, "rb"), os.fdopen(results, "wb")


def send(results: BinaryIO, message: bytes) -> None:
    results.write(len(message).to_bytes(8, "big"))
    results.write(message)
    results.flush()


def received(tasks: BinaryIO) -> bytes | None:
    """Return the next message, None at the end."""
    head = tasks.read(8)
    size = int.from_bytes(head, "big")
    message = tasks.read(size) if len(head) == 8 else b""
    return message if len(head) == 8 and len(message) == size else None


def walled(cell: Cell) -> Walls:
    """Put up what cannot be taken down again. There must be no other thread yet."""
    die_with_parent()
    quiet_libraries()
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        # DATA, not AS: libraries and pandoc map address space by the gigabyte that they never touch.
        (resource.RLIMIT_DATA, cell.memory_bytes),
        (resource.RLIMIT_FSIZE, cell.file_bytes),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (bound, bound))
    walls = Walls(files=in_place() and landlock.confine(allowed(cell)), network=seccomp.forbid())
    sys.addaudithook(refuse_network)
    threading.Thread(target=end_with_parent, args=(os.getppid(),), daemon=True).start()
    return walls


def allowed(cell: Cell) -> Iterator[tuple[Path, int]]:
    """Yield the files and folders that a worker needs, with the rights on them."""
    for device in DEVICES:
        yield Path(device), landlock.READ | landlock.WRITE | landlock.IOCTL
    etc = [Path("/etc", name) for name in ETC]
    proc = [Path("/proc", name) for name in OF_THIS_PROCESS]
    for place in (*map(Path, SYSTEM), *etc, *proc, *command_folders(), *python_folders()):
        yield from landlock.around(place.resolve(), landlock.USE, cell.hidden)
    yield cell.reading, landlock.READ | landlock.LIST
    yield cell.writing, landlock.ALL


def python_folders() -> Iterator[Path]:
    """Yield where Python's modules are, and those of Ragline, whose rooms may be links to elsewhere."""
    package = Path(sys.modules["ragline"].__file__ or "").resolve().parent
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(None, sys.path)})
    yield from (package, *(each for each in package.iterdir() if each.is_symlink()))


def in_place() -> bool:
    """Tell whether packages lie where they are looked for; some installers only put links there."""
    folders = [folder.resolve() for folder in python_folders()]
    files = [Path(file) for module in (*sys.modules.values(),) if (file := getattr(module, "__file__", None))]
    return all(any(file.resolve().is_relative_to(folder) for folder in folders) for file in files)


def refuse_network(event: str, _: object) -> None:
    """The second wall, and the only one where the kernel has no filter: Python's own calls fail."""
    if event.startswith(NETWORK):
        raise PermissionError(errno.EPERM, "a worker has no network")


def end_with_parent(parent: int) -> None:
    """Leave nothing behind a server that was killed, also where `die_with_parent` can do nothing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def done(task: bytes, cell: Cell) -> bytes:
    """Return the pickled outcome of a task, in at most `result_bytes`."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(used.ru_utime + used.ru_stime + cell.cpu_s)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        function, arguments, named = pickle.loads(task)
        return packed(outcome(partial(function, *arguments, **named)), cell.result_bytes)
    except RaglineError as error:
        return pickle.dumps(Outcome(error=error, tidy=alone()))
    except MemoryError:
        return pickle.dumps(Outcome(memory=True, tidy=alone()))
    except BaseException:  # noqa: BLE001  # also of a library that calls exit(): the edge of the process
        return pickle.dumps(Outcome(fault=traceback.format_exc(limit=-40)[-8000:], tidy=alone()))


def outcome(call: Callable[[], object]) -> Outcome:
    try:
        value = call()
    except (RaglineError, OSError) as error:
        over_disk(error)
        raise
    return Outcome(value=value, tidy=alone())


def over_disk(error: BaseException) -> None:
    """Raise OverLimit where an error comes from a temporary file that became too large, Unavailable for a full disk."""
    cause: BaseException | None = error
    for _ in range(20):
        if isinstance(cause, OSError) and cause.errno == errno.EFBIG:
            raise OverLimit(
                "reading the file needs a temporary file larger than parsing.max_disk_mb allows; split it or raise that"
            )
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Unavailable("the disk for temporary files is full: free some space; the file is tried again")
        cause = cause and (cause.__cause__ or cause.__context__)


class Bounded(io.RawIOBase):
    """Memory for a pickle of at most so many bytes."""

    def __init__(self, most: int) -> None:
        self.parts: list[bytes] = []
        self._left = most

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._left -= len(part)
        if self._left < 0:
            raise OverLimit(
                "what was read from the file is too much to be taken over; split it or raise parsing.max_text_chars"
            )
        self.parts.append(part)
        return len(part)


def packed(outcome: Outcome, most: int) -> bytes:
    """Pickle an outcome. Raises OverLimit, and what pickling raises."""
    into = Bounded(most)
    pickle.Pickler(into, pickle.HIGHEST_PROTOCOL).dump(outcome)
    return b"".join(into.parts)


def alone() -> bool:
    """Reap the children that have ended; False if one runs on."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return True
    return False
