"""Runs another program that cannot outlive the one that started it: `python -m ragline.flows.tether -- PROGRAM …`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): send this process a signal when its parent dies. It survives execve(2)."""


def main() -> None:
    program = sys.argv[sys.argv.index("--") + 1 :]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
