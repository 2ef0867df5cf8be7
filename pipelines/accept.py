"""New bytes are taken in: checked, on disk, in the queue. Only then they are acknowledged."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import BinaryIO

from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from ragline.app import Stores
from ragline.connectors.blobs import new_blob_key
from ragline.connectors.records.files import new_id
from ragline.connectors.records.outage import away
from ragline.connectors.records.usage import Room
from ragline.connectors.sealed import check_password, seal
from ragline.errors import BadInput, NotFound, TooLarge, TooMany
from ragline.pipelines.parse import content_type_of
from ragline.types import FileRecord, Json, User


async def accept(
    stores: Stores,
    user: User,
    *,
    name: str,
    content: BinaryIO,
    metadata: Mapping[str, Json],
    collection_id: str | None = None,
    directory_id: str | None = None,
    waits: bool = True,
    password: str | None = None,
) -> FileRecord:
    """Store a file, put it in the queue and into a collection where one is named; not in the queue unless it `waits`.

    `password` opens the document; it is stored sealed.

    Raises BadInput for an empty file or such a password, UnsupportedFile for a type that cannot be read, TooLarge over
    the limit or the user's quota, TooMany while too many files wait, NotFound when the collection has gone meanwhile.
    """
    if password is not None:
        check_password(password)
    content_type = await asyncio.to_thread(type_of, name, content)
    if waits:
        await check_queue(stores)
    room = room_of(stores, user)
    if room is not None:  # before the bytes are stored; once more, and surely, when the file is added
        await stores.records.usage.check_room(room, user.id, size_bytes=size_of(content))
    file_id = new_id()
    blob = new_blob_key(file_id)
    size, sha256 = await stores.blobs.put(blob, content, max_bytes=stores.settings.server.max_upload_bytes)
    try:
        return await stores.records.files.add(
            file_id=file_id,
            user_id=user.id,
            filename=name,
            content_type=content_type,
            size_bytes=size,
            sha256=sha256,
            blob=blob,
            metadata=metadata,
            collection_id=collection_id,
            directory_id=directory_id,
            waits=waits,
            room=room,
            password=seal(stores.settings, file_id, password) if password is not None else None,
        )
    except TooLarge:
        await stores.blobs.delete(blob)
        raise
    except SQLAlchemyError as error:
        await stores.blobs.delete(blob)
        if not isinstance(error, IntegrityError):
            raise away(error) from error
        raise NotFound(f"no collection {collection_id!r} or no directory {directory_id!r} any more") from error


async def replace(
    stores: Stores, file: FileRecord, *, name: str, content: BinaryIO, password: str | None = None
) -> FileRecord:
    """Give a file new bytes and put it in the queue; what it had goes on to answer until they are in.

    `password` opens them; that of the old ones is forgotten. Raises what `accept` raises, NotFound when the file has
    gone meanwhile.
    """
    sealed = seal(stores.settings, file.id, password) if password is not None else None
    content_type = await asyncio.to_thread(type_of, name, content)
    if stores.settings.quotas.max_bytes is not None:
        await check_growth(stores, file, size_of(content))
    blob = new_blob_key(file.id)
    size, sha256 = await stores.blobs.put(blob, content, max_bytes=stores.settings.server.max_upload_bytes)
    before = await stores.records.files.replace(
        file.id, content_type=content_type, size_bytes=size, sha256=sha256, blob=blob, password=sealed
    )
    if before is None:
        await stores.blobs.delete(blob)
        raise NotFound(f"no file {file.id!r} any more")
    for key in filter(None, (before.blob, before.edited)):
        await stores.blobs.delete(key)
    return await stores.records.files.get(file.id)


async def unlock(stores: Stores, file: FileRecord, password: str) -> FileRecord:
    """Give a file the password that opens it and put it in the queue; what it had goes on to answer until then.

    Raises BadInput for what is no password, NotFound when the file has gone meanwhile.
    """
    if not await stores.records.files.unlock(file.id, seal(stores.settings, file.id, password)):
        raise NotFound(f"no file {file.id!r}")
    return await stores.records.files.get(file.id)


def type_of(name: str, content: BinaryIO) -> str:
    """Return the type of a file, which then stands at its beginning again. Raises as `accept` does."""
    if not content.read(1):
        raise BadInput(f"{name!r} is empty")
    content.seek(0)
    return content_type_of(name, content)


async def check_growth(stores: Stores, file: FileRecord, size_bytes: int) -> None:
    """Raise TooLarge where a file of this size, in place of what it was, is over its owner's quota."""
    owner = await stores.records.users.get(file.user_id)
    room = room_of(stores, owner) if owner else None
    if room is not None:
        grown = size_bytes - file.size_bytes
        await stores.records.usage.check_room(room, file.user_id, size_bytes=grown, more_files=0)


def size_of(content: BinaryIO) -> int:
    """Return the size of a file in bytes, which then stands at its beginning."""
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    return size


def room_of(stores: Stores, user: User) -> Room | None:
    """Return what a user may store; None: as much as they like."""
    quotas = stores.settings.quotas
    if user.is_admin or (quotas.max_files is None and quotas.max_bytes is None):
        return None
    return Room(max_files=quotas.max_files, max_bytes=quotas.max_bytes)


async def check_queue(stores: Stores) -> None:
    """Raise TooMany while the queue is full."""
    most = stores.settings.queue.max_waiting
    if await stores.records.queue.waiting() >= most:
        raise TooMany(f"{most} files wait to be ingested already (queue.max_waiting); send this one again later")
