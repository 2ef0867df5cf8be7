"""The cache of embeddings: a text is embedded once for each model, whatever files it stands in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine

from ragline.connectors.embedders.protocol import Matrix
from ragline.connectors.records.tables import embeddings

LOOKUP_SIZE = 500
"""Keys in one query, below SQLite's and PostgreSQL's limits on parameters."""


class Embeddings:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, model_id: str, texts: Sequence[str]) -> dict[str, Matrix]:
        """Return the vectors, shape (dimension,), of those texts that were embedded before, by text."""
        by_hash = {text_hash(text): text for text in texts}
        hashes = list(by_hash)
        found: dict[str, Matrix] = {}
        async with self._engine.connect() as connection:
            for start in range(0, len(hashes), LOOKUP_SIZE):
                query = select(embeddings.c.text_sha256, embeddings.c.vector).where(
                    embeddings.c.model_id == model_id,
                    embeddings.c.text_sha256.in_(hashes[start : start + LOOKUP_SIZE]),
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
        dialect = sqlite if self._engine.dialect.name == "sqlite" else postgresql
        async with self._engine.begin() as connection:
            await connection.execute(dialect.insert(embeddings).on_conflict_do_nothing(), rows)


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
