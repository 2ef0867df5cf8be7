"""The bytes of files, through fsspec: a folder by default, S3 and others by URL."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ragline.config.settings import Blobs as BlobSettings
from ragline.errors import NotFound, RaglineError, SetupError, TooLarge, Unavailable

T = TypeVar("T")

BLOCK_BYTES = 1 << 20
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "obs"})
"""Stores without folders, whose buckets are made by who pays for them: a mistyped name must not make one."""

log = logging.getLogger(__name__)


def new_blob_key(file_id: str) -> str:
    """Return a new place for the bytes of a file; each of its contents lies in one of its own."""
    return f"files/{file_id}-{uuid.uuid4().hex[:8]}"


def text_key(file_id: str, version: str) -> str:
    """Return where the extracted text of a version lies, UTF-8; offsets of passages are in its characters."""
    return f"texts/{file_id}-{version}"


class Blobs:
    """Named bytes. A name never shows half-written content, and what `put` returned from survives a crash."""

    def __init__(self, file_system: fsspec.AbstractFileSystem, root: str) -> None:
        self._fs = file_system
        self._root = root.rstrip("/")
        self._local = isinstance(file_system, LocalFileSystem)
        self._in_bucket = not BUCKETS.isdisjoint(protocols_of(file_system))
        self._made: set[str] = set()

    async def put(self, key: str, content: BinaryIO, *, max_bytes: int | None = None) -> tuple[int, str]:
        """Store a stream from where it stands and return (bytes, SHA-256 as hex). Raises TooLarge and keeps nothing."""
        return await asyncio.to_thread(self._translated, self._put, key, content, max_bytes)

    async def get(self, key: str) -> bytes:
        """Return the bytes. Raises NotFound."""
        return await asyncio.to_thread(self._translated, self._get, key)

    async def blocks(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Give the bytes from `start` to before `end`, at most BLOCK_BYTES at a time. Raises NotFound at the first."""
        file = await asyncio.to_thread(self._translated, self._open, key, start)
        try:
            left = sys.maxsize if end is None else end - start
            while left > 0 and (block := await asyncio.to_thread(self._translated, file.read, min(BLOCK_BYTES, left))):
                left -= len(block)
                yield block
        finally:
            file.close()

    async def delete(self, key: str) -> None:
        """Delete the bytes; none there is no error."""
        await asyncio.to_thread(self._translated, self._delete, key)

    async def names(self, folder: str) -> list[tuple[str, float]]:
        """Return what lies in a folder, as (name, when it was written as Unix seconds), sorted by name."""
        return await asyncio.to_thread(self._translated, self._names, folder)

    @asynccontextmanager
    async def as_path(self, key: str) -> AsyncIterator[Path]:
        """Give the bytes as a file on this machine for the length of the block. Raises NotFound."""
        if self._local:
            if not self._fs.exists(self._path(key)):
                self._check_root(FileNotFoundError(self._root))
                raise _lost(key)
            yield Path(self._path(key))
            return
        folder = Path(await asyncio.to_thread(self._translated, tempfile.mkdtemp, None, "ragline-"))
        try:
            await asyncio.to_thread(self._translated, self._fetch, key, folder / "blob")
            yield folder / "blob"
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _translated(self, work: Callable[..., T], *arguments: object) -> T:
        """Call the file system. What it fails with, a full disk or a server that is down, becomes Unavailable."""
        try:
            return work(*arguments)
        except RaglineError:
            raise
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise Unavailable("the disk is full: free some space; nothing was lost") from error
            raise away(error) from error
        except Exception as error:
            if self._local:
                raise
            raise away(error) from error  # each library has errors of its own

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _put(self, key: str, content: BinaryIO, max_bytes: int | None) -> tuple[int, str]:
        path = self._path(key)
        temporary = f"{path}.part" if self._local else path
        self._make(os.path.dirname(path))
        digest, size = hashlib.sha256(), 0
        try:
            with self._fs.open(temporary, "wb") as target:
                while block := content.read(BLOCK_BYTES):
                    size += len(block)
                    if max_bytes is not None and size > max_bytes:
                        raise TooLarge(
                            f"the file is larger than the limit of {max_bytes} bytes (server.max_upload_bytes)"
                        )
                    digest.update(block)
                    target.write(block)
                if self._local:
                    target.flush()
                    os.fsync(target.fileno())
        except BaseException:
            self._delete_path(temporary)
            raise
        if self._local:
            os.replace(temporary, path)
            sync_folder(os.path.dirname(path))
        return size, digest.hexdigest()

    def _make(self, folder: str) -> None:
        if self._in_bucket or (not self._local and folder in self._made):  # each look is a request
            return
        self._fs.makedirs(folder, exist_ok=True)
        self._made.add(folder)

    def _check_root(self, error: Exception) -> None:
        """Raise Unavailable when it is not this file that is missing but the bucket, or the drive of the folder."""
        if not self._fs.exists(self._root.partition("/")[0] if self._in_bucket else self._root):
            raise away(error) from error

    def _fetch(self, key: str, path: Path) -> None:
        with self._found(key):
            self._fs.get_file(self._path(key), str(path))

    def _get(self, key: str) -> bytes:
        with self._found(key):
            content: bytes = self._fs.cat_file(self._path(key))
        return content

    def _open(self, key: str, start: int) -> BinaryIO:
        with self._found(key):
            file: BinaryIO = self._fs.open(self._path(key), "rb")
        file.seek(start)
        return file

    @contextmanager
    def _found(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self._check_root(error)
            raise _lost(key) from error

    def _names(self, folder: str) -> list[tuple[str, float]]:
        try:
            found = self._fs.ls(self._path(folder), detail=True, refresh=True)
        except FileNotFoundError:
            return []
        return sorted(
            (f"{folder}/{entry['name'].rsplit('/', 1)[-1]}", written_at(entry))
            for entry in found
            if entry["type"] == "file"
        )

    def _delete(self, key: str) -> None:
        self._delete_path(self._path(key))

    def _delete_path(self, path: str) -> None:
        with suppress(FileNotFoundError):  # another may delete it at the same moment
            self._fs.rm_file(path)


def away(error: Exception) -> Unavailable:
    """Return what the caller is told; why, with addresses and paths, is for the log."""
    log.warning("the store of the files' bytes (blobs.url) fails: %s: %s", type(error).__name__, error)
    return Unavailable("files cannot be stored or read now; the server's log says why. Try again soon")


def _lost(key: str) -> NotFound:
    return NotFound(f"its stored bytes {key!r} are lost: upload the file again")


def open_blobs(settings: BlobSettings, *, data_dir: Path) -> Blobs:
    """Return the store. Raises SetupError for a URL that no installed package can open."""
    if settings.url is None:
        return Blobs(LocalFileSystem(), str((data_dir / "blobs").resolve()))
    try:
        file_system, root = fsspec.core.url_to_fs(settings.url)
    except (ImportError, ValueError) as error:
        raise SetupError(f"blobs.url {settings.url!r}: {error}") from error
    return Blobs(file_system, root)


def protocols_of(file_system: fsspec.AbstractFileSystem) -> tuple[str, ...]:
    said = file_system.protocol
    return (said,) if isinstance(said, str) else tuple(said)


def written_at(entry: Mapping[str, Any]) -> float:
    """Return when a file was written; file systems have different words for it. Now, where one does not say."""
    for word in ("mtime", "LastModified", "last_modified", "updated", "modified"):
        match entry.get(word):
            case datetime() as moment:
                return moment.timestamp()
            case int() | float() as seconds:
                return float(seconds)
    return time.time()


def sync_folder(folder: str) -> None:
    """Make a rename durable: the folder's own entry is written out."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
