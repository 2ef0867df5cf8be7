"""The cache of embeddings: a text is embedded once for each model, whatever files it stands in."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sqlalchemy import and_, delete, exists, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.records.portions import portions
from ragline.connectors.records.tables import embeddings, files, removals, text_uses
from ragline.connectors.records.upsert import upsert


class Embeddings:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, model_id: str, texts: Sequence[str]) -> dict[str, Matrix]:
        """Return the vectors, shape (dimension,), of those texts that were embedded before, by text."""
        by_hash = {text_hash(text): text for text in texts}
        found: dict[str, Matrix] = {}
        async with self._engine.connect() as connection:
            for some in portions(list(by_hash)):
                query = select(embeddings.c.text_sha256, embeddings.c.vector).where(
                    embeddings.c.model_id == model_id, embeddings.c.text_sha256.in_(some)
                )
                for row in await connection.execute(query):
                    found[by_hash[row.text_sha256]] = np.frombuffer(row.vector, dtype="<f4")
        return found

    async def keep(self, model_id: str, vectors: Mapping[str, Matrix]) -> None:
        """Store vectors by text; a text that is there already keeps its vector."""
        rows = [
            {"model_id": model_id, "text_sha256": text_hash(text), "vector": vector.astype("<f4").tobytes()}
            for text, vector in vectors.items()
        ]
        if not rows:
            return
        async with self._engine.begin() as connection:
            await connection.execute(upsert(self._engine, embeddings).on_conflict_do_nothing(), rows)

    async def claim(self, model_id: str, needed: Mapping[tuple[str, str], Collection[str]]) -> None:
        """Note which texts' vectors versions of files need, by (file id, version), to be kept as long as they are."""
        rows = [
            {"file_id": file_id, "version": version, "model_id": model_id, "text_sha256": text_hash(text)}
            for (file_id, version), texts in needed.items()
            for text in set(texts)
        ]
        async with self._engine.begin() as connection:
            if rows:
                await connection.execute(upsert(self._engine, text_uses).on_conflict_do_nothing(), rows)

    async def versions(self, file_id: str) -> list[str]:
        """Return the versions of a file that anything was embedded for, those of attempts that died included."""
        query = select(text_uses.c.version).where(text_uses.c.file_id == file_id).distinct()
        async with self._engine.connect() as connection:
            return list(await connection.scalars(query))

    async def forget(self, file_id: str, *, but: str | None = None) -> int:
        """Drop what versions of a file needed, all but the one named, and the vectors that nothing needs any more.

        Returns how many vectors were deleted.
        """
        going = text_uses.c.file_id == file_id
        if but is not None:
            going = and_(going, text_uses.c.version != but)
        other = text_uses.alias()
        needed = exists().where(
            other.c.text_sha256 == embeddings.c.text_sha256,
            other.c.model_id == embeddings.c.model_id,
        )
        texts = select(text_uses.c.model_id, text_uses.c.text_sha256).where(going).distinct()
        async with self._engine.begin() as connection:
            pairs = (await connection.execute(texts)).all()
            await connection.execute(delete(text_uses).where(going))
            deleted = 0
            for some in portions(pairs):
                hashes = [pair.text_sha256 for pair in some]
                unused = delete(embeddings).where(embeddings.c.text_sha256.in_(hashes), ~needed)
                deleted += (await connection.execute(unused)).rowcount
        return deleted

    async def drop_model(self, model_id: str) -> int:
        """Delete all vectors of a model, needed or not, and return how many there were."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(text_uses).where(text_uses.c.model_id == model_id))
            return (await connection.execute(delete(embeddings).where(embeddings.c.model_id == model_id))).rowcount

    async def unused(self, *, repair: bool = False) -> int:
        """Return how many vectors no file needs, there or just going; with `repair` they are deleted."""
        living = union_all(select(files.c.id), select(removals.c.file_id))
        needed = exists().where(
            text_uses.c.text_sha256 == embeddings.c.text_sha256,
            text_uses.c.model_id == embeddings.c.model_id,
            text_uses.c.file_id.in_(living),
        )
        async with self._engine.begin() as connection:
            if repair:
                await connection.execute(delete(text_uses).where(text_uses.c.file_id.not_in(living)))
                return (await connection.execute(delete(embeddings).where(~needed))).rowcount
            return int(await connection.scalar(select(func.count()).select_from(embeddings).where(~needed)) or 0)


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
