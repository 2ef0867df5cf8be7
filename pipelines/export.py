"""The files of a collection, as they were uploaded, in one zip archive with its directories."""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil
import time
import zipfile
from collections.abc import Coroutine
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from ragline.app import Stores
from ragline.connectors.records.directories import paths_of
from ragline.errors import NotFound, Unavailable
from ragline.pipelines.names import Places
from ragline.pipelines.parse_types import PDF, ZIPPED
from ragline.types import FileRecord

log = logging.getLogger(__name__)

FAST = 1
"""The level of compression: the next ones save little and take the processor for long."""
MISSING = "missing files.txt"
"""Names the files whose bytes are lost."""


async def archive(stores: Stores, collection_id: str) -> tuple[BinaryIO, int]:
    """Return a temporary file, which stands at its beginning, and its size in bytes.

    Names are made fit for every file system and unique. Files that are deleted meanwhile are left out, as are those
    whose bytes are lost: the archive says which. Raises Unavailable where the disk or the store of bytes fails.
    """
    directories = await stores.records.directories.all(collection_id)
    members = await stores.records.members.all(collection_id)
    made = await asyncio.to_thread(TemporaryFile)
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=FAST) as target:
            places = Places()
            folders: dict[str | None, str] = {None: ""}
            depths = {each: path.count("/") for each, path in paths_of(directories).items()}
            for directory in sorted(directories, key=lambda each: depths[each.id]):
                folders[directory.id] = places.take(folders[directory.parent_id], directory.name)
                target.mkdir(folders[directory.id])
            lost = []
            for placed in members:
                file = placed.file
                path = places.take(folders.get(placed.directory_id, ""), file.filename)
                try:
                    async with stores.blobs.as_path(file.blob) as source:
                        await ended(asyncio.to_thread(add, target, source, path, file))
                except (NotFound, FileNotFoundError):
                    lost += [path] if await stores.records.files.named([file.id]) else []
            if lost:
                log.warning("exported collection=%s without %d lost files", collection_id, len(lost))
                target.writestr(places.take("", MISSING), "\n".join(lost) + "\n")
            await ended(asyncio.to_thread(target.close))
        size_bytes = made.tell()
        made.seek(0)
    except OSError as error:
        made.close()
        if error.errno == errno.ENOSPC:
            raise Unavailable("the disk is full: there is no room for the archive; free some space") from error
        raise
    except BaseException:
        made.close()
        raise
    return cast(BinaryIO, made), size_bytes


async def ended(work: Coroutine[None, None, None]) -> None:
    """Await work in a thread. When this is cancelled, it goes on to its end first: the archive is still open."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def add(target: zipfile.ZipFile, source: Path, path: str, file: FileRecord) -> None:
    """Write a file into the archive; what is compressed already is only copied."""
    entry = zipfile.ZipInfo(path, time.localtime(max(file.created_at, 315_576_000))[:6])  # zip begins in 1980
    entry.compress_type = zipfile.ZIP_STORED if file.content_type in ZIPPED | {PDF} else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    with source.open("rb") as content:
        entry.file_size = source.stat().st_size
        with target.open(entry, "w") as written:
            shutil.copyfileobj(content, written, 1 << 20)
