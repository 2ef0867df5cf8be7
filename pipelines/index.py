"""Passages and vectors into the store: the new version is written whole, then shown, then the old one is deleted."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from ragline.app import App
from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.vectors.bm25 import passage_vector
from ragline.connectors.vectors.protocol import Point
from ragline.types import Chunk, FileRecord, Passage

STAGE_SIZE = 512
"""Points in one write."""


async def index_file(app: App, file: FileRecord, chunks: Sequence[Chunk], vectors: Sequence[Matrix]) -> None:
    """Make these the passages of the file, at once. Doing it twice leaves one set."""
    version = uuid.uuid4().hex[:16]  # of this attempt: what an earlier one staged is never shown
    collections = await app.records.collections.of_file(file.id)
    for start in range(0, len(chunks), STAGE_SIZE):
        points = [
            Point(
                passage=Passage(passage_id(file.id, version, part), file.id, file.user_id, file.filename, part),
                collection_ids=collections,
                dense=vector.tolist(),
                sparse=passage_vector(part.text, part.language),
            )
            for part, vector in zip(
                chunks[start : start + STAGE_SIZE], vectors[start : start + STAGE_SIZE], strict=True
            )
        ]
        await app.vectors.stage(points, version=version)
    await app.vectors.publish(file.id, version=version)
    await follow_collections(app, file.id, written=collections)


async def follow_collections(app: App, file_id: str, *, written: Sequence[str] | None = None) -> None:
    """Bring the passages' collections in line with the records, also when both change at the same time."""
    while (wanted := await app.records.collections.of_file(file_id)) != written:
        await app.vectors.set_collections(file_id, wanted)
        written = wanted


def passage_id(file_id: str, version: str, part: Chunk) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{file_id}\0{version}\0{part.index}"))
