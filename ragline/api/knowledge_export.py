"""A collection as an archive to be saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from ragline.api.caller import Caller, Installation
from ragline.api.presence import while_present
from ragline.api.strict_json import StrictRoute
from ragline.api.wire import PathId
from ragline.pipelines.export import archive
from ragline.pipelines.names import portable

router = APIRouter(route_class=StrictRoute, prefix="/api/v1/knowledge", tags=["knowledge"])

BLOCK_BYTES = 1 << 20
ZIP: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The archive.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/{collection_id}/export", response_class=StreamingResponse, responses=ZIP)
async def export(request: Request, collection_id: PathId, app: Installation, user: Caller) -> StreamingResponse:
    """Return a zip archive of a collection's files as they were uploaded, in its directories."""
    record = await app.records.collections.visible(collection_id, user)
    made, size_bytes = await while_present(request, archive(app, collection_id))
    name = quote(portable(f"{record.name or 'collection'}.zip"), safe="", errors="replace")
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{name}", "Content-Length": str(size_bytes)}
    return StreamingResponse(blocks(made), headers=headers, media_type="application/zip")


async def blocks(made: BinaryIO) -> AsyncIterator[bytes]:
    """Give a file from its beginning, then close it."""
    with made:
        while block := await asyncio.to_thread(made.read, BLOCK_BYTES):
            yield block
