"""A look from outside at what a task uses, with all that it started: the kernel's limits are of one process each."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ragline.connectors.scratch import Scratch
from ragline.connectors.usage import usage

if TYPE_CHECKING:
    from ragline.config.settings import Parsing

MAX_PROCESSES = 32


class Stopped(Exception):
    """A task is over a limit, which the text names."""


class Watch:
    """Watches one task."""

    def __init__(self, parsing: Parsing, scratch: Scratch, pid: int) -> None:
        self._parsing, self._scratch, self._pid = parsing, scratch, pid
        self._cpu_before: float | None = None

    def look(self) -> None:
        """Raise Stopped if the task is over a limit now. CPU time counts from the first look."""
        limits = self._parsing
        if self._scratch.size() > limits.max_disk_mb << 20:
            raise Stopped(
                f"reading the file needs more than {limits.max_disk_mb} MiB of temporary files; "
                "split it or raise parsing.max_disk_mb"
            )
        if (used := usage(self._pid)) is None:
            return
        if used.processes > MAX_PROCESSES:
            raise Stopped(f"reading the file started more than {MAX_PROCESSES} processes and was stopped")
        if used.memory_bytes > limits.memory_mb << 20:
            raise Stopped(
                f"reading the file used more than {limits.memory_mb} MiB of memory; "
                "split the file or raise parsing.memory_mb"
            )
        if self._cpu_before is None:
            self._cpu_before = used.cpu_s
        if used.cpu_s - self._cpu_before > limits.cpu_limit_s:
            raise Stopped(over_cpu(limits))


def over_cpu(parsing: Parsing) -> str:
    return (
        f"reading the file took more than {parsing.cpu_limit_s:g} s of CPU and was stopped; "
        "split the file or raise parsing.cpu_limit_s"
    )


def bury(group: int) -> None:
    """Return when no process of a killed group is left, after 2 s at the latest.

    Those that were started meanwhile are killed, too. Where this process is the first of a container, it has to take
    leave of them itself.
    """
    for _ in range(40):
        with suppress(ChildProcessError):
            while os.waitpid(-group, os.WNOHANG) != (0, 0):
                pass
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.05)
