"""Passages and vectors into the store: the new version is written whole, then it is the one that answers."""

from __future__ import annotations

import asyncio
import io
import uuid
from collections.abc import Mapping, Sequence

from ragline.app import App
from ragline.connectors.blobs import text_key
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Point
from ragline.errors import Unavailable
from ragline.pipelines.chunking.embedded import text_to_embed
from ragline.pipelines.tidy import tidy
from ragline.types import Chunk, FileRecord, Json, Passage

STAGE_SIZE = 512
"""Points in one write."""


async def index_file(
    app: App,
    file: FileRecord,
    *,
    version: str,
    lease: str,
    text: str,
    chunks: Sequence[Chunk],
    vectors: Sequence[Matrix],
    document: Mapping[str, Json],
) -> bool:
    """Make these the passages of the file, at once. False: the lease was lost, and nothing of this is left.

    `document` is noted beside them.

    Raises Unavailable when the store does not hold all of them: a part is never shown.
    """
    await stage(app, file, version=version, chunks=chunks, vectors=vectors)
    key = text_key(file.id, version)
    await app.blobs.put(key, io.BytesIO(text.encode("utf-8", "surrogatepass")))
    async with app.locks.of(file.id):  # nobody tidies between the count and the switch
        stored = await app.vectors.publish(file.id, version=version)
        mark = await switch(
            app, file, version=version, lease=lease, stored=stored, chunks=len(chunks), document=document
        )
    if mark is None:
        await app.vectors.drop_version(file.id, version)
        await app.blobs.delete(key)
        return False
    if mark:
        await tidy(app, file.id)
    return True


async def switch(
    app: App, file: FileRecord, *, version: str, lease: str, stored: int, chunks: int, document: Mapping[str, Json]
) -> int | None:
    """Make the version the one that answers; None: the lease was lost. Raises Unavailable when it is not whole."""
    if stored != chunks:
        raise Unavailable(f"the vector store holds {stored} of {chunks} passages of file {file.id!r}")
    fresh = file.version is None and file.attempts == 1  # nothing of it can be stale
    return await app.records.queue.complete(
        file.id, lease, version=version, chunk_count=chunks, untidy=not fresh, document=document
    )


async def stage(
    app: App, file: FileRecord, *, version: str, chunks: Sequence[Chunk], vectors: Sequence[Matrix]
) -> None:
    """Write the passages where no search finds them yet."""
    collections = await app.records.collections.of_file(file.id)
    k1, b = app.settings.retrieval.bm25_k1, app.settings.retrieval.bm25_b

    def points(start: int) -> list[Point]:
        part = slice(start, start + STAGE_SIZE)
        return [
            Point(
                passage=Passage(passage_id(file.id, version, one), file.id, version, file.user_id, file.filename, one),
                collection_ids=collections,
                dense=vector.tolist(),
                sparse=passage_vector(text_to_embed(one, file.filename), one.language, k1=k1, b=b),
            )
            for one, vector in zip(chunks[part], vectors[part], strict=True)
        ]

    for start in range(0, len(chunks), STAGE_SIZE):
        await app.vectors.stage(await asyncio.to_thread(points, start), version=version)


def passage_id(file_id: str, version: str, part: Chunk) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{file_id}\0{version}\0{part.index}"))
