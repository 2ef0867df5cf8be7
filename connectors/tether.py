"""Programs that cannot outlive the process that started them: `python -m ragline.connectors.tether -- PROGRAM …`."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): send this process a signal when its parent dies. It survives execve(2)."""


TETHER = (sys.executable, "-m", "ragline.connectors.tether", "--")
"""What stands before a command that is to be tethered."""


def die_with_parent() -> None:
    """Let this process be killed when its parent dies; only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    program = sys.argv[sys.argv.index("--") + 1 :]
    die_with_parent()
    os.execv(program[0], program)


if __name__ == "__main__":
    main()
