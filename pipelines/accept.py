"""A new file is taken in: checked, its bytes on disk, its row `pending`. Only then it is acknowledged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from ragline.app import App
from ragline.connectors.records.files import new_id
from ragline.errors import BadInput
from ragline.pipelines.ingest import blob_key
from ragline.pipelines.parse import content_type_of
from ragline.types import FileRecord, Json, User

HEAD_BYTES = 8192
"""What is looked at to tell a file's type."""


async def accept(app: App, user: User, *, name: str, content: BinaryIO, metadata: Mapping[str, Json]) -> FileRecord:
    """Store a file and put it in the queue.

    Raises BadInput for an empty one, UnsupportedFile for a type that cannot be read, TooLarge over the limit.
    """
    head = content.read(HEAD_BYTES)
    if not head:
        raise BadInput(f"{name!r} is empty")
    content_type = content_type_of(name, head)
    content.seek(0)
    file_id = new_id()
    size, sha256 = await app.blobs.put(blob_key(file_id), content, max_bytes=app.settings.server.max_upload_bytes)
    record = await app.records.files.add(
        file_id=file_id,
        user_id=user.id,
        filename=name,
        content_type=content_type,
        size_bytes=size,
        sha256=sha256,
        metadata=metadata,
    )
    app.uploaded.set()
    return record
