"""Documents in a folder of this machine, network drives included; links never lead out of it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from ragline.connectors.sources.globs import Globs, is_text
from ragline.connectors.sources.protocol import Entry, Read, Vanished
from ragline.connectors.sources.registry import one_location
from ragline.errors import BadInput, TooLarge, Unavailable

if TYPE_CHECKING:
    from ragline.config import settings as config
    from ragline.connectors.workers import Workers

log = logging.getLogger(__name__)

BLOCK_BYTES = 1 << 20
DEBOUNCE_MS = 2000
"""A change is reported at the latest so long after it, although more keep coming."""
QUIET_MS = 200
"""A change is reported once nothing else has changed for so long."""
LOOK_AGAIN_MS = 10_000
"""While nothing changes: how often to look whether the folder is still the same; a drive that went away is silent."""


class Options(BaseModel):
    """What only folders know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    poll: bool = Field(False, description="Watch by looking again and again: network drives do not tell of changes.")


class FolderSource:
    """A folder and all below it. Passes over links to folders, links that lead out of it, and what is no file."""

    def __init__(
        self, settings: config.Source, options: Options, *, folder: Path, workers: Workers, max_bytes: int
    ) -> None:
        self._name = settings.name
        self._root = Path(one_location(settings)).expanduser().absolute()
        self._globs = Globs(settings.include, settings.exclude)
        self._max_bytes = max_bytes
        self._poll = options.poll
        self._closed = asyncio.Event()
        self._seen: tuple[int, int] | None = None

    @staticmethod
    def problems(settings: config.Source, options: Options) -> list[str]:
        try:
            one_location(settings)
        except BadInput as error:
            return [str(error)]
        return [f"secrets.{name}: a folder needs no secrets" for name in settings.secrets]

    async def fingerprint(self) -> str | None:
        """Return None: only the whole list tells whether a folder changed."""
        return None

    async def entries(self) -> list[Entry]:
        return await asyncio.to_thread(self._list)

    async def read(self, entry: Entry, into: BinaryIO, *, known_tag: str | None = None) -> Read:
        return await asyncio.to_thread(self._read, entry, into, known_tag)

    async def watch(self) -> AsyncGenerator[None, None]:
        """Yield when something under the folder changed that could be taken. Raises Unavailable once it is gone."""
        from watchfiles import awatch

        seen = await asyncio.to_thread(self._identify)
        root = await asyncio.to_thread(os.path.realpath, self._root)
        changes = awatch(
            root,
            watch_filter=lambda _, path: self._matters(root, path),
            debounce=DEBOUNCE_MS,
            step=QUIET_MS,
            stop_event=self._closed,
            rust_timeout=LOOK_AGAIN_MS,
            yield_on_timeout=True,
            force_polling=self._poll or None,
            ignore_permission_denied=True,  # listing it says so
        )
        try:
            async for changed in changes:
                if await asyncio.to_thread(self._identify) != seen:
                    raise self._unavailable("another folder has been put in its place, or another drive mounted there")
                if changed:
                    yield
        except (OSError, RuntimeError) as error:  # RuntimeError: the watcher's own, it has no public name
            raise self._unavailable(f"cannot be watched: {error}") from error
        finally:
            await changes.aclose()

    async def close(self) -> None:
        self._closed.set()

    def _list(self) -> list[Entry]:
        self._seen = self._identify()
        root = os.path.realpath(self._root)
        found: list[Entry] = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            for item in self._scan(root, folder):
                path = f"{folder}/{item.name}" if folder else item.name
                if not is_text(path):
                    log.warning("left out, its name is not UTF-8: source=%s path=%a", self._name, path)
                elif item.is_dir(follow_symlinks=False):
                    if self._globs.enter(path):
                        waiting.append(path)
                elif self._globs.take(path) and (status := self._status(root, path, item)) is not None:
                    found.append(Entry(path, tag=_tag(status), size_bytes=status.st_size))
        return sorted(found, key=lambda entry: entry.path)

    def _scan(self, root: str, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(root, folder)) as items:
                return list(items)
        except FileNotFoundError as error:
            if not folder:
                raise self._unavailable("there is no such folder; is its drive mounted?") from error
            return []  # gone since its parent was read
        except OSError as error:
            where = f"{folder!r}, which is not excluded, " if folder else ""
            raise self._unavailable(f"{where}cannot be listed: {error.strerror}") from error

    def _status(self, root: str, path: str, item: os.DirEntry[str]) -> os.stat_result | None:
        """Return what is known of a file, None for what is not one or leads out of the root."""
        try:
            if item.is_symlink() and _inside(root, path) is None:
                log.info("left out, the link leads out of the folder: source=%s path=%r", self._name, path)
                return None
            status = item.stat()
        except FileNotFoundError:
            return None  # gone since its folder was read, or a link to nothing
        except OSError as error:
            if error.errno == errno.ELOOP and item.is_symlink():
                return None  # a link to itself is a link to nothing
            raise self._unavailable(
                f"{path!r}, which is not excluded, cannot be looked at: {error.strerror}"
            ) from error
        return status if stat.S_ISREG(status.st_mode) else None

    def _read(self, entry: Entry, into: BinaryIO, known_tag: str | None) -> Read:
        start = into.tell()
        for _ in range(2):
            try:
                with self._open(entry.path) as file:
                    before = os.fstat(file.fileno())
                    if _tag(before) == known_tag:
                        return Read(known_tag, changed=False)
                    self._copy(entry.path, file, into)
                with self._open(entry.path) as file:
                    after = os.fstat(file.fileno())
            except (FileNotFoundError, NotADirectoryError) as error:
                raise self._gone(entry.path) from error
            except OSError as error:
                raise self._unavailable(f"{entry.path!r} cannot be read: {error.strerror}") from error
            if (_tag(before), before.st_ino) == (_tag(after), after.st_ino):
                return Read(_tag(after))
            into.seek(start)
            into.truncate()
        raise self._unavailable(f"{entry.path!r} changes while it is read")

    @contextmanager
    def _open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file inside the root, part by part, so that no link can be put on the way meanwhile.

        Raises FileNotFoundError where there is none, or something that is no file.
        """
        root = os.path.realpath(self._root)
        real = _inside(root, path)
        if real is None:
            raise FileNotFoundError(path)
        *folders, name = real.split(os.sep)
        handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = below
            # NONBLOCK: opening a FIFO would wait for its writer.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
        finally:
            os.close(handle)
        with open(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise FileNotFoundError(path)
            yield opened

    def _copy(self, path: str, file: BinaryIO, into: BinaryIO) -> None:
        if os.fstat(file.fileno()).st_size > self._max_bytes:
            raise self._too_large(path)
        copied = 0
        while block := file.read(BLOCK_BYTES):
            copied += len(block)
            if copied > self._max_bytes:
                raise self._too_large(path)
            into.write(block)

    def _identify(self) -> tuple[int, int]:
        """Return device and inode of the root: others mean that a drive was mounted or taken away."""
        try:
            status = os.stat(self._root)
        except OSError as error:
            raise self._unavailable(f"{error.strerror}; is its drive mounted?") from error
        return status.st_dev, status.st_ino

    def _gone(self, path: str) -> Vanished | Unavailable:
        """Tell a file that was deleted from a drive that went away with it."""
        if self._identify() != self._seen and self._seen is not None:
            return self._unavailable("another folder is in its place since it was listed")
        return Vanished(f"source {self._name!r}: {path!r} is not there any more")

    def _matters(self, root: str, changed: str) -> bool:
        path = os.path.relpath(changed, root)
        # A folder that is moved away or in is one change, its files are not told of.
        return self._globs.take(path) or (not os.path.isfile(changed) and self._globs.enter(path))

    def _too_large(self, path: str) -> TooLarge:
        return TooLarge(f"source {self._name!r}: {path!r} is larger than the limit of {self._max_bytes} bytes")

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"source {self._name!r}: folder {str(self._root)!r}: {reason}")


def _tag(status: os.stat_result) -> str:
    return f"{status.st_mtime_ns}-{status.st_size}"


def _inside(root: str, path: str) -> str | None:
    """Return the real path of a file relative to the root, None where it lies outside of it."""
    real = os.path.realpath(os.path.join(root, path))
    return os.path.relpath(real, root) if real.startswith(root.rstrip(os.sep) + os.sep) else None
