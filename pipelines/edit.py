"""A text that somebody wrote takes the place of what was read from a file, until the file gets new bytes."""

from __future__ import annotations

import io
import uuid

from sqlalchemy.exc import SQLAlchemyError

from ragline.app import Stores
from ragline.connectors.blobs import text_key
from ragline.connectors.records.outage import away
from ragline.errors import BadInput, NotFound, TooLarge
from ragline.types import FileRecord


async def edit(stores: Stores, file: FileRecord, text: str) -> FileRecord:
    """Put a file in the queue with this text; what it had goes on to answer until it is in. Its bytes stay.

    Raises BadInput for a blank text, TooLarge over the limit, NotFound when the file has gone meanwhile.
    """
    most = stores.settings.parsing.max_text_chars
    if not text.strip():
        raise BadInput(f"the new text of file {file.id!r} is empty; delete the file if nothing of it is to be found")
    if len(text) > most:
        raise TooLarge(f"a text of {len(text)} characters; {most} are allowed (parsing.max_text_chars)")
    key = text_key(file.id, f"edited-{uuid.uuid4().hex[:8]}")
    await stores.blobs.put(key, io.BytesIO(text.encode()))
    try:
        before = await stores.records.files.edit(file.id, key)
    except SQLAlchemyError as error:
        await stores.blobs.delete(key)
        raise away(error) from error
    if before is None:
        await stores.blobs.delete(key)
        raise NotFound(f"no file {file.id!r}")
    if before.edited is not None:
        await stores.blobs.delete(before.edited)
    return await stores.records.files.get(file.id)
