"""What a process and all that it started use, from Linux's /proc; of another system nothing is known."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
KEPT = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.M)
MAX_SEEN = 1000
"""More processes are not counted."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process and its descendants: how many they are, CPU seconds with those that ended, memory not of files."""

    processes: int
    cpu_s: float
    memory_bytes: int


def usage(pid: int) -> Usage | None:
    """Return what a process and its descendants use, None where that cannot be known or the process has ended."""
    waiting, seen = [pid], 0
    cpu_s, memory = 0.0, 0
    while waiting and seen < MAX_SEEN:
        one = waiting.pop()
        try:
            # After the name of the program, which may hold anything, come 11 fields, then the times.
            times = (PROC / f"{one}/stat").read_text(errors="replace").rpartition(")")[2].split()[11:15]
            status = (PROC / f"{one}/status").read_text(errors="replace")
            for thread in os.scandir(PROC / f"{one}/task"):
                waiting += map(int, (PROC / f"{one}/task/{thread.name}/children").read_text().split())
        except OSError:  # it ended meanwhile
            if one == pid:
                return None
            continue
        seen += 1
        cpu_s += sum(map(int, times)) / TICKS
        memory += sum(map(int, KEPT.findall(status))) << 10
    return Usage(seen, cpu_s, memory)
