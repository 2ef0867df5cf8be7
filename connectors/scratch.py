"""Folders of workers: one to read from, one to write to, emptied after each task whatever became of it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "ragline-worker-"
MAX_FILES = 100_000
"""More files in a folder to write to are over the limit, whatever their size."""
YOUNG_S = 60.0
"""A folder may be so old before its maker has locked it."""


class Scratch:
    """The folder of one worker process. `reading` holds the file it reads, `writing` is its TMPDIR."""

    def __init__(self, parent: Path) -> None:
        """Make it in `parent`, and remove there what processes left behind that were killed."""
        parent.mkdir(parents=True, exist_ok=True)
        sweep(parent)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)).resolve()
        self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.reading, self.writing = self.path / "reading", self.path / "writing"
        self.reading.mkdir()
        self.writing.mkdir()

    def lend(self, file: Path) -> Path:
        """Return another name of the file, in `reading`: of the same bytes where that can be, else of a copy."""
        number = len(os.listdir(self.reading))
        lent = self.reading / f"{number}{file.suffix[:20]}"
        try:
            os.link(file.resolve(), lent)
        except OSError:
            shutil.copyfile(file, lent)
        return lent

    def size(self) -> int:
        """Return the bytes in `writing`; of more than MAX_FILES files a number over every limit."""
        total = 0
        for number, entry in enumerate(walk(self.writing)):
            if number >= MAX_FILES:
                return 1 << 62
            with suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512
        return total

    def used(self) -> bool:
        return bool(os.listdir(self.reading) or os.listdir(self.writing))

    def empty(self) -> None:
        """Remove what lies in both folders."""
        for folder in (self.reading, self.writing):
            for entry in folder.iterdir():
                with suppress(OSError):
                    if entry.is_dir() and not entry.is_symlink():
                        shutil.rmtree(entry, ignore_errors=True)
                    else:
                        entry.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield everything in a folder and below, following no link; what goes meanwhile is passed over."""
    waiting = [os.fspath(folder)]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                yield entry


def sweep(parent: Path) -> None:
    """Remove the folders whose process is gone: nobody holds their lock."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - folder.lstat().st_mtime > YOUNG_S:
                with locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder. Raises OSError where somebody else does, or where it is another user's."""
    held = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)
